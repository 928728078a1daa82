//! Very many sessions in each place: [`scale`](crate::scale) in a process of its own for each, so that none finds the
//! memory of another.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use clap::Args;

use super::{Place, Servers, cores};
use crate::{
    figures::Many,
    ours::config,
    scale::{self, Scale},
    tables,
};

/// One measurement: what runs in a process of its own.
#[derive(Args)]
pub struct One {
    #[arg(value_enum)]
    place: Place,
    sessions: usize,
    #[command(flatten)]
    servers: Servers,
}

impl One {
    /// Measures, and prints JSON.
    ///
    /// # Errors
    /// The driver fails.
    pub fn run(&self) -> Result<()> {
        let config = match self.place {
            Place::Memory => config("memory"),
            Place::File => config("file").files_path(self.servers.folder.join("many")),
            Place::Redis => config("redis").redis_url(self.servers.url(self.place)?),
            _ => config("database").database_url(self.servers.url(self.place)?),
        };
        let config = config.database_table("many").redis_prefix("many:");
        let scale = match self.place {
            Place::Redis => super::expiring::measure(config, self.sessions, cores())?,
            _ => scale::measure(config, self.sessions, cores())?,
        };
        println!("{}", serde_json::to_string(&scale)?);
        Ok(())
    }
}

/// Measures and prints every place.
///
/// # Errors
/// A driver fails.
pub fn run(servers: &Servers, quick: bool) -> Result<Vec<Many>> {
    let mut all = Vec::new();
    // One that waits for the disk at each commit would be a day about the same.
    for &place in servers
        .places()
        .iter()
        .filter(|place| **place != Place::Postgres)
    {
        let sessions = if quick { 2_000 } else { sessions(place) };
        let scale = measure(place, sessions, servers).with_context(|| place.title())?;
        all.push(Many {
            store: place.title().to_owned(),
            scale,
        });
        println!("\nvery many sessions\n");
        print!("{}", tables::many(&all));
    }
    Ok(all)
}

/// A million; fewer where making them takes too long.
const fn sessions(place: Place) -> usize {
    match place {
        Place::Mysql => 200_000,
        _ => 1_000_000,
    }
}

fn measure(place: Place, sessions: usize, servers: &Servers) -> Result<Scale> {
    let mut command = match place {
        Place::Sqlite => super::contenders::sqlite_program("ours", servers, cores())?,
        _ => Command::new(std::env::current_exe()?),
    };
    match place {
        Place::Sqlite => command.arg(sessions.to_string()),
        _ => command.arg("many-one").args(one(place, sessions, servers)),
    };
    let output = command.stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "it failed");
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The arguments of [`One`].
fn one(place: Place, sessions: usize, servers: &Servers) -> Vec<String> {
    let name = clap::ValueEnum::to_possible_value(&place);
    let name = name.map(|value| value.get_name().to_owned());
    let folder = servers.folder.display().to_string();
    let mut all = vec![
        name.unwrap_or_default(),
        sessions.to_string(),
        "--folder".to_owned(),
        folder,
    ];
    for (option, url) in [
        ("--redis", &servers.redis),
        ("--postgres-relaxed", &servers.postgres_relaxed),
        ("--mysql", &servers.mysql),
    ] {
        all.extend(url.iter().flat_map(|url| [option.to_owned(), url.clone()]));
    }
    all
}
