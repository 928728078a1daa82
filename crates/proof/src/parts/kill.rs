//! The application is killed in the middle of its writes, again and again; others on the same store go on.

use std::time::Duration;

use fastrand::Rng;
use tokio::{task::block_in_place, time::sleep};
use xtask::error::Result;

use super::{
    Ground, PATIENT,
    stage::{Befallen, Stage, lasting},
};
use crate::{
    field::{Driver, Process, Servers},
    history::History,
    report::Outcome,
};

pub(super) async fn run(ground: &Ground, servers: &Servers, driver: Driver) -> Result<Outcome> {
    // Nobody but the applications dies, so nobody has to wait for a deadline.
    let mut stage = Stage::set(ground, servers, driver, PATIENT, 3)?;
    // What a server keeps is not the application's to tear.
    let histories = match driver {
        Driver::File | Driver::Sqlite => ground.scale.pick(1, 40, 400),
        _ => ground.scale.pick(1, 4, 40),
    };
    let deaths = ground.scale.pick(12, 50, 50);
    for _ in 0..histories {
        let seed = stage.next_seed();
        let load = lasting(seed);
        let world = History {
            quiet: false,
            ..stage.quiet()
        };
        stage
            .play(ground, &load, world, async |_, processes| {
                kill(processes, deaths, seed).await
            })
            .await?;
    }
    stage.close(servers).await
}

async fn kill(processes: &mut [Process], deaths: usize, seed: u64) -> Result<Befallen> {
    let mut rng = Rng::with_seed(seed);
    for _ in 0..deaths {
        sleep(Duration::from_micros(rng.u64(5_000..80_000))).await;
        let number = rng.usize(..processes.len());
        block_in_place(|| processes[number].start_again())?;
    }
    Ok(Befallen::faults(deaths))
}
