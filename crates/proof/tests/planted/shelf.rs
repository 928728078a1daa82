//! An honest store in memory that takes its time, so that calls meet.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use arvel_session::{
    Result, Time,
    store::{At, Capabilities, Expect, Key, Record, Reply, Revision, Saved, SessionStore, Write},
};

/// What is stored.
pub(crate) type Records = HashMap<Key, Record>;

/// Clones are the same store.
#[derive(Clone, Default)]
pub(crate) struct Shelf(Arc<Mutex<Records>>);

impl Shelf {
    pub(crate) fn records(&self) -> MutexGuard<'_, Records> {
        self.0.lock().unwrap()
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Record> {
        self.records().get(key).cloned()
    }

    pub(crate) fn put(&self, key: &Key, record: Record) {
        self.records().insert(*key, record);
    }

    pub(crate) fn save_now(&self, key: &Key, expect: Expect, record: Record) -> Saved {
        let mut records = self.records();
        let there = records.get(key);
        let expected = match (expect, there) {
            (Expect::Absent, there) => there.is_none(),
            (Expect::Revision(revision), there) => {
                there.is_some_and(|there| there.matches(revision))
            }
        };
        if !expected {
            return Saved::Conflict(there.cloned());
        }
        records.insert(*key, record);
        Saved::Done
    }

    pub(crate) fn replace_now(&self, replace: &Replace) -> Saved {
        let mut records = self.records();
        let there = records.get(&replace.old);
        if !there.is_some_and(|there| there.matches(replace.expect)) {
            return Saved::Conflict(there.cloned());
        }
        records.insert(replace.old, replace.marker.clone());
        records.insert(replace.new, replace.write.record.clone());
        Saved::Done
    }

    pub(crate) fn touch_now(&self, key: &Key, expires: Time) {
        let mut records = self.records();
        if let Some(record) = records.get_mut(key).filter(|record| record.kind.is_live()) {
            record.expires = expires;
        }
    }
}

/// The arguments of a replace.
#[derive(Clone)]
pub(crate) struct Replace {
    pub(crate) old: Key,
    pub(crate) expect: Revision,
    pub(crate) marker: Record,
    pub(crate) new: Key,
    pub(crate) write: Write,
}

/// What a store does with each call; the defaults are honest.
pub(crate) trait Deeds: Send + Sync + 'static {
    fn load(&self, shelf: &Shelf, key: &Key) -> Result<Option<Record>> {
        Ok(shelf.get(key))
    }

    fn save(&self, shelf: &Shelf, key: &Key, expect: Expect, write: Write) -> Result<Saved> {
        Ok(shelf.save_now(key, expect, write.record))
    }

    fn replace(&self, shelf: &Shelf, replace: Replace) -> Result<Saved> {
        Ok(shelf.replace_now(&replace))
    }

    fn touch(&self, shelf: &Shelf, key: &Key, expires: Time) -> Result<()> {
        shelf.touch_now(key, expires);
        Ok(())
    }
}

pub(crate) struct Honest;

impl Deeds for Honest {}

/// A store that several servers share.
#[derive(Clone)]
pub(crate) struct Store {
    shelf: Shelf,
    deeds: Arc<dyn Deeds>,
}

impl Store {
    pub(crate) fn new(deeds: Arc<dyn Deeds>) -> Self {
        Self {
            shelf: Shelf::default(),
            deeds,
        }
    }

    /// The names of the sessions that are alive.
    pub(crate) fn live(&self) -> BTreeSet<String> {
        let records = self.shelf.records();
        let live = records.iter().filter(|(_, record)| record.kind.is_live());
        live.map(|(key, _)| key.hex()).collect()
    }

    fn reply<T: Send + 'static>(
        &self,
        act: impl FnOnce(&dyn Deeds, &Shelf) -> Result<T> + Send + 'static,
    ) -> Reply<T> {
        let (deeds, shelf) = (self.deeds.clone(), self.shelf.clone());
        Reply::later(async move {
            pause().await;
            let done = act(&*deeds, &shelf);
            pause().await;
            done
        })
    }
}

/// The way there, or back.
async fn pause() {
    tokio::time::sleep(Duration::from_micros(fastrand::u64(..1500))).await;
}

impl SessionStore for Store {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new("planted")
    }

    fn load(&self, at: At<'_>) -> Reply<Option<Record>> {
        let At::Key(key) = at else {
            return Reply::ready(Ok(None));
        };
        let key = *key;
        self.reply(move |deeds, shelf| deeds.load(shelf, &key))
    }

    fn save(&self, key: &Key, expect: Expect, write: Write) -> Reply<Saved> {
        let key = *key;
        self.reply(move |deeds, shelf| deeds.save(shelf, &key, expect, write))
    }

    fn replace(
        &self,
        old: &Key,
        expect: Revision,
        marker: Record,
        new: &Key,
        write: Write,
    ) -> Reply<Saved> {
        let replace = Replace {
            old: *old,
            expect,
            marker,
            new: *new,
            write,
        };
        self.reply(move |deeds, shelf| deeds.replace(shelf, replace))
    }

    fn touch(&self, key: &Key, expires: Time, _: Time) -> Reply<()> {
        let key = *key;
        self.reply(move |deeds, shelf| deeds.touch(shelf, &key, expires))
    }

    fn sweep(&self, _: Time, _: usize) -> Reply<usize> {
        Reply::ready(Ok(0))
    }
}
