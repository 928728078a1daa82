//! The invariants of a request and of the whole: what was acknowledged holds.

use super::{
    ghost::{Verdict, Wrong, contents, unless},
    request::{Acked, Request},
    script::{Contents, Op},
    world::World,
};
use crate::{
    Result,
    lifecycle::{Basis, Committed, Context, CookieChange, Outcome},
    record::{Key, Revision, Token, to_hex},
};

/// What was acknowledged is there, unless something explains its absence.
pub(super) fn kept(world: &World, cx: &Context) -> Verdict {
    for request in &world.requests {
        for acked in &request.acked {
            is_kept(world, cx, request, acked)?;
        }
    }
    Ok(())
}

fn is_kept(world: &World, cx: &Context, request: &Request, acked: &Acked) -> Verdict {
    let end = world.ghost.end(acked.key);
    if world.ghost.has_lost(acked.key) {
        return Ok(());
    }
    let Some(there) = world.shelf.0.get(&end) else {
        return unless(world.ghost.time_passed, Wrong::LostUpdate, || {
            format!("the session that {} wrote to has vanished", request.name)
        });
    };
    if !there.kind.is_live() || there.is_expired(world.now) {
        let ended = world.has_script_with(Op::Invalidate) || there.kind.is_live();
        return unless(ended, Wrong::LostUpdate, || {
            format!("the session that {} wrote to has ended", request.name)
        });
    }
    let found = contents(cx, &end, there);
    for part in acked.parts.clone() {
        if is_flushed_after(world, &request.name, part) {
            continue;
        }
        for op in lasting(request.script.parts[part]) {
            unless(
                is_there(&found, &request.name, *op),
                Wrong::LostUpdate,
                || format!("{op:?} of {} was acknowledged and is gone", request.name),
            )?;
        }
    }
    Ok(())
}

/// The operations that no later one of the same handler takes back.
fn lasting(ops: &[Op]) -> &[Op] {
    let ends = |op: &Op| matches!(op, Op::Flush | Op::Invalidate);
    &ops[ops.iter().rposition(ends).map_or(0, |at| at + 1)..]
}

fn is_there(found: &Contents, name: &str, op: Op) -> bool {
    match op {
        Op::Put => found.data.get(name).is_some_and(|value| value == name),
        Op::PutShared => found.data.contains_key("shared"),
        Op::User => found.data.contains_key("user"),
        Op::Count => {
            let list = found.data.get("list").and_then(|list| list.as_array());
            list.is_some_and(|list| list.iter().any(|item| item == name))
        }
        _ => true,
    }
}

fn is_flushed_after(world: &World, name: &str, part: usize) -> bool {
    let effects = &world.ghost.effects;
    let own = effects
        .iter()
        .position(|effect| effect.0 == name && effect.1 == part);
    let after = &effects[own.map_or(0, |at| at + 1)..];
    after.iter().any(|(name, part, _)| {
        let mut requests = world.requests.iter();
        let flusher = requests.find(|request| request.name == *name);
        flusher.is_some_and(|flusher| flusher.script.parts[*part].contains(&Op::Flush))
    })
}

/// The open has failed: the store has, then.
pub(super) fn refused(world: &World, index: usize) -> Verdict {
    let request = &world.requests[index];
    unless(request.faulted, Wrong::NeedlessFailure, || {
        format!(
            "{} was refused, though the store has answered",
            request.name
        )
    })
}

/// A request that comes with a live session has it.
pub(super) fn opened(world: &World, index: usize) -> Verdict {
    let request = &world.requests[index];
    let missed = request.sent.iter().any(|key| world.live(*key).is_some());
    unless(request.own.is_some() || !missed, Wrong::LostUpdate, || {
        format!(
            "{} came with a live session and does not have it",
            request.name
        )
    })
}

/// A commit has ended.
pub(super) fn committed(
    world: &mut World,
    cx: &Context,
    index: usize,
    result: &Result<Committed>,
) -> Verdict {
    let request = world.requests[index].clone();
    match result {
        Ok(committed) => {
            cookie(world, cx, &request, committed)?;
            if let (Outcome::Created, Basis::Stored(created)) =
                (committed.outcome, &committed.basis)
            {
                world.ghost.take_effect(&request, created.key);
            }
            acknowledged(world, &request, committed.outcome)?;
            logout(world, &request)?;
            world.note(cx, index, committed);
            aged(world, cx, &request, world.requests[index].own)?;
            kept(world, cx)
        }
        Err(error) => {
            let explained = request.faulted || world.ghost.is_disturbed();
            unless(
                explained && request.changes(&request.ops()),
                Wrong::NeedlessFailure,
                || format!("{} failed: {error}", request.name),
            )
        }
    }
}

/// Only who has destroyed a session removes its cookie, and who came too late says nothing, unless it asked for an id of
/// its own.
fn cookie(world: &World, cx: &Context, request: &Request, committed: &Committed) -> Verdict {
    let fits = match (&committed.cookie, committed.outcome) {
        (CookieChange::Nothing, _) => true,
        (CookieChange::Remove, outcome) => outcome == Outcome::Destroyed,
        // Who has just asked the store knows that this id is dead; who has not may not.
        (CookieChange::Set { value, .. }, Outcome::Saved) => {
            let token = Token::decode(value.as_bytes(), &cx.keys).unwrap();
            !world.ghost.dead.contains(&token.id.key())
        }
        (CookieChange::Set { .. }, outcome) => !matches!(
            outcome,
            Outcome::Superseded | Outcome::Dropped | Outcome::Destroyed
        ),
    };
    let stays = matches!(
        committed.outcome,
        Outcome::Saved | Outcome::Superseded | Outcome::Dropped
    );
    let asks = request.ops().contains(&Op::Regenerate);
    unless(!asks || !stays, Wrong::LoginLost, || {
        format!("{} asked for a new id, and has none", request.name)
    })?;
    has_left(world, request, committed.outcome)?;
    unless(fits, Wrong::CookieOfTheDead, || {
        format!(
            "{} says {:?} after {:?}",
            request.name, committed.cookie, committed.outcome
        )
    })
}

/// Who has changed its id, or ended its session, has nothing more to do with where that id leads.
fn has_left(world: &World, request: &Request, outcome: Outcome) -> Verdict {
    let mut before = request.script.parts[..request.stored].iter();
    let left = before.any(|part| part.contains(&Op::Regenerate) || part.contains(&Op::Invalidate));
    let explained = world.ghost.is_disturbed() || request.ops().contains(&Op::Invalidate);
    // Somebody else's logout ends its new session, too (R11).
    let mut others = world
        .requests
        .iter()
        .filter(|other| other.name != request.name);
    let ended = others.any(|other| other.script.has(Op::Invalidate));
    let drawn_back = outcome == Outcome::Superseded || outcome == Outcome::Dropped && !ended;
    unless(!left || !drawn_back || explained, Wrong::LoginLost, || {
        format!(
            "{} was told {outcome:?}, after it had left that session",
            request.name
        )
    })
}

/// A success that the client is told of is one.
fn acknowledged(world: &World, request: &Request, outcome: Outcome) -> Verdict {
    let is_done = match outcome {
        Outcome::Saved | Outcome::Superseded | Outcome::Created | Outcome::Regenerated => {
            let mut parts = request.pending();
            parts.all(|part| world.ghost.has_taken_effect(&request.name, part))
        }
        Outcome::Unchanged => {
            let none = Revision::from_u64(0);
            let nothing = Contents::default();
            let ops = request.ops();
            let content = nothing.after(&ops, &request.name, &request.shown, true, none);
            let lives = request
                .own
                .is_some_and(|own| world.live(world.ghost.end(own)).is_some());
            let leaves = !lives || ops.contains(&Op::Regenerate);
            let is_nothing = leaves && content.is_empty() && !ops.contains(&Op::Token);
            // Or a `save()` before this one has stored them, though it could not tell.
            let mut parts = request.pending();
            let is_done = parts.all(|part| world.ghost.has_taken_effect(&request.name, part));
            is_nothing || is_done || !request.changes(&request.ops())
        }
        Outcome::Destroyed => true,
        // What a dead id writes is dropped, and only that.
        Outcome::Dropped => match request.own {
            Some(own) => world.live(world.ghost.end(own)).is_none(),
            None => request.carried.iter().all(|key| world.live(*key).is_none()),
        },
    };
    unless(is_done, Wrong::LostUpdate, || {
        format!(
            "{} was told {outcome:?}, and its changes are not stored",
            request.name
        )
    })
}

/// A logout leaves nothing live in its chain.
fn logout(world: &World, request: &Request) -> Verdict {
    if !request.ops().contains(&Op::Invalidate) {
        return Ok(());
    }
    // Where the store has lost a marker, a call that it executes late may bring back what was there before.
    let ended = |key: &Key| {
        world.ghost.has_lost(*key) && world.ghost.dead.contains(key)
            || world.live(world.ghost.end(*key)).is_none()
    };
    let mut before = request.script.parts[..request.stored].iter();
    let has_ended = if before.any(|part| part.contains(&Op::Regenerate)) {
        // A regenerate that came second has made a session beside that of the first (R11, R12).
        request.own.iter().all(ended)
    } else {
        request.carried.iter().all(ended)
    };
    unless(has_ended, Wrong::LogoutLeftLive, || {
        format!("{} has logged out, and the session is live", request.name)
    })
}

/// What the response has shown is gone, so that nobody sees it again.
fn aged(world: &World, cx: &Context, request: &Request, own: Option<Key>) -> Verdict {
    let (true, Some(own)) = (request.ages(), own) else {
        return Ok(());
    };
    if request.faulted || world.ghost.is_disturbed() {
        return Ok(());
    }
    let end = world.ghost.end(own);
    let Some(there) = world.live(end) else {
        return Ok(());
    };
    let shown_again = contents(cx, &end, there).has_shown(&request.shown);
    unless(!shown_again, Wrong::FlashTwice, || {
        format!("{} has shown flash that is still there", request.name)
    })
}

/// Everything has been answered, and every response has arrived, if it has.
pub(super) fn end(world: &World, cx: &Context) -> Verdict {
    if !world.is_over() {
        return Ok(());
    }
    for request in &world.requests {
        token(world, cx, request)?;
        if request.script.is_login() && has_logged_in(request) && is_undisputed(world, request) {
            logged_in(world, cx, request)?;
        }
    }
    Ok(())
}

/// The token that a page has shown is good, unless somebody has asked for another.
fn token(world: &World, cx: &Context, request: &Request) -> Verdict {
    let (Some(token), Some(own), false) = (&request.token, request.own, request.failed) else {
        return Ok(());
    };
    if world.has_script_with(Op::Regenerate) || world.has_script_with(Op::Invalidate) {
        return Ok(());
    }
    let Some(there) = world.live(own) else {
        return Ok(());
    };
    let (body, _) = cx.disclose(&own, there).unwrap();
    unless(to_hex(&body.seed()) == *token, Wrong::TokenChanged, || {
        format!(
            "the token that {} has shown is no longer good",
            request.name
        )
    })
}

fn has_logged_in(request: &Request) -> bool {
    let mut acked = request.acked.iter().flat_map(|acked| acked.parts.clone());
    !request.failed && acked.any(|part| request.script.parts[part].contains(&Op::User))
}

/// Nothing that is documented to spoil a login has happened.
fn is_undisputed(world: &World, login: &Request) -> bool {
    let mut others = world
        .requests
        .iter()
        .filter(|other| other.name != login.name);
    let spoils = |other: &Request| {
        // A logout or a flush; an id that somebody else changed without logging in, or without being told; the response
        // to a login that arrives after that of a logout (R11).
        let ends = other.script.has(Op::Invalidate) || other.script.has(Op::Flush);
        let moves = other.script.has(Op::Regenerate)
            && (login.script.has(Op::Invalidate) || !other.script.is_login() || other.failed);
        // Two navigations that cross (R13); and below, a first visit that makes two sessions at once.
        let crossed = other.script.navigation && other.sent_again;
        ends || moves || other.created && !other.script.is_login() || crossed
    };
    !world.ghost.is_disturbed() && !others.any(|other| spoils(other))
}

/// What the browser holds in the end is a session that is logged in.
fn logged_in(world: &World, cx: &Context, request: &Request) -> Verdict {
    let held = world.cookie.as_ref().and_then(|cookie| {
        let key = Token::decode(cookie.as_bytes(), &cx.keys)?.id.key();
        Some(contents(cx, &key, world.live(key)?))
    });
    let is_in = held.is_some_and(|held| held.data.contains_key("user"));
    unless(is_in, Wrong::LoginLost, || {
        format!("{} has logged in, and the browser is not", request.name)
    })
}
