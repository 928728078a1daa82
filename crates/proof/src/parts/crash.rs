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
    Ground, HASTY,
    stage::{Befallen, Stage, lasting, no_server},
};
use crate::{
    field::{Driver, Servers},
    report::Outcome,
};

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
            .play(ground, &load, world, async |_, _| {
                deaths(&ground.guard, server, seed, lasts).await
            })
            .await?;
    }
    stage.close(servers).await
}

async fn deaths(
    guard: &Guard,
    server: &mut Server,
    seed: u64,
    lasts: Duration,
) -> Result<Befallen> {
    let mut rng = Rng::with_seed(seed);
    let end = Instant::now() + lasts;
    let mut deaths = 0;
    while deaths == 0 || Instant::now() < end {
        sleep(Duration::from_millis(rng.u64(300..1500))).await;
        block_in_place(|| server.kill())?;
        sleep(Duration::from_millis(rng.u64(..1200))).await;
        block_in_place(|| server.start_again(guard))?;
        deaths += 1;
        sleep(Duration::from_millis(500)).await;
    }
    Ok(Befallen::faults(deaths))
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
                pauses(server, seed, lasts).await
            })
            .await?;
    }
    stage.close(servers).await
}

async fn pauses(server: &Server, seed: u64, lasts: Duration) -> Result<Befallen> {
    let mut rng = Rng::with_seed(seed);
    let end = Instant::now() + lasts;
    let mut pauses = 0;
    while pauses == 0 || Instant::now() < end {
        sleep(Duration::from_millis(rng.u64(200..1000))).await;
        server.signal(Signal::STOP)?;
        // Longer than the deadline.
        sleep(Duration::from_millis(rng.u64(1200..3000))).await;
        server.signal(Signal::CONT)?;
        pauses += 1;
        sleep(Duration::from_millis(300)).await;
    }
    Ok(Befallen::faults(pauses))
}
