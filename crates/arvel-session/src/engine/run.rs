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
    /// What is being saved while this has the turn, until it is left for the next one.
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
                let turn = self.turn.insert(ready!(Pin::new(entering).poll(task)));
                Answer::Queued(turn.found())
            }
            Pending::GiveWay(given) if !*given => {
                *given = true;
                task.waker().wake_by_ref();
                return Poll::Pending;
            }
            Pending::GiveWay(_) => Answer::Queued(self.turn.as_mut().and_then(Turn::found)),
        })
    }

    fn poll_deadline(&mut self, task: &mut TaskContext<'_>) -> Poll<()> {
        let timeout = self.engine.timeout;
        self.deadline
            .get_or_insert_with(|| Box::pin(sleep(timeout)))
            .as_mut()
            .poll(task)
    }

    /// Asks the store. What is saved while this has the turn is left for the next one.
    fn ask(&mut self, ask: Ask) -> Pending {
        self.saving = match (&ask, &self.turn) {
            (Ask::Save(key, _, write), Some(turn)) if turn.is_for(key) => {
                write.record.kind.is_live().then(|| write.clone())
            }
            _ => None,
        };
        self.engine.ask(ask)
    }

    /// Leaves what is being saved: at the latest when that is done, and as soon as it has been sent where the next save
    /// cannot overtake it.
    fn leave(&mut self, is_done: bool) {
        if !is_done && !self.engine.cx.capabilities.in_order {
            return;
        }
        if let (Some(write), Some(turn)) = (self.saving.take(), &mut self.turn) {
            turn.leave(&write.record);
        }
    }

    /// Whether the machine may go on at once, since it has this session's turn.
    fn has_turn(&mut self, ask: &Ask) -> bool {
        let Ask::Queue(key) = ask else {
            return false;
        };
        let has_turn = self.turn.as_ref().is_some_and(|turn| turn.is_for(key));
        match &self.turn {
            Some(turn) if has_turn => turn.met_conflict(),
            // Never wait for one turn while holding another.
            _ => self.turn = None,
        }
        has_turn
    }

    fn poll_steps(&mut self, task: &mut TaskContext<'_>) -> Poll<M::Output> {
        loop {
            let Poll::Ready(answer) = self.poll_answer(task) else {
                self.leave(false);
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
            if matches!(answer, Answer::Saved(Ok(Saved::Done))) {
                self.leave(true);
            }
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

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };

    use http::HeaderMap;

    use super::*;
    use crate::{
        Result, Secret, SessionConfig, SessionManager, StartSession, Time,
        store::{At, Capabilities, Expect, Key, MemoryStore, SessionStore},
        visit::{Facts, Visits},
    };

    /// Executes at once what it is told, and answers later.
    #[derive(Clone, Default)]
    struct Late {
        memory: Arc<MemoryStore>,
        saves: Arc<AtomicUsize>,
        under_way: Arc<AtomicUsize>,
        most_under_way: Arc<AtomicUsize>,
    }

    impl SessionStore for Late {
        fn capabilities(&self) -> Capabilities {
            Capabilities {
                in_order: true,
                ..Capabilities::new("late")
            }
        }

        fn load(&self, at: At<'_>) -> Reply<Option<Record>> {
            self.memory.load(at)
        }

        fn save(&self, key: &Key, expect: Expect, write: Write) -> Reply<Saved> {
            self.saves.fetch_add(1, Ordering::Relaxed);
            let (store, answer) = (self.clone(), self.memory.save(key, expect, write));
            Reply::later(async move {
                let under_way = store.under_way.fetch_add(1, Ordering::Relaxed) + 1;
                store.most_under_way.fetch_max(under_way, Ordering::Relaxed);
                sleep(Duration::from_millis(10)).await;
                store.under_way.fetch_sub(1, Ordering::Relaxed);
                answer.await
            })
        }

        fn touch(&self, key: &Key, expires: Time, now: Time) -> Reply<()> {
            self.memory.touch(key, expires, now)
        }

        fn sweep(&self, now: Time, max: usize) -> Reply<usize> {
            self.memory.sweep(now, max)
        }
    }

    fn visits(store: &Late) -> Result<Visits> {
        let config = SessionConfig::new().driver("late");
        let manager = SessionManager::new(config.secret_key(Secret::generate()))?;
        let store = store.clone();
        manager.extend("late", move |_| Ok(store.clone()))?;
        StartSession::new(manager.store()?).visits()
    }

    /// One more visit of the browser with this cookie: the count after it, and its cookie.
    async fn count(visits: Visits, cookie: Option<String>) -> Result<(i64, Option<String>)> {
        let cookies = cookie.iter().map(String::as_bytes);
        let visit = visits.begin(cookies).await?;
        tokio::task::yield_now().await;
        let count = visit.session().increment("n", 1)?;
        let mut headers = HeaderMap::new();
        let head = visit.head(200, Facts::new("GET", None, [])).await?;
        head.finish(&mut headers);
        let set = headers.get("set-cookie").and_then(|set| set.to_str().ok());
        let set = set.and_then(|set| Some(set.split(';').next()?.to_owned()));
        Ok((count, set.or(cookie)))
    }

    #[tokio::test(start_paused = true)]
    async fn where_saves_keep_their_order_nobody_waits_for_the_answer_to_the_one_before() {
        const VISITORS: usize = 16;
        let store = Late::default();
        let visits = visits(&store).unwrap();
        let (_, cookie) = count(visits.clone(), None).await.unwrap();
        store.saves.store(0, Ordering::Relaxed);
        let counting = |_| tokio::spawn(count(visits.clone(), cookie.clone()));
        let first: Vec<_> = (0..2).map(counting).collect();
        sleep(Duration::from_millis(11)).await;
        store.most_under_way.store(0, Ordering::Relaxed);
        let rest: Vec<_> = (2..VISITORS).map(counting).collect();
        for visit in first.into_iter().chain(rest) {
            visit.await.unwrap().unwrap();
        }
        let (all, _) = count(visits, cookie).await.unwrap();
        assert_eq!(all, 2 + VISITORS as i64);
        // The two that made the queue met one conflict; nobody else did.
        assert_eq!(store.saves.load(Ordering::Relaxed), VISITORS + 2);
        assert_eq!(store.most_under_way.load(Ordering::Relaxed), 4);
    }
}
