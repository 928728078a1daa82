//! Where a test keeps its table, and a way to look at it behind the store's back.

use std::{
    io::Write as _,
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use arvel_session::store::DatabaseStore;
use mysql_async::prelude::Queryable;
use tempfile::TempDir;

/// A table of a name that no other test has, not yet made.
pub(crate) struct Place {
    pub(crate) url: String,
    pub(crate) table: String,
    /// Goes with its file when the test ends.
    _folder: Option<TempDir>,
}

pub(crate) fn sqlite() -> Place {
    let folder = TempDir::new().unwrap();
    let url = format!("sqlite:{}", folder.path().join("sessions.db").display());
    Place {
        url,
        table: "sessions".into(),
        _folder: Some(folder),
    }
}

pub(crate) fn postgres() -> Option<Place> {
    service("ARVEL_TEST_POSTGRES")
}

pub(crate) fn mysql() -> Option<Place> {
    service("ARVEL_TEST_MYSQL")
}

#[allow(
    clippy::disallowed_methods,
    reason = "where the services are stands in the environment"
)]
fn service(variable: &str) -> Option<Place> {
    if let Ok(url) = std::env::var(variable) {
        return Some(Place {
            url,
            table: unused_name(),
            _folder: None,
        });
    }
    let required = ["CI", "ARVEL_TEST_REQUIRE"];
    assert!(
        required.iter().all(|name| std::env::var_os(name).is_none()),
        "{variable} is not set"
    );
    // Not `eprintln`, which the harness hides when a test passes.
    let _ = writeln!(
        std::io::stderr(),
        "ignored: start it with `cargo xtask test` ({variable})"
    );
    None
}

fn unused_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("sessions_{}_{count}", std::process::id())
}

impl Place {
    /// A store on this table, which need not be there.
    pub(crate) fn open(&self) -> DatabaseStore {
        self.open_with(super::TIMEOUT)
    }

    pub(crate) fn open_with(&self, timeout: Duration) -> DatabaseStore {
        DatabaseStore::new(&self.url, &self.table, timeout).unwrap()
    }

    /// A store on this table, which is there.
    pub(crate) async fn store(&self) -> DatabaseStore {
        self.store_with(super::TIMEOUT).await
    }

    pub(crate) async fn store_with(&self, timeout: Duration) -> DatabaseStore {
        let store = self.open_with(timeout);
        store.migrate().await.unwrap();
        store
    }

    /// Host and port of the server.
    pub(crate) fn address(&self) -> String {
        let (_, rest) = self.url.split_once('@').unwrap();
        rest.split('/').next().unwrap().to_owned()
    }

    /// The same table, reached through another address.
    pub(crate) fn through(&self, address: &str) -> Self {
        self.at(self.url.replace(&self.address(), address))
    }

    pub(crate) fn with_password(&self, password: &str) -> Self {
        let (before, after) = self.url.split_once('@').unwrap();
        let (before, _) = before.rsplit_once(':').unwrap();
        self.at(format!("{before}:{password}@{after}"))
    }

    pub(crate) fn with_parameter(&self, parameter: &str) -> Self {
        self.at(format!("{}?{parameter}", self.url))
    }

    fn at(&self, url: String) -> Self {
        Self {
            url,
            table: self.table.clone(),
            _folder: None,
        }
    }

    /// A transaction that has run this and holds its locks until it ends.
    pub(crate) async fn hold(&self, sql: &str) -> Holder {
        if self.is_mysql() {
            let mut client = mysql_async::Conn::from_url(&self.url).await.unwrap();
            client.query_drop("BEGIN").await.unwrap();
            client.query_drop(sql).await.unwrap();
            return Holder::MySql(client);
        }
        let (client, connection) = tokio_postgres::connect(&self.url, tokio_postgres::NoTls)
            .await
            .unwrap();
        tokio::spawn(connection);
        client.batch_execute("BEGIN").await.unwrap();
        client.batch_execute(sql).await.unwrap();
        Holder::Postgres(client)
    }

    /// Another table in the same database.
    pub(crate) fn another(&self) -> Self {
        Self {
            url: self.url.clone(),
            table: unused_name(),
            _folder: None,
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        PathBuf::from(self.url.trim_start_matches("sqlite:"))
    }

    /// What stands in this column of the only row, as text.
    pub(crate) async fn column(&self, name: &str) -> Option<String> {
        let text = if self.is_mysql() { "CHAR" } else { "TEXT" };
        self.value(&format!(
            "SELECT CAST({name} AS {text}) FROM {}",
            self.table
        ))
        .await
    }

    pub(crate) async fn has_index(&self, column: &str) -> bool {
        let table = &self.table;
        let name = format!("{table}_{column}_index");
        let found = if self.is_mysql() {
            format!(
                "SELECT index_name FROM information_schema.statistics WHERE table_name = '{table}' AND index_name = '{name}'"
            )
        } else if self.is_postgres() {
            format!(
                "SELECT indexname::TEXT FROM pg_indexes WHERE tablename = '{table}' AND indexname = '{name}'"
            )
        } else {
            format!(
                "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = '{table}' AND name = '{name}'"
            )
        };
        self.value(&found).await.as_ref() == Some(&name)
    }

    pub(crate) async fn execute(&self, sql: &str) {
        self.run(sql, false).await;
    }

    /// The first column, a text, of the first row.
    pub(crate) async fn value(&self, sql: &str) -> Option<String> {
        self.run(sql, true).await
    }

    pub(crate) fn is_mysql(&self) -> bool {
        self.url.starts_with("mysql:")
    }

    fn is_postgres(&self) -> bool {
        self.url.starts_with("postgres:")
    }

    async fn run(&self, sql: &str, wants_value: bool) -> Option<String> {
        if self.is_mysql() {
            let mut client = mysql_async::Conn::from_url(&self.url).await.unwrap();
            let value: Option<Option<String>> = if wants_value {
                client.query_first(sql).await.unwrap()
            } else {
                client.query_drop(sql).await.unwrap();
                None
            };
            client.disconnect().await.unwrap();
            return value.flatten();
        }
        if self.is_postgres() {
            let (client, connection) = tokio_postgres::connect(&self.url, tokio_postgres::NoTls)
                .await
                .unwrap();
            tokio::spawn(connection);
            if wants_value {
                return client.query_opt(sql, &[]).await.unwrap()?.get(0);
            }
            client.batch_execute(sql).await.unwrap();
            return None;
        }
        let db = rusqlite::Connection::open(self.path()).unwrap();
        if wants_value {
            return db.query_row(sql, [], |row| row.get(0)).unwrap();
        }
        db.execute_batch(sql).unwrap();
        None
    }
}

/// A transaction behind the store's back.
pub(crate) enum Holder {
    MySql(mysql_async::Conn),
    Postgres(tokio_postgres::Client),
}

impl Holder {
    pub(crate) async fn commit(self) {
        match self {
            Self::MySql(mut client) => client.query_drop("COMMIT").await.unwrap(),
            Self::Postgres(client) => client.batch_execute("COMMIT").await.unwrap(),
        }
    }
}
