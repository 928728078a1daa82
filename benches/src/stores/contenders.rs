//! Who competes in which place.

use std::process::Command;

use anyhow::{Context as _, Result};

#[cfg(feature = "peers")]
use super::peers;
use super::{Place, Servers, bare_redis, renaming};
use crate::{
    load::{Child, Local, Make, Runner},
    ours,
};

/// One contender in one place.
pub struct Contender {
    /// What the tables call it.
    pub name: &'static str,
    /// Ours.
    pub ours: bool,
    /// What puts it under load.
    pub runner: Box<dyn Runner>,
}

/// Everyone who is compiled in, each with so many threads; ours first.
///
/// # Errors
/// A server is missing.
pub(super) fn of(place: Place, servers: &Servers, threads: usize) -> Result<Vec<Contender>> {
    let others = match place {
        Place::Memory => Vec::new(),
        Place::Redis => redis(servers)?,
        Place::Postgres | Place::PostgresRelaxed => postgres(servers.url(place)?),
        Place::Mysql => mysql(servers.url(place)?),
        Place::Sqlite => return sqlite(servers, threads),
        Place::File => renaming(servers),
    };
    let mut all = vec![Contender {
        name: OURS,
        ours: true,
        runner: local(threads, ours(place, servers)?)?,
    }];
    for (name, make) in others {
        all.push(Contender {
            name,
            ours: false,
            runner: local(threads, make)?,
        });
    }
    Ok(all)
}

/// Ours alone.
///
/// # Errors
/// A server is missing.
pub fn our_runner(place: Place, servers: &Servers, threads: usize) -> Result<Box<dyn Runner>> {
    match place {
        Place::Sqlite => child("ours", servers, threads),
        _ => local(threads, ours(place, servers)?),
    }
}

pub(super) const OURS: &str = "arvel-session";
#[cfg(feature = "peers")]
const SQLX_STORE: &str = "tower-sessions-sqlx-store";

fn ours(place: Place, servers: &Servers) -> Result<Make> {
    Ok(match place {
        Place::Memory => ours::memory(),
        Place::Redis => ours::redis(servers.url(place)?),
        Place::File => ours::file(servers.folder.join("ours")),
        _ => ours::database(servers.url(place)?),
    })
}

fn local(threads: usize, make: Make) -> Result<Box<dyn Runner>> {
    Ok(Box::new(Local::new(threads, make)?))
}

type Named = (&'static str, Make);

fn redis(servers: &Servers) -> Result<Vec<Named>> {
    let url = servers.url(Place::Redis)?;
    let bare = ("bare redis-rs", bare_redis::make(url.to_owned()));
    #[cfg(feature = "peers")]
    return Ok(vec![
        bare,
        ("tower-sessions-redis-store", peers::redis(url.to_owned())),
    ]);
    #[cfg(not(feature = "peers"))]
    Ok(vec![bare])
}

#[cfg(feature = "peers")]
fn postgres(url: &str) -> Vec<Named> {
    vec![(SQLX_STORE, peers::postgres(url.to_owned()))]
}

#[cfg(feature = "peers")]
fn mysql(url: &str) -> Vec<Named> {
    vec![(SQLX_STORE, peers::mysql(url.to_owned()))]
}

#[cfg(not(feature = "peers"))]
fn postgres(_: &str) -> Vec<Named> {
    Vec::new()
}

#[cfg(not(feature = "peers"))]
fn mysql(_: &str) -> Vec<Named> {
    Vec::new()
}

fn renaming(servers: &Servers) -> Vec<Named> {
    let folder = |name| servers.folder.join(name);
    vec![
        (
            "temporary + rename",
            renaming::make(folder("renamed"), renaming::How::Inline),
        ),
        (
            "temporary + rename, blocking threads",
            renaming::make(folder("blocking"), renaming::How::Blocking),
        ),
    ]
}

/// Each in a process of its own, since only one SQLite can be linked into a program.
fn sqlite(servers: &Servers, threads: usize) -> Result<Vec<Contender>> {
    Ok(vec![
        Contender {
            name: OURS,
            ours: true,
            runner: child("ours", servers, threads)?,
        },
        #[cfg(feature = "peers")]
        Contender {
            name: SQLX_STORE,
            ours: false,
            runner: child("peer", servers, threads)?,
        },
    ])
}

fn child(whose: &str, servers: &Servers, threads: usize) -> Result<Box<dyn Runner>> {
    let mut program = sqlite_program(whose, servers, threads)?;
    Ok(Box::new(Child::start(&mut program)?))
}

/// What the cargo that runs us has told us of our own package: a reason for some of the child's dependencies to be built
/// once more.
const ABOUT_US: [&str; 7] = [
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_LINKS",
    "CARGO_PKG_NAME",
    "CARGO_PKG_VERSION_MAJOR",
    "CARGO_PKG_VERSION_MINOR",
    "CARGO_PKG_VERSION_PATCH",
    "CARGO_PKG_VERSION_PRE",
];

/// One of the two programs with an SQLite, on an empty folder.
pub(super) fn sqlite_program(whose: &str, servers: &Servers, threads: usize) -> Result<Command> {
    let folder = tempfile::Builder::new().tempdir_in(&servers.folder);
    let folder = folder.context("a folder for SQLite")?.keep();
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/sqlite");
    let mut cargo = Command::new("cargo");
    for variable in ABOUT_US {
        cargo.env_remove(variable);
    }
    cargo.args(["run", "--quiet", "--release", "--manifest-path"]);
    cargo.arg(format!("{manifest}/{whose}/Cargo.toml"));
    cargo.arg("--").arg(folder).arg(threads.to_string());
    Ok(cargo)
}
