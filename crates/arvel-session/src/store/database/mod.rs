//! The `database` driver: a table of sessions in SQLite, PostgreSQL or MySQL (MariaDB), chosen by URL.
//!
//! `sql.rs` holds the statements and the row that all three share, `migrate.rs` the bundled migration. The other files
//! each bring one database's client and what is peculiar to it.

#![cfg_attr(
    not(any(feature = "sqlite", feature = "postgres", feature = "mysql")),
    allow(dead_code, reason = "without a database only its settings are read")
)]

mod migrate;
#[cfg(feature = "mysql")]
mod mysql;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod server;
mod sql;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::{fmt, sync::Arc, time::Duration};

use self::{
    migrate::Migration,
    sql::{Dialect, Sql, Table},
};
use super::{At, Capabilities, Expect, Key, Record, Reply, Revision, Saved, SessionStore, Write};
use crate::{Result, SessionConfig, Time};

/// A table of sessions in a database.
///
/// The URL chooses the database; each is behind the Cargo feature of its name.
///
/// | URL | feature |
/// |---|---|
/// | `sqlite:sessions.db`, `sqlite:///var/lib/app/sessions.db` | `sqlite` |
/// | `postgres://user:password@host/database?sslmode=require` | `postgres` |
/// | `mysql://user:password@host/database?require_ssl=true` | `mysql` |
///
/// It connects when it is first used. The table has to be there: [`migrate`](Self::migrate) makes it.
///
/// * **SQLite** needs no server. Reads run in place; one thread writes, and commits in one go what has gathered. The file
///   is put into WAL mode, so that several processes can share it, on one machine. A file that `migrate` makes can be read
///   by its owner alone.
/// * **PostgreSQL** gets 14 connections at most. What comes at the same time goes to it in one statement. `sslmode` is `disable`,
///   `prefer` (the default: encrypted if the server can, whoever it is) or `require`, which verifies the server's
///   certificate by the authorities that this machine trusts, or those of the file that `SSL_CERT_FILE` names, as do
///   `verify-ca` and `verify-full`. The host may be a folder: `postgres:///app?host=/run/postgresql`.
/// * **MySQL** and MariaDB get 16 connections (`pool_max`); without `require_ssl=true` they are not encrypted. How
///   durable a commit is, is up to the server's `innodb_flush_log_at_trx_commit`. A record takes 8 MiB at most.
///
/// The columns `user_id`, `ip_address`, `user_agent` (its first 500 bytes) and `last_activity` (the last write, in
/// seconds) are for people who look at the table. They may be read, and rows may be deleted: each is then a session that
/// the store has lost. Nothing else may be changed.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "sqlite")] {
/// use std::time::Duration;
/// use arvel_session::store::DatabaseStore;
///
/// let store = DatabaseStore::new("sqlite:sessions.db", "sessions", Duration::from_secs(2)).unwrap();
/// assert!(store.migration_sql().starts_with("CREATE TABLE \"sessions\""));
///
/// let error = DatabaseStore::new("sqlite:sessions.db", "drop table", Duration::from_secs(2)).unwrap_err();
/// assert!(error.to_string().starts_with("database_table must be"));
/// # }
/// ```
pub struct DatabaseStore {
    schema: Arc<Schema>,
    database: Box<dyn Database>,
}

/// All that depends on the kind of database and on the table's name alone.
struct Schema {
    dialect: Dialect,
    table: Table,
    sql: Sql,
    migration: Migration,
}

/// What each of the three brings.
trait Database: SessionStore {
    fn migrate(&self) -> Reply<()>;
}

impl DatabaseStore {
    /// The table `table` of the database at `url`; a statement of theirs takes at most `timeout`.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config), naming `database_url` or `database_table`: the URL is none, its database is not compiled
    /// in, or the table's name is not made of letters, digits and underscores. The URL itself is never shown.
    pub fn new(url: &str, table: &str, timeout: Duration) -> Result<Self> {
        let dialect = Dialect::of_url(url)?;
        let table = Table::parse(dialect, table)?;
        let schema = Arc::new(Schema {
            dialect,
            sql: Sql::new(dialect, &table),
            migration: Migration::new(dialect, &table),
            table,
        });
        // What the databases' own settings take; none at all would be "no limit" there.
        let timeout = timeout.clamp(Duration::from_millis(1), Duration::from_secs(86_400));
        Ok(Self {
            database: open(url, schema.clone(), timeout)?,
            schema,
        })
    }

    /// The store that a configuration names, whatever its driver.
    ///
    /// # Errors
    /// As [`new`](Self::new); also where there is no `database_url`.
    pub fn from_config(config: &SessionConfig) -> Result<Self> {
        let settings = config.settings();
        let url = settings.database_url()?;
        Self::new(url.as_str(), &settings.database_table, settings.timeout)
    }

    /// Creates the table, or brings one that has just the columns `id`, `user_id`, `ip_address`, `user_agent`,
    /// `payload` and `last_activity` up to date; what such a table holds counts as expired from then on.
    ///
    /// Does nothing when that was done before. Several processes may run it at once.
    ///
    /// # Errors
    /// The database failed.
    pub async fn migrate(&self) -> Result<()> {
        self.database.migrate().await
    }

    /// The SQL that [`migrate`](Self::migrate) runs where there is no table; the upgrade of an older one follows as a
    /// comment.
    pub fn migration_sql(&self) -> String {
        self.schema.migration.text()
    }
}

fn open(url: &str, schema: Arc<Schema>, timeout: Duration) -> Result<Box<dyn Database>> {
    match schema.dialect {
        #[cfg(feature = "sqlite")]
        Dialect::Sqlite => Ok(Box::new(sqlite::Sqlite::new(url, schema, timeout)?)),
        #[cfg(feature = "postgres")]
        Dialect::Postgres => Ok(Box::new(postgres::Postgres::new(url, schema, timeout)?)),
        #[cfg(feature = "mysql")]
        Dialect::MySql => Ok(Box::new(mysql::MySql::new(url, schema, timeout)?)),
        #[cfg(not(all(feature = "sqlite", feature = "postgres", feature = "mysql")))]
        missing => {
            let _ = (url, timeout);
            Err(crate::Error::new(
                crate::ErrorKind::Config,
                format!(
                    "database_url: build arvel-session with its feature `{}`",
                    missing.feature()
                ),
            ))
        }
    }
}

impl SessionStore for DatabaseStore {
    fn capabilities(&self) -> Capabilities {
        self.database.capabilities()
    }

    fn load(&self, at: At<'_>) -> Reply<Option<Record>> {
        self.database.load(at)
    }

    fn save(&self, key: &Key, expect: Expect, write: Write) -> Reply<Saved> {
        self.database.save(key, expect, write)
    }

    fn replace(
        &self,
        old: &Key,
        expect: Revision,
        marker: Record,
        new: &Key,
        write: Write,
    ) -> Reply<Saved> {
        self.database.replace(old, expect, marker, new, write)
    }

    fn touch(&self, key: &Key, expires: Time, now: Time) -> Reply<()> {
        self.database.touch(key, expires, now)
    }

    fn sweep(&self, now: Time, max: usize) -> Reply<usize> {
        self.database.sweep(now, max)
    }
}

impl fmt::Debug for DatabaseStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseStore({})", self.schema.dialect.feature())
    }
}
