//! Driving a machine: a future that asks the store what the machine wants to know, within a deadline.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context as TaskContext, Poll, ready},
};

use tokio::time::{Sleep, sleep};

use super::{
    Engine,
    queue::{Entering, Turn},
};
use crate::{
    Clock, Error, ErrorKind,
    lifecycle::{Answer, Ask, Machine, Step},
    observe,
    record::Record,
    store::{Reply, Saved},
};

/// An answer that is on its way.
pub(super) enum Pending {
    Loaded(Reply<Option<Record>>),
    Saved(Reply<Saved>),
    Touched(Reply<()>),
    Queued(Entering),
    /// The turn is ours already, so others, and the deadline, come first for once; whether they had the chance.
    GiveWay(bool),
}

/// A machine under way. Replies that are ready cost neither a timer nor an allocation.
pub(crate) struct Run<M> {
    pub(super) engine: Arc<Engine>,
    pub(super) machine: M,
    state: Progress,
    /// Made when the first answer keeps us waiting.
    deadline: Option<Pin<Box<Sleep>>>,
    turn: Option<Turn>,
    watch: observe::Watch,
}

enum Progress {
    New,
    Waiting(Pending),
}

// The machine is never pinned, and the replies are boxed.
impl<M> Unpin for Run<M> {}

impl<M: Machine> Run<M> {
    pub(crate) fn new(engine: Arc<Engine>, machine: M) -> Self {
        let watch = observe::Watch::begin(engine.cx.capabilities.name, M::NAME);
        Self {
            engine,
            machine,
            state: Progress::New,
            deadline: None,
            turn: None,
            watch,
        }
    }

    fn poll_answer(&mut self, task: &mut TaskContext<'_>) -> Poll<Option<Answer>> {
        Poll::Ready(Some(match &mut self.state {
            Progress::New => return Poll::Ready(None),
            Progress::Waiting(Pending::Loaded(reply)) => {
                Answer::Loaded(ready!(Pin::new(reply).poll(task)))
            }
            Progress::Waiting(Pending::Saved(reply)) => {
                Answer::Saved(ready!(Pin::new(reply).poll(task)))
            }
            Progress::Waiting(Pending::Touched(reply)) => {
                Answer::Touched(ready!(Pin::new(reply).poll(task)))
            }
            Progress::Waiting(Pending::Queued(entering)) => {
                self.turn = Some(ready!(entering.as_mut().poll(task)));
                Answer::Queued
            }
            Progress::Waiting(Pending::GiveWay(given)) if !*given => {
                *given = true;
                task.waker().wake_by_ref();
                return Poll::Pending;
            }
            Progress::Waiting(Pending::GiveWay(_)) => Answer::Queued,
        }))
    }

    fn poll_deadline(&mut self, task: &mut TaskContext<'_>) -> Poll<()> {
        let timeout = self.engine.timeout;
        self.deadline
            .get_or_insert_with(|| Box::pin(sleep(timeout)))
            .as_mut()
            .poll(task)
    }

    /// Whether the machine may go on at once, since it has this session's turn.
    fn has_turn(&mut self, ask: &Ask) -> bool {
        let Ask::Queue(key) = ask else {
            return false;
        };
        let has_turn = self.turn.as_ref().is_some_and(|turn| turn.is_for(key));
        if !has_turn {
            // Never wait for one turn while holding another.
            self.turn = None;
        }
        has_turn
    }
}

impl<M: Machine> Run<M> {
    fn poll_steps(&mut self, task: &mut TaskContext<'_>) -> Poll<M::Output> {
        loop {
            let Poll::Ready(answer) = self.poll_answer(task) else {
                ready!(self.poll_deadline(task));
                let error = Error::new(
                    ErrorKind::Timeout,
                    format!(
                        "the {} session store did not answer within {:?}",
                        self.engine.cx.capabilities.name, self.engine.timeout
                    ),
                );
                return Poll::Ready(self.machine.give_up(&self.engine.cx, error));
            };
            let now = self.engine.clock.now();
            self.state = match self.machine.step(&self.engine.cx, now, answer) {
                Step::Done(output) => return Poll::Ready(output),
                Step::Ask(ask) if self.has_turn(&ask) => Progress::Waiting(Pending::GiveWay(false)),
                Step::Ask(ask) => Progress::Waiting(self.engine.ask(ask)),
            };
        }
    }
}

impl<M: Machine> Future for Run<M> {
    type Output = M::Output;

    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let run = self.get_mut();
        let span = run.watch.span().clone();
        let output = ready!(span.in_scope(|| run.poll_steps(task)));
        run.watch.end();
        Poll::Ready(output)
    }
}
