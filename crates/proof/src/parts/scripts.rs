//! Redis forgets the scripts that it was told, again and again: nobody should notice.

use std::time::Duration;

use tokio::{
    task::block_in_place,
    time::{Instant, sleep},
};
use xtask::{error::Result, services::redis::Node};

use super::{
    Ground, PATIENT,
    stage::{Befallen, Stage, lasting},
};
use crate::{
    field::{Driver, Servers},
    report::Outcome,
};

pub(super) async fn run(ground: &Ground, servers: &Servers, driver: Driver) -> Result<Outcome> {
    let mut stage = Stage::set(ground, servers, driver, PATIENT, 2)?;
    for _ in 0..ground.scale.pick(1, 4, 60) {
        let seed = stage.next_seed();
        let lasts = Duration::from_secs(ground.scale.pick(2, 5, 10));
        let (load, world) = (lasting(seed), stage.quiet());
        stage
            .play(ground, &load, world, async |_, _| {
                flushes(&nodes(servers, driver), lasts).await
            })
            .await?;
    }
    stage.close(servers).await
}

fn nodes(servers: &Servers, driver: Driver) -> Vec<&Node> {
    match driver {
        Driver::Redis => servers.redis.iter().map(|redis| &redis.node).collect(),
        Driver::Sentinel => servers
            .sentinel
            .iter()
            .flat_map(|group| &group.nodes)
            .collect(),
        Driver::Cluster => servers
            .cluster
            .iter()
            .flat_map(|group| &group.nodes)
            .collect(),
        Driver::File | Driver::Sqlite | Driver::Postgres | Driver::Mariadb => Vec::new(),
    }
}

async fn flushes(nodes: &[&Node], lasts: Duration) -> Result<Befallen> {
    let end = Instant::now() + lasts;
    let mut flushes = 0;
    while Instant::now() < end {
        for node in nodes {
            block_in_place(|| node.ask(&["script", "flush"]))?;
            flushes += 1;
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(Befallen::faults(flushes))
}
