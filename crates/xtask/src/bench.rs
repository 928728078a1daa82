//! `cargo xtask bench`: builds the workspace `benches` and runs what is asked for.

use std::path::{PathBuf, absolute};

use clap::ValueEnum;

use crate::error::{Context, Result};
use crate::guard::Guard;
use crate::process::cargo;
use crate::steps::Steps;
use crate::{install, services};

const MANIFEST: &str = "benches/Cargo.toml";

/// SQLite's contenders, which cannot be in one program.
const SQLITE: [&str; 2] = [
    "benches/sqlite/ours/Cargo.toml",
    "benches/sqlite/peer/Cargo.toml",
];

/// The instructions that each of our requests took when somebody last looked at them.
const BASELINE: &str = "benches/instructions.json";

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Bench {
    /// Measures these parts only.
    #[arg(value_enum)]
    parts: Vec<Part>,
    /// Of the stores, measures these only: `redis`, `postgres`, `postgres-relaxed`, `mysql`, `sqlite`, `file`, `memory`.
    #[arg(long)]
    store: Vec<String>,
    /// Writes every figure to this file, beside those of other parts that are in it.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Runs everything for a moment only, to see that it works.
    #[arg(long)]
    quick: bool,
    /// Leaves out the peers, which take minutes to build.
    #[arg(long)]
    ours: bool,
    /// Counts the instructions of our requests, and nothing else; more than the committed baseline is an error.
    #[arg(long)]
    instructions: bool,
    /// Makes the instructions that were counted the baseline.
    #[arg(long, requires = "instructions")]
    bless: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Time and allocations of one request.
    InProcess,
    /// Throughput on real servers.
    Stores,
}

/// What CI runs: does it work, and does nothing of ours take more instructions than it did?
pub(crate) fn smoke(steps: &mut Steps) -> Result<()> {
    let bench = Bench {
        parts: vec![Part::InProcess],
        store: Vec::new(),
        json: None,
        quick: true,
        ours: true,
        instructions: false,
        bless: false,
    };
    steps.run("the benchmark, for a moment", || {
        bench.build()?;
        bench.bench(&["in-process"])
    })?;
    steps.run("instructions", || bench.instructions())
}

impl Bench {
    /// Builds and measures.
    pub(crate) fn run(&self, steps: &mut Steps) -> Result<()> {
        steps.need("build the benchmark", || self.build())?;
        if self.instructions {
            return steps.need("instructions", || self.instructions());
        }
        if self.wants(Part::InProcess) {
            steps.run("in process", || self.bench(&["in-process"]))?;
        }
        if self.wants(Part::Stores) {
            steps.need("install what is missing", install::run)?;
            let guard = Guard::start()?;
            let options = steps.need("start the servers", || {
                services::start_for_benchmark(&guard)
            })?;
            let mut arguments = vec!["stores"];
            for (option, value) in &options {
                arguments.extend([*option, value]);
            }
            for store in &self.store {
                arguments.extend(["--store", store]);
            }
            steps.run("stores", || self.bench(&arguments))?;
        }
        Ok(())
    }

    fn wants(&self, part: Part) -> bool {
        self.parts.is_empty() || self.parts.contains(&part)
    }

    /// Nothing but the main program when only a request's cost in process is asked for.
    fn is_small(&self) -> bool {
        self.instructions || self.parts == [Part::InProcess]
    }

    fn build(&self) -> Result<()> {
        self.cargo("build", &[])?;
        if self.is_small() {
            return Ok(());
        }
        let wanted = if self.ours { &SQLITE[..1] } else { &SQLITE };
        for manifest in wanted {
            cargo(&["build", "--release", "--manifest-path", manifest], &[])?;
        }
        Ok(())
    }

    fn instructions(&self) -> Result<()> {
        install::programs(&[install::VALGRIND])?;
        let mut arguments = vec!["instructions", BASELINE];
        if self.bless {
            arguments.push("--bless");
        }
        self.bench(&arguments)
    }

    /// Runs the main program.
    fn bench(&self, arguments: &[&str]) -> Result<()> {
        let mut all = [&["--bin", "bench", "--"], arguments].concat();
        let json = self.json.as_deref().map(absolute).transpose();
        let json = json.context("the file for the figures")?;
        let json = json.map(|path| path.display().to_string());
        if let Some(json) = &json {
            all.extend(["--json", json]);
        }
        if self.quick {
            all.push("--quick");
        }
        self.cargo("run", &all)
    }

    fn cargo(&self, what: &str, arguments: &[&str]) -> Result<()> {
        let mut all = vec![what, "--release", "--manifest-path", MANIFEST];
        // The peers' features could change what our own dependencies do, and with it the count of instructions.
        match (self.is_small(), self.ours || self.instructions) {
            (_, false) => all.extend(["--features", "peers"]),
            (false, true) => all.extend(["--features", "stores"]),
            (true, true) => {}
        }
        all.extend(arguments);
        cargo(&all, &[])
    }
}
