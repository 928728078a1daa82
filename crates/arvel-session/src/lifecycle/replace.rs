//! Regenerating: the session moves to a new id, and the old one is dead (DESIGN §4).
//!
//! One atomic step where the store has one. Elsewhere the new record is stored first, and turning the old one into a
//! marker is the commit; if that meets a conflict, the new record is turned into a marker too (not deleted: a delayed
//! insert would revive it) and the next try takes a fresh id. A crash in between leaves a record that nobody knows of.

use std::sync::Arc;

use super::{
    Ask, Committed, Context, Replacement, Step,
    commit::{Commit, Outcome, Stage},
    failures::{damaged, lost_record},
    open::unexpected,
    rule,
    work::{Place, Target},
};
use crate::{
    Result, Time,
    record::{Id, Kind, Record, Revision},
    session::Draft,
    store::{Expect, Saved, Write},
};

/// A replace under way.
#[derive(Clone)]
pub(super) struct Replace {
    old: Target,
    new: Id,
    marker: Record,
    write: Arc<Write>,
    part: Part,
}

#[derive(Clone)]
enum Part {
    /// Both in one step.
    Whole,
    /// The new record, first.
    Insert,
    /// The old one, into a marker.
    Mark,
    /// The new one, into a marker, since the old one has changed to this.
    Retract(Option<Record>),
}

type Next = Result<Step<Result<Committed>>>;

impl Commit {
    /// `draft` is the journal on what is there now; without one, on what was loaded.
    pub(super) fn replace(
        &mut self,
        cx: &Context,
        now: Time,
        old: Target,
        draft: Option<&Draft>,
    ) -> Next {
        if old.expires <= now && rule!(Expired) {
            return self.expiring(cx, now, old);
        }
        let new = Id::random_beside(&old.key);
        let key = new.key();
        let place = Place {
            key: &key,
            over: None,
        };
        let mut write = self.work.write(cx, now, place, draft)?;
        write.durable = true;
        let write = Arc::new(write);
        let marker = marker(cx, now, Kind::Regenerated(key));
        let part = if cx.capabilities.atomic_replace {
            Part::Whole
        } else {
            Part::Insert
        };
        self.ask_replace(
            now,
            Replace {
                old,
                new,
                marker,
                write,
                part,
            },
        )
    }

    fn ask_replace(&mut self, now: Time, replace: Replace) -> Next {
        let new = replace.new.key();
        let ask = match &replace.part {
            Part::Whole => Ask::Replace(Arc::new(Replacement {
                old: replace.old.key,
                expect: replace.old.revision,
                marker: replace.marker.clone(),
                new,
                write: replace.write.clone(),
            })),
            Part::Insert => Ask::Save(new, Expect::Absent, replace.write.clone()),
            Part::Mark => Ask::Save(
                replace.old.key,
                Expect::Revision(replace.old.revision),
                durable(replace.marker.clone(), now),
            ),
            Part::Retract(_) => {
                let destroyed = Record {
                    kind: Kind::Destroyed,
                    ..replace.marker.clone()
                };
                let revision = replace.write.record.revision;
                Ask::Save(new, Expect::Revision(revision), durable(destroyed, now))
            }
        };
        self.ask(Stage::Replacing(Box::new(replace)), ask)
    }

    pub(super) fn replace_answered(
        &mut self,
        cx: &Context,
        now: Time,
        mut replace: Replace,
        saved: Saved,
        unknown: bool,
    ) -> Next {
        match (replace.part, saved) {
            (Part::Whole | Part::Mark, Saved::Done) => {
                let outcome = Outcome::Regenerated;
                Ok(self.issued(cx, now, replace.new, replace.write, outcome))
            }
            (Part::Whole | Part::Mark, Saved::Conflict(Some(there)))
                if unknown && there.revision == replace.marker.revision =>
            {
                let outcome = Outcome::Regenerated;
                Ok(self.issued(cx, now, replace.new, replace.write, outcome))
            }
            (Part::Whole, Saved::Conflict(there)) => {
                self.replace_conflict(cx, now, &replace.old, there)
            }
            (Part::Insert, saved) => {
                let revision = replace.write.record.revision;
                let inserted = match saved {
                    Saved::Done => true,
                    Saved::Conflict(there) => there.is_some_and(|there| there.matches(revision)),
                    Saved::Token(_) => false,
                };
                if !inserted {
                    return Err(unexpected());
                }
                replace.part = Part::Mark;
                self.ask_replace(now, replace)
            }
            (Part::Mark, Saved::Conflict(there)) => {
                replace.part = Part::Retract(there);
                self.ask_replace(now, replace)
            }
            (Part::Retract(there), Saved::Done | Saved::Conflict(_)) => {
                self.replace_conflict(cx, now, &replace.old, there)
            }
            (_, Saved::Token(_)) => Err(unexpected()),
        }
    }

    /// The old id is not what it was, so the replace was not executed.
    pub(super) fn replace_conflict(
        &mut self,
        cx: &Context,
        now: Time,
        old: &Target,
        there: Option<Record>,
    ) -> Next {
        let there = there.filter(|record| !record.is_expired(now));
        let kind = there.as_ref().map(|record| record.kind);
        match (kind, there) {
            (Some(Kind::Plain | Kind::Sealed), Some(there)) => {
                let current = Target::read(cx, old.key, &there, old.own).ok_or_else(damaged)?;
                self.again(cx, current)
            }
            (Some(Kind::Regenerated(successor)), _) if !rule!(R12Own) => self.follow(successor),
            // A login that was sent twice makes two sessions: this one of what the request loaded and wrote (R12).
            (Some(Kind::Regenerated(_)), _) => self.create(cx, now, None),
            (Some(Kind::Destroyed), _) => self.create_alone(cx, now),
            _ if self.has_expired(cx, now, old) => self.create_alone(cx, now),
            _ => Err(lost_record()),
        }
    }

    /// A session of nothing but what this request wrote.
    pub(super) fn create_alone(&mut self, cx: &Context, now: Time) -> Next {
        let draft = self.work.replay(None)?;
        self.create(cx, now, Some(&draft))
    }
}

/// A marker of a new revision.
pub(super) fn marker(cx: &Context, now: Time, kind: Kind) -> Record {
    Record::new(
        kind,
        Revision::random(),
        now.after(cx.rules.grace),
        Vec::new(),
    )
}

pub(super) fn durable(record: Record, now: Time) -> Arc<Write> {
    let mut write = Write::new(record, now);
    write.durable = true;
    Arc::new(write)
}
