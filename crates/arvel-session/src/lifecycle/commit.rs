//! Storing what a request changed: which way a commit goes, and what is common to all of them.
//!
//! A commit that meets a conflict replays its journal on what is there (R7) and tries again. A save whose answer was lost
//! is sent again, once, and recognises itself by its revision (R8). What happens to ids is in `replace.rs` (regenerate)
//! and `destroy.rs` (invalidate).

use std::sync::Arc;

use super::{
    Answer, Ask, Carrier, Context, CookieChange, Machine, Origin, Step,
    destroy::Destroy,
    failures::{damaged, lost_answer, lost_record},
    open::unexpected,
    refresh::renewed,
    replace::Replace,
    rule,
    work::{Place, Target, Work},
};
use crate::{
    Error, ErrorKind, Result, Time, observe,
    record::{Age, Id, Key, Kind, Record, Revision, Token},
    session::{Draft, Intent},
    store::{Expect, Saved, Write},
};

/// How many markers a commit follows; a chain that is longer grows faster than it can be followed.
const MAX_HOPS: u8 = 32;

/// What a commit has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// There was nothing to store.
    Unchanged,
    Saved,
    Created,
    Regenerated,
    Destroyed,
    /// The id was regenerated meanwhile: the changes are in the successor.
    Superseded,
    /// The session has ended meanwhile: the changes are gone with it.
    Dropped,
}

/// How a commit ended.
#[derive(Clone, Debug)]
pub(crate) struct Committed {
    pub(crate) outcome: Outcome,
    pub(crate) cookie: CookieChange,
    pub(crate) basis: Basis,
}

/// What the request stands on from now on.
#[derive(Clone, Debug)]
pub(crate) enum Basis {
    /// What it stood on before.
    Same,
    Stored(Stored),
    /// No session: it has left the one that it came with, and there was nothing to store. What is put now begins a new one.
    Nothing,
}

/// A record that this request has stored.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) key: Key,
    pub(crate) carrier: Carrier,
    pub(crate) write: Arc<Write>,
}

/// Stores the changes of one request.
#[derive(Clone)]
pub(crate) struct Commit {
    pub(super) work: Work,
    pub(super) stage: Stage,
    /// What was asked last, to be sent again if its answer is lost.
    sent: Option<Ask>,
    resent: bool,
    hops: u8,
}

#[derive(Clone)]
pub(super) enum Stage {
    Idle,
    /// Over a live record: the request's own, or a successor.
    Saving(Target, Arc<Write>),
    /// A new session.
    Creating(Option<Id>, Arc<Write>),
    /// Whether this record, which was due to expire by now, is alive all the same.
    Expiring(Target),
    /// For the other commits of this session, to save over this record next.
    Waiting(Target),
    /// Looking for the live end of a chain, to replay the journal there.
    Following(Key),
    Replacing(Box<Replace>),
    Destroying(Box<Destroy>),
}

pub(super) type Next = Result<Step<Result<Committed>>>;

impl Commit {
    pub(crate) fn new(work: Work) -> Self {
        Self {
            work,
            stage: Stage::Idle,
            sent: None,
            resent: false,
            hops: 0,
        }
    }

    /// What was to be done, back.
    pub(crate) fn take_work(&mut self) -> Work {
        std::mem::take(&mut self.work)
    }

    fn start(&mut self, cx: &Context, now: Time) -> Next {
        let target = match &self.work.origin {
            Origin::Live(live) => Some(Target::own(live)),
            Origin::None | Origin::Marked => None,
        };
        let marked = matches!(self.work.origin, Origin::Marked);
        match (self.work.intent, target) {
            (Intent::Invalidate, target) => self.destroy(cx, now, target),
            (Intent::Regenerate, Some(target)) if cx.capabilities.server_side => {
                self.check_head()?;
                self.replace(cx, now, target, None)
            }
            (_, Some(target)) => {
                if !self.work.has_changes(cx) {
                    return Ok(Step::Done(Ok(self.unchanged(cx, now))));
                }
                if !cx.capabilities.server_side {
                    self.check_head()?;
                }
                if self.work.hot && !self.work.is_soft() && self.work.attempts.is_empty() {
                    return self.queue(target);
                }
                self.save(cx, now, target, None)
            }
            // Parallel requests at a login must not log the user out (R12).
            (Intent::Keep, None) if marked && rule!(R12) => Ok(self.dropped()),
            (_, None) => self.create(cx, now, None),
        }
    }

    /// Nothing to store; the cookie may have to be sent again all the same.
    pub(super) fn unchanged(&self, cx: &Context, now: Time) -> Committed {
        let cookie = match &self.work.origin {
            Origin::Live(live) if self.work.refresh => renewed(cx, live, now),
            _ => CookieChange::Nothing,
        };
        Committed {
            outcome: Outcome::Unchanged,
            cookie,
            basis: Basis::Same,
        }
    }

    pub(super) fn dropped(&self) -> Step<Result<Committed>> {
        let outcome = if self.work.is_soft() {
            Outcome::Unchanged
        } else {
            Outcome::Dropped
        };
        Step::Done(Ok(Committed {
            outcome,
            cookie: CookieChange::Nothing,
            basis: Basis::Same,
        }))
    }

    pub(super) fn check_head(&self) -> Result<()> {
        if !self.work.late {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::TooLate,
            "the response's head has left: its cookie can no longer be changed",
        ))
    }

    pub(super) fn ask(&mut self, stage: Stage, ask: Ask) -> Next {
        self.stage = stage;
        self.sent = Some(ask.clone());
        Ok(Step::Ask(ask))
    }

    /// Counts a step along a chain of markers.
    pub(super) fn hop(&mut self) -> Result<()> {
        self.hops += 1;
        if self.hops > MAX_HOPS {
            return Err(Error::new(
                ErrorKind::Timeout,
                "the session's id is being changed faster than it can be followed",
            ));
        }
        Ok(())
    }

    /// `draft` is the journal on what is there now; without one, on what was loaded.
    pub(super) fn save(
        &mut self,
        cx: &Context,
        now: Time,
        target: Target,
        draft: Option<&Draft>,
    ) -> Next {
        if target.expires <= now && rule!(Expired) {
            return self.expiring(cx, now, target);
        }
        let place = Place {
            key: &target.key,
            over: Some(target.revision),
        };
        let write = Arc::new(self.work.write(cx, now, place, draft)?);
        let ask = Ask::Save(target.key, Expect::Revision(target.revision), write.clone());
        self.work.attempt(write.record.revision, target.revision);
        self.ask(Stage::Saving(target, write), ask)
    }

    /// A session of its own, under an id that nobody has seen.
    pub(super) fn create(&mut self, cx: &Context, now: Time, draft: Option<&Draft>) -> Next {
        if !draft.unwrap_or(&self.work.draft).has_content() && !self.work.keep {
            let basis = if rule!(R12Empty) {
                Basis::Nothing
            } else {
                Basis::Same
            };
            return Ok(Step::Done(Ok(Committed {
                outcome: Outcome::Unchanged,
                cookie: CookieChange::Nothing,
                basis,
            })));
        }
        self.check_head()?;
        let id = cx.capabilities.server_side.then(Id::random);
        let key = id.as_ref().map_or(Key::NONE, Id::key);
        let place = Place {
            key: &key,
            over: None,
        };
        let write = Arc::new(self.work.write(cx, now, place, draft)?);
        let ask = Ask::Save(key, Expect::Absent, write.clone());
        self.ask(Stage::Creating(id, write), ask)
    }

    fn saved(&mut self, cx: &Context, now: Time, saved: Saved) -> Next {
        let unknown = std::mem::take(&mut self.resent) && rule!(R8);
        match std::mem::replace(&mut self.stage, Stage::Idle) {
            Stage::Saving(target, write) => match saved {
                Saved::Done => Ok(self.settled(cx, now, &target, write)),
                Saved::Token(bytes) => self.carried(cx, now, &bytes, write),
                Saved::Conflict(there) => {
                    // Without an earlier attempt or a lost answer, a conflict says that nothing was executed.
                    let doubtful = unknown || self.work.attempts.len() > 1;
                    let lost = unknown.then_some(write.record.revision);
                    self.save_conflict(cx, now, target, there, doubtful, lost)
                }
            },
            Stage::Creating(id, write) => match (saved, id) {
                (Saved::Token(bytes), _) => self.carried(cx, now, &bytes, write),
                (Saved::Done, Some(id)) => Ok(self.created(cx, now, id, write)),
                (Saved::Conflict(Some(there)), Some(id))
                    if there.matches(write.record.revision) =>
                {
                    Ok(self.created(cx, now, id, write))
                }
                _ => Err(unexpected()),
            },
            Stage::Replacing(replace) => self.replace_answered(cx, now, *replace, saved, unknown),
            Stage::Destroying(destroy) => self.destroy_answered(cx, now, *destroy, saved),
            Stage::Idle | Stage::Expiring(_) | Stage::Waiting(_) | Stage::Following(_) => {
                Err(unexpected())
            }
        }
    }

    pub(super) fn save_conflict(
        &mut self,
        cx: &Context,
        now: Time,
        target: Target,
        there: Option<Record>,
        doubtful: bool,
        lost: Option<Revision>,
    ) -> Next {
        let Some(there) = there.filter(|record| !record.is_expired(now)) else {
            return self.vanished(cx, now, &target);
        };
        match there.kind {
            Kind::Plain | Kind::Sealed => {
                let current =
                    Target::read(cx, target.key, &there, target.own).ok_or_else(damaged)?;
                if lost.is_some_and(|sent| current.descends_from(sent)) {
                    return Ok(self.settled(cx, now, &target, Arc::new(Write::new(there, now))));
                }
                if !doubtful {
                    self.work.attempts.clear();
                }
                self.again(cx, current)
            }
            _ if doubtful && rule!(R8Marker) => Err(lost_answer()),
            Kind::Regenerated(successor) if rule!(R9) => {
                self.work.attempts.clear();
                self.follow(successor)
            }
            Kind::Regenerated(_) | Kind::Destroyed => Ok(self.dropped()),
        }
    }

    pub(super) fn follow(&mut self, successor: Key) -> Next {
        self.hop()?;
        self.ask(Stage::Following(successor), Ask::Load(successor))
    }

    fn loaded(&mut self, cx: &Context, now: Time, loaded: Result<Option<Record>>) -> Next {
        let there = loaded?;
        let stage = std::mem::replace(&mut self.stage, Stage::Idle);
        if let Stage::Expiring(target) = stage {
            return self.found_at_end(cx, now, target, there);
        }
        let record = there.filter(|record| !record.is_expired(now));
        match stage {
            Stage::Following(key) => self.followed(cx, now, key, record),
            Stage::Destroying(destroy) => self.destroy_found(cx, now, *destroy, record),
            _ => Err(unexpected()),
        }
    }

    fn followed(&mut self, cx: &Context, now: Time, key: Key, record: Option<Record>) -> Next {
        let record = record.ok_or_else(lost_record)?;
        match record.kind {
            Kind::Regenerated(successor) => self.follow(successor),
            Kind::Destroyed => Ok(self.dropped()),
            Kind::Plain | Kind::Sealed => {
                let target = Target::read(cx, key, &record, false).ok_or_else(damaged)?;
                let draft = self.work.replay(Some(target.body.clone()))?;
                if !self.work.is_worth_a_retry(&draft) {
                    return Ok(self.dropped());
                }
                self.save(cx, now, target, Some(&draft))
            }
        }
    }

    /// A save over a live record is done.
    fn settled(
        &self,
        cx: &Context,
        now: Time,
        target: &Target,
        write: Arc<Write>,
    ) -> Step<Result<Committed>> {
        let Origin::Live(live) = &self.work.origin else {
            return Step::Done(Err(unexpected()));
        };
        if !target.own && rule!(R9Cookie) {
            return Step::Done(Ok(Committed {
                outcome: Outcome::Superseded,
                cookie: CookieChange::Nothing,
                basis: Basis::Same,
            }));
        }
        let mut carrier = live.carrier;
        let mut cookie = CookieChange::Nothing;
        if let (Carrier::Id(token), true) = (live.carrier, self.work.refresh) {
            let token = Token::issue(token.id, now);
            cookie = cx.id_cookie(&token, now, write.record.expires);
            carrier = Carrier::Id(token);
        }
        Step::Done(Ok(Committed {
            outcome: Outcome::Saved,
            cookie,
            basis: Basis::Stored(Stored {
                key: target.key,
                carrier,
                write,
            }),
        }))
    }

    /// The browser is to hold this record.
    fn carried(&self, cx: &Context, now: Time, bytes: &[u8], write: Arc<Write>) -> Next {
        let outcome = match (&self.work.origin, self.work.intent) {
            (Origin::Live(_), Intent::Keep) => Outcome::Saved,
            (Origin::Live(_), Intent::Regenerate) => Outcome::Regenerated,
            _ => Outcome::Created,
        };
        Ok(Step::Done(Ok(Committed {
            outcome,
            cookie: cx.payload_cookie(bytes, now, write.record.expires),
            basis: Basis::Stored(Stored {
                key: Key::NONE,
                carrier: Carrier::Payload(Age::Current),
                write,
            }),
        })))
    }

    fn created(
        &self,
        cx: &Context,
        now: Time,
        id: Id,
        write: Arc<Write>,
    ) -> Step<Result<Committed>> {
        self.issued(cx, now, id, write, Outcome::Created)
    }

    /// A record is stored under a new id: the browser is told.
    pub(super) fn issued(
        &self,
        cx: &Context,
        now: Time,
        id: Id,
        write: Arc<Write>,
        outcome: Outcome,
    ) -> Step<Result<Committed>> {
        let token = Token::issue(id, now);
        Step::Done(Ok(Committed {
            outcome,
            cookie: cx.id_cookie(&token, now, write.record.expires),
            basis: Basis::Stored(Stored {
                key: id.key(),
                carrier: Carrier::Id(token),
                write,
            }),
        }))
    }

    fn advance(&mut self, cx: &Context, now: Time, answer: Option<Answer>) -> Next {
        match answer {
            None => self.start(cx, now),
            Some(Answer::Saved(Err(error))) => match self.sent.clone() {
                Some(ask) if !self.resent && error.is_unavailable() => {
                    observe::failed(cx.capabilities.name, "save", &error);
                    self.resent = true;
                    Ok(Step::Ask(ask))
                }
                _ => Err(error),
            },
            Some(Answer::Saved(Ok(saved))) => self.saved(cx, now, saved),
            Some(Answer::Loaded(loaded)) => self.loaded(cx, now, loaded),
            Some(Answer::Queued(left)) => self.queued(cx, now, left),
            Some(Answer::Touched(_)) => Err(unexpected()),
        }
    }

    /// The failure of mere upkeep is nobody's business.
    fn failed(&self, cx: &Context, error: Error) -> Result<Committed> {
        if !self.work.is_soft() || !rule!(R3) {
            return Err(error);
        }
        observe::failed(cx.capabilities.name, "upkeep", &error);
        Ok(Committed {
            outcome: Outcome::Unchanged,
            cookie: CookieChange::Nothing,
            basis: Basis::Same,
        })
    }
}

impl Machine for Commit {
    type Output = Result<Committed>;
    const NAME: &'static str = "commit";

    fn step(&mut self, cx: &Context, now: Time, answer: Option<Answer>) -> Step<Self::Output> {
        match self.advance(cx, now, answer) {
            Ok(Step::Done(Err(error))) | Err(error) => Step::Done(self.failed(cx, error)),
            Ok(step) => step,
        }
    }

    fn give_up(&mut self, cx: &Context, error: Error) -> Self::Output {
        self.failed(cx, error)
    }
}
