//! `cargo xtask check`: everything that can be said about the code without running it.

use crate::error::Result;
use crate::hygiene;
use crate::steps::Steps;

/// Runs each check, also after one has failed.
pub(crate) fn run(steps: &mut Steps) -> Result<()> {
    steps.run("hygiene", hygiene::run)
}
