//! The private servers that the tests talk to: each on free ports, in a folder that goes with the run.

mod chromedriver;
mod mariadb;
pub(crate) mod postgres;
mod redis;
mod tls;

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::net::TcpListener;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use rustix::process::Signal;

use crate::error::{Context, Error, Result};
use crate::guard::{self, Guard};
use crate::{install, interrupt, process};

/// How long a server may take to get ready.
const LIMIT: Duration = Duration::from_secs(60);

/// Where free ports are looked for.
const PORTS: Range<u16> = 12_000..32_000;

/// The environment variables that lead the tests to the servers.
pub(crate) type Variables = Vec<(&'static str, String)>;

/// Starts every server, all at once, and hands back where they are.
pub(crate) fn start(guard: &Guard) -> Result<Variables> {
    type Start = fn(&Guard) -> Result<Variables>;
    let starts: [Start; 7] = [
        postgres::start,
        mariadb::start,
        redis::start_cluster,
        redis::start_sentinel,
        redis::start_single,
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
pub(crate) fn start_for_benchmark(guard: &Guard) -> Result<Variables> {
    let [postgres, relaxed] = postgres::start_durable(guard)?;
    let mysql = mariadb::start_durable(guard)?;
    let redis = redis::start_single(guard)?;
    let redis = redis.into_iter().map(|(_, url)| ("--redis", url)).take(1);
    let mut options: Variables = redis.collect();
    options.extend([
        ("--postgres", postgres),
        ("--postgres-relaxed", relaxed),
        ("--mysql", mysql),
    ]);
    let folder = folder_for(guard, "benchmark", None)?;
    options.push(("--folder", folder.display().to_string()));
    Ok(options)
}

/// `cargo xtask services`: starts the servers and keeps them until somebody interrupts us.
pub(crate) fn serve(write: Option<&Path>) -> Result<()> {
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

/// A server that was started and is not ready yet.
struct Server {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts a command made by [`guard::in_own_session`]; what it writes goes to a log in the run's folder.
    fn start(guard: &Guard, name: &str, command: &mut Command, stop: Signal) -> Result<Self> {
        let log = guard.folder().join(format!("{name}.log"));
        let file = File::create(&log).context(format!("making {}", log.display()))?;
        let errors = file.try_clone().context("sharing a log")?;
        let child = guard.spawn(command.stdout(file).stderr(errors), stop)?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log,
        })
    }

    /// Waits until `ready`; if the server ends before that, the error quotes its log.
    fn wait_until(&mut self, mut ready: impl FnMut() -> bool) -> Result<()> {
        let child = &mut self.child;
        let result = process::wait_until(&self.name, LIMIT, || {
            let ended = child.try_wait().context("looking after a server")?;
            ended.map_or_else(
                || Ok(ready()),
                |status| Err(Error::new(format!("it ended with {status}"))),
            )
        });
        result.map_err(|error| self.explain(error))
    }

    /// Waits until the command, which is no server, has ended well.
    fn wait_for_end(&mut self) -> Result<()> {
        let child = &mut self.child;
        let result = process::wait_until(&self.name, LIMIT, || {
            match child.try_wait().context("waiting")? {
                Some(status) if !status.success() => {
                    Err(Error::new(format!("it ended with {status}")))
                }
                ended => Ok(ended.is_some()),
            }
        });
        result.map_err(|error| self.explain(error))
    }

    fn explain(&self, error: Error) -> Error {
        let Error::Failed(why) = error else {
            return error;
        };
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        Error::new(format!("{}: {why}\n{log}", self.name))
    }
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
