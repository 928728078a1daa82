//! The disk is full for a while, or takes no writes any more.

use std::time::Duration;

use fastrand::Rng;
use tokio::{
    task::block_in_place,
    time::{Instant, sleep},
};
use xtask::error::{Context, Result};

use super::{
    Ground, HASTY,
    stage::{Befallen, Stage, lasting},
};
use crate::{
    field::{Disk, Driver, Place, Servers},
    report::Outcome,
};

/// Room for the sessions of one history, and not much more.
const BYTES: u64 = 24 << 20;

/// How the disk fails.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    Full,
    Frozen,
}

pub(super) async fn fill(ground: &Ground, servers: &Servers, driver: Driver) -> Result<Outcome> {
    run(ground, servers, driver, Fault::Full).await
}

pub(super) async fn freeze(ground: &Ground, servers: &Servers, driver: Driver) -> Result<Outcome> {
    run(ground, servers, driver, Fault::Frozen).await
}

async fn run(ground: &Ground, servers: &Servers, driver: Driver, fault: Fault) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    for number in 0..ground.scale.pick(1, 4, 40) {
        let kind = if fault == Fault::Full {
            "full"
        } else {
            "frozen"
        };
        let folder = ground
            .guard
            .folder()
            .join(format!("{driver}-{kind}-{number}"));
        std::fs::create_dir(&folder).context("making a folder for a disk")?;
        let disk = Disk::mount(&folder, BYTES)?;
        let place = Place::new(driver, servers, disk.folder(), HASTY)?;
        let mut stage = Stage::at(ground, place.clone(), HASTY, 2)?;
        for _ in 0..number {
            stage.next_seed();
        }
        let seed = stage.next_seed();
        let lasts = Duration::from_secs(ground.scale.pick(1, 8, 15));
        let (load, world) = (lasting(seed), stage.faulty());
        stage
            .play(ground, &load, world, async |_, _| {
                failing(&disk, &place, fault, seed, lasts).await
            })
            .await?;
        outcome += stage.close(servers).await?;
    }
    Ok(outcome)
}

async fn failing(
    disk: &Disk,
    place: &Place,
    fault: Fault,
    seed: u64,
    lasts: Duration,
) -> Result<Befallen> {
    let mut rng = Rng::with_seed(seed);
    let end = Instant::now() + lasts;
    let mut faults = 0;
    while faults == 0 || Instant::now() < end {
        sleep(Duration::from_millis(rng.u64(300..900))).await;
        block_in_place(|| match fault {
            Fault::Full => disk.fill(),
            Fault::Frozen => disk.freeze(&place.folder, true),
        })?;
        sleep(Duration::from_millis(rng.u64(300..1500))).await;
        block_in_place(|| match fault {
            Fault::Full => disk.empty(),
            Fault::Frozen => disk.freeze(&place.folder, false),
        })?;
        faults += 1;
        sleep(Duration::from_millis(300)).await;
    }
    Ok(Befallen::faults(faults))
}
