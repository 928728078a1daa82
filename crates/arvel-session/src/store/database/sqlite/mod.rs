//! SQLite: reads in place on a few connections, writes through one thread that commits them in groups.

mod writer;

use std::{
    fs::OpenOptions,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension, ToSql, TransactionBehavior, params,
    params_from_iter,
    types::{ToSqlOutput, ValueRef},
};
use tokio::sync::Semaphore;

use self::writer::Writer;
use super::{
    Database, Schema,
    sql::{self, Row, Value},
};
use crate::{
    Error, ErrorKind, Result, Time,
    store::{At, Capabilities, Expect, Key, Record, Reply, Revision, Saved, SessionStore, Write},
};

/// How many connections wait for the next read.
const IDLE: usize = 32;
/// How many reads at once may wait for a locked file, each on a thread of its own.
const WAITING: usize = 4;

const CAPABILITIES: Capabilities = Capabilities {
    columns: true,
    ..Capabilities::new("database")
};

/// A table in a file.
pub(super) struct Sqlite {
    file: Arc<File>,
    writer: Writer,
}

/// The file, and the connections that read it.
struct File {
    path: PathBuf,
    schema: Arc<Schema>,
    timeout: Duration,
    idle: Mutex<Vec<Connection>>,
    waiting: Semaphore,
}

impl Sqlite {
    pub(super) fn new(url: &str, schema: Arc<Schema>, timeout: Duration) -> Result<Self> {
        let file = Arc::new(File {
            path: path_of(url)?,
            schema,
            timeout,
            idle: Mutex::default(),
            waiting: Semaphore::new(WAITING),
        });
        Ok(Self {
            writer: Writer::start(file.clone())?,
            file,
        })
    }
}

fn path_of(url: &str) -> Result<PathBuf> {
    let path = url.strip_prefix("sqlite:").unwrap_or(url);
    let path = path.strip_prefix("//").unwrap_or(path);
    let wrong = match path {
        "" => "names no file",
        ":memory:" => "has no table in memory to offer: that is what the driver `memory` is for",
        path if path.contains('?') => "takes no parameters for SQLite",
        path => return Ok(path.into()),
    };
    Err(Error::new(
        ErrorKind::Config,
        format!("database_url {wrong}"),
    ))
}

impl File {
    /// What is there. A file that is locked is waited for, `patience` long.
    fn read(&self, id: &str, patience: Duration) -> rusqlite::Result<Option<Result<Record>>> {
        let db = match self.lock_idle().pop() {
            Some(db) => db,
            None => self.open(OpenFlags::empty())?,
        };
        db.busy_timeout(patience)?;
        let found = select(&db, &self.schema, id)?;
        let mut idle = self.lock_idle();
        if idle.len() < IDLE {
            idle.push(db);
        }
        Ok(found)
    }

    fn lock_idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, more: OpenFlags) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Connection::open_with_flags(&self.path, flags | more)
    }

    /// A connection that writes beside any number of readers.
    fn open_to_write(&self, more: OpenFlags) -> rusqlite::Result<Connection> {
        let db = self.open(more)?;
        db.busy_timeout(self.timeout)?;
        db.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
        db.execute_batch("PRAGMA cache_size = -16384")?;
        Ok(db)
    }

    /// Runs the script that is due, if any, as one transaction that excludes all other writers.
    fn migrate(&self) -> rusqlite::Result<()> {
        let mut db = self.open_to_write(OpenFlags::SQLITE_OPEN_CREATE)?;
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let columns: Vec<String> = transaction
            .prepare("SELECT name FROM pragma_table_info(?)")?
            .query_map([&self.schema.table.name], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        if let Some(script) = self.schema.migration.due(&columns) {
            transaction.execute_batch(script)?;
        }
        transaction.commit()
    }
}

/// What stands under this id. The outer error is the database's, the inner one the record's.
fn select(db: &Connection, schema: &Schema, id: &str) -> rusqlite::Result<Option<Result<Record>>> {
    db.prepare_cached(&schema.sql.load)?
        .query_row([id], |row| {
            let payload = row.get_ref(0)?.as_bytes()?.to_vec();
            Ok(sql::record(payload, row.get(1)?))
        })
        .optional()
}

fn current(db: &Connection, schema: &Schema, id: &str) -> Result<Option<Record>> {
    select(db, schema, id)
        .map_err(|error| failure("load", error))?
        .transpose()
}

/// Whether a statement changed a row.
fn changed(db: &Connection, sql: &str, values: &[Value<'_>]) -> rusqlite::Result<bool> {
    let changed = db.prepare_cached(sql)?.execute(params_from_iter(values))?;
    Ok(changed > 0)
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match *self {
            Self::Text(None) => ValueRef::Null,
            Self::Text(Some(text)) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
            Self::Int(number) => ValueRef::Integer(number),
        }))
    }
}

impl SessionStore for Sqlite {
    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    fn load(&self, at: At<'_>) -> Reply<Option<Record>> {
        let id = match sql::key_of(at) {
            Ok(key) => key.hex(),
            Err(error) => return Reply::ready(Err(error)),
        };
        // Handing a read to another thread would cost several times what the read does.
        match self.file.read(&id, Duration::ZERO) {
            Err(error) if is_locked(&error) => {}
            answer => return Reply::ready(loaded(answer)),
        }
        let file = self.file.clone();
        Reply::later(async move {
            let _permit = file.waiting.acquire().await;
            let reader = file.clone();
            on_a_thread("load", move || loaded(reader.read(&id, reader.timeout))).await
        })
    }

    fn save(&self, key: &Key, expect: Expect, write: Write) -> Reply<Saved> {
        let row = match Row::new(&CAPABILITIES, key, &write) {
            Ok(row) => row,
            Err(error) => return Reply::ready(Err(error)),
        };
        let schema = self.file.schema.clone();
        self.writer.run(write.durable, move |db| {
            let stored = match expect {
                Expect::Absent => changed(db, &schema.sql.insert, &row.values()),
                Expect::Revision(revision) => {
                    changed(db, &schema.sql.update, &row.values_over(revision))
                }
            };
            match stored.map_err(|error| failure("save", error))? {
                true => Ok(Saved::Done),
                false => Ok(Saved::Conflict(current(db, &schema, row.id())?)),
            }
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
        let schema = self.file.schema.clone();
        self.writer.run(write.durable, move |db| {
            match replace(db, &schema, &marker, expect, &row)
                .map_err(|error| failure("replace", error))?
            {
                true => Ok(Saved::Done),
                false => Ok(Saved::Conflict(current(db, &schema, marker.id())?)),
            }
        })
    }

    fn touch(&self, key: &Key, expires: Time, _now: Time) -> Reply<()> {
        let (schema, id) = (self.file.schema.clone(), key.hex());
        self.writer.run(false, move |db| {
            let values = [
                Value::Int(sql::expiry_column(expires)),
                Value::Text(Some(&id)),
            ];
            changed(db, &schema.sql.touch, &values)
                .map(drop)
                .map_err(|error| failure("touch", error))
        })
    }

    fn sweep(&self, now: Time, max: usize) -> Reply<usize> {
        let schema = self.file.schema.clone();
        self.writer.run(false, move |db| {
            let max = i64::try_from(max).unwrap_or(i64::MAX);
            db.prepare_cached(&schema.sql.sweep)
                .and_then(|mut sweep| sweep.execute(params![sql::expiry_column(now), max]))
                .map_err(|error| failure("sweep", error))
        })
    }
}

/// Both rows or none: what one of them changed is undone when the other fails.
fn replace(
    db: &Connection,
    schema: &Schema,
    marker: &Row,
    expect: Revision,
    row: &Row,
) -> rusqlite::Result<bool> {
    db.execute_batch("SAVEPOINT replacing")?;
    let both = changed(db, &schema.sql.update, &marker.values_over(expect))
        .and_then(|updated| Ok(updated && changed(db, &schema.sql.insert, &row.values())?));
    // When the whole transaction is gone, so is the savepoint.
    if !matches!(both, Ok(true)) && !db.is_autocommit() {
        db.execute_batch("ROLLBACK TO replacing")?;
    }
    if !db.is_autocommit() {
        db.execute_batch("RELEASE replacing")?;
    }
    both
}

impl Database for Sqlite {
    fn migrate(&self) -> Reply<()> {
        let file = self.file.clone();
        Reply::later(on_a_thread("migrate", move || {
            create_private(&file.path)
                .map_err(|error| Error::store("database: cannot create the file", error))?;
            file.migrate().map_err(|error| failure("migrate", error))
        }))
    }
}

/// Makes the file, if there is none, so that its owner alone can read it. SQLite's other files take after it.
fn create_private(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

async fn on_a_thread<T: Send + 'static>(
    call: &'static str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| sql::failure(call, false, error))?
}

fn loaded(answer: rusqlite::Result<Option<Result<Record>>>) -> Result<Option<Record>> {
    answer.map_err(|error| failure("load", error))?.transpose()
}

fn is_locked(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

fn failure(call: &'static str, error: impl Into<Arc<rusqlite::Error>>) -> Error {
    let error = error.into();
    let text = error.to_string();
    let no_table = text.contains("no such table")
        || text.contains("has no column")
        || text.contains("no such column")
        || error.sqlite_error_code() == Some(ErrorCode::CannotOpen);
    sql::failure(call, no_table, error)
}
