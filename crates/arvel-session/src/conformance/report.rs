//! What the suite answers: an outcome or a failure for each check, and all of them as a report.

use std::{error, fmt};

use crate::{Error, Result, store::Capabilities};

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
    /// What the store declares; `None` when it did not open.
    pub capabilities: Option<Capabilities>,
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

    /// The whole report in one line: the store's name, how many checks ended how, and what it declares.
    pub fn summary(&self) -> String {
        let count = |wanted: fn(&Checked) -> bool| {
            let ended_so = |(_, result): &&(_, Checked)| wanted(result);
            self.lines.iter().filter(ended_so).count()
        };
        let passed = count(|result| matches!(result, Ok(Outcome::Passed)));
        let not_applicable = count(|result| matches!(result, Ok(Outcome::NotApplicable(_))));
        let failed = count(Result::is_err);
        let counts = format!("{passed} passed, {not_applicable} not applicable, {failed} failed");
        let Some(declared) = self.capabilities else {
            return format!("the store did not open: {counts}");
        };
        let declarations = [
            ("server_side", declared.server_side),
            ("shared", declared.shared),
            ("persistent", declared.persistent),
            ("atomic_replace", declared.atomic_replace),
            ("sweeps", declared.sweeps),
        ];
        let mut line = format!("{}: {counts};", declared.name);
        for (name, _) in declarations.iter().filter(|(_, holds)| *holds) {
            line += &format!(" {name}");
        }
        line + &format!(" max_bytes={}", declared.max_bytes)
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
