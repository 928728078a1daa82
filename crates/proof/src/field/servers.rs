//! The stores' own servers, which keep what they acknowledge, and can be killed.

use std::{thread, time::Duration};

use xtask::{
    error::{Error, Result},
    guard::Guard,
    services::{
        Keeps,
        mariadb::MariaDb,
        postgres::Postgres,
        redis::{Cluster, Sentinels, Single},
    },
};

use super::Driver;

/// What a slow machine may keep a master from saying that it lives.
const PATIENT: Duration = Duration::from_secs(120);
/// When a master is to be missed that is dead.
const HASTY: Duration = Duration::from_secs(2);

/// The servers of the drivers that are to be proved.
#[derive(Default)]
pub struct Servers {
    /// One node.
    pub redis: Option<Single>,
    /// A master with replicas, and who watches them.
    pub sentinel: Option<Sentinels>,
    /// Three masters with a replica each.
    pub cluster: Option<Cluster>,
    /// PostgreSQL.
    pub postgres: Option<Postgres>,
    /// MariaDB.
    pub mariadb: Option<MariaDb>,
}

impl Servers {
    /// Starts what these drivers need, all at once.
    ///
    /// # Errors
    /// A server is not installed, or does not start.
    pub fn start(guard: &Guard, drivers: &[Driver]) -> Result<Self> {
        let kept = Keeps::Everything;
        let needs = |driver| drivers.contains(&driver).then_some(guard);
        thread::scope(|scope| {
            let redis = scope.spawn(|| start(needs(Driver::Redis), |g| Single::start(g, kept)));
            let sentinel =
                scope.spawn(|| start(needs(Driver::Sentinel), |g| Sentinels::start(g, kept)));
            let cluster =
                scope.spawn(|| start(needs(Driver::Cluster), |g| Cluster::start(g, kept)));
            let postgres =
                scope.spawn(|| start(needs(Driver::Postgres), |g| Postgres::start(g, kept)));
            let mariadb =
                scope.spawn(|| start(needs(Driver::Mariadb), |g| MariaDb::start(g, kept)));
            let servers = Self {
                redis: joined(redis)?,
                sentinel: joined(sentinel)?,
                cluster: joined(cluster)?,
                postgres: joined(postgres)?,
                mariadb: joined(mariadb)?,
            };
            servers.trust_masters()?;
            Ok(servers)
        })
    }

    /// Nobody takes the place of a master because the machine is slow: that would lose what it has acknowledged.
    ///
    /// # Errors
    /// A node does not answer.
    pub fn trust_masters(&self) -> Result<()> {
        self.miss_masters_after(PATIENT)
    }

    /// A master that dies is replaced soon.
    ///
    /// # Errors
    /// A node does not answer.
    pub fn watch_masters(&self) -> Result<()> {
        self.miss_masters_after(HASTY)
    }

    fn miss_masters_after(&self, time: Duration) -> Result<()> {
        let millis = time.as_millis().to_string();
        for node in self.cluster.iter().flat_map(|cluster| &cluster.nodes) {
            node.ask(&["config", "set", "cluster-node-timeout", &millis])?;
        }
        let limit = ["sentinel", "set", "mymaster", "down-after-milliseconds"];
        for sentinel in self.sentinel.iter().flat_map(|group| &group.sentinels) {
            sentinel.ask(&[&limit[..], &[&millis]].concat())?;
        }
        Ok(())
    }
}

fn start<S>(guard: Option<&Guard>, start: impl FnOnce(&Guard) -> Result<S>) -> Result<Option<S>> {
    guard.map(start).transpose()
}

fn joined<S>(thread: thread::ScopedJoinHandle<'_, Result<Option<S>>>) -> Result<Option<S>> {
    let joined = thread.join();
    joined.unwrap_or_else(|_| Err(Error::new("starting a server panicked")))
}
