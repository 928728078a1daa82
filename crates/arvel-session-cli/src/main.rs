//! `arvel-session`: makes keys, shows the configuration, migrates, sweeps, and finds what is wrong.

mod config;
mod doctor;
mod migrate;
mod output;
mod sweep;

use std::{
    env,
    error::Error,
    io::{self, IsTerminal},
    path::PathBuf,
    process::ExitCode,
};

use arvel_session::Secret;
use clap::{Parser, Subcommand};

use crate::output::{chain, note, print};

/// How a command ends; an error is printed, and the exit code is then 1.
type Ending = Result<ExitCode, Box<dyn Error>>;

#[derive(Parser)]
#[command(
    name = "arvel-session",
    version,
    about = "Keys, configuration and care of arvel-session."
)]
struct Cli {
    /// Works in this folder, as if started there.
    #[arg(short = 'C', long, global = true, value_name = "DIR")]
    directory: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Prints a new secret key, for `SESSION_SECRET_KEY`.
    Key,
    /// Shows every setting, its value and where that comes from. Secrets are masked.
    Config,
    /// Makes or upgrades the table of the `database` driver; does nothing where that is done.
    ///
    /// `database_url` must be set. The driver may still be another one, so that the table is there before the switch.
    Migrate {
        /// Prints the SQL and connects to nothing.
        #[arg(long)]
        print: bool,
    },
    /// Removes what has expired, and says how many records that were; for cron.
    Sweep,
    /// Reads the configuration as the application would, tries the store, and says what is wrong.
    ///
    /// Run it as the user, and in the folder, that the application runs in.
    #[command(after_help = doctor::HELP)]
    Doctor,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    run(cli).unwrap_or_else(|error| {
        note(&chain(&*error));
        ExitCode::FAILURE
    })
}

fn run(cli: Cli) -> Ending {
    if let Some(directory) = cli.directory {
        env::set_current_dir(&directory)
            .map_err(|error| format!("--directory {}: {error}", directory.display()))?;
    }
    match cli.command {
        Command::Key => key(),
        Command::Config => config::run(),
        Command::Migrate { print } => migrate::run(print),
        Command::Sweep => sweep::run(),
        Command::Doctor => doctor::run(),
    }
}

fn key() -> Ending {
    print(&format!("{}\n", Secret::generate().to_setting()))?;
    if io::stdout().is_terminal() {
        note("set SESSION_SECRET_KEY to it, or secret_key in config/session.toml; keep it secret");
    }
    Ok(ExitCode::SUCCESS)
}

/// Waits for `work`. Whatever still runs afterwards, such as a thread that waits for a dead disk, is not waited for.
fn block_on<T>(work: impl Future<Output = T>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let done = runtime.block_on(work);
    runtime.shutdown_background();
    Ok(done)
}
