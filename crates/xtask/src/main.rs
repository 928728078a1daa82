//! `cargo xtask …`: everything that a developer of this repository runs.
//!
//! `test` installs what is missing (Debian), starts private servers, runs every test and cleans up; `services` starts the
//! servers alone; `check` is formatting, lints, features, docs and hygiene; `bench` measures; `prove` is the proof at length
//! (docs/proof.md); `fuzz` feeds it what strangers can send; `mutants` tests the tests; `ci` is `check`, then `test`, then a
//! moment of `bench`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool talks to its user"
)]

mod bench;
mod check;
mod fuzz;
mod hygiene;
mod mutants;
mod prove;
mod python;
mod runner;
mod steps;
mod test;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use xtask::error::{Error, Result};
use xtask::{guard, interrupt, services};

use crate::steps::Steps;

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    about = "Everything that a developer of arvel-session runs."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Installs what is missing, starts private servers, runs every test, cleans up.
    Test {
        /// Runs only the tests whose names contain one of these.
        filters: Vec<String>,
    },
    /// Starts the private servers, prints their environment variables and waits for Ctrl-C.
    Services {
        /// Also writes the variables to this file, which goes when the servers go.
        #[arg(long)]
        write: Option<PathBuf>,
    },
    /// Formatting, lints, each feature alone, documentation and hygiene.
    Check,
    /// Measures what sessions cost, beside the peers.
    Bench(bench::Bench),
    /// What CI runs: `check`, then `test`, then the benchmark for a moment.
    Ci,
    /// Proves the promises on every driver and under faults; `--help` behind it says how much of it can be chosen.
    #[command(disable_help_flag = true)]
    Prove {
        /// Handed on to `proof run`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Feeds what reads cookies, records and configurations with inputs that nobody would write.
    Fuzz(fuzz::Fuzz),
    /// Changes the core of the library in a thousand ways, and sees whether a test notices each.
    Mutants(mutants::Mutants),
    /// Waits for its standard input to end, then stops the servers and removes the folder (started by the others).
    #[command(hide = true)]
    Guard { folder: PathBuf },
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Guard { folder } => guard::watch(&folder),
        command => interrupt::listen().and_then(|()| run(command)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Error::Interrupted) => {
            eprintln!("xtask: interrupted");
            ExitCode::from(130)
        }
        Err(Error::Failed(why)) => {
            eprintln!("xtask: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    let mut steps = Steps::default();
    let result = match command {
        Command::Test { filters } => test::run(&mut steps, &filters),
        Command::Services { write } => return services::serve(write.as_deref()),
        Command::Check => check::run(&mut steps),
        Command::Ci => check::run(&mut steps)
            .and_then(|()| test::run(&mut steps, &[]))
            .and_then(|()| bench::smoke(&mut steps)),
        Command::Bench(bench) => bench.run(&mut steps),
        Command::Fuzz(fuzz) => fuzz.run(&mut steps),
        Command::Mutants(mutants) => mutants.run(&mut steps),
        Command::Prove { arguments } => return prove::run(&arguments),
        Command::Guard { .. } => Ok(()),
    };
    steps.print();
    result.and_then(|()| steps.verdict())
}
