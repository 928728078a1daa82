//! The `file` driver: a folder with a file for each session, shared by any number of processes of one machine.
//!
//! A file is `<first two digits>/<hash>` under the folder, in hexadecimal, and is written in place.
//!
//! **Why in place.** To write a temporary file and rename it over the old one costs twenty times as much (the file system
//! has to flush it at once, else a crash leaves an empty file), and leaves temporaries behind. A log that only grows needs
//! a rewrite now and then. So a file has at least two places for its record (see `layout.rs`); a write goes to one that
//! does not hold the current record, with a higher sequence and a checksum. Whoever dies half way leaves the current
//! record as it was. There are no temporary files, and nothing is ever renamed.
//!
//! **When the machine dies**, what was written last may be lost, but not what was on the disk before. Two places alone
//! would not do: both may be on their way to the disk, and half of each may arrive. Up to 4,068 bytes a place lies within
//! one block of 4,096, which a disk writes as a whole, so each of the two is always one record or another. A longer
//! record gets four places, and every third write first syncs the file: so the disk always has one whole record that
//! nobody has written over since. A [durable](Write::durable) write syncs the file, and the folders when the file is new,
//! before it is answered.
//!
//! **Locks.** A writer holds an advisory lock on the session's own file, and a file is only removed under its lock: who
//! gets the lock of a file that has lost its name opens it anew. A reader takes no lock, unless what he sees looks torn.
//! A lock that is free and a write that needs no sync are dealt with at once, in microseconds; what has to wait does so
//! on a thread for blocking work. On a network file system all of this is only as good as its locks.
//!
//! **Replacing** writes the new file first, then turns the old record into the marker, under both locks: the marker is
//! the commit point. A crash in between leaves a file under an id that nobody was told, which expires as any other.
//! The locks are taken in the order of the hashes.
//!
//! **A durable marker** is the only record of its file: once it is on the disk the other places are emptied, so that no
//! damage to the marker brings back what was before.
//!
//! **The sweep** looks only at files that are named like ours, each with the lock once more before it is removed. A file
//! without any readable record is left for a week after its last change; one of a newer format is left for good.

mod folder;
mod layout;
mod sweep;

use std::{
    fs::{self, File},
    hint, io,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use self::{
    folder::Folder,
    layout::{Image, LONG, Newest, View},
    sweep::Cursor,
};
use super::{At, Capabilities, Expect, Key, Record, Reply, Revision, Saved, SessionStore, Write};
use crate::{Error, ErrorKind, Result, Time};

const CAPABILITIES: Capabilities = Capabilities::new("file");

/// Sessions in a folder, a file each: for one machine, with any number of processes.
///
/// Clones share the folder.
///
/// # Examples
///
/// ```
/// use arvel_session::store::{FileStore, SessionStore};
///
/// # let files_path = std::env::temp_dir().join(format!("arvel-session-doc-{}", std::process::id()));
/// # let folder = files_path.clone();
/// let store = FileStore::open(files_path)?;
/// assert_eq!(store.capabilities().name, "file");
/// # std::fs::remove_dir_all(folder).unwrap();
/// # Ok::<(), arvel_session::Error>(())
/// ```
#[derive(Clone)]
pub struct FileStore(Arc<Shared>);

struct Shared {
    folder: Folder,
    cursor: Mutex<Cursor>,
}

/// Whether work may wait, for a lock or for the disk.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Patience {
    None,
    Blocking,
}

/// Why work has ended early.
enum Stop {
    /// It would have to wait; nothing was changed.
    Busy,
    /// Without the lock one cannot tell what is there.
    Torn,
    /// This could not be done, for this reason.
    Io(&'static str, io::Error),
    Failed(Error),
}

impl Stop {
    fn io(what: &'static str) -> impl Fn(io::Error) -> Self {
        move |error| Self::Io(what, error)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl FileStore {
    /// Opens the folder `files_path`; makes it, for this user alone (0700), if it is not there.
    ///
    /// # Errors
    /// [`ErrorKind::Config`], naming the setting and the path, when there is no such folder and none can be made.
    pub fn open(files_path: impl Into<PathBuf>) -> Result<Self> {
        Ok(Self(Arc::new(Shared {
            folder: Folder::open(&files_path.into())?,
            cursor: Mutex::default(),
        })))
    }

    /// Does the work at once if it is `quick` and need not wait, else on a thread for blocking work.
    fn reply<T: Send + 'static>(
        &self,
        quick: bool,
        work: impl Fn(&Shared, Patience) -> Result<T, Stop> + Send + 'static,
    ) -> Reply<T> {
        if quick {
            match work(&self.0, Patience::None) {
                Err(Stop::Busy) => {}
                answer => return Reply::ready(self.0.folder.explain(answer)),
            }
        }
        let shared = Arc::clone(&self.0);
        Reply::later(async move {
            let work = move || shared.folder.explain(work(&shared, Patience::Blocking));
            tokio::task::spawn_blocking(work)
                .await
                .map_err(|error| Error::store("file: a thread for blocking work ended", error))?
        })
    }
}

impl SessionStore for FileStore {
    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    fn load(&self, at: At<'_>) -> Reply<Option<Record>> {
        let At::Key(&key) = at else {
            return Reply::ready(Err(Error::new(
                ErrorKind::Unsupported,
                "the file store keeps sessions under keys",
            )));
        };
        self.reply(true, move |shared, patience| {
            load(&shared.folder, &key, patience)
        })
    }

    fn save(&self, key: &Key, expect: Expect, write: Write) -> Reply<Saved> {
        if let Err(error) = CAPABILITIES.check_size(&write.record) {
            return Reply::ready(Err(error));
        }
        let key = *key;
        let quick = !write.durable && write.record.encoded_len() <= LONG;
        self.reply(quick, move |shared, patience| {
            save(&shared.folder, &key, expect, &write, patience)
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
        if let Err(error) = CAPABILITIES.check_size(&write.record) {
            return Reply::ready(Err(error));
        }
        let replacement = Replacement {
            old: *old,
            expect,
            marker,
            new: *new,
            write,
        };
        // Rare, and two locks to wait for: not worth trying at once.
        self.reply(false, move |shared, _| {
            replace(&shared.folder, &replacement)
        })
    }

    fn touch(&self, key: &Key, expires: Time, now: Time) -> Reply<()> {
        let key = *key;
        self.reply(true, move |shared, patience| {
            touch(&shared.folder, &key, expires, now, patience)
        })
    }

    fn sweep(&self, now: Time, max: usize) -> Reply<usize> {
        self.reply(false, move |shared, _| {
            sweep::sweep(&shared.folder, &shared.cursor, now, max)
        })
    }
}

fn load(folder: &Folder, key: &Key, patience: Patience) -> Result<Option<Record>, Stop> {
    /// A write takes two microseconds, so a reader who ran into one soon gets by.
    const TRIES: usize = 3;

    let Some(file) = folder.open_to_read(&folder.path(key))? else {
        return Ok(None);
    };
    let look = |locked| {
        let view = View {
            locked,
            patient: patience == Patience::Blocking,
        };
        let newest = Image::read(&file)?.newest(&file, key, view)?;
        Ok(newest.map(|newest| newest.record))
    };
    for _ in 0..TRIES {
        match look(false) {
            Err(Stop::Torn) => hint::spin_loop(),
            answer => return answer,
        }
    }
    folder.lock(|| file.try_lock_shared(), patience)?;
    look(true)
}

fn save(
    folder: &Folder,
    key: &Key,
    expect: Expect,
    write: &Write,
    patience: Patience,
) -> Result<Saved, Stop> {
    let create = expect == Expect::Absent;
    let Some(file) = Locked::open(folder, key, create, patience)? else {
        return Ok(Saved::Conflict(None));
    };
    let holds = match expect {
        Expect::Absent => file.current.is_none(),
        Expect::Revision(revision) => file.is_at(revision),
    };
    if !holds {
        return Ok(Saved::Conflict(file.into_record()));
    }
    let written = file.write(&write.record, patience)?;
    if write.durable {
        file.sync(&written)?;
    }
    Ok(Saved::Done)
}

struct Replacement {
    old: Key,
    expect: Revision,
    marker: Record,
    new: Key,
    write: Write,
}

fn replace(folder: &Folder, asked: &Replacement) -> Result<Saved, Stop> {
    let open_old = || Locked::open(folder, &asked.old, false, Patience::Blocking);
    let open_new = || Locked::open(folder, &asked.new, true, Patience::Blocking);
    // Always in the order of the hashes, or two of these could wait for each other.
    let (old, new) = if asked.old.hash() < asked.new.hash() {
        let old = open_old()?;
        (old, open_new()?)
    } else {
        let new = open_new()?;
        (open_old()?, new)
    };
    if let (Some(old), Some(new)) = (&old, &new)
        && old.is_at(asked.expect)
        && new.current.is_none()
    {
        let written = new.write(&asked.write.record, Patience::Blocking)?;
        let committed = sync_and_mark(old, new, &written, asked);
        return committed.map(|()| Saved::Done);
    }
    if let Some(new) = new
        && new.current.is_none()
    {
        new.remove()?;
    }
    Ok(Saved::Conflict(old.and_then(Locked::into_record)))
}

/// The second half of a replacement: the new record is written, and is taken back if the marker cannot be.
fn sync_and_mark(
    old: &Locked<'_>,
    new: &Locked<'_>,
    written: &Written,
    asked: &Replacement,
) -> Result<(), Stop> {
    let synced = if asked.write.durable {
        new.sync(written)
    } else {
        Ok(())
    };
    match synced.and_then(|()| old.write(&asked.marker, Patience::Blocking)) {
        Ok(marked) if asked.write.durable => old.sync(&marked),
        Ok(_) => Ok(()),
        Err(stop) => {
            new.remove()?;
            Err(stop)
        }
    }
}

fn touch(
    folder: &Folder,
    key: &Key,
    expires: Time,
    now: Time,
    patience: Patience,
) -> Result<(), Stop> {
    let Some(file) = Locked::open(folder, key, false, patience)? else {
        return Ok(());
    };
    let Some(Newest { record, .. }) = &file.current else {
        return Ok(());
    };
    // What has expired is dead, swept or not.
    if !record.kind.is_live() || record.is_expired(now) || record.expires == expires {
        return Ok(());
    }
    let moved = Record {
        expires,
        ..record.clone()
    };
    file.write(&moved, patience).map(|_| ())
}

/// What was written last, under this lock.
struct Written {
    start: u64,
    is_marker: bool,
}

/// A session's file whose lock is held until this is dropped.
struct Locked<'a> {
    folder: &'a Folder,
    path: PathBuf,
    key: Key,
    file: File,
    image: Image,
    current: Option<Newest>,
}

impl<'a> Locked<'a> {
    fn open(
        folder: &'a Folder,
        key: &Key,
        create: bool,
        patience: Patience,
    ) -> Result<Option<Self>, Stop> {
        let path = folder.path(key);
        let Some(file) = folder.open_locked(&path, create, patience)? else {
            return Ok(None);
        };
        let mut image = Image::read(&file)?;
        let view = View {
            locked: true,
            patient: patience == Patience::Blocking,
        };
        let current = image.newest(&file, key, view)?;
        Ok(Some(Self {
            folder,
            path,
            key: *key,
            file,
            image,
            current,
        }))
    }

    fn is_at(&self, revision: Revision) -> bool {
        let current = self.current.as_ref();
        current.is_some_and(|newest| newest.record.matches(revision))
    }

    fn into_record(self) -> Option<Record> {
        self.current.map(|newest| newest.record)
    }

    fn write(&self, record: &Record, patience: Patience) -> Result<Written, Stop> {
        let plan = self.image.plan(&self.key, self.current.as_ref(), record)?;
        if plan.sync_first && patience == Patience::None {
            return Err(Stop::Busy);
        }
        let written = Written {
            start: plan.start,
            is_marker: !record.kind.is_live(),
        };
        plan.execute(&self.file).or_else(|error| {
            // Half a first record would stand in the way of every later try.
            if self.current.is_none() {
                self.remove()?;
            }
            Err(Stop::Io("cannot write a session's file", error))
        })?;
        Ok(written)
    }

    /// Makes what was written survive a crash of the machine.
    fn sync(&self, written: &Written) -> Result<(), Stop> {
        self.file
            .sync_data()
            .map_err(Stop::io("cannot sync a session's file"))?;
        if written.is_marker {
            // The marker stands, whether or not this can be done.
            drop(self.image.wipe_all_but(&self.file, written.start));
        }
        match self.current {
            None => self.folder.sync_name(&self.path),
            Some(_) => Ok(()),
        }
    }

    fn remove(&self) -> Result<(), Stop> {
        fs::remove_file(&self.path).map_err(Stop::io("cannot remove a session's file"))
    }
}
