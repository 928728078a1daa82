//! A commit as a future: takes the changes out of the session, runs the machine, and puts the session on its new base.

use std::{
    mem::take,
    pin::Pin,
    sync::Arc,
    task::{Context as TaskContext, Poll, ready},
};

use super::{
    Engine,
    run::{Progress, Run, first_steps},
};
use crate::{
    Clock, Error, Result,
    lifecycle::{Commit, Committed, CookieChange, Moment, Work, redraft, restore},
    observe,
    session::{Phase, SessionData, State},
};

/// A commit under way. Dropped in the middle, it is finished in the background (R4).
pub(crate) struct CommitRun {
    engine: Arc<Engine>,
    /// Taken back by the caller in the end.
    session: Option<SessionData>,
    moment: Moment,
    run: Option<Box<Run<Commit>>>,
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
        let _on_panic = ReleaseOnPanic(session);
        let mut run = match self.run.take() {
            Some(run) => run,
            None => match ready!(self.begin(session, task)) {
                Begun::Done(result) => return Poll::Ready(result),
                Begun::Waiting(run) => run,
            },
        };
        match Pin::new(&mut run).poll(task) {
            Poll::Ready(result) => Poll::Ready(self.finish(session, &mut run.machine, result)),
            Poll::Pending => {
                self.run = Some(run);
                Poll::Pending
            }
        }
    }

    /// Takes the changes out of the session, once no other commit of it is under way.
    fn begin(&self, session: &SessionData, task: &mut TaskContext<'_>) -> Poll<Begun> {
        let mut state = session.state();
        if state.committing {
            if !state
                .waiting
                .iter()
                .any(|waker| waker.will_wake(task.waker()))
            {
                state.waiting.push(task.waker().clone());
            }
            return Poll::Pending;
        }
        let cx = &self.engine.cx;
        if cx.is_clean(&state, self.moment) {
            leave(&mut state, self.moment);
            return Poll::Ready(Begun::Done(Ok(CookieChange::Nothing)));
        }
        state.committing = true;
        let now = self.engine.clock.now();
        let mut work = Work::take(&mut state, cx, now, self.moment, session.is_shared());
        drop(state);
        work.hot = self.engine.is_hot(&work.origin);
        let mut commit = Commit::new(work);
        Poll::Ready(match first_steps(&self.engine, &mut commit, now) {
            Progress::Done(result) => Begun::Done(self.finish(session, &mut commit, result)),
            Progress::Waiting(waiting) => {
                Begun::Waiting(Run::new(self.engine.clone(), commit, waiting))
            }
        })
    }

    fn finish(
        &self,
        session: &SessionData,
        commit: &mut Commit,
        result: Result<Committed>,
    ) -> Result<CookieChange> {
        let driver = self.engine.cx.capabilities.name;
        let shared = session.is_shared();
        let mut state = session.state();
        let result = match result {
            Ok(committed) => {
                observe::committed(driver, committed.outcome);
                let cx = &self.engine.cx;
                Ok(cx.settle(&mut state, committed, self.moment, shared))
            }
            Err(error) => {
                observe::failed(driver, "commit", &error);
                match self.moment {
                    Moment::Save => restore(&mut state, commit.take_work()),
                    // The client was told that it was not kept, so no later save may slip it in.
                    Moment::Head { .. } | Moment::Body => redraft(&mut state),
                }
                Err(error)
            }
        };
        leave(&mut state, self.moment);
        release(&mut state);
        result
    }
}

/// What a session has for a commit before the head leaves.
pub(crate) enum Pass {
    /// Nobody has looked at it, and nobody can any more.
    Untouched,
    /// Nothing: what `save` has left to say, and whether the handler looked.
    Clean { change: CookieChange, read: bool },
    /// Something, or another commit of it is under way.
    Changed,
}

impl Engine {
    /// Most requests only read: they need no commit.
    pub(crate) fn pass(&self, session: &SessionData, moment: Moment) -> Pass {
        let mut state = session.state();
        if state.is_empty() && !session.is_shared() {
            return Pass::Untouched;
        }
        if state.committing || !self.cx.is_clean(&state, moment) {
            return Pass::Changed;
        }
        leave(&mut state, moment);
        Pass::Clean {
            change: take(&mut state.cookie),
            read: state.accessed,
        }
    }
}

/// While the lock is held: a save that comes now must not make a cookie that no head can carry.
fn leave(state: &mut State, moment: Moment) {
    if matches!(moment, Moment::Head { .. }) {
        state.phase = Phase::Body;
    }
}

/// Commits in the background what a session's body or handle has changed after the head left, and its client did not wait for.
pub(crate) fn finish_late(engine: &Arc<Engine>, session: &SessionData) {
    // A commit that has begun finishes by itself; one that still waits for another has taken nothing yet.
    if session.state().is_dirty()
        && let Ok(runtime) = tokio::runtime::Handle::try_current()
    {
        runtime.spawn(CommitRun::new(
            engine.clone(),
            session.clone(),
            Moment::Body,
        ));
    }
}

/// A commit after its first steps.
enum Begun {
    Done(Result<CookieChange>),
    Waiting(Box<Run<Commit>>),
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
