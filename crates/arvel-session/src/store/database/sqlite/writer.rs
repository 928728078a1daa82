//! The thread that writes: it takes what has gathered, and commits it as one group.

use std::{
    sync::{Arc, mpsc},
    thread,
};

use rusqlite::{Connection, ErrorCode, OpenFlags};
use tokio::sync::oneshot;

use super::{File, failure};
use crate::{Error, ErrorKind, Result, store::Reply};

/// How many calls one commit holds at most.
const GROUP: usize = 256;

const ORDINARY: &str = "PRAGMA synchronous = NORMAL";
const DURABLE: &str = "PRAGMA synchronous = FULL";

/// The way to the thread, which ends when this is dropped.
pub(super) struct Writer(mpsc::Sender<Box<dyn Job>>);

impl Writer {
    pub(super) fn start(file: Arc<File>) -> Result<Self> {
        let (sender, jobs) = mpsc::channel();
        thread::Builder::new()
            .name("arvel-session-sqlite".into())
            .spawn(move || write_until_dropped(&file, &jobs))
            .map_err(|error| Error::store("database: cannot start the writer", error))?;
        Ok(Self(sender))
    }

    /// Runs `work` inside a transaction; the answer comes when that is committed.
    pub(super) fn run<T: Send + 'static>(
        &self,
        durable: bool,
        work: impl Fn(&Connection) -> Result<T> + Send + 'static,
    ) -> Reply<T> {
        let (reply, answer) = oneshot::channel();
        let call = Call {
            work,
            durable,
            done: None,
            reply,
        };
        let sent = self.0.send(Box::new(call)).is_ok();
        Reply::later(async move {
            let stopped = || Error::new(ErrorKind::Store, "database: the writer has stopped");
            match sent {
                true => answer.await.map_err(|_| stopped())?,
                false => Err(stopped()),
            }
        })
    }
}

/// A call that waits for its commit.
trait Job: Send {
    fn is_abandoned(&self) -> bool;
    fn is_durable(&self) -> bool;
    fn run(&mut self, db: &Connection);
    /// Tells the caller: its own answer if the group was committed, otherwise why not.
    fn answer(self: Box<Self>, committed: Result<()>);
}

struct Call<T, F> {
    work: F,
    durable: bool,
    done: Option<Result<T>>,
    reply: oneshot::Sender<Result<T>>,
}

impl<T: Send, F: Fn(&Connection) -> Result<T> + Send> Job for Call<T, F> {
    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn is_durable(&self) -> bool {
        self.durable
    }

    fn run(&mut self, db: &Connection) {
        self.done = Some((self.work)(db));
    }

    fn answer(self: Box<Self>, committed: Result<()>) {
        // A call that failed by itself says so, whatever became of the group.
        let answer = match (committed, self.done) {
            (Ok(()), Some(done)) | (Err(_), Some(done @ Err(_))) => done,
            (Err(error), _) => Err(error),
            (Ok(()), None) => Err(Error::new(
                ErrorKind::Store,
                "database: nothing was written",
            )),
        };
        let _ = self.reply.send(answer);
    }
}

type Group = Vec<Box<dyn Job>>;

fn write_until_dropped(file: &File, jobs: &mpsc::Receiver<Box<dyn Job>>) {
    let mut db = None;
    while let Ok(first) = jobs.recv() {
        let mut group: Group = vec![first];
        group.extend(jobs.try_iter().take(GROUP - 1));
        group.retain(|job| !job.is_abandoned());
        if !group.is_empty() {
            write(file, &mut db, group);
        }
    }
}

/// Writes a group. When it is rolled back as a whole, each call of it runs alone, so that none fails for another.
fn write(file: &File, db: &mut Option<Connection>, mut group: Group) {
    let Err(failed) = commit(file, db, &mut group) else {
        return group.into_iter().for_each(|job| job.answer(Ok(())));
    };
    // A connection that is dropped rolls back what it has begun.
    *db = None;
    if failed.may_work_alone() && group.len() > 1 {
        for job in group {
            write(file, db, vec![job]);
        }
        return;
    }
    for job in group {
        job.answer(Err(failed.error()));
    }
}

/// Why a group was not committed.
enum Failed {
    /// A statement's fault, a full disk for one, has ended the whole transaction.
    RolledBack,
    Because(Arc<rusqlite::Error>),
}

impl Failed {
    /// Nothing of the group was executed, and a smaller one may fit.
    fn may_work_alone(&self) -> bool {
        match self {
            Self::RolledBack => true,
            Self::Because(error) => error.sqlite_error_code() == Some(ErrorCode::DiskFull),
        }
    }

    fn error(&self) -> Error {
        match self {
            Self::RolledBack => Error::new(ErrorKind::Store, "database: write: rolled back"),
            Self::Because(error) => failure("write", error.clone()),
        }
    }
}

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Self {
        Self::Because(error.into())
    }
}

fn commit(file: &File, db: &mut Option<Connection>, group: &mut Group) -> Result<(), Failed> {
    let db = match db {
        Some(db) => db,
        None => db.insert(file.open_to_write(OpenFlags::empty())?),
    };
    let durable = group.iter().any(|job| job.is_durable());
    db.execute_batch(if durable { DURABLE } else { ORDINARY })?;
    db.execute_batch("BEGIN IMMEDIATE")?;
    for job in group {
        job.run(db);
        if db.is_autocommit() {
            return Err(Failed::RolledBack);
        }
    }
    db.execute_batch("COMMIT")?;
    Ok(())
}
