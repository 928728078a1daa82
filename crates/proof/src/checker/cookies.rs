//! Who gets a cookie, and which.

use std::collections::{HashMap, HashSet};

use super::{
    Findings, Rule,
    deed::{Fate, Intent},
    index::{Index, set},
};
use crate::{
    history::{Call, Cookie, SessionId},
    plan::Op,
};

pub(super) fn check(index: &Index<'_>, findings: &mut Findings) {
    adopted(index, findings);
    for (number, call) in index.history.calls.iter().enumerate() {
        if let Some((rule, what)) = wrong(index, number, call) {
            findings.violated(rule, format!("call {number} {what}"));
        }
    }
}

/// A new id is one that nobody has had before, and that no client has made up.
fn adopted(index: &Index<'_>, findings: &mut Findings) {
    let forged: HashSet<SessionId> = index
        .history
        .calls
        .iter()
        .filter_map(|call| call.forged)
        .collect();
    let mut given: HashMap<SessionId, usize> = HashMap::new();
    for (number, call) in index.history.calls.iter().enumerate() {
        let Some(id) = set(call) else { continue };
        if forged.contains(&id) {
            let what = format!("call {number} was given {id:?}, which a client has made up");
            findings.violated(Rule::Adopted, what);
        }
        if let Some(other) = given.insert(id, number) {
            let what = format!("call {number} was given {id:?}, which call {other} has");
            findings.violated(Rule::Adopted, what);
        }
    }
}

fn wrong(index: &Index<'_>, number: usize, call: &Call) -> Option<(Rule, String)> {
    let deed = &index.deeds[number];
    let intent = deed.intent;
    let wrong = |what: &str| Some((Rule::WrongCookie, what.to_owned()));
    match &call.cookie {
        Cookie::Odd(what) => wrong(&format!("was sent {what}")),
        Cookie::Removed if intent != Intent::Invalidate => {
            wrong("lost its cookie, and did not log out")
        }
        Cookie::Set(id) if call.sent == Some(*id) => {
            let dead = index.dead(*id).is_some_and(|dead| dead < call.start);
            dead.then(|| (Rule::WrongCookie, format!("was sent the dead {id:?} again")))
        }
        Cookie::Set(_) if intent == Intent::Keep => new_session(index, number, call),
        Cookie::Kept | Cookie::Removed => {
            let keeps = deed.parts.iter().any(|part| part.stamp.is_some());
            let asked = intent == Intent::Regenerate || intent == Intent::Invalidate && keeps;
            let missing = asked && call.is_done() && deed.fate == Fate::Acked;
            missing.then(|| (Rule::WrongCookie, "was given no new session".to_owned()))
        }
        Cookie::Set(_) => None,
    }
}

/// A new session, though nobody asked for another id.
fn new_session(index: &Index<'_>, number: usize, call: &Call) -> Option<(Rule, String)> {
    let view = call.view();
    if view.is_some_and(|view| !view.is_empty()) {
        let what = "was given another session in place of the one that it had";
        return Some((Rule::WrongCookie, what.to_owned()));
    }
    let writes = call
        .plan
        .ops
        .iter()
        .chain(&call.plan.body)
        .any(makes_a_session);
    if !writes {
        let what = "was given a session, and has put nothing in it";
        return Some((Rule::WrongCookie, what.to_owned()));
    }
    let sent = call.sent?;
    if index
        .history
        .ruined
        .iter()
        .any(|(ruined, _)| index.is_of(sent, *ruined))
    {
        return None;
    }
    // Its marker lives for a while from when it was set, and that was after this.
    if index.may_have_expired(sent, call.end) {
        return None;
    }
    let killers = index.direct_killers(sent).chain(index.killers(sent));
    let marked = killers
        .filter(|killer| *killer != number)
        .map(|killer| index.call(killer).start);
    let gone = marked.min()? + index.history.grace;
    (call.end < gone).then(|| {
        let what = format!("was given a session for what it wrote with the dead {sent:?}");
        (Rule::DeadGiven, what)
    })
}

/// Whether an operation is a reason to keep a session that was not there before.
fn makes_a_session(op: &Op) -> bool {
    matches!(
        op,
        Op::Put(..)
            | Op::Remember(..)
            | Op::Update(..)
            | Op::Push(..)
            | Op::Increment(..)
            | Op::Decrement(..)
            | Op::Flash(..)
            | Op::Reflash
            | Op::Keep(_)
            | Op::Token
            | Op::RegenerateToken
            | Op::SetUser(_)
    )
}
