//! The way to the store is cut, silent or slow.

use std::time::Duration;

use fastrand::Rng;
use tokio::time::{Instant, sleep};
use xtask::error::{Context, Result};

use super::{
    Ground, HASTY,
    stage::{Befallen, Stage, lasting, no_server},
};
use crate::{
    field::{Driver, Place, Proxy, Servers, Wire},
    report::Outcome,
};

pub(super) async fn run(ground: &Ground, servers: &Servers, driver: Driver) -> Result<Outcome> {
    let mut place = Place::new(driver, servers, ground.guard.folder(), HASTY)?;
    let port = port(servers, driver).ok_or_else(|| no_server(driver))?;
    let proxy = Proxy::to(port).await.context("laying a wire")?;
    place.go_through(port, proxy.port());
    let mut stage = Stage::at(ground, place, HASTY, 2)?;
    for _ in 0..ground.scale.pick(1, 6, 120) {
        let seed = stage.next_seed();
        let lasts = Duration::from_secs(ground.scale.pick(2, 10, 20));
        let (load, world) = (lasting(seed), stage.faulty());
        stage
            .play(ground, &load, world, async |_, _| {
                Ok(weather(&proxy, seed, lasts).await)
            })
            .await?;
    }
    stage.close(servers).await
}

fn port(servers: &Servers, driver: Driver) -> Option<u16> {
    match driver {
        Driver::Redis => servers.redis.as_ref().map(|redis| redis.node.port()),
        Driver::Postgres => servers.postgres.as_ref().map(|postgres| postgres.port()),
        Driver::Mariadb => servers.mariadb.as_ref().map(|mariadb| mariadb.port()),
        Driver::File | Driver::Sqlite | Driver::Sentinel | Driver::Cluster => None,
    }
}

async fn weather(proxy: &Proxy, seed: u64, lasts: Duration) -> Befallen {
    let mut rng = Rng::with_seed(seed);
    let end = Instant::now() + lasts;
    let mut changes = 0;
    while changes == 0 || Instant::now() < end {
        sleep(Duration::from_millis(rng.u64(100..800))).await;
        let (wire, lasts) = match rng.u8(..4) {
            // So short that only what is on its way is lost.
            0 => (Wire::Cut, rng.u64(1..10)),
            1 => (Wire::Cut, rng.u64(10..800)),
            2 => (Wire::Silent, rng.u64(1100..2000)),
            _ => (Wire::Slow(60), rng.u64(300..1500)),
        };
        proxy.set(wire);
        sleep(Duration::from_millis(lasts)).await;
        proxy.set(Wire::Open);
        changes += 1;
    }
    Befallen::faults(changes)
}
