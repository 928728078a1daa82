//! What a contender allocates for a request. The counting itself is in the program `allocations`, so that the program
//! that takes the time has the allocator that everybody has.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::case::Case;

/// How many requests are counted together: enough that what a batch allocates by itself does not show.
pub const REQUESTS: usize = 500;

/// What one contender allocates in one case.
#[derive(Debug, Serialize, Deserialize)]
pub struct Allocations {
    /// What the session's JSON takes, in bytes.
    pub session: usize,
    /// What the request does.
    pub case: Case,
    /// Who.
    pub contender: String,
    /// Allocations a request.
    pub count: f64,
    /// Bytes that they asked for.
    pub bytes: f64,
}

/// Runs the program that counts, which lies beside this one.
///
/// # Errors
/// It is not there, or it failed.
pub fn count() -> Result<Vec<Allocations>> {
    let program = std::env::current_exe()?.with_file_name("allocations");
    let output = Command::new(&program)
        .stderr(std::process::Stdio::inherit())
        .output()
        .with_context(|| format!("starting {}", program.display()))?;
    ensure!(output.status.success(), "counting allocations failed");
    Ok(serde_json::from_slice(&output.stdout)?)
}
