//! The state behind a handle.

use std::{mem::take, sync::Arc, task::Waker};

use super::{
    SessionData,
    draft::{Draft, Seen},
    journal::{Change, Op},
    json::Json,
};
use crate::{
    Result, Time,
    engine::Engine,
    lifecycle::{Attempt, CookieChange, Opened, Origin, rule},
    record::{Body, random},
    store::{Columns, Key, Reply},
};

/// What a session can ask of the place that it came from.
pub(crate) trait Home: Send + Sync {
    /// The CSRF token of this seed.
    fn csrf_token(&self, seed: &[u8; 16]) -> String;

    /// Whether this is the CSRF token of this seed.
    fn is_csrf_token(&self, seed: &[u8; 16], token: &str) -> bool;

    /// Whether sessions from there are those of this engine.
    fn is(&self, engine: &Engine) -> bool;

    /// Commits what was changed so far.
    fn save(&self, session: SessionData) -> Reply<()>;
}

/// What is to become of the session's id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Intent {
    #[default]
    Keep,
    Regenerate,
    Invalidate,
}

/// How far the request is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The response's head has not left: everything can be done.
    #[default]
    Head,
    /// The head has left; the body streams on, or the handle is detached.
    Body,
    /// Not part of a request: changes that nobody saves are expected.
    Fake,
}

/// Everything behind the handle's lock.
#[derive(Clone, Default)]
pub(crate) struct State {
    /// Where the readable flash stands, if there is any: the record as it was at open.
    opened: Option<Body>,
    /// Readable flash that was forgotten or flushed.
    gone: Gone,
    /// The same as of the last save, to which discarding goes back.
    gone_at_save: Gone,
    /// Sorted by nothing: there are few.
    now: Vec<(Arc<str>, Json)>,
    pub(crate) draft: Draft,
    pub(crate) journal: Vec<Op>,
    pub(crate) seen: Option<Seen>,
    pub(crate) origin: Origin,
    /// The successors that the browser's markers name: a logout ends these too (R11).
    pub(crate) chains: Vec<Key>,
    pub(crate) intent: Intent,
    /// The fingerprint, once there is one that is not the base's.
    pub(crate) serial: Option<u64>,
    /// A new session is kept even without content, since its CSRF token was shown.
    pub(crate) keep: bool,
    /// Whether the handler has looked at the session or changed it.
    pub(crate) accessed: bool,
    pub(crate) phase: Phase,
    /// What `save` left for the response's head to say.
    pub(crate) cookie: CookieChange,
    pub(crate) columns: Columns,
    /// When the session was loaded.
    pub(crate) opened_at: Time,
    /// Saves that failed, and whose outcome is unknown: the next one finds out.
    pub(crate) attempts: Vec<Attempt>,
    /// A commit of this handle is under way; these wait for it.
    pub(crate) committing: bool,
    pub(crate) waiting: Vec<Waker>,
}

#[derive(Clone, Default)]
struct Gone {
    all: bool,
    keys: Vec<Arc<str>>,
}

impl State {
    /// Begins with what was loaded.
    pub(crate) fn open(&mut self, opened: &mut Opened) {
        if let Origin::Live(live) = &opened.origin {
            self.seen = seen(&live.body);
            self.opened = self.seen.is_some().then(|| live.body.clone());
            self.draft = Draft::new(Some(live.body.clone()), self.seen.clone());
        }
        self.origin = take(&mut opened.origin);
        self.chains = take(&mut opened.chains);
        self.opened_at = opened.at;
    }

    /// Shows this body, and goes on from it: a fake's, which has no origin.
    pub(super) fn begin(&mut self, body: Body) {
        self.seen = seen(&body);
        self.draft = Draft::new(Some(body.clone()), self.seen.clone());
        self.opened = Some(body);
    }

    /// Applies an operation and notes it; on an error nothing has changed.
    pub(crate) fn change(&mut self, op: Op) -> Result<()> {
        self.draft.apply(&op)?;
        self.journal.push(op);
        Ok(())
    }

    /// Adds to a number, and answers the sum; on an error nothing has changed.
    pub(crate) fn add(&mut self, key: Arc<str>, amount: i64) -> Result<i64> {
        let sum = self.draft.add(&key, amount)?;
        self.journal.push(Op::Add { key, amount });
        Ok(sum)
    }

    /// Applies an operation that cannot fail.
    pub(crate) fn always(&mut self, op: Op) {
        let applied = self.change(op);
        debug_assert!(applied.is_ok(), "only push, add and update can fail");
    }

    /// Notes an update whose closure has run on the present value.
    pub(crate) fn computed(&mut self, key: Arc<str>, value: Json, change: Change) -> Result<()> {
        self.draft.apply(&Op::Put {
            key: key.clone(),
            value,
        })?;
        self.journal.push(Op::Update { key, change });
        Ok(())
    }

    /// What `get` sees: this request's own, then readable flash, then data.
    pub(crate) fn read(&self, key: &str) -> Option<&[u8]> {
        if let Some((_, json)) = self.now.iter().find(|(name, _)| **name == *key) {
            return Some(json.as_bytes());
        }
        let flash = self.readable().find(|(name, _)| *name == key);
        flash.map(|(_, json)| json).or_else(|| self.draft.data(key))
    }

    fn readable(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let opened = self.opened.as_ref().filter(|_| !self.gone.all);
        opened
            .into_iter()
            .flat_map(Body::flash)
            .filter(|entry| !self.gone.keys.iter().any(|key| **key == *entry.key))
            .map(|entry| (entry.key, entry.value))
    }

    /// Everything that can be read, what shadows later: data, readable flash, this request's own.
    pub(crate) fn read_all(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.draft
            .all_data()
            .chain(self.readable())
            .chain(self.now_values())
    }

    /// What `reflash` keeps, what shadows later.
    pub(crate) fn current_flash(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.readable().chain(self.now_values())
    }

    fn now_values(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.now.iter().map(|(key, json)| (&**key, json.as_bytes()))
    }

    pub(crate) fn set_now(&mut self, key: Arc<str>, json: Json) {
        self.now.retain(|(name, _)| *name != key);
        self.now.push((key, json));
    }

    pub(crate) fn forget(&mut self, key: Arc<str>) {
        self.now.retain(|(name, _)| *name != key);
        self.gone.keys.push(key.clone());
        self.always(Op::Forget { key });
    }

    pub(crate) fn flush(&mut self) {
        self.now.clear();
        self.gone.all = true;
        self.always(Op::Flush);
    }

    pub(crate) fn regenerate(&mut self) {
        if self.intent == Intent::Keep {
            self.intent = Intent::Regenerate;
        }
        self.serial = Some(u64::from_be_bytes(random()));
        self.always(Op::Seed(random()));
    }

    /// Nothing of the session stays, not even what this request did before.
    pub(crate) fn invalidate(&mut self) {
        self.now.clear();
        self.gone.all = true;
        self.draft = Draft::default();
        self.journal.clear();
        self.attempts.clear();
        self.keep = false;
        self.intent = Intent::Invalidate;
        self.serial = Some(u64::from_be_bytes(random()));
    }

    /// What was changed so far is stored.
    pub(crate) fn saved(&mut self) {
        self.gone_at_save = self.gone.clone();
    }

    /// Drops this request's changes.
    pub(crate) fn discard(&mut self) {
        let base = match &self.origin {
            Origin::Live(live) => Some(&live.body),
            _ if self.phase == Phase::Fake => self.opened.as_ref(),
            Origin::None | Origin::Marked => None,
        };
        self.draft = Draft::new(base.cloned(), self.seen.clone());
        self.journal.clear();
        self.attempts.clear();
        self.now.clear();
        self.gone = self.gone_at_save.clone();
        self.intent = Intent::Keep;
        self.serial = None;
        self.keep = false;
    }

    pub(crate) fn serial(&mut self) -> u64 {
        let base = self.draft.base().map(Body::serial);
        *self
            .serial
            .get_or_insert_with(|| base.unwrap_or_else(|| u64::from_be_bytes(random())))
    }

    /// The CSRF seed, drawn now where there is none yet.
    pub(crate) fn seed(&mut self) -> [u8; 16] {
        let known = self.draft.seed().filter(|_| rule!(Token));
        known.unwrap_or_else(|| {
            let seed = random();
            self.always(Op::Seed(seed));
            seed
        })
    }

    /// Whether anything was changed that no commit has stored.
    pub(crate) fn is_dirty(&self) -> bool {
        !self.journal.is_empty() || self.intent != Intent::Keep
    }
}

/// The flash of a record, by key and birth.
fn seen(body: &Body) -> Option<Seen> {
    body.has_flash().then(|| {
        body.flash()
            .filter_map(|entry| Some((entry.key.into(), entry.birth?)))
            .collect()
    })
}
