//! PostgreSQL, with a database and a superuser named `arvel`. It refuses to run as root, so it gets its own user.

use std::path::PathBuf;

use rustix::process::Signal;

use super::{Server, Variables, command, folder_for, free_port};
use crate::error::{Context, Error, Result};
use crate::guard::Guard;
use crate::{process, repository};

const USER: Option<&str> = Some("postgres");

/// The folder of PostgreSQL's programs: of the newest version that Debian has installed, else wherever `PATH` finds them.
pub(crate) fn programs() -> Option<PathBuf> {
    let debian = repository::entries("/usr/lib/postgresql".as_ref()).unwrap_or_default();
    let version = |folder: &PathBuf| {
        folder
            .file_name()
            .and_then(|name| name.to_str()?.parse::<u32>().ok())
    };
    let newest = debian
        .into_iter()
        .max_by_key(version)
        .map(|folder| folder.join("bin"));
    let installed = newest.filter(|folder| folder.join("initdb").exists());
    installed.or_else(|| process::find("initdb")?.parent().map(Into::into))
}

/// Makes a cluster, starts the server and makes the database.
pub(super) fn start(guard: &Guard) -> Result<Variables> {
    let programs = programs().ok_or_else(|| Error::new("PostgreSQL is not installed"))?;
    let folder = folder_for(guard, "postgres", USER)?;
    std::fs::write(guard.folder().join("postgres-password"), "arvel")
        .context("writing a password")?;
    let mut initdb = command(&programs.join("initdb"), &folder, USER);
    initdb.args([
        "--pgdata",
        "data",
        "--username",
        "arvel",
        "--pwfile",
        "../postgres-password",
        "--no-sync",
    ]);
    initdb.args([
        "--auth",
        "scram-sha-256",
        "--encoding",
        "UTF8",
        "--locale",
        "C.UTF-8",
    ]);
    Server::start(guard, "initdb", &mut initdb, Signal::TERM)?.wait_for_end()?;

    let port = free_port()?;
    let mut server = command(&programs.join("postgres"), &folder, USER);
    server.args([
        "-D",
        "data",
        "-h",
        "127.0.0.1",
        "-k",
        "",
        "-p",
        &port.to_string(),
    ]);
    // Nothing here must survive a crash of the machine, and every test process brings a pool.
    server.args(["-c", "fsync=off", "-c", "max_connections=400"]);
    // SIGTERM would wait for the clients to leave.
    let mut server = Server::start(guard, "postgres", &mut server, Signal::INT)?;
    let url = |database| format!("postgres://arvel:arvel@127.0.0.1:{port}/{database}");
    let psql = |sql| {
        let mut psql = std::process::Command::new(programs.join("psql"));
        process::output(psql.args([
            "--no-psqlrc",
            "--dbname",
            &url("postgres"),
            "--command",
            sql,
        ]))
    };
    server.wait_until(|| psql("SELECT 1").is_ok())?;
    psql("CREATE DATABASE arvel")?;
    Ok(vec![("ARVEL_TEST_POSTGRES", url("arvel"))])
}
