//! Nothing fails without a fault; with one the answer is the handler's or a 503, and comes in time. What merely keeps a session
//! up (a flash that was seen, an expiry) fails in silence (R3).

use super::{Findings, Rule, index::Index};
use crate::{
    history::{Answer, Call, Micros},
    plan::{Ending, Op},
};

const UNAVAILABLE: u16 = 503;

pub(super) fn check(index: &Index<'_>, findings: &mut Findings) {
    let deadline = index.history.deadline;
    for (number, call) in index.history.calls.iter().enumerate() {
        if let Some(what) = wrong(call, index.history.quiet) {
            findings.violated(Rule::WrongAnswer, format!("call {number} {what}"));
        }
        let limit = commits(call) * deadline + index.history.slack + stood_still(index, call);
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

/// What the machine kept a call waiting: the client, the server and the store have each to be woken.
fn stood_still(index: &Index<'_>, call: &Call) -> Micros {
    let stalls = index.history.stalls.iter();
    let within = stalls.map(|(from, to)| to.min(&call.end).saturating_sub(*from.max(&call.start)));
    3 * within.sum::<Micros>()
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
        Answer::Failed(_) if call.ran && only_reads(call) => {
            Some("was answered 503, though its handler had read and done nothing else".to_owned())
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

/// Whether all that is left to commit is upkeep.
fn only_reads(call: &Call) -> bool {
    let mut ops = call.plan.ops.iter().chain(&call.plan.body);
    ops.all(|op| {
        matches!(
            op,
            Op::All
                | Op::Keys
                | Op::Get(_)
                | Op::GetOr(..)
                | Op::Has(_)
                | Op::Missing(_)
                | Op::Only(_)
                | Op::Except(_)
                | Op::Id
                | Op::Wait(_)
        )
    })
}
