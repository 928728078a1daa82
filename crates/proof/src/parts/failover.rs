//! A master is killed, a replica takes its place, and it comes back as a replica.
//!
//! Replication is asynchronous, so a master that dies may take with it what it has acknowledged a moment before: that is
//! counted, and is no violation (docs/drivers.md).

use std::{sync::Arc, time::Duration};

use fastrand::Rng;
use tokio::{
    task::block_in_place,
    time::{Instant, sleep},
};
use xtask::{
    error::{Error, Result},
    guard::Guard,
    services::redis::Node,
};

use super::{
    Ground, HASTY,
    stage::{Befallen, Stage, lasting, micros, no_server},
};
use crate::{
    field::{Driver, Servers},
    load::Crowd,
    report::Outcome,
};

/// What a master may have acknowledged and not handed on when it dies is not older than this.
const LAG: Duration = Duration::from_secs(1);
/// How long a failover may take.
const LIMIT: Duration = Duration::from_secs(60);

pub(super) async fn run(ground: &Ground, servers: &mut Servers, driver: Driver) -> Result<Outcome> {
    let mut stage = Stage::set(ground, servers, driver, HASTY, 2)?;
    servers.watch_masters()?;
    for _ in 0..ground.scale.pick(1, 4, 60) {
        let seed = stage.next_seed();
        let (load, world) = (lasting(seed), stage.faulty());
        stage
            .play(ground, &load, world, async |crowd, _| {
                failover(ground, servers, driver, seed, crowd).await
            })
            .await?;
    }
    servers.trust_masters()?;
    let lost = stage.outcome.lost;
    let note = format!("failover, {driver}: {lost} acknowledged writes were lost with a master");
    stage.outcome.notes.push(note);
    stage.close(servers).await
}

async fn failover(
    ground: &Ground,
    servers: &mut Servers,
    driver: Driver,
    seed: u64,
    crowd: Arc<Crowd>,
) -> Result<Befallen> {
    let mut rng = Rng::with_seed(seed);
    sleep(Duration::from_millis(rng.u64(500..1500))).await;
    let old = master(servers, driver, &mut rng)?;
    let nodes = nodes(servers, driver)?;
    let from = crowd.recorder().now().saturating_sub(micros(LAG));
    block_in_place(|| nodes[old].server.kill())?;
    let killed = (from, crowd.recorder().now());
    wait_for("another master", || has_moved(servers, driver, old)).await?;
    sleep(Duration::from_millis(rng.u64(..1000))).await;
    come_back(&ground.guard, servers, driver, old).await?;
    sleep(Duration::from_millis(500)).await;
    Ok(Befallen {
        faults: 1,
        lossy: vec![killed],
        ..Befallen::default()
    })
}

fn nodes(servers: &mut Servers, driver: Driver) -> Result<&mut Vec<Node>> {
    let nodes = match driver {
        Driver::Sentinel => servers.sentinel.as_mut().map(|group| &mut group.nodes),
        Driver::Cluster => servers.cluster.as_mut().map(|cluster| &mut cluster.nodes),
        _ => None,
    };
    nodes.ok_or_else(|| no_server(driver))
}

/// The one that is to die: the master, or any of a cluster's.
fn master(servers: &mut Servers, driver: Driver, rng: &mut Rng) -> Result<usize> {
    let named = servers
        .sentinel
        .as_ref()
        .filter(|_| driver == Driver::Sentinel);
    if let Some(master) = named.and_then(|group| group.master()) {
        return Ok(master);
    }
    let nodes = nodes(servers, driver)?.iter().enumerate();
    let masters = nodes.filter(|(_, node)| node.answers(&["role"], "master"));
    let masters: Vec<usize> = masters.map(|(place, _)| place).collect();
    rng.choice(masters)
        .ok_or_else(|| Error::new("there is no master"))
}

/// Whether somebody else serves what this node did.
fn has_moved(servers: &Servers, driver: Driver, old: usize) -> bool {
    match driver {
        Driver::Sentinel => {
            let master = servers.sentinel.as_ref().and_then(|group| group.master());
            master.is_some_and(|master| master != old)
        }
        _ => servers.cluster.as_ref().is_some_and(|cluster| {
            let others = cluster
                .nodes
                .iter()
                .enumerate()
                .filter(|(place, _)| *place != old);
            let whole = |node: &Node| {
                // A node that it has not noticed is still whole: the dead one must be known to be.
                node.answers(&["cluster", "info"], "cluster_state:ok")
                    && node.answers(&["cluster", "nodes"], "fail")
            };
            let masters = others
                .clone()
                .filter(|(_, node)| node.answers(&["role"], "master"));
            others.clone().all(|(_, node)| whole(node)) && masters.count() >= 3
        }),
    }
}

/// Starts the old master again, and waits until it follows the new one.
async fn come_back(guard: &Guard, servers: &mut Servers, driver: Driver, old: usize) -> Result<()> {
    let nodes = nodes(servers, driver)?;
    block_in_place(|| nodes[old].server.start_again(guard))?;
    wait_for("the old master to follow", || {
        let follows = |servers: &Servers| {
            let nodes = match driver {
                Driver::Sentinel => servers.sentinel.as_ref().map(|group| &group.nodes),
                _ => servers.cluster.as_ref().map(|cluster| &cluster.nodes),
            };
            nodes.is_some_and(|nodes| {
                nodes[old].answers(&["info", "replication"], "master_link_status:up")
            })
        };
        follows(servers)
    })
    .await
}

async fn wait_for(what: &str, mut done: impl FnMut() -> bool) -> Result<()> {
    let end = Instant::now() + LIMIT;
    while !block_in_place(&mut done) {
        if Instant::now() > end {
            return Err(Error::new(format!("waited in vain for {what}")));
        }
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
