//! Faults of stores.

use std::sync::Mutex;

use arvel_session::{
    Error, ErrorKind, Result, Time,
    store::{Expect, Key, Kind, Record, Revision, Saved, Write},
};

use crate::shelf::{Deeds, Records, Replace, Shelf};

fn failure() -> Error {
    Error::new(ErrorKind::Store, "planted")
}

/// Now and then, and nobody knows when.
fn rarely() -> bool {
    fastrand::u8(..30) == 0
}

/// Stores whatever it is given over whatever live record is there.
#[derive(Default)]
pub(crate) struct LastWriteWins;

impl Deeds for LastWriteWins {
    fn save(&self, shelf: &Shelf, key: &Key, expect: Expect, write: Write) -> Result<Saved> {
        if shelf.get(key).is_some_and(|there| there.kind.is_live()) {
            shelf.put(key, write.record);
            return Ok(Saved::Done);
        }
        Ok(shelf.save_now(key, expect, write.record))
    }
}

/// Stores a session where there is none any more, or a marker.
#[derive(Default)]
pub(crate) struct UpsertOnSave;

impl Deeds for UpsertOnSave {
    fn save(&self, shelf: &Shelf, key: &Key, expect: Expect, write: Write) -> Result<Saved> {
        let dead = shelf.get(key).is_none_or(|there| !there.kind.is_live());
        if dead && write.record.kind.is_live() {
            shelf.put(key, write.record);
            return Ok(Saved::Done);
        }
        Ok(shelf.save_now(key, expect, write.record))
    }
}

/// Says that it is done, and does it a moment later.
#[derive(Default)]
pub(crate) struct SaveAfterResponse;

impl Deeds for SaveAfterResponse {
    fn save(&self, shelf: &Shelf, key: &Key, expect: Expect, write: Write) -> Result<Saved> {
        let (shelf, key) = (shelf.clone(), *key);
        tokio::spawn(async move {
            tokio::time::sleep(std::time::Duration::from_millis(15)).await;
            shelf.save_now(&key, expect, write.record);
        });
        Ok(Saved::Done)
    }
}

#[derive(Default)]
pub(crate) struct ReadErrorIsEmpty;

impl Deeds for ReadErrorIsEmpty {
    fn load(&self, shelf: &Shelf, key: &Key) -> Result<Option<Record>> {
        Ok(shelf.get(key).filter(|_| !rarely()))
    }
}

#[derive(Default)]
pub(crate) struct WriteErrorIsSuccess;

impl Deeds for WriteErrorIsSuccess {
    fn save(&self, shelf: &Shelf, key: &Key, expect: Expect, write: Write) -> Result<Saved> {
        if rarely() {
            return Ok(Saved::Done);
        }
        Ok(shelf.save_now(key, expect, write.record))
    }
}

/// Reads the record, and writes all of it back a moment later.
#[derive(Default)]
pub(crate) struct TouchRewrites;

impl Deeds for TouchRewrites {
    fn touch(&self, shelf: &Shelf, key: &Key, expires: Time) -> Result<()> {
        let (shelf, key, read) = (shelf.clone(), *key, shelf.get(key));
        if let Some(mut record) = read.filter(|record| record.kind.is_live()) {
            tokio::spawn(async move {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                record.expires = expires;
                shelf.put(&key, record);
            });
        }
        Ok(())
    }
}

/// A dead id is forgotten at once.
#[derive(Default)]
pub(crate) struct MarkersExpire;

fn without_markers(records: &mut Records) {
    records.retain(|_, record| record.kind.is_live());
}

impl Deeds for MarkersExpire {
    fn save(&self, shelf: &Shelf, key: &Key, expect: Expect, write: Write) -> Result<Saved> {
        let saved = shelf.save_now(key, expect, write.record);
        without_markers(&mut shelf.records());
        Ok(saved)
    }

    fn replace(&self, shelf: &Shelf, replace: Replace) -> Result<Saved> {
        let saved = shelf.replace_now(&replace);
        without_markers(&mut shelf.records());
        Ok(saved)
    }
}

/// What was stored is the state before, now and then.
#[derive(Default)]
pub(crate) struct LostIncrements;

impl Deeds for LostIncrements {
    fn save(&self, shelf: &Shelf, key: &Key, expect: Expect, write: Write) -> Result<Saved> {
        let before = shelf.get(key);
        let saved = shelf.save_now(key, expect, write.record);
        if let (Some(before), Saved::Done, true) = (before, &saved, rarely()) {
            shelf.put(key, before);
        }
        Ok(saved)
    }
}

/// The first answer is lost, and the driver sends again without a word: it meets its own write.
#[derive(Default)]
pub(crate) struct ResendsByItself;

impl Deeds for ResendsByItself {
    fn save(&self, shelf: &Shelf, key: &Key, expect: Expect, write: Write) -> Result<Saved> {
        if rarely() {
            shelf.save_now(key, expect, write.record.clone());
        }
        Ok(shelf.save_now(key, expect, write.record))
    }
}

/// Answers are lost now and then, and a writer does not find its own revision again.
#[derive(Default)]
pub(crate) struct OwnRevisions;

impl Deeds for OwnRevisions {
    fn save(&self, shelf: &Shelf, key: &Key, expect: Expect, write: Write) -> Result<Saved> {
        let mut record = write.record;
        if !rarely() {
            return Ok(shelf.save_now(key, expect, record));
        }
        record.revision = Revision::from_u64(fastrand::u64(..));
        shelf.save_now(key, expect, record);
        Err(failure())
    }
}

#[derive(Default)]
pub(crate) struct OldIdLives;

impl Deeds for OldIdLives {
    fn replace(&self, shelf: &Shelf, replace: Replace) -> Result<Saved> {
        let before = shelf.get(&replace.old);
        let saved = shelf.replace_now(&replace);
        if let (Some(before), Saved::Done) = (before, &saved) {
            shelf.put(&replace.old, before);
        }
        Ok(saved)
    }
}

#[derive(Default)]
pub(crate) struct LogoutForgotten;

impl Deeds for LogoutForgotten {
    fn save(&self, shelf: &Shelf, key: &Key, expect: Expect, write: Write) -> Result<Saved> {
        if write.record.kind == Kind::Destroyed {
            return Ok(Saved::Done);
        }
        Ok(shelf.save_now(key, expect, write.record))
    }
}

#[derive(Default)]
pub(crate) struct BlindReplace;

impl Deeds for BlindReplace {
    fn replace(&self, shelf: &Shelf, replace: Replace) -> Result<Saved> {
        shelf.put(&replace.old, replace.marker);
        shelf.put(&replace.new, replace.write.record);
        Ok(Saved::Done)
    }
}

/// A load now and then answers what was there a while ago.
#[derive(Default)]
pub(crate) struct StaleReads(Mutex<Records>);

impl Deeds for StaleReads {
    fn load(&self, shelf: &Shelf, key: &Key) -> Result<Option<Record>> {
        let mut copy = self.0.lock().unwrap();
        if fastrand::u8(..40) == 0 {
            copy.clone_from(&shelf.records());
        }
        let stale = copy.get(key).filter(|_| fastrand::u8(..4) == 0);
        Ok(stale.cloned().or_else(|| shelf.get(key)))
    }
}

/// Keys are mixed up now and then. It is the seal that such a record does not pass, so the fault needs the seal off, or the
/// whole of two records exchanged: here the successor of one is another's.
#[derive(Default)]
pub(crate) struct Mixed;

impl Deeds for Mixed {
    fn load(&self, shelf: &Shelf, key: &Key) -> Result<Option<Record>> {
        if !rarely() {
            return Ok(shelf.get(key));
        }
        let records = shelf.records();
        let live: Vec<&Record> = records
            .values()
            .filter(|record| record.kind.is_live())
            .collect();
        Ok(fastrand::choice(live).cloned())
    }
}

/// A save whose answer was lost is executed once more much later, whatever is there by then.
#[derive(Default)]
pub(crate) struct LateAndBlind;

impl Deeds for LateAndBlind {
    fn save(&self, shelf: &Shelf, key: &Key, expect: Expect, write: Write) -> Result<Saved> {
        if rarely() && write.record.kind.is_live() {
            let (shelf, key, record) = (shelf.clone(), *key, write.record.clone());
            tokio::spawn(async move {
                tokio::time::sleep(std::time::Duration::from_millis(60)).await;
                shelf.put(&key, record);
            });
        }
        Ok(shelf.save_now(key, expect, write.record))
    }
}

/// A load fails now and then.
#[derive(Default)]
pub(crate) struct ReadsFail;

impl Deeds for ReadsFail {
    fn load(&self, shelf: &Shelf, key: &Key) -> Result<Option<Record>> {
        if rarely() {
            return Err(failure());
        }
        Ok(shelf.get(key))
    }
}

/// A logout ends the session whose id it has sent, and not what that id has led to.
#[derive(Default)]
pub(crate) struct SuccessorsSurvive;

impl Deeds for SuccessorsSurvive {
    fn save(&self, shelf: &Shelf, key: &Key, expect: Expect, write: Write) -> Result<Saved> {
        let successor = Kind::Regenerated(*key);
        let is_successor = shelf
            .records()
            .values()
            .any(|there| there.kind == successor);
        if write.record.kind == Kind::Destroyed && is_successor {
            return Ok(Saved::Done);
        }
        Ok(shelf.save_now(key, expect, write.record))
    }
}

/// Whoever regenerates leaves a copy behind, under an id that nobody has.
#[derive(Default)]
pub(crate) struct RegenerateLeaks;

impl Deeds for RegenerateLeaks {
    fn replace(&self, shelf: &Shelf, replace: Replace) -> Result<Saved> {
        let copy: [u8; Key::LEN] = std::array::from_fn(|_| fastrand::u8(..));
        let copy = Key::from_bytes(&copy).unwrap();
        shelf.put(&copy, replace.write.record.clone());
        Ok(shelf.replace_now(&replace))
    }
}
