//! The store's server dies and comes back, or stands still for longer than anybody waits.

use std::time::Duration;

use fastrand::Rng;
use rustix::process::Signal;
use tokio::{
    task::block_in_place,
    time::{Instant, sleep},
};
use xtask::{error::Result, guard::Guard, services::Server};

use super::{
    Ground, HASTY, Scale,
    stage::{Befallen, Stage, lasting, micros, no_server},
};
use crate::{
    field::{Driver, Servers},
    load::Crowd,
    report::Outcome,
};

/// `InnoDB` shows a commit before its log is written, so what was seen so shortly before the server's death may be gone with it.
const UNFLUSHED: Duration = Duration::from_millis(500);
/// Longer than any answer may take, so that one which waits for the store comes too late.
const TOO_LONG: Duration = Duration::from_secs(9);

/// The one server of a driver.
fn server(servers: &mut Servers, driver: Driver) -> Result<&mut Server> {
    let server = match driver {
        Driver::Redis => servers.redis.as_mut().map(|redis| &mut redis.node.server),
        Driver::Postgres => servers
            .postgres
            .as_mut()
            .map(|postgres| &mut postgres.server),
        Driver::Mariadb => servers.mariadb.as_mut().map(|mariadb| &mut mariadb.server),
        Driver::File | Driver::Sqlite | Driver::Sentinel | Driver::Cluster => None,
    };
    server.ok_or_else(|| no_server(driver))
}

pub(super) async fn kill(
    ground: &Ground,
    servers: &mut Servers,
    driver: Driver,
) -> Result<Outcome> {
    let mut stage = Stage::set(ground, servers, driver, HASTY, 2)?;
    for _ in 0..ground.scale.pick(1, 6, 120) {
        let seed = stage.next_seed();
        let lasts = Duration::from_secs(ground.scale.pick(1, 8, 15));
        let (load, world) = (lasting(seed), stage.faulty());
        let server = server(servers, driver)?;
        stage
            .play(ground, &load, world, async |crowd, _| {
                let mut befallen = deaths(&ground.guard, server, &crowd, seed, lasts).await?;
                if driver != Driver::Mariadb {
                    befallen.glimpses.clear();
                }
                Ok(befallen)
            })
            .await?;
    }
    stage.close(servers).await
}

async fn deaths(
    guard: &Guard,
    server: &mut Server,
    crowd: &Crowd,
    seed: u64,
    lasts: Duration,
) -> Result<Befallen> {
    let mut rng = Rng::with_seed(seed);
    let end = Instant::now() + lasts;
    let mut befallen = Befallen::default();
    while befallen.faults == 0 || Instant::now() < end {
        sleep(Duration::from_millis(rng.u64(300..1500))).await;
        let from = crowd.recorder().now().saturating_sub(micros(UNFLUSHED));
        block_in_place(|| server.kill())?;
        befallen.glimpses.push((from, crowd.recorder().now()));
        sleep(Duration::from_millis(rng.u64(..1200))).await;
        block_in_place(|| server.start_again(guard))?;
        befallen.faults += 1;
        sleep(Duration::from_millis(500)).await;
    }
    Ok(befallen)
}

pub(super) async fn pause(
    ground: &Ground,
    servers: &mut Servers,
    driver: Driver,
) -> Result<Outcome> {
    let mut stage = Stage::set(ground, servers, driver, HASTY, 2)?;
    for _ in 0..ground.scale.pick(1, 5, 100) {
        let seed = stage.next_seed();
        let lasts = Duration::from_secs(ground.scale.pick(1, 10, 20));
        let (load, world) = (lasting(seed), stage.faulty());
        let server = server(servers, driver)?;
        stage
            .play(ground, &load, world, async |_, _| {
                let first = match ground.scale {
                    Scale::Short => Duration::ZERO,
                    Scale::Usual | Scale::Soak => TOO_LONG,
                };
                pauses(server, seed, first, lasts).await
            })
            .await?;
    }
    stage.close(servers).await
}

async fn pauses(server: &Server, seed: u64, first: Duration, lasts: Duration) -> Result<Befallen> {
    let mut rng = Rng::with_seed(seed);
    let end = Instant::now() + lasts;
    let mut pauses = 0;
    while pauses == 0 || Instant::now() < end {
        sleep(Duration::from_millis(rng.u64(200..1000))).await;
        server.signal(Signal::STOP)?;
        // Longer than the deadline.
        let pause = Duration::from_millis(rng.u64(1200..3000));
        sleep(if pauses == 0 { pause.max(first) } else { pause }).await;
        server.signal(Signal::CONT)?;
        pauses += 1;
        sleep(Duration::from_millis(300)).await;
    }
    Ok(Befallen::faults(pauses))
}
