//! The stores' own servers, which keep what they acknowledge, and can be killed.

use std::thread;

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
            Ok(Self {
                redis: joined(redis)?,
                sentinel: joined(sentinel)?,
                cluster: joined(cluster)?,
                postgres: joined(postgres)?,
                mariadb: joined(mariadb)?,
            })
        })
    }
}

fn start<S>(guard: Option<&Guard>, start: impl FnOnce(&Guard) -> Result<S>) -> Result<Option<S>> {
    guard.map(start).transpose()
}

fn joined<S>(thread: thread::ScopedJoinHandle<'_, Result<Option<S>>>) -> Result<Option<S>> {
    let joined = thread.join();
    joined.unwrap_or_else(|_| Err(Error::new("starting a server panicked")))
}
