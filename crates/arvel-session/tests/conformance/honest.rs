//! Stores that keep the contract, in their several ways: what the broken ones are made of.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use arvel_session::{
    Clock, Error, ErrorKind, Result, SystemClock, Time,
    conformance::Opener,
    store::{At, Capabilities, Expect, Key, Record, Reply, Revision, Saved, SessionStore, Write},
};

/// A small limit, so that a hundred runs of the suite take seconds.
const LIMIT: usize = 64 << 10;

/// A map under a lock.
#[derive(Clone)]
pub(crate) struct Shelf {
    pub(crate) capabilities: Capabilities,
    records: Arc<Mutex<HashMap<Key, Record>>>,
}

impl Shelf {
    /// Everything that can be declared.
    pub(crate) fn server() -> Self {
        let mut capabilities = Capabilities::new("shelf");
        capabilities.max_bytes = LIMIT;
        Self {
            capabilities,
            records: Arc::default(),
        }
    }

    /// Each handle is a store of its own, and gone when it is dropped.
    pub(crate) fn memory() -> Self {
        let mut shelf = Self::server();
        (shelf.capabilities.shared, shelf.capabilities.persistent) = (false, false);
        shelf
    }

    /// What expires goes by itself.
    pub(crate) fn expiring() -> Self {
        let mut shelf = Self::server();
        shelf.capabilities.sweeps = false;
        shelf
    }

    pub(crate) fn records(&self) -> MutexGuard<'_, HashMap<Key, Record>> {
        let mut records = self.records.lock().unwrap();
        if !self.capabilities.sweeps {
            let now = SystemClock.now();
            records.retain(|_, record| !record.is_expired(now));
        }
        records
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Record> {
        self.records().get(key).cloned()
    }

    pub(crate) fn put(&self, key: Key, record: Record) {
        self.records().insert(key, record);
    }

    /// The contract's heart, and the only place where it stands.
    pub(crate) fn expected(there: Option<&Record>, expect: Expect) -> bool {
        match (there, expect) {
            (None, Expect::Absent) => true,
            (Some(there), Expect::Revision(revision)) => there.matches(revision),
            _ => false,
        }
    }

    pub(crate) fn save_now(&self, key: &Key, expect: Expect, record: Record) -> Saved {
        let mut records = self.records();
        let there = records.get(key);
        if !Self::expected(there, expect) {
            return Saved::Conflict(there.cloned());
        }
        records.insert(*key, record);
        Saved::Done
    }

    pub(crate) fn replace_now(
        &self,
        old: &Key,
        expect: Revision,
        marker: Record,
        new: &Key,
        record: Record,
    ) -> Saved {
        let mut records = self.records();
        let there = records.get(old);
        if !Self::expected(there, Expect::Revision(expect)) {
            return Saved::Conflict(there.cloned());
        }
        records.insert(*old, marker);
        records.insert(*new, record);
        Saved::Done
    }

    pub(crate) fn touch_now(&self, key: &Key, expires: Time) {
        if let Some(record) = self.records().get_mut(key)
            && record.kind.is_live()
        {
            record.expires = expires;
        }
    }

    pub(crate) fn sweep_now(&self, max: usize, expired: impl Fn(&Record) -> bool) -> usize {
        let mut records = self.records();
        let gone: Vec<Key> = records
            .iter()
            .filter(|(_, record)| expired(record))
            .map(|(key, _)| *key)
            .take(max)
            .collect();
        for key in &gone {
            records.remove(key);
        }
        gone.len()
    }
}

impl SessionStore for Shelf {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn load(&self, at: At<'_>) -> Reply<Option<Record>> {
        Reply::ready(Ok(match at {
            At::Key(key) => self.records().get(key).cloned(),
            At::Payload(_) => None,
        }))
    }

    fn save(&self, key: &Key, expect: Expect, write: Write) -> Reply<Saved> {
        let fits = self.capabilities.check_size(&write.record);
        Reply::ready(fits.map(|()| self.save_now(key, expect, write.record)))
    }

    fn replace(
        &self,
        old: &Key,
        expect: Revision,
        marker: Record,
        new: &Key,
        write: Write,
    ) -> Reply<Saved> {
        if !self.capabilities.atomic_replace {
            return Reply::ready(Err(unsupported()));
        }
        let fits = self.capabilities.check_size(&write.record);
        Reply::ready(fits.map(|()| self.replace_now(old, expect, marker, new, write.record)))
    }

    fn touch(&self, key: &Key, expires: Time, _now: Time) -> Reply<()> {
        self.touch_now(key, expires);
        Reply::ready(Ok(()))
    }

    fn sweep(&self, now: Time, max: usize) -> Reply<usize> {
        if !self.capabilities.sweeps {
            return Reply::ready(Ok(0));
        }
        Reply::ready(Ok(self.sweep_now(max, |record| record.is_expired(now))))
    }
}

pub(crate) fn unsupported() -> Error {
    Error::new(ErrorKind::Unsupported, "no replace here")
}

/// The browser holds the record.
#[derive(Clone)]
pub(crate) struct Tokens(pub(crate) Capabilities);

impl Tokens {
    pub(crate) fn new() -> Self {
        let mut capabilities = Capabilities::new("tokens");
        (capabilities.server_side, capabilities.atomic_replace) = (false, false);
        (capabilities.sweeps, capabilities.max_bytes) = (false, 3000);
        Self(capabilities)
    }
}

impl SessionStore for Tokens {
    fn capabilities(&self) -> Capabilities {
        self.0
    }

    fn load(&self, at: At<'_>) -> Reply<Option<Record>> {
        Reply::ready(match at {
            At::Key(_) => Ok(None),
            At::Payload(token) => Record::decode(token.to_vec().into()).map(Some),
        })
    }

    fn save(&self, _key: &Key, _expect: Expect, write: Write) -> Reply<Saved> {
        let fits = self.0.check_size(&write.record);
        Reply::ready(fits.map(|()| Saved::Token(write.record.encode())))
    }

    fn touch(&self, _key: &Key, _expires: Time, _now: Time) -> Reply<()> {
        Reply::ready(Ok(()))
    }

    fn sweep(&self, _now: Time, _max: usize) -> Reply<usize> {
        Reply::ready(Ok(0))
    }
}

/// An opener that makes each handle with this.
pub(crate) fn opener<S: SessionStore>(open: impl Fn() -> S + Send + Sync + 'static) -> Opener {
    Opener::private(move || {
        let store = open();
        async move { Result::Ok(store) }
    })
}

/// An opener whose handles are clones: one place.
pub(crate) fn shared<S: SessionStore + Clone>(store: S) -> Opener {
    opener(move || store.clone())
}
