//! The way to the store is cut, silent or slow, for each server in its own time.
//!
//! Answers of writes that were executed get lost, and what is then sent again arrives when the other servers have gone on:
//! the worst that R8 has to get over. One server has a way of its own, on which nothing happens, so that others always go on.

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
    load::Load,
    report::Outcome,
};

pub(super) async fn run(ground: &Ground, servers: &Servers, driver: Driver) -> Result<Outcome> {
    let place = Place::new(driver, servers, ground.guard.folder(), HASTY)?;
    let port = port(servers, driver).ok_or_else(|| no_server(driver))?;
    let wires = [lay(port).await?, lay(port).await?];
    let mut places = vec![place.clone(); wires.len() + 1];
    for (place, wire) in places.iter_mut().zip(&wires) {
        place.go_through(port, wire.port());
    }
    let processes = places.iter().enumerate();
    let processes = processes.map(|(number, place)| ground.server(number, place));
    let processes = processes.collect::<Result<_>>()?;
    let mut stage = Stage::of(ground, place, HASTY, processes);
    for _ in 0..ground.scale.pick(1, 6, 120) {
        let seed = stage.next_seed();
        let lasts = Duration::from_secs(ground.scale.pick(2, 10, 20));
        // So many that some go on while others wait for a silent wire.
        let load = Load {
            tabs: 6,
            longest_pause: 40,
            ..lasting(seed)
        };
        let world = stage.faulty();
        stage
            .play(ground, &load, world, async |_, _| {
                let [one, other] = &wires;
                let (one, other) =
                    tokio::join!(weather(one, seed, lasts), weather(other, !seed, lasts));
                Ok(Befallen::faults(one + other))
            })
            .await?;
    }
    stage.close(servers).await
}

async fn lay(port: u16) -> Result<Proxy> {
    Proxy::to(port).await.context("laying a wire")
}

fn port(servers: &Servers, driver: Driver) -> Option<u16> {
    match driver {
        Driver::Redis => servers.redis.as_ref().map(|redis| redis.node.port()),
        Driver::Postgres => servers.postgres.as_ref().map(|postgres| postgres.port()),
        Driver::Mariadb => servers.mariadb.as_ref().map(|mariadb| mariadb.port()),
        Driver::File | Driver::Sqlite | Driver::Sentinel | Driver::Cluster => None,
    }
}

/// How many faults there were.
async fn weather(proxy: &Proxy, seed: u64, lasts: Duration) -> usize {
    let mut rng = Rng::with_seed(seed);
    let end = Instant::now() + lasts;
    let mut changes = 0;
    while changes == 0 || Instant::now() < end {
        sleep(Duration::from_millis(rng.u64(100..800))).await;
        for (weather, millis) in weathers(&mut rng) {
            weather.befall(proxy);
            sleep(Duration::from_millis(millis)).await;
        }
        proxy.set(Wire::Open);
        changes += 1;
    }
    changes
}

/// What befalls a wire.
enum Weather {
    Is(Wire),
    /// What is on its way is lost at once, and a new connection is silent: so what is sent again comes late, but it comes.
    Gone,
}

impl Weather {
    fn befall(&self, proxy: &Proxy) {
        match self {
            Self::Is(wire) => proxy.set(*wire),
            Self::Gone => {
                proxy.set(Wire::Silent);
                proxy.sever();
            }
        }
    }
}

/// What befalls a wire, and for how many milliseconds.
fn weathers(rng: &mut Rng) -> Vec<(Weather, u64)> {
    // So short that only what is on its way is lost.
    let blink = (Weather::Is(Wire::Cut), rng.u64(1..10));
    let mute = (Weather::Is(Wire::Mute), rng.u64(5..100));
    match rng.u8(..9) {
        0 => vec![(Weather::Is(Wire::Cut), rng.u64(10..800))],
        1 => vec![(Weather::Is(Wire::Silent), rng.u64(1100..2000))],
        2 => vec![(Weather::Is(Wire::Slow(60)), rng.u64(300..1500))],
        3 => vec![(Weather::Is(Wire::Slow(60)), rng.u64(100..900)), blink],
        // What is sent again comes at once, or after what others have done meanwhile: little, or more than a record remembers.
        4 => vec![mute, blink],
        5 | 6 => vec![mute, blink, (Weather::Is(Wire::Silent), rng.u64(50..500))],
        _ => vec![mute, (Weather::Gone, rng.u64(200..700))],
    }
}
