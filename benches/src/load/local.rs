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

/// What all requests of a load share.
struct Work {
    load: Load,
    subject: Arc<dyn Subject>,
    sessions: Vec<Session>,
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
        let make = (self.make)(Arc::new(Content::of(load.session)));
        // As a task, since the thread that waits is none of the runtime's.
        let preparing = self.runtime.spawn(async move {
            let work = Work::new(load, make.await?).await?;
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
    async fn new(load: Load, subject: Box<dyn Subject>) -> Result<Self> {
        let subject: Arc<dyn Subject> = subject.into();
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
        let work = Self {
            load,
            subject,
            sessions,
        };
        work.check().await?;
        Ok(work)
    }

    /// That the first session reads and counts as it should.
    async fn check(&self) -> Result<()> {
        let first = self.sessions.first().context("there are no sessions")?;
        let user = self.subject.ask(Case::Read, &first.ticket).await?;
        let expected = Content::of(self.load.session).user.to_string();
        ensure!(user == expected, "it reads {user:?}");
        if self.load.case == Case::ReadWrite {
            for visit in 1..=3 {
                let visits = self.subject.ask(Case::ReadWrite, &first.ticket).await?;
                ensure!(visits == visit.to_string(), "visit {visit} is {visits:?}");
                first.visits.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    async fn check_counts(&self) -> Result<()> {
        if self.load.case != Case::ReadWrite {
            return Ok(());
        }
        for session in &self.sessions {
            let expected = (session.visits.fetch_add(1, Ordering::Relaxed) + 1).to_string();
            let visits = self.subject.ask(Case::ReadWrite, &session.ticket).await?;
            ensure!(
                visits == expected,
                "visit {expected} is {visits:?}: updates were lost"
            );
        }
        Ok(())
    }

    /// One of those who send at once: each has every so-many-th session.
    async fn visitor(&self, number: usize, until: Instant) -> Result<Vec<u32>> {
        let mut took = Vec::new();
        let mut turn = number;
        while Instant::now() < until {
            let session = &self.sessions[turn % self.sessions.len()];
            turn += self.load.concurrency;
            let start = Instant::now();
            self.subject.send(self.load.case, &session.ticket).await?;
            took.push(start.elapsed().as_nanos().try_into().unwrap_or(u32::MAX));
            session.visits.fetch_add(1, Ordering::Relaxed);
            // As a server's connection would, it lets the others have their turn.
            yield_now().await;
        }
        Ok(took)
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
