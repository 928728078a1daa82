//! The guard: a process of its own that stops whatever we started and removes our folder when we end, however we end.
//!
//! We hold a pipe to its standard input and tell it of each process that we start. When the pipe closes (we are done, we
//! failed, or we were killed hard) it cleans up. Each process gets a session of its own, so that its whole family can be
//! found again, and so that Ctrl-C reaches us alone and we can end things in order.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, wait};

use crate::error::{Context, Result};
use crate::process::POLL;

/// How long a process may take to end when asked, before it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// Our end of the guard. Once it is dropped, everything that was started through it is gone.
pub struct Guard {
    folder: PathBuf,
    process: Child,
    pipe: Mutex<Option<ChildStdin>>,
}

impl Guard {
    /// Makes a temporary folder and starts a guard over it.
    pub fn start() -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("arvel-")
            .tempdir()
            .context("making a temporary folder")?
            .keep();
        // The servers run as users of their own and must get through to their parts of it.
        std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o711))
            .context("opening the temporary folder")?;
        let mut command = Command::new("/proc/self/exe");
        command
            .arg("guard")
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .process_group(0);
        let mut process = command.spawn().context("starting the guard")?;
        let pipe = Mutex::new(process.stdin.take());
        Ok(Self {
            folder,
            process,
            pipe,
        })
    }

    /// The folder that goes when the guard goes.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Starts a command made by [`in_own_session`] and puts it under guard.
    pub fn spawn(&self, command: &mut Command, stop: Signal) -> Result<Child> {
        let child = command.spawn().context(format!("starting {command:?}"))?;
        let mut pipe = self.pipe.lock().unwrap_or_else(PoisonError::into_inner);
        let told = pipe
            .as_mut()
            .map(|pipe| writeln!(pipe, "{} {}", child.id(), stop.as_raw()));
        told.transpose().context("telling the guard")?;
        Ok(child)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(
            self.pipe
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        if let Err(error) = self.process.wait() {
            eprintln!("xtask: waiting for the guard: {error}");
        }
        // What it stopped were our children: they stay in the list of processes until we have heard of their end.
        while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
    }
}

/// A command that will run in a session of its own, as `user` where we are root and may choose.
pub fn in_own_session(program: &Path, user: Option<&str>) -> Command {
    let mut command = Command::new("setsid");
    if let Some(user) = user.filter(|_| rustix::process::geteuid().is_root()) {
        command.args(["setpriv", "--init-groups", "--reuid", user, "--regid", user]);
    }
    command.arg(program).stdin(Stdio::null());
    command
}

/// The guard's own life: learn what was started, wait for the pipe to close, clean up.
pub fn watch(folder: &Path) -> Result<()> {
    ctrlc::set_handler(|| ()).context("ignoring signals")?;
    rustix::process::setsid().ok();
    let mut started = Vec::new();
    for line in std::io::stdin().lines() {
        started.extend(line.ok().as_deref().and_then(Started::parse));
    }
    stop(&started, folder);
    unmount(folder);
    remove(folder)
}

/// The leader of a session that we started.
struct Started {
    pid: Pid,
    stop: Signal,
}

impl Started {
    fn parse(line: &str) -> Option<Self> {
        let (pid, stop) = line.split_once(' ')?;
        let stop = [Signal::INT, Signal::TERM]
            .into_iter()
            .find(|signal| stop.parse() == Ok(signal.as_raw()))?;
        Some(Self {
            pid: Pid::from_raw(pid.parse().ok()?)?,
            stop,
        })
    }
}

/// Asks each leader to end, and kills what is left when the leaders are gone or have had their time. The leaders alone,
/// because they know how to end what they started: `initdb` lets its PostgreSQL give back its shared memory.
fn stop(started: &[Started], folder: &Path) {
    let sessions: Vec<Pid> = started.iter().map(|started| started.pid).collect();
    let left = || living(&sessions, folder);
    let before = left();
    for leader in started.iter().filter(|leader| before.contains(&leader.pid)) {
        kill_process(leader.pid, leader.stop).ok();
    }
    let asked = Instant::now();
    while left().iter().any(|pid| sessions.contains(pid)) && asked.elapsed() < GRACE {
        std::thread::sleep(POLL);
    }
    while asked.elapsed() < 2 * GRACE {
        let left = left();
        if left.is_empty() {
            return;
        }
        left.iter()
            .for_each(|pid| kill_process(*pid, Signal::KILL).unwrap_or_default());
        std::thread::sleep(POLL);
    }
    eprintln!("xtask: these processes would not end: {:?}", left());
}

/// The processes that run in one of these sessions, or in our folder: whoever left its session, or was started when we
/// were killed and could not tell of it, still works there. So may somebody's shell, but that one has a terminal.
pub fn living(sessions: &[Pid], folder: &Path) -> Vec<Pid> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let processes = entries.flatten().filter_map(|entry| {
        let process = Process::parse(&std::fs::read_to_string(entry.path().join("stat")).ok()?)?;
        let works_in = std::fs::read_link(entry.path().join("cwd")).unwrap_or_default();
        let in_folder = !process.has_terminal && works_in.starts_with(folder);
        let ours = process.runs && (in_folder || sessions.contains(&process.session));
        ours.then_some(process.pid)
    });
    processes.collect()
}

/// What `/proc/…/stat` says of a process.
#[derive(Debug, PartialEq)]
struct Process {
    pid: Pid,
    session: Pid,
    runs: bool,
    has_terminal: bool,
}

impl Process {
    /// Reads `pid (name) state parent group session terminal …`, where the name may hold anything.
    fn parse(stat: &str) -> Option<Self> {
        let (pid, _) = stat.split_once(' ')?;
        let mut fields = stat.rsplit_once(") ")?.1.split(' ');
        let runs = !matches!(fields.next()?, "Z" | "X");
        let session = Pid::from_raw(fields.nth(2)?.parse().ok()?)?;
        let has_terminal = fields.next()? != "0";
        Some(Self {
            pid: Pid::from_raw(pid.parse().ok()?)?,
            session,
            runs,
            has_terminal,
        })
    }
}

/// Unmounts what was mounted below the folder.
fn unmount(folder: &Path) {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let places = mounts.lines().filter_map(|line| line.split(' ').nth(1));
    for place in places.filter(|place| Path::new(place).starts_with(folder)) {
        let mut umount = Command::new("umount");
        umount.args(["--lazy", place]);
        if let Err(error) = crate::process::output(&mut umount) {
            eprintln!("xtask: {error:?}");
        }
    }
}

/// Removes the folder, into which something that is just ending may still write.
fn remove(folder: &Path) -> Result<()> {
    let start = Instant::now();
    loop {
        match std::fs::remove_dir_all(folder) {
            Ok(()) => return Ok(()),
            Err(_) if !folder.exists() => return Ok(()),
            Err(_) if start.elapsed() < GRACE => std::thread::sleep(POLL),
            Err(error) => return Err(error).context(format!("removing {}", folder.display())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_its_name() {
        let pid = |raw| Pid::from_raw(raw).unwrap();
        let running = Process {
            pid: pid(12),
            session: pid(7),
            runs: true,
            has_terminal: false,
        };
        assert_eq!(Process::parse("12 (a) b (c) S 1 8 7 0 -1"), Some(running));
        let ended = Process {
            pid: pid(12),
            session: pid(7),
            runs: false,
            has_terminal: true,
        };
        assert_eq!(Process::parse("12 (sh) Z 1 8 7 34816 -1"), Some(ended));
    }

    #[test]
    fn what_one_end_of_the_pipe_writes_the_other_one_reads() {
        let started = Started::parse(&format!("42 {}", Signal::INT.as_raw())).unwrap();
        assert_eq!(
            (started.pid, started.stop),
            (Pid::from_raw(42).unwrap(), Signal::INT)
        );
        assert!(Started::parse("42 99").is_none());
    }
}
