//! The private servers that the tests talk to: each on free ports, in a folder that goes with the run.

mod chromedriver;
pub mod mariadb;
pub mod postgres;
pub mod redis;
mod server;
mod tls;

use std::hash::{BuildHasher, RandomState};
use std::net::TcpListener;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use crate::error::{Context, Error, Result};
use crate::guard::{self, Guard};
use crate::{install, interrupt, process};

pub use server::Server;

/// How long a server may take to get ready.
const LIMIT: Duration = Duration::from_secs(60);

/// Where free ports are looked for.
const PORTS: Range<u16> = 12_000..32_000;

/// What a server does with what it has acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeps {
    /// Whatever is fastest: nothing of a test's has to survive a crash.
    Nothing,
    /// It survives the death of the server: acknowledged is on its way to the disk.
    Everything,
}

/// The environment variables that lead the tests to the servers.
pub type Variables = Vec<(&'static str, String)>;

/// Starts every server, all at once, and hands back where they are.
pub fn start(guard: &Guard) -> Result<Variables> {
    type Start = fn(&Guard) -> Result<Variables>;
    let starts: [Start; 7] = [
        |guard| Ok(postgres::Postgres::start(guard, Keeps::Nothing)?.variables()),
        |guard| Ok(mariadb::MariaDb::start(guard, Keeps::Nothing)?.variables()),
        |guard| Ok(redis::Cluster::start(guard, Keeps::Nothing)?.variables()),
        |guard| Ok(redis::Sentinels::start(guard, Keeps::Nothing)?.variables()),
        |guard| Ok(redis::Single::start(guard, Keeps::Nothing)?.variables()),
        redis::start_tls,
        chromedriver::start,
    ];
    let results: Vec<Result<Variables>> = std::thread::scope(|scope| {
        let threads = starts.map(|start| scope.spawn(move || start(guard)));
        threads
            .map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|_| Err(Error::new("starting a server panicked")))
            })
            .into()
    });
    let variables: Vec<Variables> = results.into_iter().collect::<Result<_>>()?;
    Ok(variables.concat())
}

/// Starts what the benchmark needs, as on a real machine, and hands back the options that lead it there.
///
/// # Errors
/// A server is not installed, or does not start.
pub fn start_for_benchmark(guard: &Guard) -> Result<Variables> {
    let postgres = postgres::Postgres::start(guard, Keeps::Everything)?;
    let mysql = mariadb::MariaDb::start(guard, Keeps::Everything)?;
    // Memory is where Redis keeps sessions, also on a real machine.
    let redis = redis::Single::start(guard, Keeps::Nothing)?;
    let folder = folder_for(guard, "benchmark", None)?;
    Ok(vec![
        ("--redis", redis.url()),
        ("--postgres", postgres.url()),
        ("--postgres-relaxed", postgres.add_relaxed()?),
        ("--mysql", mysql.url()),
        ("--folder", folder.display().to_string()),
    ])
}

/// `cargo xtask services`: starts the servers and keeps them until somebody interrupts us.
pub fn serve(write: Option<&Path>) -> Result<()> {
    install::run()?;
    let guard = Guard::start()?;
    let exports: String = start(&guard)?
        .iter()
        .map(|(name, value)| format!("export {name}='{value}'\n"))
        .collect();
    if let Some(file) = write {
        std::fs::write(file, &exports).context(format!("writing {}", file.display()))?;
    }
    println!("{exports}# The servers run until Ctrl-C.");
    while interrupt::check().is_ok() {
        std::thread::sleep(process::POLL);
    }
    write
        .map_or(Ok(()), std::fs::remove_file)
        .context("removing the file of exports")
}

/// A free port, for a server that is about to start. It lies below the ports that the system gives to whoever asks for
/// any port at all, among them our own clients.
fn free_port() -> Result<u16> {
    /// Each port is handed out once in a run; runs at the same time start at places of their own.
    static NEXT: LazyLock<AtomicU16> =
        LazyLock::new(|| AtomicU16::new(RandomState::new().hash_one(()) as u16));
    let candidates = (0..PORTS.len())
        .map(|_| PORTS.start + NEXT.fetch_add(1, Ordering::Relaxed) % (PORTS.end - PORTS.start));
    let mut free = candidates.filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.next()
        .ok_or_else(|| Error::new(format!("no port of {PORTS:?} is free")))
}

/// A folder in the run's folder, which belongs to `user` where we are root.
fn folder_for(guard: &Guard, name: &str, user: Option<&str>) -> Result<PathBuf> {
    let folder = guard.folder().join(name);
    std::fs::create_dir(&folder).context(format!("making {}", folder.display()))?;
    if let Some(user) = user.filter(|_| rustix::process::geteuid().is_root()) {
        process::output(Command::new("chown").arg(user).arg(&folder))?;
    }
    Ok(folder)
}

/// A command under guard, in a folder of its own.
fn command(program: &Path, folder: &Path, user: Option<&str>) -> Command {
    let mut command = guard::in_own_session(program, user);
    command.current_dir(folder);
    command
}
