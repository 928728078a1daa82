//! The part "stores": throughput on real servers, through the whole axum stack, everyone in turn.

mod bare_redis;
mod contenders;
mod expiring;
pub mod growth;
pub mod hot;
pub mod many;
#[cfg(feature = "peers")]
mod peers;
mod renaming;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};

pub use self::contenders::{Contender, our_runner};
use crate::{
    case::Case,
    figures::Throughput,
    load::{Load, Round},
    sample::Spread,
    tables,
};

/// A place for sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Place {
    /// This process.
    Memory,
    /// A Redis.
    Redis,
    /// A PostgreSQL that waits for the disk at each commit.
    Postgres,
    /// A PostgreSQL that does not (`synchronous_commit` is off).
    PostgresRelaxed,
    /// A MariaDB.
    Mysql,
    /// A file of SQLite's.
    Sqlite,
    /// A folder of files.
    File,
}

impl Place {
    /// What the tables call it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Redis => "Redis",
            Self::Postgres => "PostgreSQL",
            Self::PostgresRelaxed => "PostgreSQL, synchronous_commit off",
            Self::Mysql => "MariaDB",
            Self::Sqlite => "SQLite",
            Self::File => "file",
        }
    }

    /// How many requests are under way at once: a folder has no queue of its own.
    pub const fn concurrency(self) -> usize {
        match self {
            Self::File => 16,
            _ => 64,
        }
    }
}

/// Where the servers are, and which of them to measure.
#[derive(Args, Clone, Debug)]
pub struct Servers {
    /// Measures these only.
    #[arg(long = "store", value_enum)]
    pub places: Vec<Place>,
    /// The URL of a Redis.
    #[arg(long)]
    pub redis: Option<String>,
    /// The URL of a PostgreSQL.
    #[arg(long)]
    pub postgres: Option<String>,
    /// The URL of a PostgreSQL whose `synchronous_commit` is off.
    #[arg(long)]
    pub postgres_relaxed: Option<String>,
    /// The URL of a MariaDB.
    #[arg(long)]
    pub mysql: Option<String>,
    /// An empty folder, on a disk.
    #[arg(long)]
    pub folder: PathBuf,
}

impl Servers {
    /// The URL of this place.
    fn url(&self, place: Place) -> Result<&str> {
        let url = match place {
            Place::Redis => &self.redis,
            Place::Postgres => &self.postgres,
            Place::PostgresRelaxed => &self.postgres_relaxed,
            Place::Mysql => &self.mysql,
            Place::Memory | Place::Sqlite | Place::File => &None,
        };
        let url = url.as_deref();
        url.with_context(|| format!("{} needs a URL", place.title()))
    }

    /// The places to measure.
    pub fn places(&self) -> &[Place] {
        if self.places.is_empty() {
            Place::value_variants()
        } else {
            &self.places
        }
    }
}

/// How long a measurement is.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// How many rounds each contender gets.
    pub rounds: usize,
    /// How long each is.
    pub time: Duration,
    /// How many sessions there are for everyone who sends.
    pub sessions_each: usize,
}

impl Effort {
    /// For figures.
    pub const FULL: Self = Self {
        rounds: 9,
        time: Duration::from_millis(700),
        sessions_each: 4,
    };

    /// To see that it works.
    pub const QUICK: Self = Self {
        rounds: 1,
        time: Duration::from_millis(100),
        sessions_each: 2,
    };

    /// The one or the other.
    pub const fn quick_or_full(quick: bool) -> Self {
        if quick { Self::QUICK } else { Self::FULL }
    }
}

/// Measures and prints reading, and reading and writing, in each place.
///
/// # Errors
/// A contender fails.
pub fn run(servers: &Servers, effort: Effort) -> Result<Vec<Throughput>> {
    let mut all = Vec::new();
    for &place in servers.places() {
        if place == Place::Memory {
            continue;
        }
        for case in [Case::Read, Case::ReadWrite] {
            let measured = measure(place, case, servers, effort);
            let measured =
                measured.with_context(|| format!("{}, {}", place.title(), case.title()))?;
            print(place, case, &measured);
            all.extend(measured);
        }
    }
    Ok(all)
}

fn measure(place: Place, case: Case, servers: &Servers, effort: Effort) -> Result<Vec<Throughput>> {
    let load = Load {
        case,
        session: 300,
        sessions: place.concurrency() * effort.sessions_each,
        concurrency: place.concurrency(),
    };
    let mut contenders = contenders::of(place, servers, cores())?;
    for contender in &mut contenders {
        contender.runner.prepare(load).context(contender.name)?;
    }
    let rounds = in_turn(&mut contenders, effort)?;
    let ours = contenders.iter().position(|contender| contender.ours);
    let ours = ours.map(|index| median(&rounds[index]));
    let throughput = |(contender, rounds): (&Contender, &Vec<Round>)| Throughput {
        store: place.title().to_owned(),
        case,
        contender: contender.name.to_owned(),
        ours: contender.ours,
        concurrency: load.concurrency,
        per_second: spread(rounds, |round| round.per_second),
        p50_us: spread(rounds, |round| round.p50_us).median,
        p99_us: spread(rounds, |round| round.p99_us).median,
        ours_times: ours
            .filter(|_| !contender.ours)
            .map(|ours| ours / median(rounds)),
    };
    Ok(contenders.iter().zip(&rounds).map(throughput).collect())
}

/// Gives everyone his rounds, one after the other, and checks at the end that every request counted.
///
/// # Errors
/// One of them fails.
pub fn in_turn(contenders: &mut [Contender], effort: Effort) -> Result<Vec<Vec<Round>>> {
    let mut rounds = vec![Vec::new(); contenders.len()];
    for turn in 0..=effort.rounds {
        for place in 0..contenders.len() {
            let index = (place + turn) % contenders.len();
            let contender = &mut contenders[index];
            let round = contender.runner.round(effort.time);
            let round = round.context(contender.name)?;
            // The first one warms up.
            if turn > 0 {
                rounds[index].push(round);
            }
        }
    }
    for contender in contenders {
        contender.runner.finish().context(contender.name)?;
    }
    Ok(rounds)
}

/// How one of a round's figures came out.
pub fn spread(rounds: &[Round], figure: impl Fn(&Round) -> f64) -> Spread {
    Spread::of(rounds.iter().map(figure).collect())
}

fn median(rounds: &[Round]) -> f64 {
    spread(rounds, |round| round.per_second).median
}

/// How many cores we have.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn print(place: Place, case: Case, measured: &[Throughput]) {
    let at_once = place.concurrency();
    println!("\n{}, {}, {at_once} at once\n", place.title(), case.title());
    print!("{}", tables::throughputs(measured));
}
