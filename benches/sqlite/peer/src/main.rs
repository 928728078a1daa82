//! tower-sessions on SQLite, under load from the benchmark's main program. WAL and `synchronous = NORMAL`, as ours.

use std::{path::PathBuf, sync::Arc};

use anyhow::{Context as _, Result};
use arvel_session_benches::{
    apps::router::routes,
    load::{App, Local, Make, serve},
};
use tower_sessions::{Session, SessionManagerLayer};
use tower_sessions_sqlx_store::{
    SqliteStore,
    sqlx::{
        SqlitePool,
        sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
    },
};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().context("a folder")?);
    let threads = arguments.next().context("a number of threads")?.parse()?;
    let options = SqliteConnectOptions::new()
        .filename(folder.join("peer.sqlite"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal);
    let make: Make = Arc::new(move |content| {
        let options = options.clone();
        Box::pin(async move {
            let store = SqliteStore::new(SqlitePool::connect_with(options).await?);
            store.migrate().await?;
            let layer = SessionManagerLayer::new(store);
            Ok(Box::new(App(routes::<Session>(content).layer(layer))) as _)
        })
    });
    serve(&mut Local::new(threads, make)?)
}
