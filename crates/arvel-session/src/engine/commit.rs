//! A commit as a future: takes the changes out of the session, runs the machine, and puts the session on its new base.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context as TaskContext, Poll, ready},
};

use super::{Engine, run::Run};
use crate::{
    Clock, Error, Result,
    lifecycle::{Commit, Committed, CookieChange, Live, Origin, Outcome, Work, due},
    observe,
    session::{Draft, Intent, Phase, SessionData, State},
};

/// At which moment of a request a commit takes place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Before the response's head leaves.
    Head {
        /// Consume the flash that the request saw.
        age: bool,
        /// The browser is going to a page, rather than fetching something for one.
        navigation: bool,
    },
    /// In `save()`, whenever.
    Save,
    /// When a streaming body ends.
    Body,
}

/// A commit under way. Dropped in the middle, it is finished in the background (R4).
pub(crate) struct CommitRun {
    engine: Arc<Engine>,
    /// Taken back by the caller in the end.
    session: Option<SessionData>,
    moment: Moment,
    run: Option<Run<Commit>>,
    /// Nobody waits for it any more; if the runtime ends, so does this.
    in_background: bool,
}

impl CommitRun {
    pub(crate) fn new(engine: Arc<Engine>, session: SessionData, moment: Moment) -> Self {
        Self {
            engine,
            session: Some(session),
            moment,
            run: None,
            in_background: false,
        }
    }

    /// The session, once the commit is done.
    pub(crate) fn take_session(&mut self) -> Option<SessionData> {
        self.session.take()
    }

    fn poll_with(
        &mut self,
        session: &SessionData,
        task: &mut TaskContext<'_>,
    ) -> Poll<Result<CookieChange>> {
        let mut run = match self.run.take() {
            Some(run) => run,
            None => ready!(self.begin(session, task)),
        };
        let _on_panic = ReleaseOnPanic(session);
        match Pin::new(&mut run).poll(task) {
            Poll::Ready(result) => Poll::Ready(self.finish(session, run, result)),
            Poll::Pending => {
                self.run = Some(run);
                Poll::Pending
            }
        }
    }

    /// Takes the changes out of the session, once no other commit of it is under way.
    fn begin(&self, session: &SessionData, task: &mut TaskContext<'_>) -> Poll<Run<Commit>> {
        let mut state = session.state();
        if state.committing {
            if !state.waiting.iter().any(|waker| waker.will_wake(task.waker())) {
                state.waiting.push(task.waker().clone());
            }
            return Poll::Pending;
        }
        state.committing = true;
        let work = self.take_work(&mut state);
        drop(state);
        Poll::Ready(Run::new(self.engine.clone(), Commit::new(work)))
    }

    fn take_work(&self, state: &mut State) -> Work {
        let (age, navigation) = match self.moment {
            Moment::Head { age, navigation } => (age, navigation),
            Moment::Save | Moment::Body => (false, false),
        };
        let now = self.engine.clock.now();
        let refresh = match (&state.origin, self.moment) {
            (Origin::Live(live), Moment::Head { .. }) => {
                due(&self.engine.cx, live, now, navigation)
            }
            _ => false,
        };
        Work {
            origin: state.origin.clone(),
            chains: state.chains.clone(),
            intent: std::mem::take(&mut state.intent),
            draft: state.draft.clone(),
            journal: std::mem::take(&mut state.journal),
            seen: state.seen.clone(),
            age,
            keep: state.keep,
            refresh,
            serial: state.serial,
            columns: state.columns.clone(),
            late: state.phase == Phase::Body,
            opened: state.opened_at,
            attempts: std::mem::take(&mut state.attempts),
        }
    }

    fn finish(
        &self,
        session: &SessionData,
        run: Run<Commit>,
        result: Result<Committed>,
    ) -> Result<CookieChange> {
        let driver = self.engine.cx.capabilities.name;
        let shared = session.is_shared();
        let mut state = session.state();
        let result = match result {
            Ok(committed) => {
                observe::committed(driver, committed.outcome);
                Ok(self.settle(&mut state, committed, shared))
            }
            Err(error) => {
                observe::failed(driver, "commit", &error);
                match self.moment {
                    Moment::Save => restore(&mut state, run.machine.into_work()),
                    // The client was told that it was not kept, so no later save may slip it in.
                    Moment::Head { .. } | Moment::Body => redraft(&mut state),
                }
                Err(error)
            }
        };
        if matches!(self.moment, Moment::Head { .. }) {
            // While the lock is held: a save that comes now must not make a cookie that no head can carry.
            state.phase = Phase::Body;
        }
        release(&mut state);
        result
    }

    /// Puts the session on what is stored now.
    fn settle(&self, state: &mut State, committed: Committed, shared: bool) -> CookieChange {
        match (committed.outcome, committed.stored) {
            (Outcome::Destroyed, _) => rebase(state, Origin::None),
            // Nobody but us holds the session any more: nobody will ask it anything.
            (_, Some(stored)) if shared => {
                let opened = self.engine.cx.disclose(&stored.key, &stored.record);
                if let Some((body, _)) = opened {
                    let live = Live {
                        key: stored.key,
                        carrier: stored.carrier,
                        revision: stored.record.revision,
                        expires: stored.record.expires,
                        body,
                        reseal: false,
                    };
                    rebase(state, Origin::Live(Box::new(live)));
                }
            }
            _ => {}
        }
        if self.moment == Moment::Save {
            state.saved();
        }
        if self.moment == Moment::Save && committed.cookie != CookieChange::Nothing {
            state.cookie = committed.cookie;
            return CookieChange::Nothing;
        }
        committed.cookie
    }
}

/// The session goes on from `origin`, with what was changed while it was being stored.
fn rebase(state: &mut State, origin: Origin) {
    state.origin = origin;
    state.chains.clear();
    if state.intent == Intent::Keep {
        state.serial = None;
        state.keep = false;
    }
    redraft(state);
}

/// The session as it is stored, with what is in the journal.
fn redraft(state: &mut State) {
    let base = match &state.origin {
        // Invalidated while it was being stored: nothing of that may stay.
        Origin::Live(live) if state.intent != Intent::Invalidate => Some(live.body.clone()),
        Origin::Live(_) | Origin::None | Origin::Marked => None,
    };
    let mut draft = Draft::new(base, state.seen.clone());
    state.journal.retain(|op| draft.apply(op).is_ok());
    state.draft = draft;
}

/// Gives the session back what could not be stored.
fn restore(state: &mut State, mut work: Work) {
    if state.intent == Intent::Invalidate {
        return;
    }
    work.journal.append(&mut state.journal);
    state.journal = work.journal;
    state.attempts = work.attempts;
    state.intent = state.intent.max(work.intent);
}

/// A closure of `update` may panic when it is called again: whoever waits for this commit must not wait for ever.
struct ReleaseOnPanic<'a>(&'a SessionData);

impl Drop for ReleaseOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            release(&mut self.0.state());
        }
    }
}

fn release(state: &mut State) {
    state.committing = false;
    for waker in state.waiting.drain(..) {
        waker.wake();
    }
}

impl Future for CommitRun {
    type Output = Result<CookieChange, Error>;

    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let commit = self.get_mut();
        let Some(session) = commit.session.take() else {
            return Poll::Pending;
        };
        let polled = commit.poll_with(&session, task);
        commit.session = Some(session);
        polled
    }
}

impl Drop for CommitRun {
    fn drop(&mut self) {
        let (Some(run), Some(session)) = (self.run.take(), self.session.take()) else {
            return;
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) if !self.in_background => {
                runtime.spawn(Self {
                    engine: self.engine.clone(),
                    session: Some(session),
                    moment: self.moment,
                    run: Some(run),
                    in_background: true,
                });
            }
            _ => release(&mut session.state()),
        }
    }
}
