//! Removing what has expired.

use std::{
    ffi::OsStr,
    fs::{self, DirEntry, File, ReadDir},
    io, mem,
    path::Path,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use super::{
    Patience, Stop,
    folder::{FAN_OUT_DIGITS, Folder},
    layout::{Image, View},
};
use crate::{ErrorKind, Result, Time, store::Key};

/// How long a file that holds no readable record stays, untouched, for somebody to look at.
const DAMAGED_KEPT: Duration = Duration::from_secs(7 * 86_400);
const SUB_FOLDERS: usize = 1 << (4 * FAN_OUT_DIGITS);

/// Where the last sweep stopped, so that the next one need not look again at what it has left.
#[derive(Default)]
pub(super) struct Cursor {
    sub_folder: usize,
    /// What is left of that sub-folder.
    entries: Option<ReadDir>,
}

/// One sweep: at most one round through all sub-folders, from where the last one stopped.
///
/// A file that fails is passed over, so that it cannot keep the others from being swept; the first such error is the
/// answer of a round that ends without having removed `max`.
pub(super) fn sweep(
    folder: &Folder,
    cursor: &Mutex<Cursor>,
    now: Time,
    max: usize,
) -> Result<usize, Stop> {
    // Taken, so that two sweeps at once do not wait for each other.
    let mut at = mem::take(&mut *cursor.lock().unwrap_or_else(PoisonError::into_inner));
    let mut sweep = Sweep {
        folder,
        now,
        max,
        removed: 0,
        failed: None,
    };
    // The sub-folder that it begins in comes again at the end: its first part was looked at by an earlier sweep.
    for _ in 0..=SUB_FOLDERS {
        if !sweep.sub_folder(&mut at) {
            break;
        }
        at.sub_folder = (at.sub_folder + 1) % SUB_FOLDERS;
    }
    *cursor.lock().unwrap_or_else(PoisonError::into_inner) = at;
    match sweep.failed {
        Some(stop) if sweep.removed < max => Err(stop),
        _ => Ok(sweep.removed),
    }
}

struct Sweep<'a> {
    folder: &'a Folder,
    now: Time,
    max: usize,
    removed: usize,
    failed: Option<Stop>,
}

impl Sweep<'_> {
    /// Sweeps what is left of a sub-folder, and says whether it came to its end.
    fn sub_folder(&mut self, at: &mut Cursor) -> bool {
        let digits = format!("{:0FAN_OUT_DIGITS$x}", at.sub_folder);
        let mut entries = match at.entries.take() {
            Some(entries) => entries,
            None => match fs::read_dir(self.folder.sub_folder(&digits)) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return true,
                Err(error) => {
                    self.fail(Stop::Io("cannot list a folder", error));
                    return true;
                }
            },
        };
        while self.removed < self.max {
            let Some(entry) = entries.next() else {
                return true;
            };
            match self.entry(entry, &digits) {
                Ok(removed) => self.removed += usize::from(removed),
                Err(stop) => self.fail(stop),
            }
        }
        at.entries = Some(entries);
        false
    }

    fn entry(&self, entry: io::Result<DirEntry>, digits: &str) -> Result<bool, Stop> {
        let entry = entry.map_err(Stop::io("cannot list a folder"))?;
        match key_of(&entry.file_name(), digits) {
            Some(key) => self.file(&entry.path(), &key),
            None => Ok(false),
        }
    }

    fn fail(&mut self, stop: Stop) {
        // A file that is locked just now is in use; the next round comes by again.
        if !matches!(stop, Stop::Busy) {
            self.failed.get_or_insert(stop);
        }
    }

    /// Removes this file if it is to go, and says whether it was. Most stay, so the lock is taken only for those that go.
    fn file(&self, path: &Path, key: &Key) -> Result<bool, Stop> {
        let Some(file) = self.folder.open_to_read(path)? else {
            return Ok(false);
        };
        if !self.is_over(&file, key, false)? {
            return Ok(false);
        }
        drop(file);
        let Some(file) = self.folder.open_locked(path, false, Patience::None)? else {
            return Ok(false);
        };
        if !self.is_over(&file, key, true)? {
            return Ok(false);
        }
        fs::remove_file(path).map_err(Stop::io("cannot remove a session's file"))?;
        Ok(true)
    }

    /// Whether the record has expired, or has been unreadable for long. What a newer version wrote is left to that.
    fn is_over(&self, file: &File, key: &Key, locked: bool) -> Result<bool, Stop> {
        let view = View {
            locked,
            patient: true,
        };
        let newest = Image::read(file)?.newest(file, key, view);
        match newest {
            Ok(Some(newest)) => Ok(newest.record.is_expired(self.now)),
            Ok(None) | Err(Stop::Torn) => self.is_old(file),
            Err(Stop::Failed(error)) if error.kind() == ErrorKind::Corrupt => self.is_old(file),
            Err(Stop::Failed(error)) if error.kind() == ErrorKind::NewerFormat => Ok(false),
            Err(stop) => Err(stop),
        }
    }

    fn is_old(&self, file: &File) -> Result<bool, Stop> {
        let changed = file
            .metadata()
            .and_then(|metadata| metadata.modified())
            .map_err(Stop::io("cannot look at a session's file"))?
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Ok(Time::default().after(changed + DAMAGED_KEPT) <= self.now)
    }
}

/// The key of a file that is named as ours are; the tag, which no file name holds, does not matter here.
fn key_of(name: &OsStr, digits: &str) -> Option<Key> {
    let name = name.to_str()?.as_bytes();
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    if name.len() != 64 || !name.starts_with(digits.as_bytes()) {
        return None;
    }
    let mut hash = [0; 32];
    for (byte, pair) in hash.iter_mut().zip(name.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(Key::new([0; 2], hash))
}
