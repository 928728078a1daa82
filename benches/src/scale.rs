//! The part "scale": very many sessions. What each takes in memory, how long the sweep of half of them takes, and what
//! readers notice of it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use arvel_session::{
    ManualClock, SessionConfig, SessionData, SessionManager, StartSession, store::DatabaseStore,
};
use serde::{Deserialize, Serialize};
use tokio::{
    runtime::Builder,
    task::{JoinSet, yield_now},
};

use crate::{
    apps::router::routes,
    case::Case,
    content::Content,
    load::{App, Shuffle, Subject, Ticket},
    sample::quantile,
};

/// What very many sessions cost a driver.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Scale {
    /// How many there were before the sweep.
    pub sessions: usize,
    /// How long it took to make them, in seconds.
    pub making_seconds: f64,
    /// By how much the process has grown, in bytes a session; what a server takes is not in it.
    pub process_bytes_each: f64,
    /// How many were swept.
    pub swept: usize,
    /// How long that took, in seconds.
    pub sweep_seconds: f64,
    /// All but a hundredth of the reads took less, in microseconds, while nobody swept.
    pub read_p99_us: f64,
    /// The same during the sweep.
    pub sweeping_read_p99_us: f64,
    /// Reads a second, while nobody swept.
    pub reads_per_second: f64,
    /// The same during the sweep.
    pub sweeping_reads_per_second: f64,
}

/// How many read at once.
const READERS: usize = 8;

/// How many make sessions at once.
const MAKERS: usize = 64;

/// How many of the sessions are read, in no order.
pub(crate) const SAMPLE: usize = 20_000;

/// Measures the driver of this configuration, in this process.
///
/// # Errors
/// The driver fails, or sweeps what it should not.
pub fn measure(config: SessionConfig, sessions: usize, threads: usize) -> Result<Scale> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()?;
    let measuring = runtime.spawn(async move { Shop::open(config).await?.measure(sessions).await });
    runtime.block_on(measuring)?
}

/// An application with very many sessions.
pub(crate) struct Shop {
    app: Arc<App>,
    manager: SessionManager,
    clock: ManualClock,
    lifetime: Duration,
}

impl Shop {
    pub(crate) async fn open(config: SessionConfig) -> Result<Self> {
        if config.settings().driver == "database" {
            DatabaseStore::from_config(&config)?.migrate().await?;
        }
        let lifetime = config.settings().lifetime;
        let clock = ManualClock::default();
        let manager = SessionManager::with_clock(config.sweep_interval(None), clock.clone())?;
        let layer = StartSession::new(manager.store()?).try_build()?;
        let routes = routes::<SessionData>(Arc::new(Content::of(300)));
        Ok(Self {
            app: Arc::new(App(routes.layer(layer))),
            manager,
            clock,
            lifetime,
        })
    }

    async fn measure(&self, sessions: usize) -> Result<Scale> {
        let (start, before) = (Instant::now(), resident_bytes()?);
        self.make(sessions / 2, 0).await?;
        self.clock.advance(self.lifetime / 2);
        let young = Arc::new(self.make(sessions / 2, SAMPLE).await?);
        let making = start.elapsed();
        let grown = resident_bytes()?.saturating_sub(before);
        // The older half has expired now. The others are read once, so that moving their expiry is done with.
        self.clock
            .advance(self.lifetime / 2 + Duration::from_secs(1));
        for ticket in young.iter() {
            self.app.send(Case::Read, ticket).await?;
        }
        let alone = self.read_for(&young, tokio::time::sleep(Duration::from_secs(3)));
        let (_, alone) = alone.await?;
        let sweep = async { (self.manager.sweep().await, Instant::now()) };
        let start = Instant::now();
        let ((swept, end), sweeping) = self.read_for(&young, sweep).await?;
        let swept = swept?;
        ensure!(
            swept == sessions / 2,
            "{swept} of {sessions} sessions were swept"
        );
        for ticket in young.iter() {
            self.app
                .send(Case::Read, ticket)
                .await
                .context("a live session was swept")?;
        }
        Ok(Scale {
            sessions,
            making_seconds: making.as_secs_f64(),
            process_bytes_each: grown as f64 / sessions as f64,
            swept,
            sweep_seconds: (end - start).as_secs_f64(),
            read_p99_us: alone.p99_us,
            sweeping_read_p99_us: sweeping.p99_us,
            reads_per_second: alone.per_second,
            sweeping_reads_per_second: sweeping.per_second,
        })
    }

    /// Makes sessions, and keeps the tickets of some.
    pub(crate) async fn make(&self, sessions: usize, keep: usize) -> Result<Vec<Ticket>> {
        let mut makers = JoinSet::new();
        for maker in 0..MAKERS {
            let app = self.app.clone();
            makers.spawn(async move {
                let mut kept = Vec::new();
                for number in (maker..sessions).step_by(MAKERS) {
                    let ticket = app.create().await?;
                    if number * keep / sessions != (number + 1) * keep / sessions {
                        kept.push(ticket);
                    }
                    yield_now().await;
                }
                anyhow::Ok(kept)
            });
        }
        let mut kept = Vec::new();
        while let Some(maker) = makers.join_next().await {
            kept.extend(maker??);
        }
        Ok(kept)
    }

    /// Reads until `until` is there.
    pub(crate) async fn read_for<T>(
        &self,
        tickets: &Arc<Vec<Ticket>>,
        until: impl Future<Output = T>,
    ) -> Result<(T, Reads)> {
        let over = Arc::new(AtomicBool::new(false));
        let mut readers = JoinSet::new();
        let start = Instant::now();
        for reader in 0..READERS {
            let (app, tickets, over) = (self.app.clone(), tickets.clone(), over.clone());
            readers.spawn(read(app, tickets, over, Shuffle(reader as u64)));
        }
        let outcome = until.await;
        let seconds = start.elapsed().as_secs_f64();
        over.store(true, Ordering::Relaxed);
        let mut took = Vec::new();
        while let Some(reader) = readers.join_next().await {
            took.extend(reader??.into_iter().map(f64::from));
        }
        took.sort_by(f64::total_cmp);
        let reads = Reads {
            per_second: took.len() as f64 / seconds,
            p99_us: quantile(&took, 0.99) / 1000.0,
        };
        Ok((outcome, reads))
    }
}

/// How reading went.
pub(crate) struct Reads {
    pub(crate) per_second: f64,
    pub(crate) p99_us: f64,
}

async fn read(
    app: Arc<App>,
    tickets: Arc<Vec<Ticket>>,
    over: Arc<AtomicBool>,
    mut shuffle: Shuffle,
) -> Result<Vec<u32>> {
    let mut took = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let ticket = &tickets[shuffle.next() % tickets.len()];
        let start = Instant::now();
        app.send(Case::Read, ticket).await?;
        took.push(start.elapsed().as_nanos().try_into().unwrap_or(u32::MAX));
        yield_now().await;
    }
    Ok(took)
}

/// What of this process is in memory.
fn resident_bytes() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.context("no VmRSS")?.trim().trim_end_matches(" kB");
    Ok(kilobytes.parse::<u64>()? * 1024)
}
