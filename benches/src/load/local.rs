//! A runner in this process.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use tokio::{
    runtime::{Builder, Runtime},
    task::{JoinSet, yield_now},
};

use super::{Load, Make, Round, Runner, Subject, Ticket};
use crate::{case::Case, content::Content, sample::quantile};

/// Runs a subject on a runtime of its own, with a thread for each core that it may use.
pub struct Local {
    runtime: Runtime,
    make: Make,
    work: Option<Arc<Work>>,
}

/// How many requests somebody sends before it is the next one's turn, where no request waits for anything.
const TURN: usize = 16;

/// How many sessions are checked at the end; of more, only every so-many-th.
const MOST_CHECKED: usize = 2_000;

/// What all requests of a load share.
struct Work {
    load: Load,
    subject: Arc<dyn Subject>,
    sessions: Arc<Vec<Session>>,
}

struct Session {
    ticket: Ticket,
    /// How often it should have been counted up.
    visits: AtomicUsize,
}

impl Local {
    /// A runner of what `make` makes.
    ///
    /// # Errors
    /// There are no threads to be had.
    pub fn new(threads: usize, make: Make) -> Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads)
            .enable_all()
            .build()?;
        Ok(Self {
            runtime,
            make,
            work: None,
        })
    }

    fn work(&self) -> Result<&Arc<Work>> {
        self.work.as_ref().context("nothing is prepared")
    }
}

impl Runner for Local {
    fn prepare(&mut self, load: Load) -> Result<()> {
        let before = self.work.take().and_then(|work| work.with_case_of(load));
        let make = (self.make)(Arc::new(Content::of(load.session)));
        // As a task, since the thread that waits is none of the runtime's.
        let preparing = self.runtime.spawn(async move {
            let work = match before {
                Some(work) => work,
                None => Work::new(load, make.await?.into()).await?,
            };
            work.check().await?;
            anyhow::Ok(Arc::new(work))
        });
        self.work = Some(self.runtime.block_on(preparing)??);
        Ok(())
    }

    fn round(&mut self, time: Duration) -> Result<Round> {
        let work = self.work()?.clone();
        self.runtime
            .block_on(self.runtime.spawn(round(work, time)))?
    }

    fn finish(&mut self) -> Result<()> {
        let work = self.work()?.clone();
        let checking = async move { work.check_counts().await };
        self.runtime.block_on(self.runtime.spawn(checking))?
    }
}

impl Work {
    /// The same sessions for another case, if nothing else is asked for.
    fn with_case_of(&self, load: Load) -> Option<Self> {
        let case = load.case;
        (Load { case, ..self.load } == load).then(|| Self {
            load,
            subject: self.subject.clone(),
            sessions: self.sessions.clone(),
        })
    }

    async fn new(load: Load, subject: Arc<dyn Subject>) -> Result<Self> {
        let next = Arc::new(AtomicUsize::new(0));
        let mut makers = JoinSet::new();
        for _ in 0..load.concurrency.clamp(1, 64) {
            let (subject, next) = (subject.clone(), next.clone());
            makers.spawn(async move {
                let mut made = Vec::new();
                while next.fetch_add(1, Ordering::Relaxed) < load.sessions {
                    made.push(Session {
                        ticket: subject.create().await?,
                        visits: AtomicUsize::new(0),
                    });
                }
                anyhow::Ok(made)
            });
        }
        let mut sessions = Vec::with_capacity(load.sessions);
        while let Some(made) = makers.join_next().await {
            sessions.extend(made??);
        }
        Ok(Self {
            load,
            subject,
            sessions: Arc::new(sessions),
        })
    }

    /// That the first session reads and counts as it should.
    async fn check(&self) -> Result<()> {
        let first = self.sessions.first().context("there are no sessions")?;
        let user = self.subject.ask(Case::Read, &first.ticket).await?;
        let expected = Content::of(self.load.session).user.to_string();
        ensure!(user == expected, "it reads {user:?}");
        if self.load.case == Case::ReadWrite {
            for _ in 0..3 {
                self.check_count(first).await?;
            }
        }
        Ok(())
    }

    async fn check_counts(&self) -> Result<()> {
        if self.load.case != Case::ReadWrite {
            return Ok(());
        }
        let every = self.sessions.len().div_ceil(MOST_CHECKED);
        for session in self.sessions.iter().step_by(every) {
            self.check_count(session).await?;
        }
        Ok(())
    }

    /// That one more visit is the one that it should be.
    async fn check_count(&self, session: &Session) -> Result<()> {
        let expected = session.visits.fetch_add(1, Ordering::Relaxed) + 1;
        let visits = self.subject.ask(Case::ReadWrite, &session.ticket).await?;
        ensure!(
            visits == expected.to_string(),
            "visit {expected} is {visits:?}"
        );
        Ok(())
    }

    /// One of those who send at once: each has every so-many-th session, and visits them in no order.
    async fn visitor(&self, number: usize, until: Instant) -> Result<Vec<u32>> {
        let mut took = Vec::new();
        let each = (self.sessions.len() / self.load.concurrency).max(1);
        let mut shuffle = Shuffle(number as u64);
        while Instant::now() < until {
            let index = number + self.load.concurrency * (shuffle.next() % each);
            let session = &self.sessions[index % self.sessions.len()];
            let start = Instant::now();
            self.subject.send(self.load.case, &session.ticket).await?;
            took.push(start.elapsed().as_nanos().try_into().unwrap_or(u32::MAX));
            if self.load.case == Case::ReadWrite {
                session.visits.fetch_add(1, Ordering::Relaxed);
            }
            // As a server's connection would, it lets the others have their turn; seldom, since that has a cost of its own.
            if took.len().is_multiple_of(TURN) {
                yield_now().await;
            }
        }
        Ok(took)
    }
}

/// Knuth's linear congruential generator: all that is wanted is no order.
pub(crate) struct Shuffle(pub(crate) u64);

impl Shuffle {
    /// The next number.
    pub(crate) fn next(&mut self) -> usize {
        let next = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = next.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize
    }
}

async fn round(work: Arc<Work>, time: Duration) -> Result<Round> {
    let start = Instant::now();
    let mut visitors = JoinSet::new();
    for number in 0..work.load.concurrency {
        let work = work.clone();
        visitors.spawn(async move { work.visitor(number, start + time).await });
    }
    let mut took = Vec::new();
    while let Some(visitor) = visitors.join_next().await {
        took.extend(visitor??.into_iter().map(f64::from));
    }
    let seconds = start.elapsed().as_secs_f64();
    took.sort_by(f64::total_cmp);
    Ok(Round {
        per_second: took.len() as f64 / seconds,
        p50_us: quantile(&took, 0.5) / 1000.0,
        p99_us: quantile(&took, 0.99) / 1000.0,
    })
}
