//! The `memory` driver: this process's memory. The driver to copy.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{At, Capabilities, Expect, Key, Record, Reply, Revision, Saved, SessionStore, Write};
use crate::{Result, Time};

/// So many that two requests rarely meet, and that a sweep never holds one for long.
const SHARDS: usize = 1024;

/// Keeps sessions in this process, for tests and for single processes. They end with it.
///
/// No live session is ever evicted, so memory is bounded by the number of visitors within a lifetime.
#[derive(Debug)]
pub struct MemoryStore {
    shards: Box<[Mutex<Shard>]>,
    /// Where the next sweep begins.
    next: AtomicUsize,
}

type Shard = HashMap<[u8; 32], Record, BuildHasherDefault<Spread>>;

/// Keys are hashes already: eight bytes of one are as good as any other hash of it.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(eight) = bytes.last_chunk::<8>() {
            self.0 = u64::from_le_bytes(*eight);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            next: AtomicUsize::new(0),
        }
    }

    /// How many records it holds, markers and what is not swept yet included.
    pub fn len(&self) -> usize {
        (0..SHARDS).map(|index| self.shard(index).len()).sum()
    }

    /// Whether it holds no record at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn index(key: &Key) -> usize {
        let [high, low, ..] = *key.hash();
        usize::from(u16::from_be_bytes([high, low])) % SHARDS
    }

    fn shard(&self, index: usize) -> MutexGuard<'_, Shard> {
        self.shards[index]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn save_now(&self, key: &Key, expect: Expect, write: Write) -> Result<Saved> {
        self.capabilities().check_size(&write.record)?;
        let mut shard = self.shard(Self::index(key));
        Ok(put(&mut shard, key, expect, write.record))
    }

    fn replace_now(
        &self,
        old: &Key,
        expect: Revision,
        marker: Record,
        new: &Key,
        write: Write,
    ) -> Result<Saved> {
        self.capabilities().check_size(&write.record)?;
        let (first, second) = (Self::index(old), Self::index(new));
        // Always in the same order, so that two replaces never wait for each other.
        let mut low = self.shard(first.min(second));
        let mut high = (first != second).then(|| self.shard(first.max(second)));
        let old_is_low = first <= second;
        let old_shard = match &mut high {
            Some(high) if !old_is_low => &mut **high,
            _ => &mut *low,
        };
        let saved = put(old_shard, old, Expect::Revision(expect), marker);
        if matches!(saved, Saved::Done) {
            let new_shard = match &mut high {
                Some(high) if old_is_low => &mut **high,
                _ => &mut *low,
            };
            new_shard.insert(*new.hash(), write.record);
        }
        Ok(saved)
    }
}

/// Compare and set.
fn put(shard: &mut Shard, key: &Key, expect: Expect, record: Record) -> Saved {
    let there = shard.get_mut(key.hash());
    match (expect, there) {
        (Expect::Absent, None) => {
            shard.insert(*key.hash(), record);
            Saved::Done
        }
        (Expect::Revision(revision), Some(there)) if there.matches(revision) => {
            *there = record;
            Saved::Done
        }
        (_, there) => Saved::Conflict(there.cloned()),
    }
}

impl SessionStore for MemoryStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            shared: false,
            persistent: false,
            ..Capabilities::new("memory")
        }
    }

    fn load(&self, at: At<'_>) -> Reply<Option<Record>> {
        Reply::ready(Ok(match at {
            At::Key(key) => self.shard(Self::index(key)).get(key.hash()).cloned(),
            At::Payload(_) => None,
        }))
    }

    fn save(&self, key: &Key, expect: Expect, write: Write) -> Reply<Saved> {
        Reply::ready(self.save_now(key, expect, write))
    }

    fn replace(
        &self,
        old: &Key,
        expect: Revision,
        marker: Record,
        new: &Key,
        write: Write,
    ) -> Reply<Saved> {
        Reply::ready(self.replace_now(old, expect, marker, new, write))
    }

    fn touch(&self, key: &Key, expires: Time, now: Time) -> Reply<()> {
        if let Some(record) = self.shard(Self::index(key)).get_mut(key.hash())
            && record.kind.is_live()
            && !record.is_expired(now)
        {
            record.expires = expires;
        }
        Reply::ready(Ok(()))
    }

    fn sweep(&self, now: Time, max: usize) -> Reply<usize> {
        let mut removed = 0;
        for _ in 0..SHARDS {
            if removed == max {
                break;
            }
            let index = self.next.fetch_add(1, Ordering::Relaxed) % SHARDS;
            let mut shard = self.shard(index);
            let expired = shard.extract_if(|_, record| record.is_expired(now));
            let expired: Vec<(_, Record)> = expired.take(max - removed).collect();
            // Whoever waits for the shard does not wait for the allocator too.
            drop(shard);
            removed += expired.len();
        }
        Reply::ready(Ok(removed))
    }
}
