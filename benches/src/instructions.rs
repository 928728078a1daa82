//! The part "instructions": how many instructions a request takes, counted by callgrind. They do not depend on how busy
//! the machine is, so that a commit can be compared with the one before it.

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use clap::Args;

use crate::{
    apps::{Contender, contenders},
    case::Case,
    content::{Content, SIZES},
    plan::{Batch, Plan},
    runtime::Runtime,
    table,
};

/// How many requests are counted together.
const REQUESTS: usize = 400;

/// How much more than the baseline is a regression, in percent.
const TOLERANCE: u64 = 5;

/// The name of the function that callgrind watches, as a pattern of its.
const WATCHED: &str = "*watched_by_callgrind*";

/// One measurement: what runs under callgrind.
#[derive(Args)]
pub struct One {
    /// The contender's name.
    contender: String,
    /// What the requests do.
    #[arg(value_enum)]
    case: Case,
    /// What the session's JSON takes, in bytes.
    session: usize,
}

impl One {
    /// Sends the requests.
    ///
    /// # Errors
    /// There is no such contender, or it fails.
    pub fn run(&self) -> Result<()> {
        let all = contenders(self.case);
        let named = all.iter().find(|one| one.name == self.contender);
        let contender = named.ok_or_else(|| anyhow!("there is no {:?}", self.contender))?;
        let content = Arc::new(Content::of(self.session));
        let runtime = Runtime::new()?;
        let mut plan = runtime.run(Plan::new(contender, self.case, &content))?;
        // What is done once, such as asking what the processor can do, is no cost of a request.
        runtime.run(async { plan.prepare(REQUESTS).await?.await })?;
        let batch = runtime.run(plan.prepare(REQUESTS))?;
        watched_by_callgrind(&runtime, batch)?;
        runtime.run(plan.finish())
    }
}

/// Callgrind counts what happens in here and below.
#[inline(never)]
fn watched_by_callgrind(runtime: &Runtime, batch: Batch<'_>) -> Result<Duration> {
    runtime.run(batch)
}

/// Instructions a request, by what was measured.
pub type Counts = BTreeMap<String, u64>;

/// Counts all of our cases, and the floors beneath them.
///
/// # Errors
/// Callgrind is not there, or a case fails.
pub fn count() -> Result<Counts> {
    let mut counts = Counts::new();
    for case in Case::ALL {
        let mut contenders = contenders(case);
        contenders.retain(|one| one.ours || one.is_floor());
        for contender in &contenders {
            // A floor has no session, so its size is all the same.
            let sizes = if contender.ours {
                &SIZES[..]
            } else {
                &SIZES[..1]
            };
            for &session in sizes {
                let name = format!("{}, {}, {session} B", contender.name, case.title());
                let one = count_one(contender, case, session);
                counts.insert(name.clone(), one.context(name)?);
            }
        }
    }
    Ok(counts)
}

fn count_one(contender: &Contender, case: Case, session: usize) -> Result<u64> {
    let case = clap::ValueEnum::to_possible_value(&case).map(|value| value.get_name().to_owned());
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(format!("--toggle-collect={WATCHED}"))
        .arg(std::env::current_exe()?)
        .args([
            "one",
            contender.name,
            &case.unwrap_or_default(),
            &session.to_string(),
        ])
        .stdin(Stdio::null())
        .output()
        .context("starting valgrind")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{said}");
    let collected = said.lines().find_map(|line| line.split_once("Collected :"));
    let (_, number) = collected.with_context(|| format!("callgrind collected nothing: {said}"))?;
    let total: u64 = number.trim().parse()?;
    ensure!(total > 0, "callgrind has not seen {WATCHED}");
    Ok(total / REQUESTS as u64)
}

/// Prints the counts beside the baseline.
///
/// # Errors
/// Something takes more than it may, or the baseline knows nothing of it.
pub fn compare(counts: &Counts, baseline: &Path) -> Result<()> {
    let known = read(baseline)?;
    let rows: Vec<Vec<String>> = counts
        .iter()
        .map(|(name, count)| row(name, *count, known.get(name)))
        .collect();
    print!(
        "{}",
        table::render(&["instructions a request", "now", "baseline", "%"], &rows)
    );
    let faults: Vec<String> = counts
        .iter()
        .filter_map(|(name, count)| fault(name, *count, known.get(name)))
        .collect();
    if faults.is_empty() {
        return Ok(());
    }
    bail!(
        "{}\nif that is as it should be: cargo xtask bench --instructions --bless",
        faults.join("\n")
    )
}

/// Makes these counts the baseline.
///
/// # Errors
/// The file cannot be written.
pub fn bless(counts: &Counts, baseline: &Path) -> Result<()> {
    let json = serde_json::to_string_pretty(counts)? + "\n";
    std::fs::write(baseline, json).with_context(|| baseline.display().to_string())
}

fn read(baseline: &Path) -> Result<Counts> {
    let json = std::fs::read(baseline).with_context(|| baseline.display().to_string())?;
    serde_json::from_slice(&json).with_context(|| baseline.display().to_string())
}

fn percent(count: u64, known: u64) -> f64 {
    100.0 * (count as f64 / known as f64 - 1.0)
}

fn row(name: &str, count: u64, known: Option<&u64>) -> Vec<String> {
    let known_text = known.map_or("-".to_owned(), |known| table::thousands(*known as f64));
    let percent = known.map_or("-".to_owned(), |known| {
        format!("{:+.1}", percent(count, *known))
    });
    vec![
        name.to_owned(),
        table::thousands(count as f64),
        known_text,
        percent,
    ]
}

fn fault(name: &str, count: u64, known: Option<&u64>) -> Option<String> {
    let Some(known) = known else {
        return Some(format!("{name}: not in the baseline"));
    };
    let most = known * (100 + TOLERANCE) / 100;
    (count > most).then(|| format!("{name}: {:+.1} % instructions", percent(count, *known)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_percent_more_is_the_most() {
        assert_eq!(fault("a", 105, Some(&100)), None);
        assert_eq!(fault("a", 90, Some(&100)), None);
        assert!(fault("a", 106, Some(&100)).is_some());
        assert!(fault("a", 100, None).is_some());
    }
}
