//! Running the tests that reach a mutant, the quickest first, until one notices.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use xtask::error::{Context, Error, Result};
use xtask::{interrupt, process};

/// One test.
pub(super) struct Test {
    program: PathBuf,
    pub(super) name: String,
    /// What it takes without a mutant.
    took: Duration,
    /// The mutants that it reaches.
    reaches: BTreeSet<usize>,
}

/// What came of a mutant.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// By this test.
    Caught(String),
    /// This test did not end.
    Timeout(String),
    Missed,
    /// No test ever comes there.
    Unreached,
    /// It does not compile.
    Unviable,
}

/// The least time of a processor that a test has with a mutant in it; and how many times as long as without it may take.
const LEAST: u64 = 20;
const LONGER: u64 = 10;

/// How many times as long it may wait: a busy machine is no endless loop.
const WAITING: u64 = 10;

/// Runs a program that is ended when it has used up so many seconds of a processor.
const LIMITED: &str = r#"ulimit -t "$0"; exec "$@""#;

/// The signals that end it then.
const ENDED: [i32; 2] = [9, 24];

/// A test that takes longer by itself is not asked: the explorer's largest scenes would take a minute for each mutant that
/// is left.
const LONGEST: Duration = Duration::from_secs(4);

/// How often we look whether a test has ended.
const LOOK: Duration = Duration::from_millis(2);

/// The tests of these programs, the quickest first, after a run of each without a mutant.
pub(super) fn tests(programs: &[PathBuf], home: &Path, scratch: &Path) -> Result<Vec<Test>> {
    let mut tests = Vec::new();
    for program in programs {
        let mut list = Command::new(program);
        list.current_dir(home).args(["--list", "--format=terse"]);
        let listed = process::output(&mut list)?;
        for name in listed
            .lines()
            .filter_map(|line| line.strip_suffix(": test"))
        {
            tests.push(Test::measure(program, name, home, scratch)?);
        }
    }
    tests.retain(|test| test.took <= LONGEST);
    tests.sort_by_key(|test| test.took);
    Ok(tests)
}

impl Test {
    fn measure(program: &Path, name: &str, home: &Path, scratch: &Path) -> Result<Self> {
        let mut test = Self {
            program: program.to_owned(),
            name: name.to_owned(),
            took: Duration::ZERO,
            reaches: BTreeSet::new(),
        };
        let asked = scratch.join("asked");
        fs::write(&asked, "").context("noting what a test reaches")?;
        let start = Instant::now();
        let mut command = Command::new(program);
        command.current_dir(home).args(["--exact", name]);
        match end(command.env("MUTANTS_ASKED", &asked), Duration::MAX)? {
            Some(status) if status.success() => {}
            _ => return Err(Error::new(format!("{name} fails without a mutant"))),
        }
        test.took = start.elapsed();
        let asked = fs::read_to_string(&asked).context("noting what a test reaches")?;
        test.reaches = asked.lines().filter_map(|line| line.parse().ok()).collect();
        Ok(test)
    }

    /// Nothing where it did not come to its end.
    fn with(&self, mutant: usize, home: &Path) -> Result<Option<ExitStatus>> {
        let seconds = LEAST.max(self.took.as_secs() * LONGER);
        let mut command = Command::new("sh");
        command
            .args(["-c", LIMITED, &seconds.to_string()])
            .arg(&self.program)
            .args(["--exact", &self.name]);
        command.current_dir(home).env("MUTANT", mutant.to_string());
        let status = end(&mut command, Duration::from_secs(seconds * WAITING))?;
        Ok(status.filter(|status| !is_cut_short(status)))
    }
}

fn is_cut_short(status: &ExitStatus) -> bool {
    status.signal().is_some_and(|it| ENDED.contains(&it))
}

/// Runs a command until it ends, or until it has taken too long.
fn end(command: &mut Command, limit: Duration) -> Result<Option<ExitStatus>> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let start = Instant::now();
    let mut child = command.spawn().context("starting a test")?;
    loop {
        if let Some(status) = child.try_wait().context("waiting for a test")? {
            return Ok(Some(status));
        }
        let interrupted = interrupt::check();
        if interrupted.is_err() || start.elapsed() > limit {
            child
                .kill()
                .and_then(|()| child.wait())
                .context("ending a test")?;
            return interrupted.map(|()| None);
        }
        std::thread::sleep(LOOK);
    }
}

/// Whether a test notices this mutant.
pub(super) fn try_out(mutant: usize, tests: &[Test], home: &Path) -> Result<Outcome> {
    let mut outcome = Outcome::Unreached;
    for test in tests.iter().filter(|test| test.reaches.contains(&mutant)) {
        match test.with(mutant, home)? {
            Some(status) if status.success() => outcome = Outcome::Missed,
            Some(_) => return Ok(Outcome::Caught(test.name.clone())),
            None => return Ok(Outcome::Timeout(test.name.clone())),
        }
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A test that is this program of the system's, and reaches the first mutant.
    fn test(program: &str) -> Test {
        Test {
            program: program.into(),
            name: program.to_owned(),
            took: Duration::ZERO,
            reaches: BTreeSet::from([1]),
        }
    }

    #[test]
    fn a_mutant_is_caught_by_the_test_that_fails_and_missed_by_those_that_do_not() {
        let outcome = |mutant, tests: &[Test]| try_out(mutant, tests, Path::new("/")).unwrap();
        let caught = Outcome::Caught("false".to_owned());
        assert!(outcome(1, &[test("true"), test("false")]) == caught);
        assert!(outcome(1, &[test("true")]) == Outcome::Missed);
        assert!(outcome(2, &[test("false")]) == Outcome::Unreached);
    }

    #[test]
    fn what_is_ended_for_its_length_is_no_failure() {
        let failed = ExitStatus::from_raw(101 << 8);
        assert!(ENDED.map(ExitStatus::from_raw).iter().all(is_cut_short));
        assert!(!is_cut_short(&failed) && !is_cut_short(&ExitStatus::from_raw(6)));
    }
}
