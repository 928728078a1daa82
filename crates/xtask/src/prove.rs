//! `cargo xtask prove`: the proof, at its usual length, with an optimized library.

use xtask::error::Result;
use xtask::{install, process};

/// Builds it and starts it. It has servers and a guard of its own.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    install::run()?;
    let proof = [
        "run",
        "--quiet",
        "--release",
        "--package",
        "proof",
        "--",
        "run",
    ];
    let arguments = proof
        .into_iter()
        .chain(arguments.iter().map(String::as_str));
    process::cargo(&arguments.collect::<Vec<_>>(), &[])
}
