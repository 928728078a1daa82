//! What the suite answers: an outcome or a failure for each check, and all of them as a report.

use std::{error, fmt};

use crate::{Error, Result};

/// How a check ended that found nothing wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The store does what the contract says.
    Passed,
    /// The store has declared that this is not for it; the declaration was checked first. This is the reason.
    NotApplicable(String),
}

/// The sentence of the contract that a store broke, and how.
#[derive(Debug)]
pub struct Failure {
    message: String,
    source: Option<Error>,
}

/// What a check answers.
pub type Checked<T = Outcome> = Result<T, Failure>;

impl Failure {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            source: None,
        }
    }

    pub(super) fn store(call: &str, error: Error) -> Self {
        Self {
            message: format!("{call} failed"),
            source: Some(error),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let mut source = error::Error::source(self);
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

impl error::Error for Failure {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}

/// Every check's name and what it answered; its `Display` is one line a check.
#[derive(Debug, Default)]
pub struct Report {
    /// The results, in the order of [`CHECKS`](super::CHECKS).
    pub lines: Vec<(&'static str, Checked)>,
}

impl Report {
    /// Whether no check failed.
    pub fn passed(&self) -> bool {
        self.lines.iter().all(|(_, result)| result.is_ok())
    }

    /// The names of the checks that failed.
    pub fn failed(&self) -> impl Iterator<Item = &'static str> {
        self.lines
            .iter()
            .filter(|(_, result)| result.is_err())
            .map(|(name, _)| *name)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, result) in &self.lines {
            match result {
                Ok(Outcome::Passed) => writeln!(f, "ok     {name}")?,
                Ok(Outcome::NotApplicable(why)) => writeln!(f, "n/a    {name}: {why}")?,
                Err(failure) => writeln!(f, "FAILED {name}: {failure}")?,
            }
        }
        Ok(())
    }
}

/// Ends a check with a [`Failure`] unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::conformance::Failure::new(format!($($message)+)));
        }
    };
}
pub(super) use ensure;
