//! A store that keeps encoded records, as a server of bytes does, and lets a test change them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use arvel_session::{
    Time,
    store::{At, Capabilities, Expect, Key, Record, Reply, Revision, Saved, SessionStore, Write},
};

type Rows = BTreeMap<Key, Vec<u8>>;

/// Clones are the same store.
#[derive(Clone, Default)]
pub(super) struct Blobs(Arc<Mutex<Rows>>);

impl Blobs {
    pub(super) fn rows(&self) -> MutexGuard<'_, Rows> {
        self.0.lock().unwrap()
    }

    /// The session that was stored last, of those that `known` does not name.
    pub(super) fn newcomer(&self, known: &[Key]) -> Key {
        let rows = self.rows();
        let mut new = rows.keys().filter(|key| !known.contains(key));
        let key = *new.next().unwrap();
        assert_eq!(new.next(), None, "one at a time");
        key
    }

    /// Looks at the revision and the kind where they stand, as a script on a server does.
    fn holds(there: Option<&Vec<u8>>, expect: Expect) -> bool {
        match expect {
            Expect::Absent => there.is_none(),
            Expect::Revision(revision) => there.is_some_and(|bytes| {
                Record::revision_of(bytes) == Some(revision)
                    && bytes[Record::KIND_AT] < Record::FIRST_MARKER
            }),
        }
    }

    fn decoded(there: Option<&Vec<u8>>) -> arvel_session::Result<Option<Record>> {
        there
            .map(|bytes| Record::decode(bytes.clone().into()))
            .transpose()
    }
}

impl SessionStore for Blobs {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new("blobs")
    }

    fn load(&self, at: At<'_>) -> Reply<Option<Record>> {
        let At::Key(key) = at else {
            unreachable!("a server-side store is asked for keys")
        };
        Reply::ready(Self::decoded(self.rows().get(key)))
    }

    fn save(&self, key: &Key, expect: Expect, write: Write) -> Reply<Saved> {
        let mut rows = self.rows();
        if !Self::holds(rows.get(key), expect) {
            return Reply::ready(Self::decoded(rows.get(key)).map(Saved::Conflict));
        }
        rows.insert(*key, write.record.encode());
        Reply::ready(Ok(Saved::Done))
    }

    fn replace(
        &self,
        old: &Key,
        expect: Revision,
        marker: Record,
        new: &Key,
        write: Write,
    ) -> Reply<Saved> {
        let mut rows = self.rows();
        if !Self::holds(rows.get(old), Expect::Revision(expect)) {
            return Reply::ready(Self::decoded(rows.get(old)).map(Saved::Conflict));
        }
        rows.insert(*old, marker.encode());
        rows.insert(*new, write.record.encode());
        Reply::ready(Ok(Saved::Done))
    }

    fn touch(&self, key: &Key, expires: Time, _: Time) -> Reply<()> {
        let mut rows = self.rows();
        if let Some(bytes) = rows.get_mut(key)
            && bytes[Record::KIND_AT] < Record::FIRST_MARKER
        {
            let place = Record::EXPIRES_AT..Record::HEADER;
            bytes[place].copy_from_slice(&expires.as_millis().to_be_bytes());
        }
        Reply::ready(Ok(()))
    }

    fn sweep(&self, _: Time, _: usize) -> Reply<usize> {
        Reply::ready(Ok(0))
    }
}
