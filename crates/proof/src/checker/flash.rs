//! Flash is shown by the next request, and by that one only.

use serde_json::Value;

use super::{
    Findings, Rule,
    deed::Fate,
    index::{Index, View, set},
    results::FLASH,
};
use crate::{
    history::{Call, SessionId},
    plan::Op,
};

pub(super) fn check(index: &Index<'_>, findings: &mut Findings) {
    let flashes = flashes(index);
    for view in &index.views {
        for flash in &flashes {
            look_for(index, view, flash, findings);
        }
        for (key, value) in view.data.iter().filter(|(key, _)| key.starts_with(FLASH)) {
            let source = flashes
                .iter()
                .find(|flash| flash.key == key && flash.value == value);
            match source {
                Some(flash) => shown(index, view, flash, findings),
                None => {
                    let what = format!("call {} has seen {key} = {value}", view.call);
                    findings.violated(Rule::FromNowhere, what);
                }
            }
        }
    }
}

/// A flash that somebody may have stored.
struct Flash<'h> {
    call: usize,
    fate: Fate,
    key: &'h String,
    value: &'h Value,
    home: Option<SessionId>,
}

fn flashes<'h>(index: &Index<'h>) -> Vec<Flash<'h>> {
    let mut flashes = Vec::new();
    for (number, deed) in index.deeds.iter().enumerate() {
        let call = index.call(number);
        for part in &deed.parts {
            for at in &part.ops {
                let op = call.plan.ops.iter().chain(&call.plan.body).nth(*at);
                let (key, value, fate) = match op {
                    Some(Op::Flash(key, value)) => (key, value, part.fate),
                    // Kept, it is as good as flashed, unless something newer is there.
                    Some(Op::Now(key, value)) if keeps(call, key) => (key, value, Fate::Unknown),
                    _ => continue,
                };
                flashes.push(Flash {
                    call: number,
                    fate,
                    key,
                    value,
                    home: index.home(number),
                });
            }
        }
    }
    flashes
}

fn keeps(call: &Call, key: &String) -> bool {
    let mut ops = call.plan.ops.iter();
    ops.any(|op| match op {
        Op::Reflash => true,
        Op::Keep(keys) => keys.contains(key),
        _ => false,
    })
}

fn sees(call: &Call, flash: &Flash<'_>) -> Option<bool> {
    call.view()
        .map(|view| view.get(flash.key) == Some(flash.value))
}

/// What a view shows belongs there, and nobody has used it up before.
fn shown(index: &Index<'_>, view: &View<'_>, flash: &Flash<'_>, findings: &mut Findings) {
    let (key, value) = (flash.key, flash.value);
    let belongs = view
        .id
        .zip(flash.home)
        .is_some_and(|(id, home)| index.is_of(id, home));
    if !belongs {
        let what = format!("call {} has seen {key} = {value} of another", view.call);
        findings.violated(Rule::FromNowhere, what);
    }
    if flash.fate == Fate::Never {
        let what = format!(
            "call {} has seen {key} = {value}, which was dropped",
            view.call
        );
        findings.violated(Rule::TookEffect, what);
    }
    if view.call == flash.call {
        let what = format!("call {} has seen {key} = {value}, which it sets", view.call);
        findings.violated(Rule::FlashAgain, what);
    }
    for earlier in &index.views {
        if earlier.end < view.start && uses_up(index, earlier, view, flash) {
            let (first, second) = (earlier.call, view.call);
            let what = format!("call {second} has seen {key} = {value} after call {first}");
            findings.violated(Rule::FlashAgain, what);
        }
    }
}

/// Whether an earlier view has certainly used up a flash before a later one was asked for.
fn uses_up(index: &Index<'_>, earlier: &View<'_>, later: &View<'_>, flash: &Flash<'_>) -> bool {
    let call = index.call(earlier.call);
    if earlier.data.get(flash.key) != Some(flash.value) || !ages_for_sure(index, earlier.call) {
        return false;
    }
    let (Some(old), Some(id)) = (earlier.id, later.id) else {
        return false;
    };
    let kept = index.history.calls.iter().any(|other| {
        keeps(other, flash.key) && other.start < later.end && sees(other, flash) != Some(false)
    });
    let forked = index.may_have_forked(id, old, call.end);
    index.is_of(id, old) && !forked && !kept
}

/// Whether a call has used up the flash that it saw, and not merely tried.
fn ages_for_sure(index: &Index<'_>, number: usize) -> bool {
    let (call, deed) = (index.call(number), &index.deeds[number]);
    let hard = deed
        .parts
        .iter()
        .any(|part| part.stamp.is_some() && part.fate == Fate::Acked);
    call.manner.ages()
        && call.is_done()
        && !index.is_doubtful(number)
        && (index.history.quiet || hard)
}

/// If a flash was set before a view was asked for, the view shows it, or somebody has been shown it or has removed it.
fn look_for(index: &Index<'_>, view: &View<'_>, flash: &Flash<'_>, findings: &mut Findings) {
    let source = index.call(flash.call);
    let due = flash.fate == Fate::Acked && source.end < view.start;
    if !due || view.log.is_empty() || view.data.get(flash.key) == Some(flash.value) {
        return;
    }
    let Some((id, home)) = view.id.zip(flash.home) else {
        return;
    };
    // Who wrote with an id that may have been dead has perhaps written nothing.
    let stored = set(source).is_some() || source.view().is_some_and(|view| !view.is_empty());
    if !index.is_of(id, home) || !stored || index.may_have_forked(id, home, source.end) {
        return;
    }
    let mut others = index.history.calls.iter().enumerate();
    let explained = others.any(|(number, other)| {
        let about = other
            .sent
            .is_some_and(|sent| index.is_of(sent, home) || index.is_of(home, sent));
        let between = other.start < view.end && !(other.end < source.start && other.is_done());
        number != view.call && number != flash.call && about && between && may_remove(other, flash)
    });
    if !explained {
        let (key, value) = (flash.key, flash.value);
        let what = format!(
            "call {} has not seen {key} = {value} of call {}",
            view.call, flash.call
        );
        findings.violated(Rule::FlashLost, what);
    }
}

/// Whether a call may have used up or removed a flash.
fn may_remove(call: &Call, flash: &Flash<'_>) -> bool {
    if call.manner.ages() && sees(call, flash) != Some(false) {
        return true;
    }
    let mut ops = call.plan.ops.iter().chain(&call.plan.body);
    ops.any(|op| match op {
        Op::Flash(key, _) | Op::Forget(key) | Op::Pull(key) => key == flash.key,
        // Kept, it takes the place of what was readable.
        Op::Now(key, _) => key == flash.key && keeps(call, key),
        Op::Flush | Op::Invalidate => true,
        _ => false,
    })
}
