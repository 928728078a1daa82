//! `cargo xtask bench`: builds the workspace `benches` and runs what is asked for.

use std::path::{PathBuf, absolute};

use crate::error::{Context, Result};
use crate::install;
use crate::process::cargo;
use crate::steps::Steps;

const MANIFEST: &str = "benches/Cargo.toml";

/// The instructions that each of our requests took when somebody last looked at them.
const BASELINE: &str = "benches/instructions.json";

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Bench {
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

/// What CI runs: does it work, and does nothing of ours take more instructions than it did?
pub(crate) fn smoke(steps: &mut Steps) -> Result<()> {
    let bench = Bench {
        json: None,
        quick: true,
        ours: true,
        instructions: false,
        bless: false,
    };
    steps.run("the benchmark, for a moment", || {
        bench.build()?;
        bench.part(&["in-process"])
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
        steps.need("in process", || self.part(&["in-process"]))
    }

    fn build(&self) -> Result<()> {
        self.cargo("build", &[])
    }

    fn instructions(&self) -> Result<()> {
        install::programs(&[install::VALGRIND])?;
        let mut arguments = vec!["instructions", BASELINE];
        if self.bless {
            arguments.push("--bless");
        }
        self.part(&arguments)
    }

    fn part(&self, arguments: &[&str]) -> Result<()> {
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
        // The peers' features could change what our own dependencies do, and with it the count.
        if !self.ours && !self.instructions {
            all.extend(["--features", "peers"]);
        }
        all.extend(arguments);
        cargo(&all, &[])
    }
}
