//! `cargo xtask mutants`: changes the core of the library, one place at a time, and sees whether a test notices.
//!
//! cargo-mutants says what can be changed (`.cargo/mutants.toml`). It would build the library once for each change, for
//! hours; so one copy of the library has them all in it, each behind a switch, and a change is tried by the tests that
//! reach it. What cannot be behind a switch is left to cargo-mutants itself.

mod apart;
mod build;
mod list;
mod switch;
mod trial;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use xtask::error::{Context, Error, Result};
use xtask::{process, repository};

use crate::steps::Steps;
use list::Mutant;
use trial::{Outcome, Test};

/// What to change.
#[derive(clap::Args)]
pub(crate) struct Mutants {
    /// Tries only the mutants whose names contain one of these.
    filters: Vec<String>,
}

fn folder() -> PathBuf {
    repository::root().join("target/mutants")
}

fn install() -> Result<()> {
    if process::find("cargo-mutants").is_some() {
        return Ok(());
    }
    process::cargo(&["install", "--locked", "cargo-mutants"], &[])
}

impl Mutants {
    /// Builds once, then tries one mutant after the other.
    pub(crate) fn run(&self, steps: &mut Steps) -> Result<()> {
        steps.need("install cargo-mutants", install)?;
        let tree = folder().join("switched");
        let mutants = steps.need("list the mutants", || {
            build::copy(&tree)?;
            list::list(&repository::root())
        })?;
        let left = steps.need("put them in", || build::put(&tree, &mutants))?;
        let programs = steps.need("build", || build::tests(&tree))?;
        let home = build::home(&tree);
        let tests = steps.need("without a mutant", || {
            trial::tests(&programs, &home, &folder())
        })?;
        let mut outcomes = BTreeMap::new();
        let (mut waiting, mut apart) = (Vec::new(), Vec::new());
        for mutant in mutants.iter().filter(|mutant| self.wants(mutant)) {
            if left.unviable.contains(&mutant.number) {
                outcomes.insert(mutant.number, Outcome::Unviable);
            } else if left.apart.contains(&mutant.number) {
                apart.push(mutant);
            } else {
                waiting.push(mutant.number);
            }
        }
        outcomes.extend(steps.need("with each mutant", || try_all(&waiting, &tests, &home))?);
        report(&mutants, &outcomes)?;
        outcomes.extend(steps.need("those that fit behind no switch", || apart::try_all(&apart))?);
        report(&mutants, &outcomes)
    }

    fn wants(&self, mutant: &Mutant) -> bool {
        let mut filters = self.filters.iter();
        self.filters.is_empty() || filters.any(|filter| mutant.name.contains(filter.as_str()))
    }
}

/// Tries these, as many at once as there are processors.
fn try_all(mutants: &[usize], tests: &[Test], home: &Path) -> Result<BTreeMap<usize, Outcome>> {
    let waiting = Mutex::new(mutants.iter());
    let work = || {
        let mut outcomes = Vec::new();
        while let Some(mutant) = waiting.lock().ok().and_then(|mut waiting| waiting.next()) {
            outcomes.push((*mutant, trial::try_out(*mutant, tests, home)?));
        }
        Ok(outcomes)
    };
    std::thread::scope(|scope| {
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        let workers: Vec<_> = (0..count).map(|_| scope.spawn(work)).collect();
        let mut outcomes = BTreeMap::new();
        for worker in workers {
            let done = worker
                .join()
                .unwrap_or_else(|_| Err(Error::new("a worker has panicked")));
            outcomes.extend(done?);
        }
        Ok(outcomes)
    })
}

/// Prints what was missed and the table; writes every outcome to a file.
fn report(mutants: &[Mutant], outcomes: &BTreeMap<usize, Outcome>) -> Result<()> {
    let mut lines = String::new();
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    for (number, outcome) in outcomes {
        let mutant = &mutants[number - 1];
        let line = format!("{:<9} {}", outcome.word(), mutant.name);
        if matches!(outcome, Outcome::Missed | Outcome::Unreached) {
            println!("{line}");
        }
        lines += &format!("{line}{}\n", outcome.by());
        tallies.entry(mutant.module()).or_default().add(outcome);
    }
    fs::write(folder().join("outcomes.txt"), lines).context("writing the outcomes")?;
    println!("\n| module | mutants | unviable | caught | timeouts | missed | score |");
    for (module, tally) in tallies {
        println!("{}", tally.row(module));
    }
    Ok(())
}

impl Outcome {
    const fn word(&self) -> &'static str {
        match self {
            Self::Caught(_) => "caught",
            Self::Timeout(_) => "timeout",
            Self::Missed => "missed",
            Self::Unreached => "unreached",
            Self::Unviable => "unviable",
        }
    }

    fn by(&self) -> String {
        match self {
            Self::Caught(test) | Self::Timeout(test) => format!(" by {test}"),
            _ => String::new(),
        }
    }
}

/// How many of a module's mutants came to what.
#[derive(Default)]
struct Tally {
    unviable: usize,
    caught: usize,
    timeouts: usize,
    missed: usize,
}

impl Tally {
    fn add(&mut self, outcome: &Outcome) {
        *match outcome {
            Outcome::Caught(_) => &mut self.caught,
            Outcome::Timeout(_) => &mut self.timeouts,
            Outcome::Missed | Outcome::Unreached => &mut self.missed,
            Outcome::Unviable => &mut self.unviable,
        } += 1;
    }

    fn row(&self, module: &str) -> String {
        let noticed = self.caught + self.timeouts;
        let viable = noticed + self.missed;
        let score = 100.0 * noticed as f64 / viable.max(1) as f64;
        format!(
            "| `{module}` | {} | {} | {} | {} | {} | {score:.1} % |",
            viable + self.unviable,
            self.unviable,
            self.caught,
            self.timeouts,
            self.missed
        )
    }
}
