//! The order of a log is the order of its commits, and there is one only.

use std::collections::BTreeMap;

use super::{
    Findings, Rule,
    deed::{Fate, Intent, Stamp},
    index::{Index, View, set},
};
use crate::history::{Cookie, Micros};

pub(super) fn check(index: &Index<'_>, findings: &mut Findings) {
    let mut beginnings: BTreeMap<Stamp, Tree> = BTreeMap::new();
    for view in &index.views {
        in_time(index, view, findings);
        superseded(index, view, findings);
        if let Some((first, rest)) = view.log.split_first() {
            beginnings.entry(*first).or_default().add(rest, view.call);
        }
    }
    for tree in beginnings.values() {
        tree.check(index, findings);
    }
}

/// Nothing stands behind what began after its answer.
fn in_time(index: &Index<'_>, view: &View<'_>, findings: &mut Findings) {
    let mut latest: Option<(Micros, Stamp)> = None;
    for stamp in &view.log {
        let Some(call) = index.history.calls.get(stamp.call) else {
            continue;
        };
        let done = index.deeds[stamp.call]
            .part(*stamp)
            .filter(|part| part.fate == Fate::Acked)
            .map_or(Micros::MAX, |_| call.end);
        if let Some((_, other)) = latest.filter(|(begun, other)| *begun > done && other != stamp) {
            let what = format!("call {} has seen {other:?} before {stamp:?}", view.call);
            findings.violated(Rule::OutOfOrder, what);
        }
        if latest.is_none_or(|(begun, _)| begun < call.start) {
            latest = Some((call.start, *stamp));
        }
    }
}

/// A request whose id was regenerated before it committed sets no cookie (R9).
fn superseded(index: &Index<'_>, view: &View<'_>, findings: &mut Findings) {
    for (at, stamp) in view.log.iter().enumerate() {
        let Some(call) = index.history.calls.get(stamp.call) else {
            continue;
        };
        let head = index.deeds[stamp.call].head == stamp.part;
        if !head || call.cookie == Cookie::Kept || set(call).is_some() {
            continue;
        }
        let moved = view.log[..at].iter().find(|before| {
            let deed = index.deeds.get(before.call);
            deed.is_some_and(|deed| deed.intent == Intent::Regenerate)
                && before.call != stamp.call
                && index.call(before.call).sent == call.sent
        });
        if let Some(moved) = moved {
            let what = format!("call {} sent its cookie again after {moved:?}", stamp.call);
            findings.violated(Rule::WrongCookie, what);
        }
    }
}

/// All logs with the same beginning.
#[derive(Default)]
struct Tree {
    next: BTreeMap<Stamp, Tree>,
    /// A call that has seen a log which goes at least so far.
    seen_by: usize,
}

impl Tree {
    fn add(&mut self, log: &[Stamp], call: usize) {
        let mut tree = self;
        tree.seen_by = call;
        for stamp in log {
            tree = tree.next.entry(*stamp).or_default();
            tree.seen_by = call;
        }
    }

    fn check(&self, index: &Index<'_>, findings: &mut Findings) {
        let branches = self
            .next
            .iter()
            .filter(|(stamp, _)| goes_on(index, **stamp));
        let branches: Vec<_> = branches.collect();
        if let [(one, first), (other, second), ..] = branches[..] {
            let (first, second) = (first.seen_by, second.seen_by);
            let what = format!("call {first} has seen {one:?} where call {second} saw {other:?}");
            findings.violated(Rule::SplitBrain, what);
        }
        for tree in self.next.values() {
            tree.check(index, findings);
        }
    }
}

/// Whether what stands here goes on with the session: not a fork that branches off, nor what a server has lost.
fn goes_on(index: &Index<'_>, stamp: Stamp) -> bool {
    let known = stamp.call < index.deeds.len();
    known && !index.is_doubtful(stamp.call) && !index.may_fork(stamp.call)
}
