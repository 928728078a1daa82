//! No fault at all: many requests of few sessions at once, on two servers. Nothing may fail, nothing may be lost.

use std::time::Duration;

use fastrand::Rng;
use xtask::error::Result;

use super::{Ground, PATIENT, stage::Stage};
use crate::{
    field::{Driver, Place, Servers},
    load::Load,
    report::Outcome,
};

/// Short, so that expiries are moved and cookies sent again while the clients are at it.
const LIFETIME: Duration = Duration::from_secs(15);

pub(super) async fn run(ground: &Ground, servers: &Servers, driver: Driver) -> Result<Outcome> {
    let mut place = Place::new(driver, servers, ground.guard.folder(), PATIENT)?;
    place.live_for(LIFETIME);
    let mut stage = Stage::at(ground, place, PATIENT, 2)?;
    for _ in 0..ground.scale.pick(1, 10, 300) {
        let seed = stage.next_seed();
        let load = load(seed);
        let crowd = stage.crowd(&load);
        crowd.run(&load).await;
        let world = stage.quiet();
        stage.judge(ground, &crowd, world).await;
    }
    stage.close(servers).await
}

/// Few or many at once, slow or fast.
fn load(seed: u64) -> Load {
    let mut rng = Rng::with_seed(seed);
    Load {
        seed,
        browsers: rng.usize(2..6),
        tabs: rng.usize(2..5),
        calls: 100,
        longest_wait: rng.u64(..15),
        longest_pause: rng.u64(10..40),
        ..Load::default()
    }
}
