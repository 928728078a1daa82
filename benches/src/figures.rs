//! The figures of a run: what `--json` writes.

use serde::{Deserialize, Serialize};

use crate::{apps::Kind, case::Case, instructions::Counts, sample::Spread};

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
        let release = read("/proc/sys/kernel/osrelease");
        Self {
            processor: model.map_or("unknown", |(_, name)| name.trim()).to_owned(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            system: format!("{} {}", std::env::consts::OS, release.trim()),
        }
    }
}
