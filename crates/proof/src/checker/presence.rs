//! What was acknowledged is there, once; and nothing is there that should not be.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::{
    Findings, Rule,
    deed::{Fate, Intent, Stamp},
    index::{Index, View, set},
};
use crate::{
    history::{Micros, SessionId},
    plan::Op,
};

/// A write that can be recognised: a stamp, or a loose key.
struct Mark<'i> {
    stamp: Stamp,
    loose: Option<&'i str>,
    fate: Fate,
    /// When it had taken effect, where that is known.
    done: Option<Micros>,
    begun: Micros,
    arrival: Arrival,
}

/// What a write met.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Arrival {
    /// A live session.
    Live,
    /// It cannot be told.
    Unknown,
    /// A dead id: it must have been dropped.
    Dead,
}

pub(super) fn check(index: &Index<'_>, findings: &mut Findings) {
    let marks = marks(index, findings);
    let mut excused = Excused::default();
    for view in &index.views {
        stamps(index, view, findings);
        let ids = view.id.into_iter().flat_map(|id| index.lineage(id));
        for mark in ids.filter_map(|id| marks.get(&id)).flatten() {
            look_for(index, view, mark, &mut excused, findings);
        }
        strangers(view, &marks, index, findings);
    }
    excused.check(index, findings);
}

/// Every write by the id under which it belongs.
fn marks<'i>(index: &'i Index<'_>, findings: &mut Findings) -> HashMap<SessionId, Vec<Mark<'i>>> {
    let mut marks: HashMap<SessionId, Vec<Mark<'i>>> = HashMap::new();
    for (number, deed) in index.deeds.iter().enumerate() {
        let call = index.call(number);
        let arrival = arrival(index, number);
        for (place, part) in deed.parts.iter().enumerate() {
            let stamp = Stamp {
                call: number,
                part: place,
            };
            let names = part.loose.iter().map(|key| Some(key.as_str()));
            for loose in names.chain(part.stamp.map(|_| None)) {
                let done = match loose {
                    None => index.done_by(stamp),
                    Some(_) => (part.fate == Fate::Acked).then_some(call.end),
                };
                let mark = Mark {
                    stamp,
                    loose,
                    fate: part.fate,
                    done,
                    begun: call.start,
                    arrival,
                };
                match index.home(number) {
                    Some(home) => marks.entry(home).or_default().push(mark),
                    None if part.fate == Fate::Acked && call.sent.is_none() => {
                        let what = format!("{stamp:?} is stored, and nobody was told the id");
                        findings.violated(Rule::LostUpdate, what);
                    }
                    None => {}
                }
            }
        }
    }
    marks
}

/// Whether the session was there when a call loaded it.
fn arrival(index: &Index<'_>, number: usize) -> Arrival {
    let call = index.call(number);
    let Some(sent) = call.sent.filter(|_| set(call).is_none()) else {
        return Arrival::Live;
    };
    if index.dead(sent).is_some_and(|dead| dead < call.start) {
        return Arrival::Dead;
    }
    let view = index.views.iter().find(|view| view.call == number);
    if view.is_some_and(|view| !view.log.is_empty()) || !index.may_have_ended(sent, call.end) {
        return Arrival::Live;
    }
    let had_log = index.logged(sent).is_some_and(|since| since < call.start);
    if view.is_some() && had_log {
        Arrival::Dead
    } else {
        Arrival::Unknown
    }
}

/// What is in a log belongs there, and is there once.
fn stamps(index: &Index<'_>, view: &View<'_>, findings: &mut Findings) {
    let mut met = HashSet::new();
    for stamp in &view.log {
        let at = || format!("call {} has seen {stamp:?}", view.call);
        if !met.insert(stamp) {
            findings.violated(Rule::AppliedTwice, format!("{} twice", at()));
        }
        let part = index
            .deeds
            .get(stamp.call)
            .and_then(|deed| deed.part(*stamp));
        let Some(part) = part else {
            findings.violated(Rule::TookEffect, format!("{}, which was dropped", at()));
            continue;
        };
        if part.fate == Fate::Never {
            findings.violated(Rule::TookEffect, format!("{}, which ended badly", at()));
        }
        if index.call(stamp.call).start > view.end {
            let what = format!("{}, which had not begun", at());
            findings.violated(Rule::OutOfOrder, what);
        }
        belongs(index, view, *stamp, "", findings);
    }
}

fn belongs(index: &Index<'_>, view: &View<'_>, stamp: Stamp, name: &str, findings: &mut Findings) {
    let home = index.home(stamp.call);
    let belongs = home
        .zip(view.id)
        .is_some_and(|(home, id)| index.is_of(id, home));
    if !belongs {
        let (call, id) = (view.call, view.id);
        let what = format!("call {call} has seen {name}{stamp:?} of {home:?} in {id:?}");
        findings.violated(Rule::FromNowhere, what);
    } else if arrival(index, stamp.call) == Arrival::Dead {
        let what = format!(
            "call {} has seen {name}{stamp:?}, sent with a dead id",
            view.call
        );
        findings.violated(Rule::DeadGiven, what);
    }
}

/// Loose keys of a view that are none of its session's.
fn strangers(
    view: &View<'_>,
    marks: &HashMap<SessionId, Vec<Mark<'_>>>,
    index: &Index<'_>,
    findings: &mut Findings,
) {
    let all = marks.values().flatten();
    for mark in all.filter(|mark| mark.loose.is_some_and(|key| view.data.contains_key(key))) {
        let name = mark.loose.unwrap_or_default();
        belongs(index, view, mark.stamp, &format!("{name} of "), findings);
        if mark.fate == Fate::Never {
            let what = format!("call {} has seen {name}, which was dropped", view.call);
            findings.violated(Rule::TookEffect, what);
        }
    }
}

/// If this write was done before the view was asked for, it is there.
fn look_for(
    index: &Index<'_>,
    view: &View<'_>,
    mark: &Mark<'_>,
    excused: &mut Excused,
    findings: &mut Findings,
) {
    let is_there = match mark.loose {
        None => view.log.contains(&mark.stamp),
        Some(key) => view.data.contains_key(key),
    };
    let done = match mark.fate {
        Fate::Doubtful => Some(index.call(mark.stamp.call).end),
        _ => mark.done,
    };
    // A session without any log is one that `death.rs` judges.
    if is_there || view.log.is_empty() || done.is_none_or(|done| done >= view.start) {
        return;
    }
    if mark.arrival != Arrival::Live || is_removed(index, view, mark) {
        return;
    }
    let home = index.home(mark.stamp.call);
    let written = done.unwrap_or(Micros::MAX);
    let path = view.id.zip(home);
    let forks: Vec<SessionId> = path
        .into_iter()
        .flat_map(|(id, home)| index.forks(id, home, written))
        .collect();
    let what = format!(
        "call {} has not seen {:?}{}, which was done before",
        view.call,
        mark.stamp,
        mark.loose.unwrap_or_default()
    );
    match forks[..] {
        [fork] => excused.note(fork, what),
        // Any of several may be the one.
        [_, _, ..] => {}
        [] if mark.fate == Fate::Doubtful => {
            findings
                .lost
                .insert((mark.stamp.call, mark.stamp.part), what);
        }
        [] => findings.violated(Rule::LostUpdate, what),
    }
}

/// Whether a flush or a forget that is not certainly older explains why a write is not there.
fn is_removed(index: &Index<'_>, view: &View<'_>, mark: &Mark<'_>) -> bool {
    if mark.loose.is_none() {
        let first = view.log.first();
        return first.is_some_and(|first| flushes(index, *first) && !is_older(index, *first, mark));
    }
    let all = index.deeds.iter().enumerate();
    let mut parts = all.flat_map(|(call, deed)| {
        let parts = deed.parts.iter().enumerate();
        parts.map(move |(part, what)| (Stamp { call, part }, what))
    });
    parts.any(|(stamp, part)| {
        let call = index.call(stamp.call);
        let removes = |at: &usize| {
            let op = call.plan.ops.iter().chain(&call.plan.body).nth(*at);
            matches!(op, Some(Op::Forget(key)) if Some(key.as_str()) == mark.loose)
        };
        part.fate != Fate::Never
            && call.start < view.end
            && (part.flushes || part.ops.iter().any(removes))
            && !is_older(index, stamp, mark)
    })
}

fn flushes(index: &Index<'_>, stamp: Stamp) -> bool {
    let part = index
        .deeds
        .get(stamp.call)
        .and_then(|deed| deed.part(stamp));
    part.is_some_and(|part| part.flushes)
}

/// Whether this was done before the write began.
fn is_older(index: &Index<'_>, stamp: Stamp, than: &Mark<'_>) -> bool {
    let same = stamp.call == than.stamp.call;
    same && stamp.part < than.stamp.part
        || index.done_by(stamp).is_some_and(|done| done < than.begun)
}

/// What is missing below a regenerated id that may be a fork, by its parent. Not all of several can be forks.
#[derive(Default)]
struct Excused(BTreeMap<SessionId, String>);

impl Excused {
    fn note(&mut self, fork: SessionId, what: String) {
        self.0.entry(fork).or_insert(what);
    }

    fn check(self, index: &Index<'_>, findings: &mut Findings) {
        let parents: BTreeSet<SessionId> = self
            .0
            .keys()
            .filter_map(|fork| index.parent(*fork))
            .collect();
        for parent in parents {
            // The true successor may be one that nobody was told of, or there may be none.
            let mut killers = index.killers(parent);
            let hidden = killers.any(|killer| {
                let deed = &index.deeds[killer];
                deed.intent == Intent::Invalidate || deed.fate != Fate::Acked
            });
            let missing: Vec<Option<&String>> = index
                .children(parent)
                .map(|child| self.0.get(&child))
                .collect();
            if let (false, Some(all)) = (hidden, missing.into_iter().collect::<Option<Vec<_>>>()) {
                let what = format!("of the successors of {parent:?} none has everything: {all:?}");
                findings.violated(Rule::LostUpdate, what);
            }
        }
    }
}
