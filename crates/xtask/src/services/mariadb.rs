//! MariaDB, with a database and an all-powerful user named `arvel`.

use std::process::Command;

use rustix::process::Signal;

use super::{Keeps, Server, Variables, command, folder_for, free_port, server};
use crate::error::{Context, Result};
use crate::guard::Guard;
use crate::process;

const USER: Option<&str> = Some("mysql");

const FIRST_STATEMENTS: &str = "\
CREATE DATABASE IF NOT EXISTS arvel CHARACTER SET utf8mb4;
CREATE USER IF NOT EXISTS 'arvel'@'%' IDENTIFIED BY 'arvel';
GRANT ALL ON *.* TO 'arvel'@'%' WITH GRANT OPTION;
";

/// A server with an empty database.
pub struct MariaDb {
    /// Its process.
    pub server: Server,
    port: u16,
}

impl MariaDb {
    /// Makes the system's tables, starts the server and makes the database.
    ///
    /// # Errors
    /// It is not installed, or does not start.
    pub fn start(guard: &Guard, keeps: Keeps) -> Result<Self> {
        let folder = folder_for(guard, "mariadb", USER)?;
        let data = format!("--datadir={}", folder.join("data").display());
        let mut install = command(&process::need("mariadb-install-db")?, &folder, USER);
        install.args([
            "--no-defaults",
            &data,
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ]);
        server::run(guard, "mariadb-install-db", install)?;

        let statements = guard.folder().join("mariadb.sql");
        std::fs::write(&statements, FIRST_STATEMENTS)
            .context("writing MariaDB's first statements")?;
        let port = free_port()?;
        let mut server = command(&process::need("mariadbd")?, &folder, USER);
        server.args([
            "--no-defaults",
            &data,
            "--bind-address=127.0.0.1",
            "--port",
            &port.to_string(),
            "--socket=mariadb.sock",
        ]);
        let flush = match keeps {
            Keeps::Nothing => 0,
            Keeps::Everything => 1,
        };
        // Every test process brings a pool.
        server.args(["--max-connections=400", "--skip-name-resolve"]);
        server.arg(format!("--innodb-flush-log-at-trx-commit={flush}"));
        server.arg(format!("--init-file={}", statements.display()));
        let server = Server::start(guard, "mariadb", server, Signal::TERM, move || {
            client(port, "SELECT 1").is_ok()
        })?;
        Ok(Self { server, port })
    }

    /// Where the database is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("mysql://arvel:arvel@127.0.0.1:{}/arvel", self.port)
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
        client(self.port, sql)
    }

    pub(super) fn variables(&self) -> Variables {
        vec![("ARVEL_TEST_MYSQL", self.url())]
    }
}

fn client(port: u16, sql: &str) -> Result<String> {
    let mut client = Command::new("mariadb");
    client.args(["--no-defaults", "--host=127.0.0.1", "--user=arvel"]);
    client.args(["--password=arvel", "--connect-timeout=5", "--batch"]);
    client.args(["--skip-column-names", "--port", &port.to_string()]);
    process::output(client.args(["arvel", "--execute", sql]))
}
