//! The conformance suite on every driver, one result line each.
//!
//! The servers are those that `cargo xtask test` starts and names in the environment; a driver whose server is not there is
//! said to be left out.

use std::{process::ExitCode, sync::Arc, time::Duration};

use arvel_session::{
    Error,
    conformance::{self, Opener},
    store::{CookieStore, DatabaseStore, FileStore, MemoryStore, RedisStore},
};

const SERVERS: [(&str, &str); 7] = [
    ("redis, single", "ARVEL_TEST_REDIS"),
    ("redis, TLS", "ARVEL_TEST_REDIS_TLS"),
    ("redis, unix socket", "ARVEL_TEST_REDIS_UNIX"),
    ("redis, Sentinel", "ARVEL_TEST_REDIS_SENTINEL"),
    ("redis, Cluster", "ARVEL_TEST_REDIS_CLUSTER"),
    ("PostgreSQL", "ARVEL_TEST_POSTGRES"),
    ("MariaDB", "ARVEL_TEST_MYSQL"),
];

#[tokio::main]
async fn main() -> Result<ExitCode, Error> {
    let folder = tempfile::tempdir().map_err(|error| Error::store("a temporary folder", error))?;
    let files = folder.path().join("files");
    let sqlite = format!("sqlite:{}", folder.path().join("sessions.db").display());
    let mut openers = vec![
        (
            "memory",
            Opener::private(|| async { Ok(MemoryStore::new()) }),
        ),
        ("cookie", Opener::private(|| async { Ok(CookieStore) })),
        (
            "file",
            Opener::private(move || {
                let store = FileStore::open(&files);
                async { store }
            }),
        ),
        ("SQLite", database(sqlite)),
    ];
    let mut passed = true;
    for (name, variable) in SERVERS {
        match server(variable) {
            Some(url) if name.starts_with("redis") => openers.push((name, redis(url))),
            Some(url) => openers.push((name, database(url))),
            None => {
                passed &= server("ARVEL_TEST_REQUIRE").is_none();
                say(name, &format!("left out, since {variable} is not set"));
            }
        }
    }
    for (name, opener) in &openers {
        let report = conformance::run(opener).await;
        passed &= report.failed().next().is_none();
        say(name, &report.summary());
        for check in report.failed() {
            say(name, &format!("FAILED: {check}"));
        }
    }
    Ok(if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn redis(url: String) -> Opener {
    Opener::crowded(move || {
        let store = RedisStore::new(&url, "conformance_summary:");
        async { store }
    })
}

/// Each run has a table of its own.
fn database(url: String) -> Opener {
    let table: Arc<str> = format!("summary_{}", std::process::id()).into();
    Opener::crowded(move || {
        let store = DatabaseStore::new(&url, &table, Duration::from_secs(10));
        async {
            let store = store?;
            store.migrate().await?;
            Ok(store)
        }
    })
}

#[allow(
    clippy::disallowed_methods,
    reason = "where the servers are stands in the environment"
)]
fn server(variable: &str) -> Option<String> {
    std::env::var(variable).ok()
}

#[allow(clippy::print_stdout, reason = "the lines are what this is for")]
fn say(name: &str, line: &str) {
    println!("{name:<20} {line}");
}
