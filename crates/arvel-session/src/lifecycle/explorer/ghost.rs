//! What must hold: a memory of what has happened, and the invariants (DESIGN §1–§6) over it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::{
    request::Request,
    script::{Contents, Op},
    shelf::Shelf,
};
use crate::{
    lifecycle::{Ask, Context},
    record::{Key, Kind, Record},
    store::Expect,
};

/// What must never happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    LostUpdate,
    AppliedTwice,
    DeadAgain,
    ExpiredAgain,
    MarkerMoved,
    Inherited,
    LogoutLeftLive,
    LoginLost,
    FlashTwice,
    FlashEaten,
    ReaderWrote,
    CookieOfTheDead,
    NeedlessFailure,
    TokenChanged,
}

pub(super) struct Violation {
    pub(super) wrong: Wrong,
    pub(super) what: String,
}

impl fmt::Debug for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.wrong, self.what)
    }
}

pub(super) type Verdict = Result<(), Violation>;

pub(super) fn unless(holds: bool, wrong: Wrong, what: impl FnOnce() -> String) -> Verdict {
    if holds {
        return Ok(());
    }
    Err(Violation {
        wrong,
        what: what(),
    })
}

/// What the store and the requests have done.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Ghost {
    /// Keys that have been a marker.
    pub(super) dead: BTreeSet<Key>,
    /// The successors of regenerated keys.
    pub(super) next: BTreeMap<Key, Key>,
    pub(super) lost: BTreeSet<Key>,
    pub(super) time_passed: bool,
    /// The parts (of which request, which one) that took effect, and where, in that order.
    pub(super) effects: Vec<(String, usize, Key)>,
}

impl Ghost {
    pub(super) fn lost(&mut self, key: Key) {
        self.lost.insert(key);
    }

    /// The live end of the chain that begins here, or where it broke off.
    pub(super) fn end(&self, mut key: Key) -> Key {
        while let Some(next) = self.next.get(&key) {
            key = *next;
        }
        key
    }

    /// Whether the store has lost a link of the chain that begins here.
    pub(super) fn has_lost(&self, key: Key) -> bool {
        let chain = std::iter::successors(Some(key), |key| self.next.get(key).copied());
        chain.into_iter().any(|key| self.lost.contains(&key))
    }

    /// Whether something has happened that explains a 503 of a request whose own calls went well.
    pub(super) fn is_disturbed(&self) -> bool {
        !self.lost.is_empty() || self.time_passed
    }

    pub(super) fn has_taken_effect(&self, name: &str, part: usize) -> bool {
        self.effects
            .iter()
            .any(|effect| effect.0 == name && effect.1 == part)
    }

    /// The request's changes are stored in the session that is under `key` now. Answers those that were not there yet.
    pub(super) fn take_effect(&mut self, request: &Request, key: Key) -> Vec<Op> {
        let mut new = Vec::new();
        for part in request.pending() {
            let mut before = self.effects.iter();
            let is_done = before.any(|(name, done, there)| {
                *name == request.name && *done == part && self.end(*there) == self.end(key)
            });
            if !is_done {
                self.effects.push((request.name.clone(), part, key));
                new.extend_from_slice(request.script.parts[part]);
            }
        }
        new
    }

    /// The store has executed a call.
    pub(super) fn executed(
        &mut self,
        cx: &Context,
        caller: &Request,
        ask: &Ask,
        before: &Shelf,
        after: &Shelf,
    ) -> Verdict {
        for (key, was) in &before.0 {
            let is = after.0.get(key);
            unless(
                was.kind.is_live() || is == Some(was),
                Wrong::MarkerMoved,
                || format!("{} changed the marker under {key:?}", caller.name),
            )?;
        }
        for (key, is) in &after.0 {
            if is.kind.is_live() {
                let was_dead = self.dead.contains(key) && !self.lost.contains(key);
                unless(!was_dead, Wrong::DeadAgain, || {
                    format!("{key:?} is live again, by {}", caller.name)
                })?;
            } else if self.dead.insert(*key)
                && let Kind::Regenerated(next) = is.kind
            {
                self.next.insert(*key, next);
            }
        }
        // What was there, what it has become, and the record that says whether the call changed anything.
        let (old, new, at, write) = match ask {
            Ask::Save(key, Expect::Absent, write) => (None, *key, key, write),
            Ask::Save(key, Expect::Revision(_), write) => match write.record.kind {
                Kind::Plain | Kind::Sealed => (Some(key), *key, key, write),
                Kind::Regenerated(new) => (Some(key), new, key, write),
                Kind::Destroyed => return Ok(()),
            },
            Ask::Replace(ask) => (Some(&ask.old), ask.new, &ask.new, &ask.write),
            Ask::Load(_) | Ask::Read(_) | Ask::Touch(..) | Ask::Queue(_) => return Ok(()),
        };
        let revision = |shelf: &Shelf| shelf.0.get(at).map(|there| there.revision);
        if revision(before) == revision(after) || revision(after) != Some(write.record.revision) {
            return Ok(());
        }
        if let Some(expired) = old.and_then(|old| before.0.get(old))
            && write.record.kind.is_live()
        {
            unless(!expired.is_expired(write.now), Wrong::ExpiredAgain, || {
                format!("{} saved over a session that had expired", caller.name)
            })?;
        }
        let written = Written { cx, caller, after };
        match old {
            Some(old) => {
                let ops = self.take_effect(caller, new);
                written.check_step(&contents(cx, old, &before.0[old]), &ops, &new)
            }
            None => written.check_created(self, &new),
        }
    }
}

/// A call that the store has executed.
struct Written<'a> {
    cx: &'a Context,
    caller: &'a Request,
    after: &'a Shelf,
}

impl Written<'_> {
    /// What was there `before` is under `new` now, changed by exactly what the request did.
    fn check_step(&self, before: &Contents, ops: &[Op], new: &Key) -> Verdict {
        self.check_contents(before, ops, new)?;
        let ages = self.caller.ages() && before.has_shown(&self.caller.shown);
        unless(self.caller.changes(ops) || ages, Wrong::ReaderWrote, || {
            format!("{} has nothing to store, and has written", self.caller.name)
        })
    }

    /// A session that did not exist holds what its request wrote, on top of what the request had loaded if that was
    /// regenerated meanwhile, and nothing else.
    fn check_created(&self, ghost: &Ghost, key: &Key) -> Verdict {
        if self.caller.is_inserting() {
            // Nobody knows it yet; what it holds is checked when the old id becomes a marker.
            return Ok(());
        }
        let ops = self.caller.ops();
        let nothing = Contents::default();
        let own = self.caller.own;
        let was_moved = own.is_some_and(|own| ghost.next.contains_key(&own));
        let base = if was_moved && !ops.contains(&Op::Invalidate) {
            &self.caller.base
        } else {
            &nothing
        };
        let verdict = self.check_contents(base, &ops, key);
        let has_ended = ghost.time_passed && self.cx.rules.absolute_lifetime.is_some();
        match own {
            // Whether the request has met the marker before it was lost, or the session at its end before it became a
            // marker, is its own secret.
            Some(own) if has_ended || ghost.lost.contains(&own) => {
                verdict.or_else(|_| self.check_contents(&nothing, &ops, key))
            }
            _ => verdict,
        }
    }

    fn check_contents(&self, base: &Contents, ops: &[Op], key: &Key) -> Verdict {
        let Some(there) = self.after.0.get(key) else {
            // The store has lost it before anybody was told of it.
            return Ok(());
        };
        let (name, shown) = (&self.caller.name, &self.caller.shown);
        let ages = self.caller.ages();
        let expected = base.after(ops, name, shown, ages, there.revision);
        let found = contents(self.cx, key, there);
        for (key, value) in &expected.data {
            let is = found.data.get(key);
            let wrong = if is.is_some_and(has_doubles) {
                Wrong::AppliedTwice
            } else {
                Wrong::LostUpdate
            };
            unless(is == Some(value), wrong, || {
                format!("{name} stored {is:?} under {key}, not {value}")
            })?;
        }
        for (key, value) in &found.data {
            unless(expected.data.contains_key(key), Wrong::Inherited, || {
                format!("{name} stored {key} = {value}, which is none of its business")
            })?;
        }
        for (key, value) in &expected.flash {
            unless(
                found.flash.get(key) == Some(value),
                Wrong::FlashEaten,
                || format!("{name} removed the flash {value:?}"),
            )?;
        }
        for (key, value) in &found.flash {
            unless(expected.flash.contains_key(key), Wrong::FlashTwice, || {
                format!("{name} stored the flash {value:?} again")
            })?;
        }
        Ok(())
    }
}

fn has_doubles(list: &serde_json::Value) -> bool {
    let items = list.as_array().map_or(&[][..], Vec::as_slice);
    (1..items.len()).any(|at| items[..at].contains(&items[at]))
}

pub(super) fn contents(cx: &Context, key: &Key, record: &Record) -> Contents {
    Contents::of(&cx.disclose(key, record).unwrap().0)
}
