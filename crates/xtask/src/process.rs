//! Finding programs, running them to their end, and waiting for what they start.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::error::{Context, Error, Result};
use crate::{interrupt, repository};

/// How often we look whether something has happened.
pub const POLL: Duration = Duration::from_millis(50);

/// How long a command may take to end after an interruption.
const GRACE: Duration = Duration::from_secs(10);

/// The path of a program. Servers are looked for in the system's folders too, which a plain user has not in `PATH`.
pub fn find(program: &str) -> Option<PathBuf> {
    let look = r#"PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin" command -v "$0""#;
    let output = Command::new("sh")
        .args(["-c", look, program])
        .output()
        .ok()?;
    let path = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| PathBuf::from(path.trim()))
}

/// The path of a program that must be there.
pub fn need(program: &str) -> Result<PathBuf> {
    find(program).ok_or_else(|| Error::new(format!("{program} is not installed")))
}

/// Runs a command to its end and hands back what it wrote; a failure quotes what it complained of.
pub fn output(command: &mut Command) -> Result<String> {
    let name = name(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .context(format!("starting {name}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    Err(Error::new(format!(
        "{name}: {}\n{text}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    )))
}

/// Waits until `ready` says so; an error when it takes too long or somebody interrupts us.
pub fn wait_until(
    what: &str,
    limit: Duration,
    mut ready: impl FnMut() -> Result<bool>,
) -> Result<()> {
    let start = Instant::now();
    loop {
        interrupt::check()?;
        if ready()? {
            return Ok(());
        }
        if start.elapsed() > limit {
            return Err(Error::new(format!(
                "{what} was not ready after {} s",
                limit.as_secs()
            )));
        }
        std::thread::sleep(POLL);
    }
}

/// What the cargo that runs us has told us of our own package. To ring's build script each of these is a reason to begin
/// anew when another cargo is told something else.
const ABOUT_US: [&str; 7] = [
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_LINKS",
    "CARGO_PKG_NAME",
    "CARGO_PKG_VERSION_MAJOR",
    "CARGO_PKG_VERSION_MINOR",
    "CARGO_PKG_VERSION_PATCH",
    "CARGO_PKG_VERSION_PRE",
];

/// Forgets what a cargo above us has said of our own package.
pub fn forget_us(command: &mut Command) -> &mut Command {
    for variable in ABOUT_US {
        command.env_remove(variable);
    }
    command
}

/// Runs cargo in the repository, in sight of the user.
pub fn cargo(arguments: &[&str], variables: &[(&str, &str)]) -> Result<()> {
    eprintln!("$ cargo {}", arguments.join(" "));
    let mut command = Command::new("cargo");
    forget_us(&mut command)
        .current_dir(repository::root())
        .args(arguments)
        .envs(variables.iter().copied());
    let mut child = command
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()
        .context("starting cargo")?;
    succeed(wait_for_end(&mut child)?)
}

/// An error when a command ended badly.
pub fn succeed(status: ExitStatus) -> Result<()> {
    if status.success() {
        Ok(())
    } else {
        Err(Error::new(format!("cargo ended with {status}")))
    }
}

/// Waits for a child that leads a process group. When somebody interrupts us, the group is interrupted too.
pub fn wait_for_end(child: &mut Child) -> Result<ExitStatus> {
    let mut interrupted: Option<Instant> = None;
    loop {
        let ended = child.try_wait().context("waiting for a command")?;
        match (ended, interrupted) {
            (Some(status), None) => return Ok(status),
            (Some(_), Some(_)) => return Err(Error::Interrupted),
            (None, Some(asked)) if asked.elapsed() > GRACE => return Err(Error::Interrupted),
            (None, None) if interrupt::check().is_err() => {
                kill_process_group(Pid::from_child(child), Signal::INT)
                    .context("interrupting a command")?;
                interrupted = Some(Instant::now());
            }
            (None, _) => std::thread::sleep(POLL),
        }
    }
}

/// The file name of a command's program, for messages.
fn name(command: &Command) -> String {
    let program = Path::new(command.get_program());
    program
        .file_name()
        .unwrap_or(command.get_program())
        .to_string_lossy()
        .into_owned()
}
