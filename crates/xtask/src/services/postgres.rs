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

/// Makes a cluster, starts the server and makes the database. Nothing in it survives a crash of the machine.
pub(super) fn start(guard: &Guard) -> Result<Variables> {
    let server = Postgres::start(guard, "off")?;
    server.sql("CREATE DATABASE arvel")?;
    Ok(vec![("ARVEL_TEST_POSTGRES", server.url("arvel"))])
}

/// Like [`start`], but as on a real machine; and a second database that does not wait for the disk at each commit.
pub(super) fn start_durable(guard: &Guard) -> Result<[String; 2]> {
    let server = Postgres::start(guard, "on")?;
    server.sql("CREATE DATABASE arvel")?;
    server.sql("CREATE DATABASE relaxed")?;
    server.sql("ALTER DATABASE relaxed SET synchronous_commit = off")?;
    Ok([server.url("arvel"), server.url("relaxed")])
}

/// A server that runs.
struct Postgres {
    programs: PathBuf,
    port: u16,
}

impl Postgres {
    fn start(guard: &Guard, fsync: &str) -> Result<Self> {
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
        // Every test process brings a pool.
        server.args(["-c", "max_connections=400", "-c", &format!("fsync={fsync}")]);
        // SIGTERM would wait for the clients to leave.
        let mut server = Server::start(guard, "postgres", &mut server, Signal::INT)?;
        let started = Self { programs, port };
        server.wait_until(|| started.sql("SELECT 1").is_ok())?;
        Ok(started)
    }

    fn url(&self, database: &str) -> String {
        let port = self.port;
        format!("postgres://arvel:arvel@127.0.0.1:{port}/{database}")
    }

    fn sql(&self, statement: &str) -> Result<String> {
        let mut psql = std::process::Command::new(self.programs.join("psql"));
        psql.args(["--no-psqlrc", "--dbname", &self.url("postgres")]);
        process::output(psql.args(["--command", statement]))
    }
}
