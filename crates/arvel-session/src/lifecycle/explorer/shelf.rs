//! The simplest store that keeps the contract.

use std::collections::BTreeMap;

use crate::{
    lifecycle::{Answer, Ask, rule},
    record::{Key, Record},
    store::{Expect, Saved},
};

#[derive(Clone, Debug, Default)]
pub(super) struct Shelf(pub(super) BTreeMap<Key, Record>);

impl Shelf {
    pub(super) fn execute(&mut self, ask: &Ask) -> Answer {
        match ask {
            Ask::Load(key) => Answer::Loaded(Ok(self.0.get(key).cloned())),
            Ask::Save(key, expect, write) => {
                Answer::Saved(Ok(self.put(*key, *expect, &write.record)))
            }
            Ask::Replace(ask) => {
                let saved = self.put(ask.old, Expect::Revision(ask.expect), &ask.marker);
                if matches!(saved, Saved::Done) {
                    self.0.insert(ask.new, ask.write.record.clone());
                }
                Answer::Saved(Ok(saved))
            }
            Ask::Touch(key, expires) => {
                let there = self.0.get_mut(key);
                if let Some(there) = there.filter(|there| there.kind.is_live() || !rule!(Marker)) {
                    there.expires = *expires;
                }
                Answer::Touched(Ok(()))
            }
            Ask::Read(_) | Ask::Queue(_) => panic!("this is no question to a server's store"),
        }
    }

    fn put(&mut self, key: Key, expect: Expect, record: &Record) -> Saved {
        let holds = match (expect, self.0.get(&key)) {
            (Expect::Absent, there) => there.is_none(),
            (Expect::Revision(revision), there) => {
                there.is_some_and(|there| there.matches(revision))
            }
        };
        if holds {
            self.0.insert(key, record.clone());
            return Saved::Done;
        }
        Saved::Conflict(self.0.get(&key).cloned())
    }
}
