//! PostgreSQL: a few connections; what comes at the same time goes to it in one statement.

mod gather;
mod lanes;
mod loads;
mod tls;
mod updates;

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;
use tokio_postgres::{
    Config, Row as Found,
    error::SqlState,
    types::{IsNull, ToSql, Type, private::BytesMut},
};

use self::{
    gather::Gathering,
    lanes::{Fault, Lanes, Statements, Use},
    loads::Load,
    updates::Update,
};
use super::{
    Database, Schema, server,
    sql::{self, Row, Value},
};
use crate::{
    Result, Time,
    store::{At, Capabilities, Expect, Key, Record, Reply, Revision, Saved, SessionStore, Write},
};

const CAPABILITIES: Capabilities = Capabilities {
    columns: true,
    ..Capabilities::new("database")
};

/// From this size on, in bytes, a record is saved by a statement of its own.
const LARGE: usize = 64 << 10;

/// Whoever migrates holds this lock: "arvel" in ASCII.
const MIGRATING: i64 = 0x61_72_76_65_6c;

/// A table on a server.
pub(super) struct Postgres(Arc<Server>);

struct Server {
    lanes: Arc<Lanes>,
    loads: Arc<Gathering<Load>>,
    updates: Arc<Gathering<Update>>,
}

impl Postgres {
    pub(super) fn new(url: &str, schema: Arc<Schema>, timeout: Duration) -> Result<Self> {
        let mut config = config_of(url)?;
        if config.get_application_name().is_none() {
            config.application_name("arvel-session");
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(timeout * 2);
        }
        let tls = tls::connector(config.get_ssl_mode())?;
        let lanes = Lanes::new(config, tls, schema, timeout);
        Ok(Self(Arc::new(Server {
            loads: Gathering::new(lanes.clone()),
            updates: Gathering::new(lanes.clone()),
            lanes,
        })))
    }
}

fn config_of(url: &str) -> Result<Config> {
    let (base, parameters) = url.split_once('?').unwrap_or((url, ""));
    // The client knows no mode above `require`, which verifies all that these do.
    let parameters = parameters
        .replace("sslmode=verify-full", "sslmode=require")
        .replace("sslmode=verify-ca", "sslmode=require");
    let config = format!("{base}?{parameters}").parse::<Config>();
    let config = config.ok().filter(|config| !config.get_hosts().is_empty());
    config.ok_or_else(|| server::unreadable("postgres"))
}

impl ToSql for Value<'_> {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Text(text) => text.to_sql(ty, out),
            Self::Bytes(bytes) => bytes.to_sql(ty, out),
            Self::Int(number) => number.to_sql(ty, out),
        }
    }

    // The statements are prepared with the types of these values.
    fn accepts(_: &Type) -> bool {
        true
    }

    tokio_postgres::types::to_sql_checked!();
}

/// Runs a statement, again when the server says that it has undone it.
async fn run<V: ToSql + Sync>(
    lanes: &Arc<Lanes>,
    on: Use,
    statement: fn(&Statements) -> &tokio_postgres::Statement,
    values: &[V],
) -> Result<(Vec<Found>, u64), Fault> {
    let mut attempt = 1;
    loop {
        match lanes.run(on, statement, values).await {
            Err(fault) if fault.is_rolled_back() && attempt < server::ATTEMPTS => attempt += 1,
            answer => return answer,
        }
    }
}

/// The same for a statement that many wait for, so that no caller's deadline ends it: it has one of its own.
async fn run_in_time<V: ToSql + Sync>(
    lanes: &Arc<Lanes>,
    on: Use,
    statement: fn(&Statements) -> &tokio_postgres::Statement,
    values: &[V],
) -> Result<(Vec<Found>, u64), Fault> {
    let ran = timeout(lanes.timeout(), run(lanes, on, statement, values)).await;
    ran.unwrap_or_else(|elapsed| Err(Fault::other(elapsed)))
}

impl Server {
    async fn load(&self, id: String) -> Result<Option<Record>> {
        self.loads.call(Load(id)).await
    }

    /// Whether there was nothing before.
    async fn insert(&self, on: Use, row: &Row) -> Result<bool> {
        match run(&self.lanes, on, |s| &s.insert, &row.values()).await {
            Ok((_, rows)) => Ok(rows > 0),
            Err(fault) => Err(fault.error("save")),
        }
    }

    /// Whether the live row of that revision was there.
    async fn update(&self, on: Use, row: &Arc<Row>, expect: Revision) -> Result<bool> {
        // What is durable waits for the disk, and what is large takes long: those go alone.
        if matches!(on, Use::Write) && row.size() < LARGE {
            let row = row.clone();
            return self.updates.call(Update { row, expect }).await;
        }
        match run(&self.lanes, on, |s| &s.update, &row.values_over(expect)).await {
            Ok((_, rows)) => Ok(rows > 0),
            Err(fault) => Err(fault.error("save")),
        }
    }

    /// Done, or what is there instead. That is read in a statement of its own, which sees what made the first one fail.
    async fn saved(&self, is_done: bool, id: &str) -> Result<Saved> {
        match is_done {
            true => Ok(Saved::Done),
            false => Ok(Saved::Conflict(self.load(id.to_owned()).await?)),
        }
    }
}

const fn writing(write: &Write) -> Use {
    match write.durable {
        true => Use::DurableWrite,
        false => Use::Write,
    }
}

impl SessionStore for Postgres {
    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    fn load(&self, at: At<'_>) -> Reply<Option<Record>> {
        match sql::key_of(at) {
            Ok(key) => {
                let (server, id) = (self.0.clone(), key.hex());
                Reply::later(async move { server.load(id).await })
            }
            Err(error) => Reply::ready(Err(error)),
        }
    }

    fn save(&self, key: &Key, expect: Expect, write: Write) -> Reply<Saved> {
        let row = match Row::new(&CAPABILITIES, key, &write) {
            Ok(row) => row,
            Err(error) => return Reply::ready(Err(error)),
        };
        let (server, row) = (self.0.clone(), Arc::new(row));
        Reply::later(async move {
            let on = writing(&write);
            let is_done = match expect {
                Expect::Absent => server.insert(on, &row).await?,
                Expect::Revision(revision) => server.update(on, &row, revision).await?,
            };
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
            let mut values = marker.values_over(expect);
            values.extend(row.values());
            let is_done = match run(&server.lanes, writing(&write), |s| &s.replace, &values).await {
                Ok((_, rows)) => rows > 0,
                Err(fault) if fault.code == Some(SqlState::UNIQUE_VIOLATION) => false,
                Err(fault) => return Err(fault.error("replace")),
            };
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
            let touched = run(&server.lanes, Use::Write, |s| &s.touch, &values).await;
            touched.map(drop).map_err(|fault| fault.error("touch"))
        })
    }

    fn sweep(&self, now: Time, max: usize) -> Reply<usize> {
        let server = self.0.clone();
        Reply::later(async move {
            let values = [
                Value::Int(sql::expiry_column(now)),
                Value::Int(i64::try_from(max).unwrap_or(i64::MAX)),
            ];
            let swept = run(&server.lanes, Use::Write, |s| &s.sweep, &values).await;
            let (_, rows) = swept.map_err(|fault| fault.error("sweep"))?;
            Ok(usize::try_from(rows).unwrap_or(usize::MAX))
        })
    }
}

impl Database for Postgres {
    fn migrate(&self) -> Reply<()> {
        let server = self.0.clone();
        Reply::later(async move {
            migrate(&server.lanes)
                .await
                .map_err(|fault| fault.error("migrate"))
        })
    }
}

/// On a connection of its own, where no timeout applies: changing a large table takes its time.
async fn migrate(lanes: &Lanes) -> Result<(), Fault> {
    let schema = lanes.schema();
    let (mut client, connection) = lanes.dial().await?;
    tokio::spawn(connection);
    let transaction = client.transaction().await?;
    transaction
        .query("SELECT pg_advisory_xact_lock($1)", &[&MIGRATING])
        .await?;
    let columns = transaction
        .query(
            "SELECT attname::TEXT FROM pg_attribute
             WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped",
            &[&schema.table.quoted(schema.dialect)],
        )
        .await?;
    let columns: Vec<String> = columns.iter().map(|row| row.get(0)).collect();
    if let Some(script) = schema.migration.due(&columns) {
        transaction.batch_execute(script).await?;
    }
    Ok(transaction.commit().await?)
}
