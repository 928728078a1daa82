//! `proof run`: the proof on all drivers, with servers of its own. `cargo xtask prove` builds it and starts it.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool talks to its user"
)]

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Instant};

use clap::{Parser, Subcommand, ValueEnum};
use proof::{
    field::{Driver, Servers},
    parts::{self, Ground, Part, Scale},
    report::{Outcome, Report},
    server,
};
use tokio::runtime::Runtime;
use xtask::{
    error::{Context, Error, Result},
    guard::{self, Guard},
    interrupt,
};

#[derive(Parser)]
#[command(
    name = "proof",
    about = "Shows that the promises of arvel-session hold."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs every part on every driver that it concerns, and fails on any violation.
    Run(Run),
    /// A server under proof (started by the others).
    #[command(hide = true)]
    Serve { address: SocketAddr },
    /// Ends what was started when its standard input ends (started by the others).
    #[command(hide = true)]
    Guard { folder: PathBuf },
}

#[derive(clap::Args)]
struct Run {
    /// Decides what the clients ask and when faults come; a random one is drawn and printed.
    #[arg(long)]
    seed: Option<u64>,
    /// Runs this part alone; may be given several times.
    #[arg(long = "part", value_enum)]
    parts: Vec<Part>,
    /// Proves this driver alone; may be given several times.
    #[arg(long = "driver", value_enum)]
    drivers: Vec<Driver>,
    /// Runs every second server in Python, by this interpreter with arvel_session in it: what two languages share.
    #[arg(long, value_name = "PYTHON")]
    beside: Option<PathBuf>,
    /// Takes hours.
    #[arg(long, conflicts_with = "short")]
    soak: bool,
    /// Takes a minute: what CI runs.
    #[arg(long)]
    short: bool,
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Serve { address } => serve(address),
        Command::Guard { folder } => guard::watch(&folder),
        Command::Run(run) => interrupt::listen().and_then(|()| prove(&run)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Error::Interrupted) => ExitCode::from(130),
        Err(Error::Failed(why)) => {
            eprintln!("proof: {why}");
            ExitCode::FAILURE
        }
    }
}

fn serve(address: SocketAddr) -> Result<()> {
    let runtime = Runtime::new().context("starting a runtime")?;
    runtime.block_on(server::run(address)).context("serving")
}

fn prove(run: &Run) -> Result<()> {
    let seed = run.seed.unwrap_or_else(|| fastrand::u64(..1 << 32));
    println!("seed {seed}");
    let mut parts = chosen(&run.parts, &Part::ALL);
    parts.retain(|part| run.beside.is_none() || !part.looks_inside());
    let among = chosen(&run.drivers, Driver::value_variants());
    let drivers = |part: Part| part.drivers(&among, run.scale(), seed);
    let needed: Vec<Driver> = parts.iter().flat_map(|part| drivers(*part)).collect();
    let guard = Guard::start()?;
    let mut servers = Servers::start(&guard, &needed)?;
    let ground = Ground {
        guard,
        scale: run.scale(),
        seed,
        evidence: xtask::repository::root().join("target/proof"),
        beside: run.beside()?,
    };
    let mut report = Report::new(seed);
    let runtime = Runtime::new().context("starting a runtime")?;
    for part in parts {
        for driver in drivers(part) {
            interrupt::check()?;
            let begun = Instant::now();
            let ran = runtime.block_on(parts::run(&ground, &mut servers, part, driver));
            let outcome = outcome(ran)?;
            say(part, driver, &outcome, begun);
            report.add(driver, part, outcome, begun.elapsed());
        }
    }
    println!("\n{}", report.table());
    match report.violations() {
        0 => Ok(()),
        many => Err(Error::new(format!("{many} violations"))),
    }
}

fn chosen<T: Copy>(given: &[T], all: &[T]) -> Vec<T> {
    let chosen = if given.is_empty() { all } else { given };
    chosen.to_vec()
}

/// A part that could not be run to its end has proved nothing.
fn outcome(ran: Result<Outcome>) -> Result<Outcome> {
    match ran {
        Err(Error::Failed(why)) => Ok(Outcome {
            violations: vec![format!("it could not be run: {why}")],
            ..Outcome::default()
        }),
        other => other,
    }
}

fn say(part: Part, driver: Driver, outcome: &Outcome, begun: Instant) {
    for what in &outcome.violations {
        println!("VIOLATION, {part} on {driver}: {what}");
    }
    eprintln!(
        "{part} on {driver}: {} histories, {} faults, {} violations, {:.1} s",
        outcome.histories,
        outcome.faults,
        outcome.violations.len(),
        begun.elapsed().as_secs_f64()
    );
}

impl Run {
    /// The servers run in folders of their own.
    fn beside(&self) -> Result<Option<PathBuf>> {
        let beside = self.beside.as_deref().map(std::path::absolute);
        beside.transpose().context("finding Python")
    }

    fn scale(&self) -> Scale {
        match (self.short, self.soak) {
            (true, _) => Scale::Short,
            (_, true) => Scale::Soak,
            _ => Scale::Usual,
        }
    }
}
