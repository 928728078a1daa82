//! The mutants that no switch can make: cargo-mutants tries them, with a build for each.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread;

use xtask::error::{Context, Error, Result};
use xtask::process;

use super::build;
use super::list::Mutant;
use super::trial::Outcome;

/// What cargo-mutants answers when it has done its work: all were caught, some were missed, some took too long.
const DONE: [i32; 3] = [0, 2, 3];

/// Tries these in a copy of their own.
pub(super) fn try_all(mutants: &[&Mutant]) -> Result<BTreeMap<usize, Outcome>> {
    if mutants.is_empty() {
        return Ok(BTreeMap::new());
    }
    let tree = super::folder().join("plain");
    build::copy(&tree)?;
    let mut cargo = build::cargo(&tree);
    // Each of those at work has a copy, and a target folder, of its own.
    cargo.env_remove("CARGO_TARGET_DIR");
    let at_once = thread::available_parallelism().map_or(1, usize::from);
    cargo.args(["mutants", "--no-shuffle", "--jobs", &at_once.to_string()]);
    cargo.arg("--output").arg(super::folder());
    for mutant in mutants {
        cargo.arg(format!("--re=^{}$", literally(&mutant.name)));
    }
    for tests in build::TESTS {
        cargo.arg(format!("--cargo-arg={tests}"));
    }
    // As behind a switch, tests that take long are not asked.
    cargo.args(["--", "--", "--skip=explorer"]);
    let status = process::wait_for_end(&mut cargo.spawn().context("starting cargo-mutants")?)?;
    if !status.code().is_some_and(|code| DONE.contains(&code)) {
        process::succeed(status)?;
    }
    read(&super::folder().join("mutants.out"), mutants)
}

/// A text as a regular expression.
fn literally(text: &str) -> String {
    let mut expression = String::new();
    for letter in text.chars() {
        if r"\.+*?()|[]{}^$".contains(letter) {
            expression.push('\\');
        }
        expression.push(letter);
    }
    expression
}

fn read(output: &Path, mutants: &[&Mutant]) -> Result<BTreeMap<usize, Outcome>> {
    let by = || "cargo-mutants".to_owned();
    let files = [
        ("caught.txt", Outcome::Caught(by())),
        ("timeout.txt", Outcome::Timeout(by())),
        ("missed.txt", Outcome::Missed),
        ("unviable.txt", Outcome::Unviable),
    ];
    let mut outcomes = BTreeMap::new();
    for (file, outcome) in files {
        let names = fs::read_to_string(output.join(file)).context(file)?;
        for mutant in mutants {
            if names.lines().any(|name| name == mutant.name) {
                outcomes.insert(mutant.number, outcome.clone());
            }
        }
    }
    if outcomes.len() == mutants.len() {
        Ok(outcomes)
    } else {
        Err(Error::new(
            "cargo-mutants has not tried all that it was to try",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_for_itself_alone() {
        assert_eq!(literally("a.rs: -> Fn(u8) | x"), r"a\.rs: -> Fn\(u8\) \| x");
    }
}
