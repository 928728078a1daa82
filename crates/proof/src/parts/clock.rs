//! The clocks of the applications jump by an hour, each way, one by one.
//!
//! It is the library's clock that is turned, through its one seam; the stores keep the machine's time. While the clocks
//! of two servers differ by more than a marker lives, nothing is said of when a marker ends.

use std::time::Duration;

use fastrand::Rng;
use tokio::time::{Instant, sleep};
use xtask::error::Result;

use super::{
    Ground, PATIENT,
    stage::{Befallen, Stage, lasting},
};
use crate::{
    field::{Driver, Place, Process, Servers},
    history::History,
    report::Outcome,
};

const HOUR: i64 = 3_600_000;

pub(super) async fn run(ground: &Ground, servers: &Servers, driver: Driver) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    // The library's clock never goes back, so each history begins with new servers.
    for number in 0..ground.scale.pick(1, 4, 60) {
        let mut place = Place::new(driver, servers, ground.guard.folder(), PATIENT)?;
        place.live_for(Duration::from_secs(7200));
        let mut stage = Stage::at(ground, place, PATIENT, 3)?;
        for _ in 0..number {
            stage.next_seed();
        }
        let seed = stage.next_seed();
        let lasts = Duration::from_secs(ground.scale.pick(2, 5, 10));
        let load = lasting(seed);
        let world = History {
            quiet: false,
            grace: 0,
            ..stage.quiet()
        };
        stage
            .play(ground, &load, world, async |_, processes| {
                turning(processes, seed, lasts).await
            })
            .await?;
        outcome += stage.close(servers).await?;
    }
    Ok(outcome)
}

async fn turning(processes: &[Process], seed: u64, lasts: Duration) -> Result<Befallen> {
    let mut rng = Rng::with_seed(seed);
    let end = Instant::now() + lasts;
    let mut turns = 0;
    while Instant::now() < end {
        sleep(Duration::from_millis(rng.u64(50..400))).await;
        if let Some(process) = rng.choice(processes) {
            let by = rng.choice([-HOUR, 0, HOUR]).unwrap_or(0);
            process.turn_clock(by).await?;
            turns += 1;
        }
    }
    Ok(Befallen::faults(turns))
}
