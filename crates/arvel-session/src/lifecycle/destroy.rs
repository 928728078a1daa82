//! Invalidating: the session and everything that its markers lead to ends (R11); what was put afterwards begins a new one.

use super::{
    Ask, Committed, Context, CookieChange, Step,
    commit::{Basis, Commit, Outcome, Stage},
    failures::lost_record,
    replace::{durable, marker},
    rule,
    work::Target,
};
use crate::{
    Result, Time,
    record::{Key, Kind, Record, Revision},
    store::{Expect, Saved},
};

/// A destruction under way.
#[derive(Clone)]
pub(super) struct Destroy {
    /// What is being looked at or turned into a marker.
    key: Key,
    /// The live record to turn into a marker, once it is known.
    revision: Option<Revision>,
    /// The revision of the marker that was sent.
    marker: Option<Revision>,
    /// The request's own session, while `key` is that.
    own: Option<Target>,
    /// Keys that are still to be looked at.
    doomed: Vec<Key>,
    /// Whether this request has ended anything.
    done: bool,
}

type Next = Result<Step<Result<Committed>>>;

impl Commit {
    pub(super) fn destroy(&mut self, cx: &Context, now: Time, own: Option<Target>) -> Next {
        let destroy = Destroy {
            key: own.as_ref().map_or(Key::NONE, |own| own.key),
            revision: own.as_ref().map(|own| own.revision),
            marker: None,
            own,
            doomed: self.work.chains.clone(),
            done: false,
        };
        if destroy.own.is_some() && !cx.capabilities.server_side {
            // What the browser holds ends by being replaced there.
            self.check_head()?;
            return self.destroyed(cx, now, true);
        }
        if destroy.own.is_some() {
            self.destroy_current(cx, now, destroy)
        } else {
            self.destroy_next(cx, now, destroy)
        }
    }

    /// Turns the current record into a marker.
    pub(super) fn destroy_current(
        &mut self,
        cx: &Context,
        now: Time,
        mut destroy: Destroy,
    ) -> Next {
        let Some(revision) = destroy.revision else {
            return self.destroy_next(cx, now, destroy);
        };
        let marker = marker(cx, now, Kind::Destroyed);
        destroy.marker = Some(marker.revision);
        let ask = Ask::Save(
            destroy.key,
            Expect::Revision(revision),
            durable(marker, now),
        );
        self.ask(Stage::Destroying(Box::new(destroy)), ask)
    }

    fn destroy_next(&mut self, cx: &Context, now: Time, mut destroy: Destroy) -> Next {
        let Some(key) = destroy.doomed.pop().filter(|_| rule!(R11)) else {
            return self.destroyed(cx, now, destroy.done);
        };
        self.hop()?;
        let destroy = Destroy {
            key,
            revision: None,
            marker: None,
            own: None,
            ..destroy
        };
        self.ask(Stage::Destroying(Box::new(destroy)), Ask::Load(key))
    }

    pub(super) fn destroy_answered(
        &mut self,
        cx: &Context,
        now: Time,
        mut destroy: Destroy,
        saved: Saved,
    ) -> Next {
        match saved {
            Saved::Conflict(there) => {
                let there = there.filter(|record| !record.is_expired(now));
                self.destroy_found(cx, now, destroy, there)
            }
            Saved::Done | Saved::Token(_) => {
                destroy.done = true;
                self.destroy_next(cx, now, destroy)
            }
        }
    }

    /// Decides by what is there under the current key.
    pub(super) fn destroy_found(
        &mut self,
        cx: &Context,
        now: Time,
        mut destroy: Destroy,
        there: Option<Record>,
    ) -> Next {
        match there {
            Some(there) if there.kind.is_live() => {
                let queue = Ask::Queue(destroy.key);
                destroy.revision = Some(there.revision);
                self.ask(Stage::Destroying(Box::new(destroy)), queue)
            }
            Some(there) => {
                destroy.done |= destroy.marker == Some(there.revision);
                if let Kind::Regenerated(successor) = there.kind {
                    destroy.doomed.push(successor);
                }
                self.destroy_next(cx, now, destroy)
            }
            // What a marker leads to is live, or has left a younger marker. If there is nothing all the same, that was
            // lost, or has come and gone while this request took its time: nobody knows where the session went.
            None => match &destroy.own {
                Some(own) if self.has_expired(cx, now, own) => self.destroy_next(cx, now, destroy),
                _ => Err(lost_record()),
            },
        }
    }

    /// Everything is ended: on to what was put afterwards.
    fn destroyed(&mut self, cx: &Context, now: Time, done: bool) -> Next {
        if self.work.draft.has_content() || self.work.keep {
            return self.create(cx, now, None);
        }
        let (outcome, cookie) = if done {
            (Outcome::Destroyed, CookieChange::Remove)
        } else {
            (Outcome::Dropped, CookieChange::Nothing)
        };
        Ok(Step::Done(Ok(Committed {
            outcome,
            cookie,
            basis: Basis::Nothing,
        })))
    }
}
