//! The parts of the proof. Each is a fault, or none, and a crowd of clients meanwhile.

mod cancel;
mod clock;
mod crash;
mod damage;
mod disk;
mod failover;
mod kill;
mod network;
mod quiet;
mod scripts;
mod slots;
mod stage;

use std::{fmt, path::PathBuf, time::Duration};

use clap::ValueEnum;
use fastrand::Rng;
use xtask::{error::Result, guard::Guard};

use crate::{
    field::{Driver, Place, Process, Servers},
    report::Outcome,
};

/// A part of the proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// No fault: nothing may fail.
    Quiet,
    /// The store's server is killed and started again.
    Crash,
    /// The store's server stands still for longer than the deadline.
    Pause,
    /// Connections to the store are cut, silent, or slow.
    Network,
    /// Redis forgets its scripts.
    Scripts,
    /// The master of a Sentinel group, or one of a cluster, is killed.
    Failover,
    /// Slots move from one node of a cluster to another.
    Slots,
    /// The application is killed in the middle of its writes.
    Kill,
    /// The disk is full.
    FullDisk,
    /// The disk takes no writes any more.
    ReadOnly,
    /// Records are ruined where they are stored.
    Damage,
    /// The clocks of the applications jump by an hour.
    Clock,
    /// Clients leave at any moment.
    Cancel,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Quiet,
        Self::Crash,
        Self::Pause,
        Self::Network,
        Self::Scripts,
        Self::Failover,
        Self::Slots,
        Self::Kill,
        Self::FullDisk,
        Self::ReadOnly,
        Self::Damage,
        Self::Clock,
        Self::Cancel,
    ];

    /// Whether this can happen to a driver.
    #[must_use]
    pub fn concerns(self, driver: Driver) -> bool {
        use Driver::{Cluster, File, Mariadb, Postgres, Redis, Sentinel, Sqlite};
        match self {
            Self::Quiet | Self::Kill | Self::Clock | Self::Cancel => true,
            Self::Crash | Self::Pause | Self::Network => {
                matches!(driver, Redis | Postgres | Mariadb)
            }
            Self::Scripts => matches!(driver, Redis | Sentinel | Cluster),
            Self::Failover => matches!(driver, Sentinel | Cluster),
            Self::Slots => matches!(driver, Cluster),
            Self::FullDisk | Self::ReadOnly => matches!(driver, File | Sqlite),
            Self::Damage => matches!(driver, File | Sqlite | Redis | Postgres | Mariadb),
        }
    }

    /// Whether it asks a server for what only those in Rust answer.
    #[must_use]
    pub fn looks_inside(self) -> bool {
        matches!(self, Self::Clock | Self::Cancel)
    }

    /// The drivers of these that it is run on: all that it concerns. In short it is one or two, drawn by the seed.
    #[must_use]
    pub fn drivers(self, among: &[Driver], scale: Scale, seed: u64) -> Vec<Driver> {
        let all = among
            .iter()
            .copied()
            .filter(|driver| self.concerns(*driver));
        let mut drivers: Vec<Driver> = all.collect();
        if scale == Scale::Short {
            let mut rng = Rng::with_seed(seed ^ self as u64);
            rng.shuffle(&mut drivers);
            if self == Self::Kill {
                // What a server keeps is not the application's to tear, so it is about the others.
                drivers.sort_by_key(|driver| !matches!(driver, Driver::File | Driver::Sqlite));
            }
            drivers.truncate(match self {
                Self::Quiet => drivers.len(),
                Self::Kill | Self::Cancel => 2,
                _ => 1,
            });
        }
        drivers
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.pad(value.as_ref().map_or("", |value| value.get_name()))
    }
}

/// How much is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// For every change: seconds.
    Short,
    /// For a release: minutes.
    Usual,
    /// For a night: hours.
    Soak,
}

impl Scale {
    /// One of three.
    fn pick<T>(self, short: T, usual: T, soak: T) -> T {
        match self {
            Self::Short => short,
            Self::Usual => usual,
            Self::Soak => soak,
        }
    }
}

/// What all parts stand on.
pub struct Ground {
    /// Ends everything that was started.
    pub guard: Guard,
    /// How much is done.
    pub scale: Scale,
    /// Decides what is asked.
    pub seed: u64,
    /// Where histories go that violate something.
    pub evidence: PathBuf,
    /// The Python for every second server: then two languages share the sessions.
    pub beside: Option<PathBuf>,
}

impl Ground {
    /// Starts the server of this number.
    fn server(&self, number: usize, place: &Place) -> Result<Process> {
        match &self.beside {
            Some(python) if number % 2 == 1 => Process::start_in_python(place, python),
            _ => Process::start(place),
        }
    }
}

/// Runs a part on a driver.
///
/// # Errors
/// It could not be run: that is no violation, but it is no proof either.
pub async fn run(
    ground: &Ground,
    servers: &mut Servers,
    part: Part,
    driver: Driver,
) -> Result<Outcome> {
    match part {
        Part::Quiet => quiet::run(ground, servers, driver).await,
        Part::Crash => crash::kill(ground, servers, driver).await,
        Part::Pause => crash::pause(ground, servers, driver).await,
        Part::Network => network::run(ground, servers, driver).await,
        Part::Scripts => scripts::run(ground, servers, driver).await,
        Part::Failover => failover::run(ground, servers, driver).await,
        Part::Slots => slots::run(ground, servers, driver).await,
        Part::Kill => kill::run(ground, servers, driver).await,
        Part::FullDisk => disk::fill(ground, servers, driver).await,
        Part::ReadOnly => disk::freeze(ground, servers, driver).await,
        Part::Damage => damage::run(ground, servers, driver).await,
        Part::Clock => clock::run(ground, servers, driver).await,
        Part::Cancel => cancel::run(ground, servers, driver).await,
    }
}

/// The deadline of a store, where none shall pass: a busy machine is no fault.
const PATIENT: Duration = Duration::from_secs(20);

/// The deadline of a store that fails.
const HASTY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_concerns_a_driver_and_every_driver_has_its_turn() {
        let all = Driver::value_variants();
        for part in Part::ALL {
            let concerned = part.drivers(all, Scale::Usual, 0);
            let mut drawn: Vec<Driver> = (0..100)
                .flat_map(|seed| part.drivers(all, Scale::Short, seed))
                .collect();
            drawn.sort_unstable();
            drawn.dedup();
            assert!(!concerned.is_empty());
            match part {
                Part::Kill => assert_eq!(drawn, [Driver::File, Driver::Sqlite]),
                _ => assert_eq!(drawn, concerned, "{part}"),
            }
        }
    }
}
