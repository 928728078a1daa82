//! MySQL and MariaDB: a bounded pool of connections.

use std::{sync::Arc, time::Duration};

use mysql_async::{
    Conn, Error as Fault, Opts, OptsBuilder, Params, Pool, PoolConstraints, TxOpts,
    prelude::Queryable,
};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::{
    Database, Schema,
    server::{self, ServerFault},
    sql::{self, Row, Value},
};
use crate::{
    Error, ErrorKind, Result, Time,
    store::{At, Capabilities, Expect, Key, Record, Reply, Revision, Saved, SessionStore, Write},
};

/// Half of what MariaDB takes in one packet by default.
const CAPABILITIES: Capabilities = Capabilities {
    columns: true,
    max_bytes: 8 << 20,
    ..Capabilities::new("database")
};

/// How many connections there are, unless the URL has its own `pool_max`.
const CONNECTIONS: usize = 16;

/// More than the gate lets in, with those that are on their way back.
const ROOM: usize = 4096;

/// How long a connection is used at most, so that one to a server that no longer takes writes does not stay.
const CONNECTION: Duration = Duration::from_secs(600);

/// How many seconds a migration waits for another one.
const MIGRATING: u64 = 600;

const DUPLICATE_KEY: u16 = 1062;
const DEADLOCK: u16 = 1213;
const NO_SUCH_COLUMN: u16 = 1054;
const NO_SUCH_TABLE: u16 = 1146;
const WRONG_VALUE: u16 = 1366;

/// A table on a server.
pub(super) struct MySql(Arc<Server>);

struct Server {
    pool: Pool,
    /// Lets so many in as there may be connections: nobody ever waits in the pool, which forgets to wake the next one when
    /// somebody gives up waiting.
    gate: Semaphore,
    options: OptsBuilder,
    schema: Arc<Schema>,
}

impl MySql {
    pub(super) fn new(url: &str, schema: Arc<Schema>, timeout: Duration) -> Result<Self> {
        let (options, connections) = options_of(url, &schema)?;
        let pool = Pool::new(options.clone().setup(settings(timeout)));
        Ok(Self(Arc::new(Server {
            pool,
            gate: Semaphore::new(connections),
            options,
            schema,
        })))
    }
}

/// How to connect, and how many connections there may be.
fn options_of(url: &str, schema: &Schema) -> Result<(OptsBuilder, usize)> {
    let url = match url.strip_prefix("mariadb:") {
        Some(rest) => format!("mysql:{rest}"),
        None => url.to_owned(),
    };
    let given = Opts::from_url(&url).map_err(|_| server::unreadable("mysql"))?;
    if given.db_name().is_none() && schema.table.schema.is_none() {
        return Err(Error::new(
            ErrorKind::Config,
            "database_url names no database behind the host",
        ));
    }
    let mut pool = given.pool_opts().clone().with_reset_connection(false);
    if pool.abs_conn_ttl().is_none() {
        pool = pool.with_abs_conn_ttl(Some(CONNECTION));
    }
    let (kept, connections) = match pool.constraints() {
        given if given == PoolConstraints::default() => (CONNECTIONS, CONNECTIONS),
        given => (given.min(), given.max()),
    };
    let room = PoolConstraints::new(kept, connections.max(ROOM)).unwrap_or_default();
    pool = pool.with_constraints(room);
    let ssl = given.ssl_opts().cloned();
    let options = OptsBuilder::from_opts(given)
        .pool_opts(pool)
        // An update that finds its row counts, also when it changes nothing.
        .client_found_rows(true)
        // The socket that a server behind a forwarded port names may be another server's here.
        .prefer_socket(false);
    let Some(ssl) = ssl else {
        return Ok((options, connections));
    };
    // The client takes the process's provider, and panics where two are compiled in and none was chosen.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let roots = server::authorities()?;
    let roots = roots.iter().map(|root| root.to_vec().into()).collect();
    let options = options.ssl_opts(ssl.with_root_certs(roots));
    Ok((options, connections))
}

/// What every connection begins with. MariaDB and MySQL name the limit of a statement differently, and each skips the
/// other's comment.
fn settings(timeout: Duration) -> Vec<String> {
    let (seconds, millis) = (timeout.as_secs_f64(), timeout.as_millis());
    let whole = seconds.ceil();
    vec![
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED".into(),
        format!(
            "SET SESSION innodb_lock_wait_timeout = {whole}
             /*M!100101 , max_statement_time = {seconds} */ /*!50708 , max_execution_time = {millis} */"
        ),
    ]
}

fn params(values: Vec<Value<'_>>) -> Params {
    let values = values.into_iter().map(|value| match value {
        Value::Text(text) => text.into(),
        Value::Bytes(bytes) => bytes.into(),
        Value::Int(number) => number.into(),
    });
    Params::Positional(values.collect())
}

/// How many rows a statement changed. Dropped half way, it takes its connection with it.
async fn change(on: &mut impl Queryable, sql: &str, values: Vec<Value<'_>>) -> Result<u64, Fault> {
    let result = on.exec_iter(sql, params(values)).await?;
    let rows = result.affected_rows();
    result.drop_result().await?;
    Ok(rows)
}

async fn insert(on: &mut impl Queryable, sql: &str, row: &Row) -> Result<bool, Fault> {
    match change(on, sql, row.values()).await {
        Err(fault) if code(&fault) == Some(DUPLICATE_KEY) => Ok(false),
        answer => Ok(answer? > 0),
    }
}

impl Server {
    /// A connection, and the permit to have one, which outlives it.
    async fn connection(&self) -> Result<(Option<SemaphorePermit<'_>>, Conn), Fault> {
        // The gate is never closed.
        let permit = self.gate.acquire().await.ok();
        Ok((permit, self.pool.get_conn().await?))
    }

    async fn load(&self, id: &str) -> Result<Option<Record>> {
        let found = async {
            let (_permit, mut connection) = self.connection().await?;
            connection
                .exec_first::<(Vec<u8>, i64), _, _>(&self.schema.sql.load, (id,))
                .await
        };
        let found = found.await.map_err(|fault| failure("load", fault))?;
        found
            .map(|(payload, expires_at)| sql::record(payload, expires_at))
            .transpose()
    }

    async fn save(&self, row: &Row, expect: Expect) -> Result<bool, Fault> {
        let (_permit, mut connection) = self.connection().await?;
        let sql = &self.schema.sql;
        match expect {
            Expect::Absent => insert(&mut connection, &sql.insert, row).await,
            Expect::Revision(revision) => {
                let values = row.values_over(revision);
                Ok(change(&mut connection, &sql.update, values).await? > 0)
            }
        }
    }

    /// One transaction; dropped half way, it takes its connection with it, and the server rolls it back.
    async fn replace(&self, marker: &Row, expect: Revision, row: &Row) -> Result<bool, Fault> {
        let (_permit, mut connection) = self.connection().await?;
        let mut transaction = connection.start_transaction(TxOpts::default()).await?;
        let sql = &self.schema.sql;
        let is_done = change(&mut transaction, &sql.update, marker.values_over(expect)).await? > 0
            && insert(&mut transaction, &sql.insert, row).await?;
        match is_done {
            true => transaction.commit().await?,
            false => transaction.rollback().await?,
        }
        Ok(is_done)
    }

    /// Done, or what is there instead.
    async fn saved(&self, is_done: bool, id: &str) -> Result<Saved> {
        match is_done {
            true => Ok(Saved::Done),
            false => Ok(Saved::Conflict(self.load(id).await?)),
        }
    }

    async fn change(&self, sql: &str, values: [Value<'_>; 2]) -> Result<u64, Fault> {
        let (_permit, mut connection) = self.connection().await?;
        change(&mut connection, sql, values.to_vec()).await
    }

    /// On a connection of its own, where no timeout applies: changing a large table takes its time.
    async fn migrate(&self) -> Result<(), Fault> {
        let mut connection = Conn::new(self.options.clone()).await?;
        let table = &self.schema.table;
        let lock = format!("arvel-session {}", table.name);
        let locked: Option<Option<u8>> = connection
            .exec_first("SELECT GET_LOCK(?, ?)", (&lock, MIGRATING))
            .await?;
        if locked.flatten() != Some(1) {
            return Err(Fault::Other("another migration takes too long".into()));
        }
        let columns: Vec<String> = connection
            .exec(
                "SELECT column_name FROM information_schema.columns
                 WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ?",
                (&table.schema, &table.name),
            )
            .await?;
        // A script is one statement, since none that changes a table can be rolled back.
        if let Some(script) = self.schema.migration.due(&columns) {
            connection.query_drop(script).await?;
        }
        connection.disconnect().await
    }
}

/// Runs something, again when the server says that it has undone it.
async fn run<T, F: Future<Output = Result<T, Fault>>>(
    call: &'static str,
    work: impl Fn() -> F,
) -> Result<T> {
    let mut attempt = 1;
    loop {
        match work().await {
            Err(fault) if code(&fault) == Some(DEADLOCK) && attempt < server::ATTEMPTS => {
                attempt += 1
            }
            answer => return answer.map_err(|fault| failure(call, fault)),
        }
    }
}

fn code(fault: &Fault) -> Option<u16> {
    match fault {
        Fault::Server(server) => Some(server.code),
        _ => None,
    }
}

fn failure(call: &'static str, fault: Fault) -> Error {
    let no_table = matches!(code(&fault), Some(NO_SUCH_TABLE | NO_SUCH_COLUMN));
    match fault {
        Fault::Io(error) => sql::failure(call, no_table, error),
        Fault::Server(server) => {
            let state = match server.code {
                WRONG_VALUE => "22000",
                _ => &server.state,
            };
            let shown = ServerFault::new(server.code, state, &server.message);
            sql::failure(call, no_table, shown)
        }
        // Some of these hold a row, which they show to those who look closely.
        other => sql::failure(call, no_table, other.to_string()),
    }
}

impl SessionStore for MySql {
    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    fn load(&self, at: At<'_>) -> Reply<Option<Record>> {
        match sql::key_of(at) {
            Ok(key) => {
                let (server, id) = (self.0.clone(), key.hex());
                Reply::later(async move { server.load(&id).await })
            }
            Err(error) => Reply::ready(Err(error)),
        }
    }

    fn save(&self, key: &Key, expect: Expect, write: Write) -> Reply<Saved> {
        let row = match Row::new(&CAPABILITIES, key, &write) {
            Ok(row) => row,
            Err(error) => return Reply::ready(Err(error)),
        };
        let server = self.0.clone();
        Reply::later(async move {
            let is_done = run("save", || server.save(&row, expect)).await?;
            server.saved(is_done, row.id()).await
        })
    }

    fn replace(
        &self,
        old: &Key,
        expect: Revision,
        marker: Record,
        new: &Key,
        write: Write,
    ) -> Reply<Saved> {
        let (marker, row) = match Row::replacing(&CAPABILITIES, old, &marker, new, &write) {
            Ok(rows) => rows,
            Err(error) => return Reply::ready(Err(error)),
        };
        let server = self.0.clone();
        Reply::later(async move {
            let is_done = run("replace", || server.replace(&marker, expect, &row)).await?;
            server.saved(is_done, marker.id()).await
        })
    }

    fn touch(&self, key: &Key, expires: Time, _now: Time) -> Reply<()> {
        let (server, id) = (self.0.clone(), key.hex());
        Reply::later(async move {
            let values = [
                Value::Int(sql::expiry_column(expires)),
                Value::Text(Some(&id)),
            ];
            let sql = &server.schema.sql.touch;
            run("touch", || server.change(sql, values)).await.map(drop)
        })
    }

    fn sweep(&self, now: Time, max: usize) -> Reply<usize> {
        let server = self.0.clone();
        Reply::later(async move {
            let values = [
                Value::Int(sql::expiry_column(now)),
                Value::Int(i64::try_from(max).unwrap_or(i64::MAX)),
            ];
            let sql = &server.schema.sql.sweep;
            let rows = run("sweep", || server.change(sql, values)).await?;
            Ok(usize::try_from(rows).unwrap_or(usize::MAX))
        })
    }
}

impl Database for MySql {
    fn migrate(&self) -> Reply<()> {
        let server = self.0.clone();
        Reply::later(async move {
            let migrated = server.migrate().await;
            migrated.map_err(|fault| failure("migrate", fault))
        })
    }
}
