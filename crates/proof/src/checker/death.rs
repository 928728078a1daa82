//! Dead stays dead, and nobody dies by himself.

use std::collections::BTreeMap;

use super::{
    Findings, Rule,
    deed::{Fate, Intent},
    index::{Index, View},
};
use crate::history::{Micros, SessionId};

pub(super) fn check(index: &Index<'_>, findings: &mut Findings) {
    let gone = gone(index);
    for view in &index.views {
        let Some(id) = view.id else {
            stranger(view, findings);
            continue;
        };
        lost(index, view, id, findings);
        // Who meets a ruined record does not end it, and who has loaded it before may make it whole again.
        if !index.is_ruined(id, view.end) {
            told(index, view, id, findings);
            again(view, id, &gone, findings);
        }
    }
    logouts(index, findings);
}

fn stranger(view: &View<'_>, findings: &mut Findings) {
    if !view.data.is_empty() {
        let what = format!("call {} sent no session and has seen one", view.call);
        findings.violated(Rule::FromNowhere, what);
    }
}

/// Nothing is told to who sends an id that is known to be dead.
fn told(index: &Index<'_>, view: &View<'_>, id: SessionId, findings: &mut Findings) {
    let dead = index.dead(id).is_some_and(|dead| dead < view.start);
    if dead && !view.data.is_empty() {
        let what = format!("call {} has seen the dead {id:?}", view.call);
        findings.violated(Rule::DeadTold, what);
    }
}

/// A session that had a log has one as long as it lives, and lives until somebody ends it.
fn lost(index: &Index<'_>, view: &View<'_>, id: SessionId, findings: &mut Findings) {
    if !is_gone(index, view, id) {
        return;
    }
    if !view.data.is_empty() {
        let what = format!("call {} has seen {id:?} without its log", view.call);
        findings.violated(Rule::WrongContent, what);
    } else if !index.may_have_ended(id, view.end) && !index.may_have_expired(id, view.end) {
        let what = format!(
            "call {} has not seen {id:?}, which nobody has ended",
            view.call
        );
        findings.violated(Rule::LostSession, what);
    }
}

fn is_gone(index: &Index<'_>, view: &View<'_>, id: SessionId) -> bool {
    let had_log = index.logged(id).is_some_and(|since| since < view.start);
    view.log.is_empty() && had_log
}

/// Since when sessions have been found gone, and by whom.
fn gone(index: &Index<'_>) -> BTreeMap<SessionId, (Micros, usize)> {
    let mut gone = BTreeMap::new();
    for view in &index.views {
        let Some(id) = view.id.filter(|id| is_gone(index, view, *id)) else {
            continue;
        };
        if index.is_doubtful(view.call) {
            continue;
        }
        let found = (view.end, view.call);
        let first = gone.entry(id).or_insert(found);
        *first = found.min(*first);
    }
    gone
}

fn again(
    view: &View<'_>,
    id: SessionId,
    gone: &BTreeMap<SessionId, (Micros, usize)>,
    findings: &mut Findings,
) {
    let earlier = gone.get(&id).filter(|(since, _)| *since < view.start);
    if let (Some((_, witness)), false) = (earlier, view.data.is_empty()) {
        let call = view.call;
        let what = format!("call {call} has seen {id:?}, which call {witness} has found gone");
        findings.violated(Rule::DeadAgain, what);
    }
}

/// An acknowledged logout leaves nothing alive that its id had led to (R11).
fn logouts(index: &Index<'_>, findings: &mut Findings) {
    for (number, deed) in index.deeds.iter().enumerate() {
        let acked = deed.intent == Intent::Invalidate && deed.fate == Fate::Acked;
        let Some(root) = index.call(number).sent.filter(|_| acked) else {
            continue;
        };
        for view in &index.views {
            let below = view.id.filter(|id| *id != root && index.is_of(*id, root));
            let Some(id) = below else { continue };
            let late = view.start > index.call(number).end && !view.data.is_empty();
            if late && is_ended(index, number, root, id, view) {
                let what = format!(
                    "call {} has seen {id:?}, though call {number} has ended {root:?}",
                    view.call
                );
                findings.violated(Rule::LogoutLeftLive, what);
            }
        }
    }
}

/// Whether this logout must have ended this session.
fn is_ended(
    index: &Index<'_>,
    logout: usize,
    root: SessionId,
    id: SessionId,
    view: &View<'_>,
) -> bool {
    if index.is_ruined(id, view.end) {
        return false;
    }
    let path: Vec<SessionId> = index.lineage(id).take_while(|id| *id != root).collect();
    if path.iter().any(|id| index.is_doubted(*id)) {
        return false;
    }
    let births: Vec<usize> = path.iter().filter_map(|id| index.birth(*id)).collect();
    let end = index.call(logout).end;
    let marked = |born: &usize| {
        index.call(*born).start + index.history.grace > end && !index.is_doubtful(*born)
    };
    if !births.iter().all(marked) {
        return false;
    }
    let rivals: Vec<usize> = births.iter().flat_map(|born| index.rivals(*born)).collect();
    let forked = rivals
        .iter()
        .any(|rival| index.deeds[*rival].intent == Intent::Regenerate);
    // Who meets the logout itself gets a session of what he wrote, and nothing else.
    let inherits = view.log.iter().any(|stamp| {
        let known = stamp.call < index.deeds.len();
        known
            .then(|| index.home(stamp.call))
            .flatten()
            .is_some_and(|home| index.is_of(root, home))
    });
    rivals.is_empty() || (!forked && inherits)
}
