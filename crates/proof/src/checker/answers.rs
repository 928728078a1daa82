//! Nothing fails without a fault; with one the answer is the handler's or a 503, and comes in time.

use super::{Findings, Rule, index::Index};
use crate::{
    history::{Answer, Call},
    plan::Ending,
};

const UNAVAILABLE: u16 = 503;

pub(super) fn check(index: &Index<'_>, findings: &mut Findings) {
    let deadline = index.history.deadline;
    for (number, call) in index.history.calls.iter().enumerate() {
        if let Some(what) = wrong(call, index.history.quiet) {
            findings.violated(Rule::WrongAnswer, format!("call {number} {what}"));
        }
        let took = call
            .end
            .saturating_sub(call.start)
            .saturating_sub(call.waits());
        let answered = matches!(call.answer, Answer::Done { .. } | Answer::Failed(_));
        if answered && deadline > 0 && took > deadline {
            let what = format!("call {number} was answered after {took} µs beside its own waits");
            findings.violated(Rule::TooLate, what);
        }
    }
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
