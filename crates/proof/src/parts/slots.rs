//! Slots move from one node of a cluster to another while they are in use.

use std::{process::Command, time::Duration};

use fastrand::Rng;
use tokio::{task::block_in_place, time::sleep};
use xtask::{
    error::{Error, Result},
    process,
    services::redis::{Cluster, Node},
};

use super::{
    Ground, PATIENT,
    stage::{Befallen, Stage, lasting, no_server},
};
use crate::{
    field::{Driver, Servers},
    report::Outcome,
};

/// So many of the 16,384 at once.
const SLOTS: usize = 700;

pub(super) async fn run(ground: &Ground, servers: &Servers, driver: Driver) -> Result<Outcome> {
    let mut stage = Stage::set(ground, servers, driver, PATIENT, 2)?;
    let cluster = servers.cluster.as_ref().ok_or_else(|| no_server(driver))?;
    for _ in 0..ground.scale.pick(1, 4, 60) {
        let seed = stage.next_seed();
        let (load, world) = (lasting(seed), stage.quiet());
        let moves = ground.scale.pick(1, 3, 6);
        stage
            .play(ground, &load, world, async |_, _| {
                moving(cluster, moves, seed).await
            })
            .await?;
    }
    stage.close(servers).await
}

async fn moving(cluster: &Cluster, moves: usize, seed: u64) -> Result<Befallen> {
    let mut rng = Rng::with_seed(seed);
    let masters: Vec<&Node> = cluster
        .nodes
        .iter()
        .filter(|node| node.answers(&["role"], "master"))
        .collect();
    for _ in 0..moves {
        sleep(Duration::from_millis(rng.u64(100..400))).await;
        let pair = rng.choose_multiple(masters.iter(), 2);
        let [from, to] = pair.as_slice() else {
            return Err(Error::new("there are no two masters"));
        };
        block_in_place(|| {
            process::wait_until("the cluster to agree", Duration::from_secs(30), || {
                Ok(cluster.is_whole())
            })?;
            reshard(from, to)
        })?;
    }
    Ok(Befallen::faults(moves * SLOTS))
}

fn reshard(from: &Node, to: &Node) -> Result<()> {
    let id = |node: &Node| {
        node.ask(&["cluster", "myid"])
            .map(|id| id.trim().to_owned())
    };
    let mut command = Command::new("redis-cli");
    command.args([
        "--cluster",
        "reshard",
        &format!("127.0.0.1:{}", from.port()),
    ]);
    command.args(["--cluster-from", &id(from)?, "--cluster-to", &id(to)?]);
    command.args(["--cluster-slots", &SLOTS.to_string(), "--cluster-yes"]);
    process::output(&mut command).map(drop)
}
