//! No more sessions are alive than somebody can account for.

use std::collections::BTreeSet;

use super::{Rule, Violation};
use crate::history::{Answer, Call, Cookie, History};

/// How many requests of a history may have made a session of which nobody was told.
#[must_use]
pub fn untold(history: &History) -> usize {
    history.calls.iter().filter(|call| is_untold(call)).count()
}

fn is_untold(call: &Call) -> bool {
    !matches!(call.answer, Answer::Done { .. }) && call.cookie == Cookie::Kept
}

/// Judges what is alive in a store in the end: what somebody knows, by the names of the store, and one session for each of the
/// `untold`.
#[must_use]
pub fn census(
    live: &BTreeSet<String>,
    known: &BTreeSet<String>,
    untold: usize,
) -> Option<Violation> {
    let strangers = live.difference(known).count();
    (strangers > untold).then(|| Violation {
        rule: Rule::TooManyLive,
        what: format!("{strangers} sessions that nobody knows, {untold} at most"),
    })
}
