//! Redis sweeps by itself what has expired, by the real time: so one half of the sessions gets a short life, and is read
//! beside while it ends.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use arvel_session::SessionConfig;
use redis::{Client, cmd};
use tokio::{runtime::Builder, time::sleep};

use crate::scale::{SAMPLE, Scale, Shop};

/// How long the short lives last beyond the time that making them takes: time to read while nothing expires.
const MARGIN: Duration = Duration::from_secs(8);

/// How long is read while nothing expires.
const ALONE: Duration = Duration::from_secs(3);

/// Measures the Redis of this configuration.
///
/// # Errors
/// It fails, or it keeps what has expired.
pub(super) fn measure(config: SessionConfig, sessions: usize, threads: usize) -> Result<Scale> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()?;
    let measuring = runtime.spawn(async move { expire(config, sessions).await });
    runtime.block_on(measuring)?
}

async fn expire(config: SessionConfig, sessions: usize) -> Result<Scale> {
    let count = Count::connect(config.settings().redis_url.as_str()).await?;
    let lasting = Shop::open(config.clone()).await?;
    let (before, start) = (count.keys().await?, Instant::now());
    let tickets = lasting.make(sessions / 2, SAMPLE).await?.into();
    let life = start.elapsed().mul_f64(1.5) + MARGIN;
    let passing = Shop::open(config.lifetime(life)).await?;
    let first = Instant::now();
    passing.make(sessions / 2, 0).await?;
    let last = Instant::now();
    let made = count.keys().await? - before;
    ensure!(made == sessions, "{made} of {sessions} sessions are there");

    let (_, alone) = lasting.read_for(&tickets, sleep(ALONE)).await?;
    let quiet = (first + life).checked_duration_since(Instant::now());
    sleep(quiet.context("making the sessions took too long")?).await;
    let gone = async {
        while count.keys().await? > before + sessions / 2 {
            sleep(Duration::from_millis(100)).await;
        }
        anyhow::Ok(Instant::now())
    };
    let (end, sweeping) = lasting.read_for(&tickets, gone).await?;
    Ok(Scale {
        sessions,
        making_seconds: (last - start).as_secs_f64(),
        process_bytes_each: 0.0,
        swept: sessions - (count.keys().await? - before),
        sweep_seconds: (end? - (first + life)).as_secs_f64(),
        read_p99_us: alone.p99_us,
        sweeping_read_p99_us: sweeping.p99_us,
        reads_per_second: alone.per_second,
        sweeping_reads_per_second: sweeping.per_second,
    })
}

/// Counts the keys of a server.
struct Count(redis::aio::MultiplexedConnection);

impl Count {
    async fn connect(url: &str) -> Result<Self> {
        Ok(Self(
            Client::open(url)?
                .get_multiplexed_async_connection()
                .await?,
        ))
    }

    async fn keys(&self) -> Result<usize> {
        Ok(cmd("DBSIZE").query_async(&mut self.0.clone()).await?)
    }
}
