//! `cargo xtask bench`: builds the workspace `benches` and runs what is asked for.

use std::path::{PathBuf, absolute};

use clap::ValueEnum;

use xtask::error::{Context, Result};
use xtask::guard::Guard;
use xtask::process::cargo;
use xtask::{install, repository, services};

use crate::python;
use crate::runner::Runner;
use crate::steps::Steps;

const MANIFEST: &str = "benches/Cargo.toml";

/// SQLite's contenders, which cannot be in one program.
const SQLITE: [&str; 2] = [
    "benches/sqlite/ours/Cargo.toml",
    "benches/sqlite/peer/Cargo.toml",
];

/// The instructions that each of our requests took when somebody last looked at them.
const BASELINE: &str = "benches/instructions.json";

/// The document that the figures go into, and the file that they come from.
const DOCUMENT: &str = "docs/performance.md";
const FIGURES: &str = "docs/performance/figures.json";

/// The parts that need servers, and what the main program calls them.
const ON_SERVERS: [(Part, &str); 3] = [
    (Part::Stores, "stores"),
    (Part::Many, "many"),
    (Part::Growth, "growth"),
];

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Bench {
    /// Measures these parts only.
    #[arg(value_enum)]
    parts: Vec<Part>,
    /// Of the stores, measures these only: `memory`, `redis`, `postgres`, `postgres-relaxed`, `mysql`, `sqlite`, `file`.
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
    #[arg(long, conflicts_with = "report")]
    instructions: bool,
    /// Makes the instructions that were counted the baseline.
    #[arg(long, requires = "instructions")]
    bless: bool,
    /// Measures the Python package beside its peers, and nothing else.
    #[arg(long, conflicts_with = "instructions")]
    python: bool,
    /// Measures nothing, and writes the figures of docs/performance/figures.json into docs/performance.md; with `--python`
    /// it measures, and writes that part.
    #[arg(long)]
    report: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Time and allocations of one request.
    InProcess,
    /// Requests a second over sockets.
    Sockets,
    /// Throughput on real servers, and of one hot session.
    Stores,
    /// A million sessions, and the sweep of half of them.
    Many,
    /// How the cost grows.
    Growth,
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
        python: false,
        report: false,
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
        if self.python {
            return self.python(steps);
        }
        if self.report {
            return steps.need("report", report);
        }
        steps.need("build the benchmark", || self.build())?;
        if self.instructions {
            return steps.need("instructions", || self.instructions());
        }
        if self.wants(Part::InProcess) {
            steps.run("in process", || self.bench(&["in-process"]))?;
        }
        if self.wants(Part::Sockets) {
            steps.need("install wrk", || install::programs(&[install::WRK]))?;
            steps.run("sockets", || self.bench(&["sockets"]))?;
        }
        if self.is_small() {
            return Ok(());
        }
        steps.need("install the servers", install::run)?;
        for (part, name) in ON_SERVERS {
            if self.wants(part) {
                steps.run(name, || self.on_servers(name))?;
            }
        }
        Ok(())
    }

    fn python(&self, steps: &mut Steps) -> Result<()> {
        steps.need("install the servers", install::run)?;
        let guard = Guard::start()?;
        let started = steps.need("start the servers", || {
            services::start_for_benchmark(&guard)
        })?;
        let redis = started.into_iter().find(|(name, _)| *name == "--redis");
        let variables = redis.map(|(_, url)| ("ARVEL_TEST_REDIS", url));
        let runner = Runner {
            guard: &guard,
            variables: variables.into_iter().collect(),
        };
        let document = self.report.then(|| repository::root().join(DOCUMENT));
        python::bench(steps, &runner, self.quick, document.as_deref())
    }

    /// Runs a part on new servers, so that none finds what another has left.
    fn on_servers(&self, part: &str) -> Result<()> {
        let guard = Guard::start()?;
        let options = services::start_for_benchmark(&guard)?;
        let mut arguments = vec![part];
        for (option, value) in &options {
            arguments.extend([*option, value]);
        }
        for store in &self.store {
            arguments.extend(["--store", store]);
        }
        self.bench(&arguments)
    }

    fn wants(&self, part: Part) -> bool {
        self.parts.is_empty() || self.parts.contains(&part)
    }

    /// Whether no server is needed.
    fn is_small(&self) -> bool {
        let on_servers = |(part, _): &(Part, &str)| self.wants(*part);
        self.instructions || !ON_SERVERS.iter().any(on_servers)
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

/// Writes the tables and the plots.
fn report() -> Result<()> {
    let program = [
        "--manifest-path",
        MANIFEST,
        "--features",
        "report",
        "--bin",
        "bench",
    ];
    let arguments = ["--", "report", DOCUMENT, "--json", FIGURES];
    cargo(
        &[&["run", "--release"], &program[..], &arguments].concat(),
        &[],
    )
}
