//! What a commit has to do, and the session that it does it to.

use super::{Context, Live, Origin, rule};
use crate::{
    Result, Time,
    record::{Age, Body, Earlier, Key, Meta, Record, Revision, random},
    session::{Draft, Intent, Op, Seen},
    store::{Columns, Write},
};

/// A request's changes, taken out of its session.
#[derive(Clone, Default)]
pub(crate) struct Work {
    pub(crate) origin: Origin,
    pub(crate) chains: Vec<Key>,
    pub(crate) intent: Intent,
    /// The journal, applied to the record as it was loaded.
    pub(crate) draft: Draft,
    pub(crate) journal: Vec<Op>,
    pub(crate) seen: Option<Seen>,
    /// Consume the flash that the request saw.
    pub(crate) age: bool,
    /// Keep a new session even without content.
    pub(crate) keep: bool,
    /// Send the cookie again, though nothing changed.
    pub(crate) refresh: bool,
    pub(crate) serial: Option<u64>,
    pub(crate) columns: Columns,
    /// The head has left: no cookie can be sent.
    pub(crate) late: bool,
    /// Other commits of this session queue in this process: it goes behind them before it saves anything.
    pub(crate) hot: bool,
    /// When the session was loaded.
    pub(crate) opened: Time,
    /// Saves of which nobody knows yet whether they were executed.
    pub(crate) attempts: Vec<Attempt>,
}

/// A save that was sent over a live record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    revision: Revision,
    over: Revision,
    /// How much of the journal it held.
    changes: usize,
}

impl Work {
    /// Nothing but upkeep: if that fails, nobody has to know.
    pub(crate) fn is_soft(&self) -> bool {
        self.intent == Intent::Keep && self.journal.is_empty()
    }

    /// Whether the live session has to be written.
    pub(super) fn has_changes(&self, cx: &Context) -> bool {
        let (reseal, in_browser) = match &self.origin {
            Origin::Live(live) => (live.reseal, !cx.capabilities.server_side),
            Origin::None | Origin::Marked => (false, false),
        };
        // In the browser a reseal is a new cookie, so it waits for the same moment.
        let upkeep = if in_browser { self.refresh } else { reseal };
        !self.is_soft() || upkeep || (self.age && self.draft.has_flash_to_age())
    }

    /// Whether there is still something to do on what was found in place of the request's own record: the flash may have
    /// been aged by somebody else, and a new seal for the old content can wait (R10).
    pub(super) fn is_worth_a_retry(&self, draft: &Draft) -> bool {
        !self.is_soft() || (self.age && draft.has_flash_to_age())
    }

    /// Notes a save that is about to be sent.
    pub(super) fn attempt(&mut self, revision: Revision, over: Revision) {
        let changes = self.journal.len();
        self.attempts.push(Attempt {
            revision,
            over,
            changes,
        });
    }

    /// Finds out by what is there now which saves of unknown outcome were executed, so that what they held is not done
    /// twice; false when that cannot be told.
    pub(super) fn resolve_attempts(&mut self, current: &Target) -> bool {
        let attempts = std::mem::take(&mut self.attempts);
        let executed = attempts
            .iter()
            .find(|attempt| current.descends_from(attempt.revision));
        if let Some(executed) = executed {
            self.journal.drain(..executed.changes);
            return true;
        }
        let refused = |attempt: &Attempt| current.descends_from(attempt.over);
        let known = attempts.iter().all(refused) || !rule!(R8Forgotten);
        self.attempts = attempts;
        if known {
            // What it expects is still there, so it may be executed yet.
            let over = current.revision;
            self.attempts.retain(|attempt| attempt.over == over);
        }
        known
    }

    /// The same changes on another base.
    pub(super) fn replay(&self, base: Option<Body>) -> Result<Draft> {
        Draft::replay(base, self.seen.clone(), &self.journal)
    }

    /// What is to be stored at this place: `draft`, or the one on what was loaded.
    pub(super) fn write(
        &self,
        cx: &Context,
        now: Time,
        place: Place<'_>,
        draft: Option<&Draft>,
    ) -> Result<Write> {
        let draft = draft.unwrap_or(&self.draft);
        let revision = Revision::random();
        let base = draft.base();
        let created = match (self.intent, base) {
            (Intent::Invalidate, _) | (_, None) => now,
            (_, Some(base)) => base.created(),
        };
        let meta = Meta {
            created,
            serial: self.serial_over(base),
            seed: draft.seed().unwrap_or_else(random),
            earlier: match (place.over, base) {
                (Some(over), Some(base)) => std::iter::once(over).chain(base.earlier()).collect(),
                _ => Earlier::default(),
            },
        };
        let body = draft.encode(cx.room(), &meta, revision, self.age);
        let expires = cx.rules.expiry(now, created);
        let mut write = Write::new(cx.enclose(place.key, revision, expires, body), now);
        write.columns = self.columns.clone();
        write.columns.user = draft.user().map(Into::into);
        cx.check_size(&write.record)?;
        Ok(write)
    }

    fn serial_over(&self, base: Option<&Body>) -> u64 {
        let kept = base
            .filter(|_| self.intent == Intent::Keep)
            .map(Body::serial);
        kept.or(self.serial)
            .unwrap_or_else(|| u64::from_be_bytes(random()))
    }
}

/// Under which key a write goes, and over which revision.
pub(super) struct Place<'a> {
    pub(super) key: &'a Key,
    pub(super) over: Option<Revision>,
}

/// A live record that a commit is about to change.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) key: Key,
    pub(super) revision: Revision,
    pub(super) expires: Time,
    pub(super) body: Body,
    /// It is what the request came with, not a successor.
    pub(super) own: bool,
}

impl Target {
    pub(super) fn own(live: &Live) -> Self {
        Self {
            key: live.key,
            revision: live.revision,
            expires: live.expires,
            body: live.body.clone(),
            own: true,
        }
    }

    /// The record that is there now; `None` when it cannot be opened.
    pub(super) fn read(cx: &Context, key: Key, record: &Record, own: bool) -> Option<Self> {
        let (body, _): (Body, Age) = cx.disclose(&key, record)?;
        Some(Self {
            key,
            revision: record.revision,
            expires: record.expires,
            body,
            own,
        })
    }

    /// Whether this record is, or comes after, that revision.
    pub(super) fn descends_from(&self, revision: Revision) -> bool {
        self.revision == revision || self.body.earlier().any(|earlier| earlier == revision)
    }
}
