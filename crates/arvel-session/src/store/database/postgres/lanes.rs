//! The connections: opened when they are first needed, replaced when they break.

use std::{
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::TryStreamExt;
use tokio::{sync::Mutex as Turn, task::AbortHandle};
use tokio_postgres::{
    Client, Config, Connection, Row, Socket, Statement,
    error::SqlState,
    tls::MakeTlsConnect,
    types::{ToSql, Type},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::{
    Error,
    store::database::{Schema, server::ServerFault, sql},
};

/// What a statement is for. One that waits holds up those behind it on its connection, so no read stands behind a write,
/// none about many rows behind one that waits for a single row, and what has to be durable goes where the server waits for
/// its disk.
#[derive(Clone, Copy, Debug)]
pub(super) enum Use {
    Read,
    /// Many rows in one statement. Whatever holds one of them must not hold up the others for long.
    Together,
    Write,
    DurableWrite,
}

impl Use {
    const ALL: usize = 14;

    const fn lanes(self) -> Range<usize> {
        match self {
            Self::Read => 0..3,
            Self::Together => 3..6,
            Self::Write => 6..10,
            Self::DurableWrite => 10..Self::ALL,
        }
    }
}

/// The plan for a few ids is the plan for all, also while the table is so small that the planner would rather read it all.
const BY_INDEX: &str = "SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_mergejoin = off;
    SELECT set_config(name, 'force_generic_plan', false) FROM pg_settings WHERE name = 'plan_cache_mode';";

/// How long a statement about many rows waits for one that another transaction holds: longer than a disk takes.
const LOCKED: Duration = Duration::from_millis(100);

/// How long the opening of a connection may take. It goes on when the call that began it has given up.
const DIALING: Duration = Duration::from_secs(5);

/// After a connection could not be opened, calls fail at once for this long, doubled each time up to the second.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The connections to one server.
pub(super) struct Lanes {
    config: Config,
    tls: MakeRustlsConnect,
    schema: Arc<Schema>,
    timeout: Duration,
    lanes: [Lane; Use::ALL],
    dialing: Arc<Turn<Failures>>,
}

/// A connection, or the place for one.
#[derive(Default)]
struct Lane {
    open: Mutex<Option<Arc<Open>>>,
    under_way: AtomicUsize,
}

struct Open {
    client: Client,
    statements: Statements,
    _driver: Driver,
    since: Instant,
    /// When the oldest call began that was given up, in milliseconds, if nothing was answered since then; or zero.
    silent_since: AtomicU64,
}

/// The task that carries a connection's bytes. Left to itself, it would wait for the goodbye of a server that is gone.
struct Driver(AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The statements, prepared on one connection.
pub(super) struct Statements {
    pub(super) load: Statement,
    pub(super) insert: Statement,
    pub(super) update: Statement,
    pub(super) update_all: Statement,
    pub(super) replace: Statement,
    pub(super) touch: Statement,
    pub(super) sweep: Statement,
}

/// What the last attempts to connect ran into.
#[derive(Default)]
struct Failures {
    count: u32,
    last: Option<(Instant, Fault)>,
}

/// A failure, without the values that the server may quote in its details.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) code: Option<SqlState>,
    source: Arc<dyn std::error::Error + Send + Sync>,
}

impl Lanes {
    pub(super) fn new(
        config: Config,
        tls: MakeRustlsConnect,
        schema: Arc<Schema>,
        timeout: Duration,
    ) -> Arc<Self> {
        Arc::new(Self {
            config,
            tls,
            schema,
            timeout,
            lanes: Default::default(),
            dialing: Arc::default(),
        })
    }

    pub(super) const fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(super) fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Runs a statement on the connection that has the least to do, and rather on one that answers: the rows that it answers, and how many it changed.
    ///
    /// When this is dropped, the statement has not left yet or runs to its end, alone and in a transaction of its own.
    pub(super) async fn run<V: ToSql + Sync>(
        self: &Arc<Self>,
        on: Use,
        statement: fn(&Statements) -> &Statement,
        values: &[V],
    ) -> Result<(Vec<Row>, u64), Fault> {
        let chosen = on
            .lanes()
            .min_by_key(|&lane| self.lanes[lane].load())
            .unwrap_or(on.lanes().start);
        let _under_way = UnderWay::on(&self.lanes[chosen].under_way);
        let open = self.open(chosen, on).await?;
        let mut call = Watched::on(&open);
        let answer = query(&open.client, statement(&open.statements), values).await;
        call.is_answered = true;
        let answer = answer.map_err(Fault::from);
        if answer.as_ref().is_err_and(Fault::needs_new_connection) {
            self.lanes[chosen].close();
        }
        answer
    }

    /// The connection of this lane, opened if there is none that works.
    async fn open(self: &Arc<Self>, lane: usize, on: Use) -> Result<Arc<Open>, Fault> {
        if let Some(open) = self.lanes[lane].working(self.timeout) {
            return Ok(open);
        }
        let mut failures = self.dialing.clone().lock_owned().await;
        if let Some(open) = self.lanes[lane].working(self.timeout) {
            return Ok(open);
        }
        if let Some(fault) = failures.to_respect() {
            return Err(fault);
        }
        let lanes = self.clone();
        // In a task, so that a server that is slower than one call's deadline is still reached.
        let opening = tokio::spawn(async move {
            let opened = match tokio::time::timeout(DIALING, lanes.dial_and_prepare(on)).await {
                Ok(opened) => opened,
                Err(elapsed) => Err(Fault::other(elapsed)),
            };
            failures.note(&opened);
            let opened = Arc::new(opened?);
            lanes.lanes[lane].put(opened.clone());
            Ok(opened)
        });
        opening.await.map_err(Fault::other)?
    }

    pub(super) async fn dial(
        &self,
    ) -> Result<
        (
            Client,
            Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>,
        ),
        Fault,
    > {
        Ok(self.config.connect(self.tls.clone()).await?)
    }

    async fn dial_and_prepare(&self, on: Use) -> Result<Open, Fault> {
        let (client, connection) = self.dial().await?;
        let driver = Driver(tokio::spawn(connection).abort_handle());
        client.batch_execute(&self.settings(on)).await?;
        Ok(Open {
            statements: self.prepare(&client).await?,
            client,
            _driver: driver,
            since: Instant::now(),
            silent_since: AtomicU64::new(0),
        })
    }

    fn settings(&self, on: Use) -> String {
        let special = match on {
            Use::Read => BY_INDEX.to_owned(),
            Use::Together => {
                let locked = LOCKED.min(self.timeout / 4).as_millis().max(1);
                format!("{BY_INDEX} SET lock_timeout = {locked};")
            }
            Use::DurableWrite => "SELECT set_config('synchronous_commit', 'on', false)
                 WHERE current_setting('synchronous_commit') = 'off';"
                .to_owned(),
            Use::Write => String::new(),
        };
        let millis = self.timeout.as_millis();
        format!(
            "SET statement_timeout = {millis}; SET default_transaction_isolation = 'read committed'; {special}"
        )
    }

    async fn prepare(&self, client: &Client) -> Result<Statements, Fault> {
        const ROW: [Type; 9] = [
            Type::TEXT,
            Type::TEXT,
            Type::TEXT,
            Type::BYTEA,
            Type::INT8,
            Type::INT8,
            Type::INT8,
            Type::INT8,
            Type::TEXT,
        ];
        const OVER_ALL: [Type; 10] = [
            Type::TEXT_ARRAY,
            Type::TEXT_ARRAY,
            Type::TEXT_ARRAY,
            Type::BYTEA_ARRAY,
            Type::INT8_ARRAY,
            Type::INT8_ARRAY,
            Type::INT8_ARRAY,
            Type::INT8_ARRAY,
            Type::TEXT_ARRAY,
            Type::INT8_ARRAY,
        ];
        let over = [&ROW[..], &[Type::INT8]].concat();
        let sql = &self.schema.sql;
        Ok(Statements {
            load: client.prepare_typed(&sql.load, &[Type::TEXT_ARRAY]).await?,
            insert: client.prepare_typed(&sql.insert, &ROW).await?,
            update: client.prepare_typed(&sql.update, &over).await?,
            update_all: client.prepare_typed(&sql.update_all, &OVER_ALL).await?,
            replace: client
                .prepare_typed(&sql.replace, &[&over[..], &ROW].concat())
                .await?,
            touch: client
                .prepare_typed(&sql.touch, &[Type::INT8, Type::TEXT])
                .await?,
            sweep: client
                .prepare_typed(&sql.sweep, &[Type::INT8, Type::INT8])
                .await?,
        })
    }
}

async fn query<V: ToSql + Sync>(
    client: &Client,
    statement: &Statement,
    values: &[V],
) -> Result<(Vec<Row>, u64), tokio_postgres::Error> {
    let mut rows = std::pin::pin!(client.query_raw(statement, values).await?);
    let mut found = Vec::new();
    while let Some(row) = rows.try_next().await? {
        found.push(row);
    }
    Ok((found, rows.rows_affected().unwrap_or(0)))
}

impl Lane {
    /// Whether its last calls had no answer, and how many are under way.
    fn load(&self) -> (bool, usize) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let is_doubtful = open
            .as_ref()
            .is_some_and(|open| open.silent_since.load(Ordering::Relaxed) > 0);
        (is_doubtful, self.under_way.load(Ordering::Relaxed))
    }

    /// The connection, unless it is closed or its server has fallen silent.
    fn working(&self, timeout: Duration) -> Option<Arc<Open>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open
            .as_ref()
            .is_some_and(|open| open.client.is_closed() || open.is_silent(timeout))
        {
            *open = None;
        }
        open.clone()
    }

    fn put(&self, opened: Arc<Open>) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = Some(opened);
    }

    fn close(&self) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Open {
    /// The server ends every statement within the timeout. If twice that brought nothing at all, it never will.
    fn is_silent(&self, timeout: Duration) -> bool {
        let since = self.silent_since.load(Ordering::Relaxed);
        since > 0 && self.since.elapsed() > Duration::from_millis(since) + timeout * 2
    }

    fn now(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Counts a call for as long as it lives.
struct UnderWay<'a>(&'a AtomicUsize);

impl<'a> UnderWay<'a> {
    fn on(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A statement under way; it notes on its connection whether an answer came.
struct Watched<'a> {
    open: &'a Open,
    began: u64,
    is_answered: bool,
}

impl<'a> Watched<'a> {
    fn on(open: &'a Open) -> Self {
        Self {
            open,
            began: open.now().max(1),
            is_answered: false,
        }
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        let silent = &self.open.silent_since;
        if self.is_answered {
            silent.store(0, Ordering::Relaxed);
        } else {
            let _ = silent.compare_exchange(0, self.began, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}

impl Failures {
    /// The last fault, while there is no point in trying again.
    fn to_respect(&self) -> Option<Fault> {
        let pause = (PAUSE * 2_u32.saturating_pow(self.count.min(8))).min(LONGEST_PAUSE);
        let (when, fault) = self.last.as_ref()?;
        (when.elapsed() < pause).then(|| fault.clone())
    }

    fn note<T>(&mut self, opened: &Result<T, Fault>) {
        match opened {
            // A missing table is not the server's fault, and gone as soon as somebody migrates.
            Err(fault) if !fault.is_no_table() => {
                self.count = self.count.saturating_add(1);
                self.last = Some((Instant::now(), fault.clone()));
            }
            _ => *self = Self::default(),
        }
    }
}

impl Fault {
    pub(super) fn other(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self {
            code: None,
            source: Arc::new(source),
        }
    }

    /// For certain, so that it may run again.
    pub(super) fn is_rolled_back(&self) -> bool {
        self.code.as_ref().is_some_and(|code| {
            *code == SqlState::T_R_SERIALIZATION_FAILURE || *code == SqlState::T_R_DEADLOCK_DETECTED
        })
    }

    /// Another transaction holds the row.
    pub(super) fn is_locked(&self) -> bool {
        self.is_one_of(&[SqlState::LOCK_NOT_AVAILABLE])
    }

    /// It was the fault of one row of many, or of their meeting: nothing has happened, and the others need not suffer.
    pub(super) fn has_undone_all(&self) -> bool {
        // Values that do not fit, constraints, views with a check, limits, and what a trigger says.
        const ABOUT_A_ROW: [&str; 5] = ["22", "23", "44", "54", "P0"];
        let is_about_a_row = |code: &SqlState| {
            ABOUT_A_ROW
                .iter()
                .any(|class| code.code().starts_with(class))
        };
        self.is_locked() || self.is_rolled_back() || self.code.as_ref().is_some_and(is_about_a_row)
    }

    /// The server has become a standby, and another connection may find the one that takes writes; or the statements
    /// that were prepared are gone, or no longer fit the table.
    fn needs_new_connection(&self) -> bool {
        self.is_one_of(&[
            SqlState::READ_ONLY_SQL_TRANSACTION,
            SqlState::INVALID_SQL_STATEMENT_NAME,
            SqlState::FEATURE_NOT_SUPPORTED,
        ])
    }

    fn is_no_table(&self) -> bool {
        self.is_one_of(&[SqlState::UNDEFINED_TABLE, SqlState::UNDEFINED_COLUMN])
    }

    fn is_one_of(&self, codes: &[SqlState]) -> bool {
        self.code.as_ref().is_some_and(|code| codes.contains(code))
    }

    pub(super) fn error(self, call: &'static str) -> Error {
        sql::failure(call, self.is_no_table(), self.source)
    }
}

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(server) = error.as_db_error() else {
            return Self::other(error);
        };
        let code = server.code().clone();
        let fault = ServerFault::new(code.code(), code.code(), server.message());
        Self {
            code: Some(code),
            source: Arc::new(fault),
        }
    }
}
