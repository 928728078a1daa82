//! Between a session and a commit: the changes that a commit takes out of the session, and what it puts back.

use std::mem::take;

use super::{Basis, Committed, Context, CookieChange, Live, Origin, Work};
use crate::{
    Time,
    session::{Draft, Intent, Phase, State},
};

/// At which moment of a request a commit takes place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Before the response's head leaves.
    Head {
        /// Consume the flash that the request saw.
        age: bool,
        /// The browser is going to a page, rather than fetching something for one.
        navigation: bool,
    },
    /// In `save()`, whenever.
    Save,
    /// When a streaming body ends.
    Body,
}

impl Work {
    /// Takes the changes out of the session.
    ///
    /// Before the head leaves, a session that is not `shared` gives all that it has: nobody can look at it any more.
    pub(crate) fn take(
        state: &mut State,
        cx: &Context,
        now: Time,
        moment: Moment,
        shared: bool,
    ) -> Self {
        let (age, navigation) = match moment {
            Moment::Head { age, navigation } => (age, navigation),
            Moment::Save | Moment::Body => (false, false),
        };
        let refresh = match (&state.origin, moment) {
            (Origin::Live(live), Moment::Head { .. }) => cx.is_due(live, now, navigation),
            _ => false,
        };
        // Nothing but an invalidation needs them, and that ends them.
        let chains = match state.intent {
            Intent::Invalidate => take(&mut state.chains),
            Intent::Keep | Intent::Regenerate => Vec::new(),
        };
        let whole = matches!(moment, Moment::Head { .. }) && !shared;
        let (origin, draft, columns) = if whole {
            let (origin, draft) = (&mut state.origin, &mut state.draft);
            (take(origin), take(draft), take(&mut state.columns))
        } else {
            let (origin, draft) = (state.origin.clone(), state.draft.clone());
            (origin, draft, state.columns.clone())
        };
        Self {
            origin,
            chains,
            intent: take(&mut state.intent),
            draft,
            journal: take(&mut state.journal),
            seen: state.seen.clone(),
            age,
            keep: state.keep,
            refresh,
            serial: state.serial,
            columns,
            late: state.phase == Phase::Body,
            hot: false,
            opened: state.opened_at,
            attempts: take(&mut state.attempts),
        }
    }
}

impl Context {
    /// Whether there is nothing to commit: the handler has at most read, no flash is to be aged, no cookie to be sent.
    ///
    /// Whether the cookie is due goes by the moment of the load, as the expiry does.
    pub(crate) fn is_clean(&self, state: &State, moment: Moment) -> bool {
        let Moment::Head { age, navigation } = moment else {
            return false;
        };
        if state.is_dirty() || !state.attempts.is_empty() {
            return false;
        }
        match &state.origin {
            // Kept for its token alone, whose seed an earlier save found nothing to store with.
            Origin::None => !state.keep,
            Origin::Marked => true,
            Origin::Live(live) => {
                let ages = age && state.draft.has_flash_to_age();
                !ages && !live.reseal && !self.is_due(live, state.opened_at, navigation)
            }
        }
    }

    /// Puts the session on what is stored now; the answer is what the response has to say about the cookie.
    pub(crate) fn settle(
        &self,
        state: &mut State,
        committed: Committed,
        moment: Moment,
        shared: bool,
    ) -> CookieChange {
        match committed.basis {
            // Nobody but us holds the session any more: nobody will ask it anything.
            _ if !shared => {}
            Basis::Same => {}
            // What was shown of it meanwhile, its token or its id, stays good.
            Basis::Nothing => {
                state.origin = Origin::None;
                redraft(state);
            }
            Basis::Stored(stored) => {
                if let Some((body, _)) = self.disclose(&stored.key, &stored.write.record) {
                    let live = Live {
                        key: stored.key,
                        carrier: stored.carrier,
                        revision: stored.write.record.revision,
                        expires: stored.write.record.expires,
                        body,
                        reseal: false,
                    };
                    rebase(state, live);
                }
            }
        }
        if moment != Moment::Save {
            return committed.cookie;
        }
        state.saved();
        if committed.cookie != CookieChange::Nothing {
            state.cookie = committed.cookie;
        }
        CookieChange::Nothing
    }
}

/// The session goes on from what is stored, with what was changed while it was being stored.
fn rebase(state: &mut State, live: Live) {
    state.origin = Origin::Live(live);
    if state.intent == Intent::Keep {
        state.serial = None;
        state.keep = false;
    }
    redraft(state);
}

/// The session as it is stored, with what is in the journal.
pub(crate) fn redraft(state: &mut State) {
    let base = match &state.origin {
        // Invalidated while it was being stored: nothing of that may stay.
        Origin::Live(live) if state.intent != Intent::Invalidate => Some(live.body.clone()),
        Origin::Live(_) | Origin::None | Origin::Marked => None,
    };
    let mut draft = Draft::new(base, state.seen.clone());
    state.journal.retain(|op| draft.apply(op).is_ok());
    state.draft = draft;
}

/// Gives the session back what could not be stored.
pub(crate) fn restore(state: &mut State, mut work: Work) {
    state.chains.append(&mut work.chains);
    if state.intent == Intent::Invalidate {
        return;
    }
    work.journal.append(&mut state.journal);
    state.journal = work.journal;
    state.attempts = work.attempts;
    state.intent = state.intent.max(work.intent);
    // What was discarded meanwhile comes back with the journal, so the view must show it too.
    redraft(state);
}
