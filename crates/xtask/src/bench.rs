//! `cargo xtask bench`: builds the workspace `benches` and runs what is asked for.

use std::path::{PathBuf, absolute};

use crate::error::{Context, Result};
use crate::process::cargo;
use crate::steps::Steps;

const MANIFEST: &str = "benches/Cargo.toml";

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Bench {
    /// Writes every figure to this file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Runs everything for a moment only, to see that it works.
    #[arg(long)]
    quick: bool,
    /// Leaves out the peers, which take minutes to build.
    #[arg(long)]
    ours: bool,
}

impl Bench {
    /// Builds and measures.
    pub(crate) fn run(&self, steps: &mut Steps) -> Result<()> {
        steps.need("build the benchmark", || self.cargo("build", &[]))?;
        steps.need("in process", || self.part("in-process"))
    }

    fn part(&self, name: &str) -> Result<()> {
        let mut arguments = vec!["--bin", "bench", "--", name];
        let json = self.json.as_deref().map(absolute).transpose();
        let json = json.context("the file for the figures")?;
        let json = json.map(|path| path.display().to_string());
        if let Some(json) = &json {
            arguments.extend(["--json", json]);
        }
        if self.quick {
            arguments.push("--quick");
        }
        self.cargo("run", &arguments)
    }

    fn cargo(&self, what: &str, arguments: &[&str]) -> Result<()> {
        let mut all = vec![what, "--release", "--manifest-path", MANIFEST];
        if !self.ours {
            all.extend(["--features", "peers"]);
        }
        all.extend(arguments);
        cargo(&all, &[])
    }
}
