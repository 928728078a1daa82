//! MariaDB, with a database and an all-powerful user named `arvel`.

use std::process::Command;

use rustix::process::Signal;

use super::{Server, Variables, command, folder_for, free_port};
use crate::error::{Context, Result};
use crate::guard::Guard;
use crate::process;

const USER: Option<&str> = Some("mysql");

const FIRST_STATEMENTS: &str = "\
CREATE DATABASE IF NOT EXISTS arvel CHARACTER SET utf8mb4;
CREATE USER IF NOT EXISTS 'arvel'@'%' IDENTIFIED BY 'arvel';
GRANT ALL ON *.* TO 'arvel'@'%' WITH GRANT OPTION;
";

/// Makes the system's tables, starts the server and makes the database. Nothing in it survives a crash of the machine.
pub(super) fn start(guard: &Guard) -> Result<Variables> {
    let url = start_with(guard, "--innodb-flush-log-at-trx-commit=0")?;
    Ok(vec![("ARVEL_TEST_MYSQL", url)])
}

/// Like [`start`], but as on a real machine. It answers the database's URL.
pub(super) fn start_durable(guard: &Guard) -> Result<String> {
    start_with(guard, "--innodb-flush-log-at-trx-commit=1")
}

fn start_with(guard: &Guard, flush: &str) -> Result<String> {
    let folder = folder_for(guard, "mariadb", USER)?;
    let data = format!("--datadir={}", folder.join("data").display());
    let mut install = command(&process::need("mariadb-install-db")?, &folder, USER);
    install.args([
        "--no-defaults",
        &data,
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
    ]);
    Server::start(guard, "mariadb-install-db", &mut install, Signal::TERM)?.wait_for_end()?;

    let statements = guard.folder().join("mariadb.sql");
    std::fs::write(&statements, FIRST_STATEMENTS).context("writing MariaDB's first statements")?;
    let port = free_port()?;
    let port = port.to_string();
    let mut server = command(&process::need("mariadbd")?, &folder, USER);
    server.args([
        "--no-defaults",
        &data,
        "--bind-address=127.0.0.1",
        "--port",
        &port,
        "--socket=mariadb.sock",
    ]);
    // Every test process brings a pool.
    server.args(["--max-connections=400", "--skip-name-resolve", flush]);
    server.arg(format!("--init-file={}", statements.display()));
    let mut server = Server::start(guard, "mariadb", &mut server, Signal::TERM)?;
    let client = [
        "--no-defaults",
        "--host=127.0.0.1",
        "--user=arvel",
        "--password=arvel",
        "--port",
        &port,
        "arvel",
    ];
    server.wait_until(|| {
        process::output(
            Command::new("mariadb")
                .args(client)
                .arg("--execute=SELECT 1"),
        )
        .is_ok()
    })?;
    Ok(format!("mysql://arvel:arvel@127.0.0.1:{port}/arvel"))
}
