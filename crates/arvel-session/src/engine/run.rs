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
    Clock, Error, ErrorKind, Time,
    lifecycle::{Answer, Ask, Machine, Step},
    observe,
    record::Record,
    store::{Reply, Saved, Write},
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

impl Pending {
    /// The answer, if it is there without waiting.
    fn take_ready(&mut self) -> Option<Answer> {
        match self {
            Self::Loaded(reply) => reply.take_ready().map(Answer::Loaded),
            Self::Saved(reply) => reply.take_ready().map(Answer::Saved),
            Self::Touched(reply) => reply.take_ready().map(Answer::Touched),
            Self::Queued(_) | Self::GiveWay(_) => None,
        }
    }
}

/// A machine that waits for an answer.
pub(crate) struct Run<M> {
    engine: Arc<Engine>,
    pub(crate) machine: M,
    pending: Pending,
    /// Made when an answer keeps us waiting.
    deadline: Option<Pin<Box<Sleep>>>,
    turn: Option<Turn>,
    /// What is being saved while this has the turn.
    saving: Option<Arc<Write>>,
    watch: observe::Watch,
}

// The machine is never pinned, and the replies are boxed.
impl<M> Unpin for Run<M> {}

/// What a machine waits for after its first steps.
pub(super) struct Waiting {
    pending: Pending,
    watch: observe::Watch,
}

/// How far a machine has come by itself.
pub(super) enum Progress<T> {
    Done(T),
    /// It becomes a [`Run`].
    Waiting(Waiting),
}

/// Takes a machine's steps as long as the store answers at once: then there is no future, no timer and no allocation.
pub(super) fn first_steps<M: Machine>(
    engine: &Engine,
    machine: &mut M,
    now: Time,
) -> Progress<M::Output> {
    let watch = observe::Watch::begin(engine.cx.capabilities.name, M::NAME);
    let result = watch.span().in_scope(|| {
        let mut answer = None;
        loop {
            match machine.step(&engine.cx, now, answer) {
                Step::Done(output) => return Ok(output),
                Step::Ask(ask) => {
                    let mut pending = engine.ask(ask);
                    answer = pending.take_ready();
                    if answer.is_none() {
                        return Err(pending);
                    }
                }
            }
        }
    });
    match result {
        Ok(output) => {
            watch.end();
            Progress::Done(output)
        }
        Err(pending) => Progress::Waiting(Waiting { pending, watch }),
    }
}

impl<M: Machine> Run<M> {
    /// Boxed, since futures are moved about.
    pub(super) fn new(engine: Arc<Engine>, machine: M, waiting: Waiting) -> Box<Self> {
        Box::new(Self {
            engine,
            machine,
            pending: waiting.pending,
            deadline: None,
            turn: None,
            saving: None,
            watch: waiting.watch,
        })
    }

    fn poll_answer(&mut self, task: &mut TaskContext<'_>) -> Poll<Answer> {
        Poll::Ready(match &mut self.pending {
            Pending::Loaded(reply) => Answer::Loaded(ready!(Pin::new(reply).poll(task))),
            Pending::Saved(reply) => Answer::Saved(ready!(Pin::new(reply).poll(task))),
            Pending::Touched(reply) => Answer::Touched(ready!(Pin::new(reply).poll(task))),
            Pending::Queued(entering) => {
                let turn = self.turn.insert(ready!(entering.as_mut().poll(task)));
                Answer::Queued(turn.take_left())
            }
            Pending::GiveWay(given) if !*given => {
                *given = true;
                task.waker().wake_by_ref();
                return Poll::Pending;
            }
            Pending::GiveWay(_) => Answer::Queued(None),
        })
    }

    fn poll_deadline(&mut self, task: &mut TaskContext<'_>) -> Poll<()> {
        let timeout = self.engine.timeout;
        self.deadline
            .get_or_insert_with(|| Box::pin(sleep(timeout)))
            .as_mut()
            .poll(task)
    }

    /// Asks the store. A record that is stored while this has the turn is left for the next one, who need not load it.
    fn ask(&mut self, ask: Ask) -> Pending {
        self.saving = match (&ask, &self.turn) {
            (Ask::Save(key, _, write), Some(turn)) if turn.is_for(key) => {
                write.record.kind.is_live().then(|| write.clone())
            }
            _ => None,
        };
        self.engine.ask(ask)
    }

    fn note(&mut self, answer: &Answer) {
        let saved = matches!(answer, Answer::Saved(Ok(Saved::Done)));
        if let (Some(write), Some(turn), true) = (self.saving.take(), &mut self.turn, saved) {
            turn.leave(write.record.clone());
        }
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
            self.note(&answer);
            let now = self.engine.clock.now();
            self.pending = match self.machine.step(&self.engine.cx, now, Some(answer)) {
                Step::Done(output) => return Poll::Ready(output),
                Step::Ask(ask) if self.has_turn(&ask) => Pending::GiveWay(false),
                Step::Ask(ask) => self.ask(ask),
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
