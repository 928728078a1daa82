//! The folder: where a session's file is, and how it is opened, locked and made to last.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use super::{Patience, Stop};
use crate::{Error, ErrorKind, Result, store::Key};

/// How many hexadecimal digits of a key name its sub-folder: 256 of them, with 4,000 files each of a million.
pub(super) const FAN_OUT_DIGITS: usize = 2;
/// A lock is held for microseconds, or for a sync of the disk. Who has to wait this long waits for a stopped process.
const LOCK_DEADLINE: Duration = Duration::from_secs(5);

pub(super) struct Folder {
    root: PathBuf,
    /// The file system it was on when it was opened.
    device: u64,
}

impl Folder {
    pub(super) fn open(root: &Path) -> Result<Self> {
        let fail = |what: &str, error: io::Error| {
            let place = root.display();
            Error::new(ErrorKind::Config, format!("files_path {place}: {what}")).with_source(error)
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(root)
            .map_err(|error| fail("cannot create this folder", error))?;
        // Absolute, since the process may change its working folder.
        let root =
            fs::canonicalize(root).map_err(|error| fail("cannot find this folder", error))?;
        let device = fs::metadata(&root)
            .map_err(|error| fail("cannot look at this folder", error))?
            .dev();
        Ok(Self { root, device })
    }

    /// The answer for the caller: an error names the setting and the folder, never a file.
    pub(super) fn explain<T>(&self, answer: Result<T, Stop>) -> Result<T> {
        let place = self.root.display();
        answer.map_err(|stop| match stop {
            Stop::Failed(error) => error,
            Stop::Io(what, error) => Error::store(format!("files_path {place}: {what}"), error),
            Stop::Busy | Stop::Torn => Error::new(
                ErrorKind::Store,
                format!("files_path {place}: another process keeps a session's file locked"),
            ),
        })
    }

    pub(super) fn sub_folder(&self, digits: &str) -> PathBuf {
        self.root.join(digits)
    }

    pub(super) fn path(&self, key: &Key) -> PathBuf {
        let name = key.hex();
        let mut path = PathBuf::with_capacity(self.root.as_os_str().len() + name.len() + 8);
        path.push(&self.root);
        path.push(&name[..FAN_OUT_DIGITS]);
        path.push(name);
        path
    }

    /// Opens a session's file for reading; `None` when there is none.
    pub(super) fn open_to_read(&self, path: &Path) -> Result<Option<File>, Stop> {
        let opened = File::open(path);
        if is_not_found(&opened) {
            self.check_presence()?;
            return Ok(None);
        }
        opened
            .map(Some)
            .map_err(Stop::io("cannot open a session's file"))
    }

    /// Opens a session's file for writing and locks it; `None` when there is none and none shall be `create`d.
    pub(super) fn open_locked(
        &self,
        path: &Path,
        create: bool,
        patience: Patience,
    ) -> Result<Option<File>, Stop> {
        loop {
            let Some(file) = self.open_to_write(path, create)? else {
                return Ok(None);
            };
            self.lock(|| file.try_lock(), patience)?;
            let links = file
                .metadata()
                .map_err(Stop::io("cannot look at a session's file"))?
                .nlink();
            // Without a name left, it was removed between opening and locking. Only the lock's holder removes a name.
            if links > 0 {
                return Ok(Some(file));
            }
        }
    }

    fn open_to_write(&self, path: &Path, create: bool) -> Result<Option<File>, Stop> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(create).mode(0o600);
        let mut opened = options.open(path);
        if is_not_found(&opened) {
            self.check_presence()?;
            if !create {
                return Ok(None);
            }
            self.create_sub_folder(path)?;
            opened = options.open(path);
        }
        opened
            .map(Some)
            .map_err(Stop::io("cannot open a session's file"))
    }

    fn create_sub_folder(&self, path: &Path) -> Result<(), Stop> {
        let sub_folder = path.parent().unwrap_or(&self.root);
        match DirBuilder::new().mode(0o700).create(sub_folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(Stop::Io("cannot create a folder", error))
            }
            _ => Ok(()),
        }
    }

    /// Takes a lock, at once or never unless there is patience.
    pub(super) fn lock(
        &self,
        try_lock: impl Fn() -> Result<(), TryLockError>,
        patience: Patience,
    ) -> Result<(), Stop> {
        let mut pause = Duration::from_micros(20);
        let mut deadline = None;
        loop {
            match try_lock() {
                Ok(()) => return Ok(()),
                Err(TryLockError::Error(error)) => {
                    return Err(Stop::Io("cannot lock a session's file", error));
                }
                Err(TryLockError::WouldBlock) if patience == Patience::None => {
                    return Err(Stop::Busy);
                }
                Err(TryLockError::WouldBlock) => {}
            }
            let now = Instant::now();
            if now >= *deadline.get_or_insert(now + LOCK_DEADLINE) {
                return Err(Stop::Busy);
            }
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(1));
        }
    }

    /// Makes the name of a new file survive a crash of the machine.
    pub(super) fn sync_name(&self, path: &Path) -> Result<(), Stop> {
        for folder in path.ancestors().skip(1).take(2) {
            File::open(folder)
                .and_then(|folder| folder.sync_all())
                .map_err(Stop::io("cannot sync the folder"))?;
        }
        Ok(())
    }

    /// Tells "there is no such session" from "the folder is gone", or unmounted.
    fn check_presence(&self) -> Result<(), Stop> {
        let gone = Stop::io("the folder is gone");
        if fs::metadata(&self.root).map_err(&gone)?.dev() == self.device {
            return Ok(());
        }
        Err(gone(io::Error::other("another file system is there now")))
    }
}

fn is_not_found<T>(outcome: &io::Result<T>) -> bool {
    matches!(outcome, Err(error) if error.kind() == io::ErrorKind::NotFound)
}
