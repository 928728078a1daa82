//! The server as a process of its own: `proof serve`, with every setting from the environment.

use std::{io::Read, net::SocketAddr, thread};

use arvel_session::{Error, SessionConfig, SessionManager, store::DatabaseStore};
use tokio::net::TcpListener;

use super::{Turned, app, layer};

/// What the process says in front of its address, once it listens.
pub const LISTENING: &str = "listening on ";

/// The first argument of the process is where it listens.
///
/// # Errors
/// A setting is impossible, or the address is taken.
pub async fn run(address: SocketAddr) -> Result<(), Box<dyn std::error::Error>> {
    end_with_parent();
    let config = SessionConfig::load()?;
    let clock = Turned::default();
    let manager = SessionManager::with_clock(config.clone(), clock.clone())?;
    let store = manager.store()?;
    migrate(&config).await?;
    let sessions = layer(store.clone()).try_build()?;
    let listener = TcpListener::bind(address).await?;
    say(&format!("{LISTENING}{}", listener.local_addr()?));
    Ok(axum::serve(listener, app(store, sessions, clock)).await?)
}

#[allow(clippy::print_stdout, reason = "whoever started it waits for the line")]
fn say(line: &str) {
    println!("{line}");
}

/// Whoever started this process holds its standard input.
fn end_with_parent() {
    thread::spawn(|| {
        let mut input = std::io::stdin();
        while input.read(&mut [0; 64]).is_ok_and(|read| read > 0) {}
        std::process::exit(0);
    });
}

/// Makes the table; a database that is down has one already, or the clients will see.
async fn migrate(config: &SessionConfig) -> Result<(), Error> {
    if config.settings().driver != "database" {
        return Ok(());
    }
    match DatabaseStore::from_config(config)?.migrate().await {
        Err(error) if error.is_unavailable() => Ok(()),
        done => done,
    }
}
