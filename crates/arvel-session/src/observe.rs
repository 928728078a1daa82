//! Seeing inside: `tracing` spans and events, and counters and histograms where the feature `metrics` is on. Both carry the driver and the outcome,
//! never an id, a secret or a value (R19).

use std::error::Error as _;

use crate::{
    Error,
    lifecycle::{Origin, Outcome},
};

/// Counts an event; without the feature `metrics` it compiles to nothing.
macro_rules! count {
    ($name:literal $(, $label:literal => $value:expr)*) => {{
        #[cfg(feature = "metrics")]
        metrics::counter!($name $(, $label => $value)*).increment(1);
    }};
}

/// A request's session was looked for.
pub(crate) fn opened(driver: &'static str, origin: &Origin) {
    let found = match origin {
        Origin::None => "none",
        Origin::Live(_) => "live",
        Origin::Marked => "superseded",
    };
    tracing::debug!(driver, found, "session opened");
    count!("session_opened_total", "driver" => driver, "found" => found);
}

/// A request's changes were committed.
pub(crate) fn committed(driver: &'static str, outcome: Outcome) {
    let outcome = match outcome {
        Outcome::Unchanged => return,
        Outcome::Saved => "saved",
        Outcome::Created => "created",
        Outcome::Regenerated => "regenerated",
        Outcome::Destroyed => "destroyed",
        Outcome::Superseded => "superseded",
        Outcome::Dropped => "dropped",
    };
    tracing::debug!(driver, outcome, "session committed");
    count!("session_committed_total", "driver" => driver, "outcome" => outcome);
}

/// A commit found another revision than it expected.
pub(crate) fn conflict(driver: &'static str) {
    tracing::debug!(driver, "session changed by another request: replaying");
    count!("session_conflicts_total", "driver" => driver);
}

/// A cookie of our name did not verify.
pub(crate) fn rejected(driver: &'static str) {
    tracing::debug!(driver, "session cookie rejected");
    count!("session_rejected_total", "driver" => driver);
}

/// A stored record could not be opened.
pub(crate) fn corrupt(driver: &'static str) {
    tracing::warn!(
        driver,
        "stored session cannot be opened: it is left as it is, the visitor gets a new one"
    );
    count!("session_corrupt_total", "driver" => driver);
}

/// The store failed, or a change could not be stored.
pub(crate) fn failed(driver: &'static str, what: &'static str, error: &Error) {
    let kind = error.kind();
    tracing::warn!(driver, what, ?kind, %error, cause = causes(error), "session store failed");
    count!("session_failures_total", "driver" => driver, "what" => what);
}

/// Why an error happened: a driver's own message only says what it was doing.
fn causes(error: &Error) -> String {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    let causes: Vec<String> = causes.map(ToString::to_string).collect();
    causes.join(": ")
}

/// The layer is missing, stands in a wrong place or has a wrong setting: a mistake in the application.
pub(crate) fn refused(error: &Error) {
    tracing::error!(kind = ?error.kind(), %error, "no session for this request");
    count!("session_refused_total");
}

/// A detached handle was dropped with changes that nobody saved.
pub(crate) fn lost_changes() {
    tracing::warn!("session changes after the response were dropped unsaved: call `save().await`");
    count!("session_lost_changes_total");
}

/// Expired records were removed.
pub(crate) fn swept(driver: &'static str, removed: usize) {
    tracing::debug!(driver, removed, "expired sessions swept");
    #[cfg(feature = "metrics")]
    metrics::counter!("session_swept_total", "driver" => driver).increment(removed as u64);
}

/// A shared cache would have stored a response that sets the session's cookie.
pub(crate) fn uncached(driver: &'static str) {
    tracing::warn!(
        driver,
        "a response that sets the session cookie was cacheable: replaced by no-store"
    );
    count!("session_uncached_total", "driver" => driver);
}

/// One open or commit: its span, and how long it takes.
pub(crate) struct Watch {
    span: tracing::Span,
    #[cfg(feature = "metrics")]
    timing: (&'static str, &'static str, std::time::Instant),
}

impl Watch {
    pub(crate) fn begin(driver: &'static str, phase: &'static str) -> Self {
        Self {
            span: tracing::debug_span!("session", driver, phase),
            #[cfg(feature = "metrics")]
            timing: (driver, phase, std::time::Instant::now()),
        }
    }

    /// What happens meanwhile belongs to this.
    pub(crate) fn span(&self) -> &tracing::Span {
        &self.span
    }

    /// It is done; without the feature `metrics` nobody wants to know.
    pub(crate) fn end(&self) {
        #[cfg(feature = "metrics")]
        {
            let (driver, phase, started) = self.timing;
            metrics::histogram!("session_seconds", "driver" => driver, "phase" => phase)
                .record(started.elapsed());
        }
    }
}
