//! The history, put in order: what each call did, what each has seen, and how the ids descend from each other.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Map, Value};

use super::{
    Findings, Rule,
    deed::{Deed, Fate, Intent, LOG, Stamp},
};
use crate::history::{Call, Cookie, History, Micros, SessionId};

/// What a request saw when it began.
pub(super) struct View<'h> {
    pub(super) call: usize,
    /// `None` for who sent no cookie that is worth anything.
    pub(super) id: Option<SessionId>,
    pub(super) data: &'h Map<String, Value>,
    pub(super) log: Vec<Stamp>,
    pub(super) start: Micros,
    pub(super) end: Micros,
}

pub(super) struct Index<'h> {
    pub(super) history: &'h History,
    pub(super) deeds: Vec<Deed>,
    pub(super) views: Vec<View<'h>>,
    /// The call whose response first set an id.
    births: BTreeMap<SessionId, usize>,
    /// What a regenerated id was before.
    parents: HashMap<SessionId, SessionId>,
    /// Those of whom that is not certain.
    doubted: HashSet<SessionId>,
    /// The calls that may have ended the session of the id that they sent.
    killers: HashMap<SessionId, Vec<usize>>,
    /// Since when it is known that a session's log is not empty. It never becomes empty again.
    logged: HashMap<SessionId, Micros>,
    /// Since when an acknowledged call has ended the session of the id that it sent.
    dead: HashMap<SessionId, Micros>,
    /// When a view first showed a stamp.
    shown: HashMap<Stamp, Micros>,
}

impl<'h> Index<'h> {
    pub(super) fn new(history: &'h History, findings: &mut Findings) -> Self {
        let deeds = history.calls.iter().map(|call| {
            let doubtful = history
                .lossy
                .iter()
                .any(|(from, to)| (*from..=*to).contains(&call.end));
            Deed::of(call, history.quiet, doubtful)
        });
        let mut index = Self {
            history,
            deeds: deeds.collect(),
            views: views(history, findings),
            births: BTreeMap::new(),
            parents: HashMap::new(),
            doubted: HashSet::new(),
            killers: HashMap::new(),
            logged: HashMap::new(),
            dead: HashMap::new(),
            shown: HashMap::new(),
        };
        index.note_births();
        index.note_deaths();
        index.note_logs();
        index.note_parents();
        index
    }

    fn note_births(&mut self) {
        for (number, call) in self.history.calls.iter().enumerate() {
            let Some(id) = set(call) else { continue };
            // Who is later is an adopter (`cookies.rs`).
            let earlier = self
                .births
                .get(&id)
                .map(|born| self.history.calls[*born].end);
            if earlier.is_none_or(|end| end > call.end) {
                self.births.insert(id, number);
            }
        }
    }

    /// Who regenerated the session that it saw has given it a new id. Who saw nothing may have met a dead id, or a session
    /// with nothing in it, unless it is known that something was.
    fn note_parents(&mut self) {
        for (id, number) in self.births.clone() {
            let call = &self.history.calls[number];
            let regenerates = self.deeds[number].intent == Intent::Regenerate;
            let Some(sent) = call.sent.filter(|_| regenerates) else {
                continue;
            };
            let saw_nothing = call.view().is_some_and(Map::is_empty);
            let had = |since: Option<Micros>| since.is_some_and(|since| since < call.start);
            if saw_nothing && (had(self.logged(sent)) || had(self.dead(sent))) {
                continue;
            }
            self.parents.insert(id, sent);
            if saw_nothing {
                self.doubted.insert(id);
            }
        }
    }

    fn note_deaths(&mut self) {
        for (number, call) in self.history.calls.iter().enumerate() {
            let (Some(sent), deed) = (call.sent, &self.deeds[number]) else {
                continue;
            };
            if !deed.kills() {
                continue;
            }
            self.killers.entry(sent).or_default().push(number);
            if deed.fate == Fate::Acked {
                earliest(&mut self.dead, sent, call.end);
            }
        }
    }

    fn note_logs(&mut self) {
        for (id, born) in &self.births {
            let is_kept =
                |part: &super::deed::Part| part.fate == Fate::Acked && part.stamp.is_some();
            if self.deeds[*born].parts.iter().any(is_kept) {
                earliest(&mut self.logged, *id, self.history.calls[*born].end);
            }
        }
        for view in &self.views {
            if self.is_doubtful(view.call) {
                continue;
            }
            if let (Some(id), false) = (view.id, view.log.is_empty()) {
                earliest(&mut self.logged, id, view.end);
            }
            for stamp in &view.log {
                earliest(&mut self.shown, *stamp, view.end);
            }
        }
    }

    pub(super) fn call(&self, number: usize) -> &'h Call {
        &self.history.calls[number]
    }

    /// Whether what this call was told may have been lost by the store since.
    pub(super) fn is_doubtful(&self, call: usize) -> bool {
        let end = self.call(call).end;
        let mut windows = self.history.lossy.iter();
        windows.any(|(from, to)| (*from..=*to).contains(&end))
    }

    pub(super) fn birth(&self, id: SessionId) -> Option<usize> {
        self.births.get(&id).copied()
    }

    pub(super) fn parent(&self, id: SessionId) -> Option<SessionId> {
        self.parents.get(&id).copied()
    }

    /// Whether it is not certain that an id was another one before.
    pub(super) fn is_doubted(&self, id: SessionId) -> bool {
        self.doubted.contains(&id)
    }

    /// Whether somebody has ruined the record of this session, or of one that it was before.
    pub(super) fn is_ruined(&self, id: SessionId, before: Micros) -> bool {
        let mut ruined = self.history.ruined.iter();
        ruined.any(|(ruined, at)| self.is_of(id, *ruined) && *at < before)
    }

    /// The regenerated successors of an id.
    pub(super) fn children(&self, id: SessionId) -> impl Iterator<Item = SessionId> {
        let children = self.parents.iter();
        children
            .filter(move |(_, parent)| **parent == id)
            .map(|(child, _)| *child)
    }

    /// An id and those that it was before.
    pub(super) fn lineage(&self, id: SessionId) -> impl Iterator<Item = SessionId> {
        std::iter::successors(Some(id), |id| self.parents.get(id).copied())
    }

    /// Whether one id is another, or was it before.
    pub(super) fn is_of(&self, id: SessionId, root: SessionId) -> bool {
        self.lineage(id).any(|ancestor| ancestor == root)
    }

    /// The id under which the writes of a call belong.
    pub(super) fn home(&self, call: usize) -> Option<SessionId> {
        let told = set(self.call(call));
        if told.is_some() {
            return told;
        }
        // Whoever changed the id and was not told the new one has written where nobody will look.
        self.call(call)
            .sent
            .filter(|_| self.deeds[call].intent == Intent::Keep)
    }

    /// When a part has taken effect at the latest, where that is known.
    pub(super) fn done_by(&self, stamp: Stamp) -> Option<Micros> {
        let part = self.deeds.get(stamp.call)?.part(stamp)?;
        let acked = (part.fate == Fate::Acked).then(|| self.call(stamp.call).end);
        let shown = self.shown.get(&stamp).copied();
        acked.into_iter().chain(shown).min()
    }

    /// How many writes of unknown outcome somebody has seen.
    pub(super) fn took_effect(&self) -> usize {
        let unknown = |stamp: &&Stamp| {
            let deed = self.deeds.get(stamp.call);
            let part = deed.and_then(|deed| deed.part(**stamp));
            part.is_some_and(|part| part.fate == Fate::Unknown)
        };
        self.shown.keys().filter(unknown).count()
    }

    pub(super) fn logged(&self, id: SessionId) -> Option<Micros> {
        self.logged.get(&id).copied()
    }

    pub(super) fn dead(&self, id: SessionId) -> Option<Micros> {
        self.dead.get(&id).copied()
    }

    /// The calls that may have ended this session, by its own id or by one that led to it.
    pub(super) fn killers(&self, id: SessionId) -> impl Iterator<Item = usize> {
        let of_older = move |(older, killer): &(SessionId, usize)| {
            *older == id || self.deeds[*killer].intent == Intent::Invalidate
        };
        self.lineage(id)
            .flat_map(|older| {
                self.direct_killers(older)
                    .map(move |killer| (older, killer))
            })
            .filter(of_older)
            .map(|(_, killer)| killer)
    }

    /// The calls that sent this very id and may have ended its session.
    pub(super) fn direct_killers(&self, id: SessionId) -> impl Iterator<Item = usize> {
        self.killers.get(&id).into_iter().flatten().copied()
    }

    /// Whether somebody may have ended this session before that moment.
    pub(super) fn may_have_ended(&self, id: SessionId, before: Micros) -> bool {
        let lost = self.birth(id).is_some_and(|born| self.is_doubtful(born));
        self.killers(id)
            .any(|killer| self.call(killer).start < before)
            || self.is_ruined(id, before)
            || lost
    }

    /// Whether a session may have come to the end of its life: nobody is known to have used it for about as long. Expiries are
    /// moved now and then only, so it may be shorter by a tenth.
    pub(super) fn may_have_expired(&self, id: SessionId, before: Micros) -> bool {
        let lifetime = self.history.lifetime;
        let least = lifetime - lifetime / 5;
        let born = self.birth(id).map(|born| self.call(born).start);
        let shown = self.views.iter().filter(|view| view.id == Some(id));
        let shown = shown.filter(|view| view.start < before && !view.data.is_empty());
        let used = shown.map(|view| view.start).chain(born).max();
        lifetime > 0 && used.is_none_or(|used| used + least < before)
    }

    /// Whether this call, which regenerated, may have made a session beside the true successor (R12): another one was
    /// changing the same id, or ending what it leads to, at the same time.
    pub(super) fn may_fork(&self, call: usize) -> bool {
        self.rivals(call).next().is_some()
    }

    /// The calls that may have been first, where this one wanted to change an id.
    pub(super) fn rivals(&self, call: usize) -> impl Iterator<Item = usize> {
        let (own, regenerates) = (
            self.call(call),
            self.deeds[call].intent == Intent::Regenerate,
        );
        let sent = own.sent.filter(|_| regenerates);
        let killers = sent.into_iter().flat_map(|sent| self.killers(sent));
        killers.filter(move |other| *other != call && self.overlap(call, *other))
    }

    fn overlap(&self, one: usize, other: usize) -> bool {
        let end = |call: usize| match self.deeds[call].fate {
            Fate::Acked => self.call(call).end,
            Fate::Doubtful | Fate::Unknown | Fate::Never => Micros::MAX,
        };
        self.call(one).start < end(other) && self.call(other).start < end(one)
    }

    /// The ids between one that a view shows and an older one at which what was done at `written` may have stayed behind:
    /// they may be forks, of what their makers had loaded before, or of nothing where the old one was being ended.
    pub(super) fn forks(
        &self,
        shown: SessionId,
        root: SessionId,
        written: Micros,
    ) -> impl Iterator<Item = SessionId> {
        let path = self.lineage(shown).take_while(move |id| *id != root);
        path.filter(move |id| {
            let Some(born) = self.birth(*id) else {
                return false;
            };
            let loaded_before = self.call(born).start < written;
            let mut rivals = self.rivals(born);
            self.doubted.contains(id)
                || rivals
                    .any(|rival| loaded_before || self.deeds[rival].intent == Intent::Invalidate)
        })
    }

    /// Whether there is any of those.
    pub(super) fn may_have_forked(
        &self,
        shown: SessionId,
        root: SessionId,
        written: Micros,
    ) -> bool {
        self.forks(shown, root, written).next().is_some()
    }
}

/// The new id that a response gave to the browser.
pub(super) fn set(call: &Call) -> Option<SessionId> {
    match &call.cookie {
        Cookie::Set(id) if call.sent != Some(*id) => Some(*id),
        _ => None,
    }
}

fn earliest<K: std::hash::Hash + Eq>(times: &mut HashMap<K, Micros>, key: K, at: Micros) {
    let time = times.entry(key).or_insert(at);
    *time = at.min(*time);
}

fn views<'h>(history: &'h History, findings: &mut Findings) -> Vec<View<'h>> {
    let mut views = Vec::new();
    for (number, call) in history.calls.iter().enumerate() {
        let Some(data) = call.view() else { continue };
        let mut glimpses = history.glimpses.iter();
        if glimpses.any(|(from, to)| (*from..=*to).contains(&call.end)) {
            continue;
        }
        let items = data
            .get(LOG)
            .and_then(Value::as_array)
            .map_or(&[][..], Vec::as_slice);
        let stamps = items
            .iter()
            .map(|item| item.as_str().and_then(Stamp::parse));
        let Some(log) = stamps.collect() else {
            let what = format!("call {number} has seen a log that nobody wrote: {items:?}");
            findings.violated(Rule::FromNowhere, what);
            continue;
        };
        views.push(View {
            call: number,
            id: call.sent,
            data,
            log,
            start: call.start,
            end: call.end,
        });
    }
    views
}
