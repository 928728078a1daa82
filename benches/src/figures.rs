//! The figures of a run: what `--json` writes.

use serde::{Deserialize, Serialize};

use crate::{apps::Kind, case::Case, instructions::Counts, sample::Spread, scale::Scale};

/// Everything that a run has measured. A part that did not run is empty.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Figures {
    /// Where it ran.
    pub machine: Machine,
    /// Time and allocations of a request in process.
    #[serde(default)]
    pub in_process: Vec<Request>,
    /// Instructions a request.
    #[serde(default)]
    pub instructions: Counts,
    /// Throughput on stores.
    #[serde(default)]
    pub stores: Vec<Throughput>,
    /// Throughput of one hot session.
    #[serde(default)]
    pub hot: Vec<Hot>,
    /// Very many sessions.
    #[serde(default)]
    pub many: Vec<Many>,
    /// How the cost grows.
    #[serde(default)]
    pub growth: Vec<Point>,
    /// Over sockets.
    #[serde(default)]
    pub sockets: Vec<Socket>,
}

/// How much one contender gets done in one place.
#[derive(Debug, Serialize, Deserialize)]
pub struct Throughput {
    /// The place.
    pub store: String,
    /// What the requests do.
    pub case: Case,
    /// Who.
    pub contender: String,
    /// Whether it is ours.
    pub ours: bool,
    /// How many requests are under way at once.
    pub concurrency: usize,
    /// Requests a second, over all rounds.
    pub per_second: Spread,
    /// The median request, in microseconds.
    pub p50_us: f64,
    /// All but a hundredth of the requests took less.
    pub p99_us: f64,
    /// How many times as much we get done; `None` for ours.
    pub ours_times: Option<f64>,
}

/// Many writers of one session, beside as many of one each.
#[derive(Debug, Serialize, Deserialize)]
pub struct Hot {
    /// The place.
    pub store: String,
    /// How many write at once.
    pub writers: usize,
    /// Commits a second, all to one session.
    pub one_per_second: f64,
    /// Commits a second to a session each.
    pub each_per_second: f64,
    /// All but a hundredth of the commits to one session took less, in microseconds.
    pub one_p99_us: f64,
    /// The same of those to a session each.
    pub each_p99_us: f64,
}

/// What very many sessions cost in one place.
#[derive(Debug, Serialize, Deserialize)]
pub struct Many {
    /// The place.
    pub store: String,
    /// What they cost.
    pub scale: Scale,
}

/// Requests a second over sockets.
#[derive(Debug, Serialize, Deserialize)]
pub struct Socket {
    /// Our driver.
    pub driver: String,
    /// How many connections there are.
    pub connections: usize,
    /// Without the layer.
    pub without: Spread,
    /// With it.
    pub with: Spread,
    /// What is left of the one with the other.
    pub part: f64,
}

/// What grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Curve {
    /// The session.
    Size,
    /// The number of sessions.
    Sessions,
    /// The number of requests at once.
    AtOnce,
    /// The number of cores, or rather of threads.
    Cores,
}

/// A point of a curve.
#[derive(Debug, Serialize, Deserialize)]
pub struct Point {
    /// What grows.
    pub curve: Curve,
    /// Where the sessions are.
    pub place: String,
    /// Who.
    pub who: String,
    /// What the requests do.
    pub case: Case,
    /// How much of it there is.
    pub x: usize,
    /// Nanoseconds a request for [`Curve::Size`], otherwise requests a second.
    pub y: f64,
}

impl Curve {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Size, Self::Sessions, Self::AtOnce, Self::Cores];

    /// What a table or a plot of it is about.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Size => "bytes of a session's JSON",
            Self::Sessions => "sessions in the store",
            Self::AtOnce => "requests at once",
            Self::Cores => "threads",
        }
    }

    /// The plot of it, as the document names it.
    pub const fn file(self) -> &'static str {
        match self {
            Self::Size => "performance/size.svg",
            Self::Sessions => "performance/sessions.svg",
            Self::AtOnce => "performance/at-once.svg",
            Self::Cores => "performance/cores.svg",
        }
    }

    /// What is counted.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Size => "ns a request",
            _ => "requests a second",
        }
    }
}

impl Point {
    /// What its line in a table or a plot is called.
    pub fn line(&self) -> String {
        match self.curve {
            Curve::Size => self.who.clone(),
            _ => self.place.clone(),
        }
    }
}

/// Where it ran.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// How many of its cores we may use.
    pub cores: usize,
    /// The system.
    pub system: String,
}

/// What a request costs one contender in process.
#[derive(Debug, Serialize, Deserialize)]
pub struct Request {
    /// What the session's JSON takes, in bytes.
    pub session: usize,
    /// What the request does.
    pub case: Case,
    /// Who.
    pub contender: String,
    /// What it is compared with.
    pub kind: Kind,
    /// Whether it is ours.
    pub ours: bool,
    /// The contender without sessions beneath it.
    pub floor: String,
    /// Nanoseconds a request, over all rounds.
    pub ns: Spread,
    /// The median less the floor's.
    pub overhead_ns: f64,
    /// The overhead as a multiple of ours; `None` for ours and for floors.
    pub times_ours: Option<f64>,
    /// Allocations a request, the floor's included.
    pub allocations: f64,
    /// Bytes that they asked for.
    pub allocated_bytes: f64,
}

impl Machine {
    /// This one.
    pub fn this() -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let processors = read("/proc/cpuinfo");
        let model = processors
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        // Its number alone: what comes behind names somebody's build.
        let release = read("/proc/sys/kernel/osrelease");
        let release = release.split('-').next().unwrap_or_default();
        Self {
            processor: model.map_or("unknown", |(_, name)| name.trim()).to_owned(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            system: format!("{} {}", std::env::consts::OS, release.trim()),
        }
    }
}
