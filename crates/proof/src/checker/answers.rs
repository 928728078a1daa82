//! Nothing fails without a fault; with one the answer is the handler's or a 503, and comes in time.

use super::{Findings, Rule, index::Index};
use crate::{
    history::{Answer, Call},
    plan::{Ending, Op},
};

const UNAVAILABLE: u16 = 503;

pub(super) fn check(index: &Index<'_>, findings: &mut Findings) {
    let deadline = index.history.deadline;
    for (number, call) in index.history.calls.iter().enumerate() {
        if let Some(what) = wrong(call, index.history.quiet) {
            findings.violated(Rule::WrongAnswer, format!("call {number} {what}"));
        }
        let limit = commits(call) * deadline + index.history.slack;
        let took = call
            .end
            .saturating_sub(call.start)
            .saturating_sub(call.waits());
        let waited = !matches!(call.answer, Answer::Left | Answer::Begun);
        if waited && deadline > 0 && took > limit {
            let what = format!("call {number} was answered after {took} µs beside its own waits");
            findings.violated(Rule::TooLate, what);
        }
    }
}

/// How often a call may wait for the store: to open, for each save, before the head and at the end of a body.
fn commits(call: &Call) -> u64 {
    let saves = call.plan.ops.iter().filter(|op| **op == Op::Save);
    2 + saves.count() as u64 + u64::from(!call.plan.body.is_empty())
}

fn wrong(call: &Call, quiet: bool) -> Option<String> {
    match &call.answer {
        Answer::Failed(status) if quiet || *status != UNAVAILABLE => {
            Some(format!("was answered {status} in the handler's place"))
        }
        Answer::Refused => Some("was refused by the handler".to_owned()),
        Answer::Cut if quiet && call.plan.ending != Ending::Panic && !call.plan.ops.is_empty() => {
            Some("was cut off".to_owned())
        }
        Answer::Failed(_) | Answer::Cut | Answer::Done { .. } | Answer::Begun | Answer::Left => {
            None
        }
    }
}
