//! The CSRF token of a session is the same until somebody asks for another.

use std::collections::HashMap;

use serde_json::Value;

use super::{
    Findings, Rule,
    deed::{Fate, Stamp},
    index::Index,
};
use crate::plan::Op;

pub(super) fn check(index: &Index<'_>, findings: &mut Findings) {
    let mut tokens: HashMap<Stamp, (&Value, usize)> = HashMap::new();
    for view in &index.views {
        let call = index.call(view.call);
        let place = call.plan.ops.iter().position(|op| *op == Op::Token);
        let (Some(place), Some(epoch)) = (place, epoch(index, &view.log)) else {
            continue;
        };
        // What the request itself has done to the token before is not in the log yet.
        let own = call.plan.ops[..place]
            .iter()
            .any(|op| changes(op) || *op == Op::Save);
        let Some(token) = call.result(place).filter(|_| !own) else {
            continue;
        };
        let (first, witness) = *tokens.entry(epoch).or_insert((token, view.call));
        if first != token {
            let what = format!("call {} has another token than call {witness}", view.call);
            findings.violated(Rule::TokenChanged, what);
        }
    }
}

/// What has changed the token last, as far as the log goes back.
fn epoch(index: &Index<'_>, log: &[Stamp]) -> Option<Stamp> {
    let changing = log.iter().rev().find(|stamp| {
        let Some(deed) = index.deeds.get(stamp.call) else {
            return false;
        };
        let all: Vec<&Op> = index.call(stamp.call).plan.ops.iter().collect();
        let part = deed.part(**stamp).filter(|part| part.fate != Fate::Never);
        part.is_some_and(|part| {
            part.ops
                .iter()
                .any(|at| all.get(*at).is_some_and(|op| changes(op)))
        })
    });
    changing.or(log.first()).copied()
}

fn changes(op: &Op) -> bool {
    matches!(
        op,
        Op::RegenerateToken | Op::Regenerate | Op::Invalidate | Op::Discard
    )
}
