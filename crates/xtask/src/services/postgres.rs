//! PostgreSQL, with a database and a superuser named `arvel`. It refuses to run as root, so it gets its own user.

use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;

use super::{Keeps, Server, Variables, command, folder_for, free_port, server};
use crate::error::{Context, Error, Result};
use crate::guard::Guard;
use crate::{process, repository};

const USER: Option<&str> = Some("postgres");

/// The folder of PostgreSQL's programs: of the newest version that Debian has installed, else wherever `PATH` finds them.
#[must_use]
pub fn programs() -> Option<PathBuf> {
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

/// A server with an empty database.
pub struct Postgres {
    /// Its processes.
    pub server: Server,
    programs: PathBuf,
    port: u16,
}

impl Postgres {
    /// Makes a cluster, starts the server and makes the database.
    ///
    /// # Errors
    /// It is not installed, or does not start.
    pub fn start(guard: &Guard, keeps: Keeps) -> Result<Self> {
        let programs = programs().ok_or_else(|| Error::new("PostgreSQL is not installed"))?;
        let folder = folder_for(guard, "postgres", USER)?;
        make_cluster(guard, &programs, &folder)?;
        let port = free_port()?;
        let mut server = command(&programs.join("postgres"), &folder, USER);
        server.args(["-D", "data", "-h", "127.0.0.1", "-k", ""]);
        server.args(["-p", &port.to_string()]);
        let fsync = match keeps {
            Keeps::Nothing => "fsync=off",
            Keeps::Everything => "fsync=on",
        };
        // Every test process brings a pool.
        server.args(["-c", fsync, "-c", "max_connections=400"]);
        let client = programs.clone();
        // SIGTERM would wait for the clients to leave.
        let server = Server::start(guard, "postgres", server, Signal::INT, move || {
            psql(&client, port, "postgres", "SELECT 1").is_ok()
        })?;
        psql(&programs, port, "postgres", "CREATE DATABASE arvel")?;
        Ok(Self {
            server,
            programs,
            port,
        })
    }

    /// Where the database is.
    #[must_use]
    pub fn url(&self) -> String {
        url(self.port, "arvel")
    }

    /// A second database, which does not wait for the disk at each commit, and where it is.
    ///
    /// # Errors
    /// The server refuses it, or is not there.
    pub fn add_relaxed(&self) -> Result<String> {
        let sql = |statement| psql(&self.programs, self.port, "postgres", statement);
        sql("CREATE DATABASE relaxed")?;
        sql("ALTER DATABASE relaxed SET synchronous_commit = off")?;
        Ok(url(self.port, "relaxed"))
    }

    /// Its TCP port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What the server answers, a line for each row.
    ///
    /// # Errors
    /// The server refuses it, or is not there.
    pub fn query(&self, sql: &str) -> Result<String> {
        psql(&self.programs, self.port, "arvel", sql)
    }

    pub(super) fn variables(&self) -> Variables {
        vec![("ARVEL_TEST_POSTGRES", self.url())]
    }
}

fn make_cluster(guard: &Guard, programs: &Path, folder: &Path) -> Result<()> {
    std::fs::write(guard.folder().join("postgres-password"), "arvel")
        .context("writing a password")?;
    let mut initdb = command(&programs.join("initdb"), folder, USER);
    initdb.args(["--pgdata", "data", "--username", "arvel"]);
    initdb.args(["--pwfile", "../postgres-password", "--no-sync"]);
    initdb.args(["--auth", "scram-sha-256", "--encoding", "UTF8"]);
    initdb.args(["--locale", "C.UTF-8"]);
    server::run(guard, "initdb", initdb)
}

fn url(port: u16, database: &str) -> String {
    format!("postgres://arvel:arvel@127.0.0.1:{port}/{database}")
}

fn psql(programs: &Path, port: u16, database: &str, sql: &str) -> Result<String> {
    let mut psql = Command::new(programs.join("psql"));
    psql.args(["--no-psqlrc", "--tuples-only", "--no-align"]);
    psql.args(["--dbname", &url(port, database), "--command", sql]);
    process::output(&mut psql)
}
