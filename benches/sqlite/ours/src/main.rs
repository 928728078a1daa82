//! arvel-session on SQLite, under load from the benchmark's main program.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use arvel_session_benches::{
    load::{Local, serve},
    ours,
};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().context("a folder")?);
    let threads = arguments.next().context("a number of threads")?.parse()?;
    let url = format!("sqlite://{}", folder.join("ours.sqlite").display());
    serve(&mut Local::new(threads, ours::database(url))?)
}
