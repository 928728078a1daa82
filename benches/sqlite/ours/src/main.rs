//! arvel-session on SQLite, for the benchmark's main program: under load, or with very many sessions.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use arvel_session_benches::{
    load::{Local, serve},
    ours, scale,
};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().context("a folder")?);
    let threads = arguments.next().context("a number of threads")?.parse()?;
    let url = format!("sqlite://{}", folder.join("ours.sqlite").display());
    let Some(sessions) = arguments.next() else {
        return serve(&mut Local::new(threads, ours::database(&url))?);
    };
    let config = ours::config("database").database_url(url);
    let scale = scale::measure(config, sessions.parse()?, threads)?;
    println!("{}", serde_json::to_string(&scale)?);
    Ok(())
}
