//! Records are ruined where they are stored: that session is gone, and nothing else is.

use std::{sync::Arc, time::Duration};

use fastrand::Rng;
use tokio::time::{Instant, sleep};
use xtask::error::Result;

use super::{
    Ground, HASTY,
    stage::{Befallen, Stage, lasting},
};
use crate::{
    field::{Driver, Place, Servers, ruin},
    load::{Crowd, Load},
    report::Outcome,
};

pub(super) async fn run(ground: &Ground, servers: &Servers, driver: Driver) -> Result<Outcome> {
    let mut stage = Stage::set(ground, servers, driver, HASTY, 2)?;
    for _ in 0..ground.scale.pick(1, 4, 60) {
        let seed = stage.next_seed();
        let lasts = Duration::from_secs(ground.scale.pick(2, 6, 10));
        let load = Load {
            browsers: 6,
            ..lasting(seed)
        };
        let (world, place) = (stage.faulty(), stage.place.clone());
        stage
            .play(ground, &load, world, async |crowd: Arc<Crowd>, _| {
                ruining(&place, servers, &crowd, seed, lasts).await
            })
            .await?;
    }
    stage.close(servers).await
}

async fn ruining(
    place: &Place,
    servers: &Servers,
    crowd: &Crowd,
    seed: u64,
    lasts: Duration,
) -> Result<Befallen> {
    let mut rng = Rng::with_seed(seed);
    let end = Instant::now() + lasts;
    let mut befallen = Befallen::default();
    while Instant::now() < end {
        sleep(Duration::from_millis(rng.u64(50..400))).await;
        let Some(token) = rng.choice(crowd.known()) else {
            continue;
        };
        let since = crowd.recorder().now();
        if ruin(place, servers, &token.id).await? {
            befallen.ruined.push((token.id, since));
            befallen.faults += 1;
        }
    }
    Ok(befallen)
}
