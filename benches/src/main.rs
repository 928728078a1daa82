//! `bench`: what `cargo xtask bench` runs.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context as _, Result};
#[cfg(feature = "stores")]
use arvel_session_benches::stores::{self, Servers};
use arvel_session_benches::{
    figures::{Figures, Machine},
    in_process,
    instructions::{self, One},
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
    figures.machine = Machine::this();
    match &cli.part {
        Part::InProcess => {
            let effort = if cli.quick {
                Effort::QUICK
            } else {
                Effort::FULL
            };
            figures.in_process = in_process::run(effort)?;
        }
        Part::Instructions { baseline, bless } => {
            figures.instructions = instructions::count()?;
            if *bless {
                instructions::bless(&figures.instructions, baseline)?;
            }
            instructions::compare(&figures.instructions, baseline)?;
        }
        #[cfg(feature = "stores")]
        Part::Stores(servers) => {
            let effort = if cli.quick {
                stores::Effort::QUICK
            } else {
                stores::Effort::FULL
            };
            figures.stores = stores::run(servers, effort)?;
            figures.hot = stores::hot::run(servers, effort)?;
        }
        #[cfg(feature = "stores")]
        Part::Many(servers) => figures.many = stores::many::run(servers, cli.quick)?,
        #[cfg(feature = "stores")]
        Part::Growth(servers) => figures.growth = stores::growth::run(servers, cli.quick)?,
        #[cfg(feature = "stores")]
        Part::ManyOne(one) => one.run()?,
        Part::One(one) => one.run()?,
    }
    if let Some(file) = &cli.json {
        let json = serde_json::to_string_pretty(&figures)?;
        std::fs::write(file, json).with_context(|| file.display().to_string())?;
    }
    Ok(())
}
