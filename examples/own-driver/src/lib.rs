//! A session driver of one's own, on the embedded database [redb](https://docs.rs/redb).
//!
//! It is written against the public interface of `arvel-session` alone: the contract of
//! [`SessionStore`], and the conformance suite in `tests/conformance.rs`.

use std::{path::Path, sync::Arc};

use arvel_session::{
    Error, Result, Time,
    store::{At, Capabilities, Expect, Key, Record, Reply, Revision, Saved, SessionStore, Write},
};
use redb::{Database, ReadableDatabase, ReadableTable, Table, TableDefinition};

const SESSIONS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("sessions");

/// Keeps sessions in one redb file, which one process may have open at a time.
#[derive(Clone, Debug)]
pub struct RedbStore {
    database: Arc<Database>,
}

type Sessions<'a> = Table<'a, &'static [u8], &'static [u8]>;

fn failed(error: impl Into<redb::Error>) -> Error {
    Error::store("redb", error.into())
}

impl RedbStore {
    /// Opens the file, and makes it where there is none.
    ///
    /// # Errors
    /// The file cannot be opened, or another process has it open.
    pub fn open(path: &Path) -> Result<Self> {
        let database = Database::create(path).map_err(failed)?;
        let transaction = database.begin_write().map_err(failed)?;
        transaction.open_table(SESSIONS).map_err(failed)?;
        transaction.commit().map_err(failed)?;
        Ok(Self {
            database: Arc::new(database),
        })
    }

    /// Runs a transaction where it may block. A call that is dropped runs to its end, so it happens in full or not at all.
    fn transact<T: Send + 'static>(
        &self,
        action: impl FnOnce(&mut Sessions<'_>) -> Result<T> + Send + 'static,
    ) -> Reply<T> {
        let database = self.database.clone();
        Reply::later(async move {
            let transact = move || {
                let transaction = database.begin_write().map_err(failed)?;
                let answer = action(&mut transaction.open_table(SESSIONS).map_err(failed)?)?;
                transaction.commit().map_err(failed)?;
                Ok(answer)
            };
            let done = tokio::task::spawn_blocking(transact).await;
            done.map_err(|error| Error::store("redb: the task ended", error))?
        })
    }
}

fn get(
    sessions: &impl ReadableTable<&'static [u8], &'static [u8]>,
    key: &Key,
) -> Result<Option<Record>> {
    let found = sessions.get(key.hash().as_slice()).map_err(failed)?;
    found
        .map(|bytes| Record::decode(bytes.value().to_vec().into()))
        .transpose()
}

fn set(sessions: &mut Sessions<'_>, key: &Key, record: &Record) -> Result<()> {
    let bytes = record.encode();
    sessions
        .insert(key.hash().as_slice(), bytes.as_slice())
        .map_err(failed)?;
    Ok(())
}

/// Compare and set, within a transaction.
fn put(sessions: &mut Sessions<'_>, key: &Key, expect: Expect, record: &Record) -> Result<Saved> {
    let there = get(sessions, key)?;
    let holds = match (expect, &there) {
        (Expect::Absent, None) => true,
        (Expect::Revision(revision), Some(there)) => there.matches(revision),
        _ => false,
    };
    if !holds {
        return Ok(Saved::Conflict(there));
    }
    set(sessions, key, record)?;
    Ok(Saved::Done)
}

impl SessionStore for RedbStore {
    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::new("redb");
        // Another process cannot open the file.
        capabilities.shared = false;
        capabilities
    }

    fn load(&self, at: At<'_>) -> Reply<Option<Record>> {
        let At::Key(key) = at else {
            return Reply::ready(Ok(None));
        };
        let (database, key) = (self.database.clone(), *key);
        let load = move || {
            let transaction = database.begin_read().map_err(failed)?;
            get(&transaction.open_table(SESSIONS).map_err(failed)?, &key)
        };
        // What the file's cache holds is read in microseconds, less than handing it to another thread takes.
        Reply::ready(load())
    }

    fn save(&self, key: &Key, expect: Expect, write: Write) -> Reply<Saved> {
        if let Err(error) = self.capabilities().check_size(&write.record) {
            return Reply::ready(Err(error));
        }
        let key = *key;
        self.transact(move |sessions| put(sessions, &key, expect, &write.record))
    }

    fn replace(
        &self,
        old: &Key,
        expect: Revision,
        marker: Record,
        new: &Key,
        write: Write,
    ) -> Reply<Saved> {
        if let Err(error) = self.capabilities().check_size(&write.record) {
            return Reply::ready(Err(error));
        }
        let (old, new) = (*old, *new);
        self.transact(move |sessions| {
            let saved = put(sessions, &old, Expect::Revision(expect), &marker)?;
            if matches!(saved, Saved::Done) {
                set(sessions, &new, &write.record)?;
            }
            Ok(saved)
        })
    }

    fn touch(&self, key: &Key, expires: Time, _now: Time) -> Reply<()> {
        let key = *key;
        self.transact(move |sessions| match get(sessions, &key)? {
            Some(record) if record.kind.is_live() => {
                set(sessions, &key, &Record { expires, ..record })
            }
            _ => Ok(()),
        })
    }

    fn sweep(&self, now: Time, max: usize) -> Reply<usize> {
        self.transact(move |sessions| {
            let mut expired = Vec::new();
            for entry in sessions.iter().map_err(failed)? {
                let (key, bytes) = entry.map_err(failed)?;
                // What cannot be read is not known to have expired.
                let record = Record::decode(bytes.value().to_vec().into());
                if expired.len() < max && record.is_ok_and(|record| record.is_expired(now)) {
                    expired.push(key.value().to_vec());
                }
            }
            for key in &expired {
                sessions.remove(key.as_slice()).map_err(failed)?;
            }
            Ok(expired.len())
        })
    }
}
