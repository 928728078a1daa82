//! A server of ours: started under guard, and at hand to be stopped, killed and started again.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use rustix::process::{Pid, Signal, kill_process};

use super::LIMIT;
use crate::error::{Context, Error, Result};
use crate::guard::{self, Guard};
use crate::process;

/// Whether a server answers by now.
type Ready = Box<dyn Fn() -> bool + Send + Sync>;

/// A server. It goes on when this is dropped, and ends with the guard.
pub struct Server {
    name: String,
    command: Command,
    stop: Signal,
    ready: Ready,
    log: PathBuf,
    child: Child,
}

impl Server {
    /// Starts a command made by [`guard::in_own_session`], and waits until `ready`. What it writes goes to a log in the
    /// run's folder.
    pub(super) fn start(
        guard: &Guard,
        name: &str,
        mut command: Command,
        stop: Signal,
        ready: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Result<Self> {
        let log = log_to_file(guard, name, &mut command)?;
        let mut server = Self {
            name: name.to_owned(),
            child: guard.spawn(&mut command, stop)?,
            command,
            stop,
            ready: Box::new(ready),
            log,
        };
        server.wait()?;
        Ok(server)
    }

    /// Starts it again as it was started first, and waits until it is ready.
    ///
    /// # Errors
    /// It ends, or does not get ready in time.
    pub fn start_again(&mut self, guard: &Guard) -> Result<()> {
        self.child = guard.spawn(&mut self.command, self.stop)?;
        self.wait()
    }

    /// Sends a signal to all of its processes: `STOP` and `CONT`, that is.
    ///
    /// # Errors
    /// The system refuses it.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        for process in self.family() {
            kill_process(process, signal).context(format!("signalling {}", self.name))?;
        }
        Ok(())
    }

    /// Ends all of its processes, without asking.
    ///
    /// # Errors
    /// They do not end.
    pub fn kill(&mut self) -> Result<()> {
        process::wait_until(&format!("the end of {}", self.name), LIMIT, || {
            let family = self.family();
            for process in &family {
                kill_process(*process, Signal::KILL).unwrap_or_default();
            }
            Ok(family.is_empty())
        })?;
        self.child.wait().context("waiting for a server's end")?;
        Ok(())
    }

    /// It and whoever it has started: some of those have a session of their own, but all work in its folder.
    fn family(&self) -> Vec<Pid> {
        let folder = self
            .command
            .get_current_dir()
            .unwrap_or(Path::new("/nowhere"));
        guard::living(&[Pid::from_child(&self.child)], folder)
    }

    /// Waits until it is ready; if it ends before that, the error quotes its log.
    fn wait(&mut self) -> Result<()> {
        let (child, ready) = (&mut self.child, &self.ready);
        let result = process::wait_until(&self.name, LIMIT, || {
            let ended = child.try_wait().context("looking after a server")?;
            ended.map_or_else(
                || Ok(ready()),
                |status| Err(Error::new(format!("it ended with {status}"))),
            )
        });
        result.map_err(|error| explain(&self.name, &self.log, error))
    }
}

/// Runs a command that is no server, under guard, to its good end.
pub(super) fn run(guard: &Guard, name: &str, mut command: Command) -> Result<()> {
    let log = log_to_file(guard, name, &mut command)?;
    let mut child = guard.spawn(&mut command, Signal::TERM)?;
    let result = process::wait_until(name, LIMIT, || {
        match child.try_wait().context("waiting")? {
            Some(status) if !status.success() => Err(Error::new(format!("it ended with {status}"))),
            ended => Ok(ended.is_some()),
        }
    });
    result.map_err(|error| explain(name, &log, error))
}

fn log_to_file(guard: &Guard, name: &str, command: &mut Command) -> Result<PathBuf> {
    let log = guard.folder().join(format!("{name}.log"));
    let file = File::create(&log).context(format!("making {}", log.display()))?;
    command
        .stdout(file.try_clone().context("sharing a log")?)
        .stderr(file);
    Ok(log)
}

fn explain(name: &str, log: &Path, error: Error) -> Error {
    let Error::Failed(why) = error else {
        return error;
    };
    let log = std::fs::read_to_string(log).unwrap_or_default();
    Error::new(format!("{name}: {why}\n{log}"))
}
