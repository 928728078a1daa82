//! A session as it will be stored: a base record with changes on top, made by applying operations.
//!
//! The same operations, applied to another base, are the replay that keeps two concurrent requests' changes (R7).

use std::sync::Arc;

use super::{
    journal::Op,
    json::{self, Json},
};
use crate::{
    Result,
    lifecycle::rule,
    record::{Body, BodyWriter, Entry, Meta, RawEntry, Revision},
};

/// The flash entries that a request saw, by key and birth: what its ageing consumes, and nothing else.
pub(crate) type Seen = Arc<[(Box<str>, Revision)]>;

/// A base and what was changed on it.
#[derive(Clone, Default)]
pub(crate) struct Draft {
    base: Option<Body>,
    seen: Option<Seen>,
    /// Whether everything in the base is gone.
    flushed: bool,
    /// Sorted by key; `None` is removed.
    data: Vec<(Arc<str>, Option<Json>)>,
    /// Sorted by key; what the next request will see.
    flash: Vec<(Arc<str>, Flash)>,
    user: Option<Option<Arc<str>>>,
    seed: Option<[u8; 16]>,
}

#[derive(Clone)]
enum Flash {
    Set(Json),
    /// By `reflash` or `keep`: whoever sets anew wins.
    Kept(Json),
    /// The base's is gone.
    Gone,
}

impl Draft {
    /// Nothing changed yet on `base`, for a request that saw `seen` of its flash.
    pub(crate) fn new(base: Option<Body>, seen: Option<Seen>) -> Self {
        Self {
            base,
            seen,
            ..Self::default()
        }
    }

    /// The same operations on another base.
    pub(crate) fn replay<'a>(
        base: Option<Body>,
        seen: Option<Seen>,
        journal: impl IntoIterator<Item = &'a Op>,
    ) -> Result<Self> {
        let mut draft = Self::new(base, seen);
        for op in journal {
            draft.apply(op)?;
        }
        Ok(draft)
    }

    /// Applies one operation; on an error nothing has changed.
    pub(crate) fn apply(&mut self, op: &Op) -> Result<()> {
        match op {
            Op::Put { key, value } => self.set(key, value),
            Op::Remember { key, value } if self.data(key).is_none() => self.set(key, value),
            Op::Remember { .. } => {}
            Op::Forget { key } => self.forget(key),
            Op::Flush => self.flush(),
            Op::Push { key, item } => {
                let current = self.data(key);
                let list = json::append(current, item)
                    .ok_or_else(|| json::mismatch(key, "a list", current.unwrap_or_default()))?;
                self.set(key, &list);
            }
            Op::Add { key, amount } => {
                self.add(key, *amount)?;
            }
            Op::Update { key, change } => {
                let value = change(self.data(key))?;
                self.set(key, &value);
            }
            Op::Flash { key, value } => self.set_flash(key, Flash::Set(value.clone())),
            Op::Keep { key, value } => self.keep(key, value),
            Op::User(user) => self.user = Some(user.clone()),
            Op::Seed(seed) => self.seed = Some(*seed),
        }
        Ok(())
    }

    /// Adds to a number, and answers the sum; on an error nothing has changed.
    pub(crate) fn add(&mut self, key: &Arc<str>, amount: i64) -> Result<i64> {
        let sum = super::journal::add(key, self.data(key), amount)?;
        self.set(key, &itoa::Buffer::new().format(sum).into());
        Ok(sum)
    }

    fn set(&mut self, key: &Arc<str>, value: &Json) {
        insert(&mut self.data, key, Some(value.clone()));
    }

    fn set_flash(&mut self, key: &Arc<str>, flash: Flash) {
        insert(&mut self.flash, key, flash);
    }

    fn forget(&mut self, key: &Arc<str>) {
        insert(&mut self.data, key, None);
        self.set_flash(key, Flash::Gone);
    }

    fn flush(&mut self) {
        self.flushed = true;
        self.data.clear();
        self.flash.clear();
        self.user = Some(None);
    }

    /// Keeps a flash for one more request, unless a newer one of the same key is there.
    fn keep(&mut self, key: &Arc<str>, value: &Json) {
        let set_here = matches!(find(&self.flash, key.as_bytes()), Some(Flash::Set(_)));
        let set_elsewhere = self
            .base_flash()
            .any(|entry| entry.key == &**key && !self.has_seen(entry.key.as_bytes(), entry.birth));
        if !set_here && !set_elsewhere {
            self.set_flash(key, Flash::Kept(value.clone()));
        }
    }

    fn base_data(&self) -> impl Iterator<Item = Entry<'_>> {
        let base = self.base.as_ref().filter(|_| !self.flushed);
        base.into_iter().flat_map(Body::data)
    }

    fn base_flash(&self) -> impl Iterator<Item = Entry<'_>> {
        let base = self.base.as_ref().filter(|_| !self.flushed);
        base.into_iter().flat_map(Body::flash)
    }

    fn has_seen(&self, key: &[u8], birth: Option<Revision>) -> bool {
        let mut seen = self.seen.iter().flat_map(|seen| seen.iter());
        seen.any(|(name, born)| name.as_bytes() == key && (Some(*born) == birth || !rule!(Birth)))
    }

    /// A key's stored value, readable flash aside.
    pub(crate) fn data(&self, key: &str) -> Option<&[u8]> {
        if let Some(changed) = find(&self.data, key.as_bytes()) {
            return changed.as_ref().map(|json| json.as_bytes());
        }
        self.base.as_ref().filter(|_| !self.flushed)?.get(key)
    }

    /// All stored keys and values, readable flash aside.
    pub(crate) fn all_data(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let unchanged = self
            .base_data()
            .filter(|entry| {
                self.data.is_empty() || find(&self.data, entry.key.as_bytes()).is_none()
            })
            .map(|entry| (entry.key, entry.value));
        unchanged.chain(self.changed_data())
    }

    fn changed_data(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.data
            .iter()
            .filter_map(|(key, value)| Some((&**key, value.as_ref()?.as_bytes())))
    }

    /// What the next request will be able to read once.
    pub(crate) fn next_flash(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.flash.iter().filter_map(|(key, flash)| match flash {
            Flash::Set(json) | Flash::Kept(json) => Some((&**key, json.as_bytes())),
            Flash::Gone => None,
        })
    }

    /// Whether ageing has anything to consume in the base.
    pub(crate) fn has_flash_to_age(&self) -> bool {
        self.base_flash()
            .any(|entry| self.has_seen(entry.key.as_bytes(), entry.birth))
    }

    /// Whether there is anything to keep of a session that does not exist yet.
    pub(crate) fn has_content(&self) -> bool {
        self.all_data().next().is_some()
            || self.next_flash().next().is_some()
            || self.base_flash().next().is_some()
            || self.user().is_some()
    }

    pub(crate) fn user(&self) -> Option<&str> {
        match &self.user {
            Some(user) => user.as_deref(),
            None => self.base.as_ref()?.user(),
        }
    }

    /// The CSRF seed, where an operation or the base gives one.
    pub(crate) fn seed(&self) -> Option<[u8; 16]> {
        self.seed.or_else(|| self.base.as_ref().map(Body::seed))
    }

    pub(crate) fn base(&self) -> Option<&Body> {
        self.base.as_ref()
    }

    /// Whether an entry of the base is stored again as it is.
    fn stays(&self, entry: &RawEntry<'_>, age: bool) -> bool {
        match entry.birth {
            None => self.data.is_empty() || find(&self.data, entry.key).is_none(),
            Some(_) => {
                let aged = age && self.has_seen(entry.key, entry.birth);
                !aged && find(&self.flash, entry.key).is_none()
            }
        }
    }

    /// The body to store as `revision`, behind `room` bytes for the seal's nonce; `age` consumes the flash that was seen.
    pub(crate) fn encode(
        &self,
        room: usize,
        meta: &Meta,
        revision: Revision,
        age: bool,
    ) -> Vec<u8> {
        let changed = self
            .data
            .iter()
            .map(|(key, value)| 16 + key.len() + value.as_ref().map_or(0, |value| value.len()));
        let capacity = self.base.as_ref().map_or(64, Body::len) + changed.sum::<usize>() + 64;
        let mut writer = BodyWriter::new(room, capacity, meta, self.user());
        if let Some(base) = self.base.as_ref().filter(|_| !self.flushed) {
            base.pieces(|entry| self.stays(entry, age))
                .for_each(|piece| writer.piece(piece));
        }
        for (key, value) in self.changed_data() {
            writer.entry(Entry {
                birth: None,
                key,
                value,
            });
        }
        for (key, value) in self.next_flash() {
            writer.entry(Entry {
                birth: Some(revision),
                key,
                value,
            });
        }
        writer.finish()
    }
}

fn find<'a, V>(sorted: &'a [(Arc<str>, V)], key: &[u8]) -> Option<&'a V> {
    let at = sorted
        .binary_search_by(|(name, _)| name.as_bytes().cmp(key))
        .ok()?;
    Some(&sorted[at].1)
}

fn insert<V>(sorted: &mut Vec<(Arc<str>, V)>, key: &Arc<str>, value: V) {
    match sorted.binary_search_by(|(name, _)| name.cmp(key)) {
        Ok(at) => sorted[at].1 = value,
        Err(at) => sorted.insert(at, (key.clone(), value)),
    }
}
