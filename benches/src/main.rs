//! `bench`: what `cargo xtask bench` runs.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context as _, Result};
#[cfg(feature = "report")]
use arvel_session_benches::report;
#[cfg(feature = "stores")]
use arvel_session_benches::stores::{self, Servers};
use arvel_session_benches::{
    figures::{Figures, Machine},
    in_process,
    instructions::{self, One},
    sockets,
    timing::Effort,
};
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "What arvel-session costs, beside its peers.")]
struct Cli {
    #[command(subcommand)]
    part: Part,
    /// Writes every figure to this file, beside those of other parts that are in it.
    #[arg(long, global = true)]
    json: Option<PathBuf>,
    /// Runs everything for a moment only, to see that it works.
    #[arg(long, global = true)]
    quick: bool,
}

#[derive(Subcommand)]
enum Part {
    /// Time and allocations of one request.
    InProcess,
    /// Instructions of one request, compared with a baseline.
    Instructions {
        /// The file of the baseline.
        baseline: PathBuf,
        /// Writes the baseline instead.
        #[arg(long)]
        bless: bool,
    },
    /// Requests a second over sockets.
    Sockets,
    /// Writes the figures of `--json` into this document, and the plots beside it.
    #[cfg(feature = "report")]
    Report { document: PathBuf },
    /// Throughput on real servers.
    #[cfg(feature = "stores")]
    Stores(Servers),
    /// A million sessions, and the sweep of half of them.
    #[cfg(feature = "stores")]
    Many(Servers),
    /// How the cost grows.
    #[cfg(feature = "stores")]
    Growth(Servers),
    /// What "many" runs for each place.
    #[cfg(feature = "stores")]
    #[command(hide = true)]
    ManyOne(stores::many::One),
    /// What "instructions" runs under callgrind.
    #[command(hide = true)]
    One(One),
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<()> {
    let mut figures = match &cli.json {
        Some(file) if file.exists() => {
            let json = std::fs::read(file).with_context(|| file.display().to_string())?;
            serde_json::from_slice(&json).with_context(|| file.display().to_string())?
        }
        _ => Figures::default(),
    };
    measure(cli, &mut figures)?;
    if let Some(file) = cli.json.as_ref().filter(|_| cli.part.measures()) {
        figures.machine = Machine::this();
        let json = serde_json::to_string_pretty(&figures)? + "\n";
        std::fs::write(file, json).with_context(|| file.display().to_string())?;
    }
    Ok(())
}

impl Part {
    /// Whether it has figures to add.
    fn measures(&self) -> bool {
        match self {
            #[cfg(feature = "report")]
            Self::Report { .. } => false,
            _ => true,
        }
    }
}

fn measure(cli: &Cli, figures: &mut Figures) -> Result<()> {
    match &cli.part {
        Part::InProcess => {
            let effort = Effort::quick_or_full(cli.quick);
            figures.in_process = in_process::run(effort)?;
        }
        Part::Instructions { baseline, bless } => {
            figures.instructions = instructions::count()?;
            if *bless {
                instructions::bless(&figures.instructions, baseline)?;
            }
            instructions::compare(&figures.instructions, baseline)?;
        }
        Part::Sockets => figures.sockets = sockets::run(cli.quick)?,
        Part::One(one) => one.run()?,
        #[cfg(feature = "stores")]
        Part::Stores(servers) => {
            let effort = stores::Effort::quick_or_full(cli.quick);
            let measured = stores::run(servers, effort)?;
            renew(&mut figures.stores, measured, |one| &one.store);
            let measured = stores::hot::run(servers, effort)?;
            renew(&mut figures.hot, measured, |one| &one.store);
        }
        #[cfg(feature = "stores")]
        Part::Many(servers) => {
            let measured = stores::many::run(servers, cli.quick)?;
            renew(&mut figures.many, measured, |one| &one.store);
        }
        #[cfg(feature = "stores")]
        Part::ManyOne(one) => one.run()?,
        #[cfg(feature = "stores")]
        Part::Growth(servers) => {
            let measured = stores::growth::run(servers, cli.quick)?;
            renew(&mut figures.growth, measured, |one| &one.place);
        }
        #[cfg(feature = "report")]
        Part::Report { document } => report::write(figures, document)?,
    }
    Ok(())
}

/// Puts what was measured in the place of what was known of the same stores.
#[cfg(feature = "stores")]
fn renew<T>(known: &mut Vec<T>, measured: Vec<T>, store: impl Fn(&T) -> &String) {
    known.retain(|old| measured.iter().all(|new| store(new) != store(old)));
    known.extend(measured);
}
