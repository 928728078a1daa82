//! The judge: is a recorded history one that the design allows?
//!
//! It is a pure function, and it does not search. That works because what clients write can be recognised:
//!
//! * Every part of a request that changes common keys ends by pushing a **stamp** of its own onto the list `log` of the
//!   session (a request has one part, and one more for each `save` and for a body that streams on). A commit is atomic, so
//!   the list is the order in which the session's commits took effect, and whoever reads the session (its **view**: all of
//!   it, at the start of the request) reads how far it was.
//! * Other writes are **loose**: a key of the request's own, and no stamp. They merge with everything.
//! * Values are unique, so is every flash.
//!
//! What each request did to the id is known from what it asked (`regenerate`, `invalidate`) and from the cookie that it
//! got, so the ids form a tree: a regenerated id is the child of the one before. A write belongs to the id that its
//! response set, else to the one that its request sent: its **home**. It may be seen there and below.
//!
//! A write is *acknowledged* when the answer came from the handler and was complete. After a 503, a cut connection or an
//! early leave it is *unknown*: it took effect at most once, at any time after its start. It has *never* taken effect if it
//! was discarded, or its handler panicked, or it was sent with an id that was dead by then.
//!
//! The rules, each a [`Rule`], and where they are decided:
//!
//! | | what must hold | where it cannot be told, and nothing is said |
//! |---|---|---|
//! | `presence.rs` | An acknowledged write is in every view, of its home and below, that was asked for after the answer; and what one view has shown is in every later one. Unless a flush (its stamp begins the log) or a forget is not certainly older. | the home was dead or dying when the write loaded it, so it may have been dropped (§4) |
//! | | A stamp is in a log once; it is of a request that had begun, that belongs there, and that is not a *never*. | |
//! | `order.rs` | If one request was answered before another began, their stamps stand in this order. Two logs with the same beginning are one the prefix of the other. | two regenerations of one id that overlap make two sessions (R12): one of them may branch off. At least one must have everything |
//! | `content.rs` | A view's common keys are exactly what the requests in its log, applied in that order, make of nothing: so increments and pushes are exact. | what `pull` and `remember` of an unknown request have done |
//! | `results.rs` | Within a request, each result is what its view and its own operations make it. | after a `save`, which may merge |
//! | `death.rs` | After an acknowledged `regenerate` or `invalidate` nobody who sends the old id is told anything; nor after somebody was told nothing because of an unknown one. A session is not empty without one, unless nobody has used it for its lifetime. An acknowledged `invalidate` leaves nothing alive that its id had led to by then (R11). | sessions that never had a stamp; a logout later than the markers live |
//! | `cookies.rs` | Ids are always new, and only where something was put or asked for: on a live session by `regenerate` and `invalidate` alone, on a dead one by `regenerate` (R12), or when its marker may have gone. A cookie is removed by `invalidate` alone. Who regenerates gets a new id. Nobody else gets one while the marker lives (R9, R12). | |
//! | `flash.rs` | Flash is in the first view after it that nobody else can have used it up for, not in the same request, and not after the end of a request that has seen it and uses it up, unless somebody kept it. | where the using up is all that a commit does, its failure is not told (R3), so it binds in quiet histories only |
//! | `token.rs` | The CSRF token of a session is the same until somebody asks for another. | before a session's first stamp |
//! | `answers.rs` | Without a fault nothing fails; with one the answer is the handler's or 503, and in time. Who has only read is never told that upkeep failed (R3). | |
//!
//! And when all is over, [`census`]: no more sessions are alive than somebody can account for.
//!
//! Where the store's own documentation says that it may lose what it has acknowledged (a failover of Redis), what was
//! acknowledged in that time counts as unknown, and what is missing of it is counted in [`Verdict::lost`]. Where it may show what
//! it has not stored yet (`InnoDB`), what was seen in the moment before its death says nothing.

mod answers;
mod census;
mod content;
mod cookies;
mod death;
mod deed;
mod flash;
mod index;
mod order;
mod presence;
mod results;
mod token;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

pub use census::{census, untold};

use crate::history::History;
use index::Index;

/// What a history violates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    /// An acknowledged write is not there.
    LostUpdate,
    /// A write is there twice.
    AppliedTwice,
    /// A write is there that was discarded, refused, or never committed.
    TookEffect,
    /// A write is where it does not belong, or nobody has made it.
    FromNowhere,
    /// A write stands before one that was answered before it began.
    OutOfOrder,
    /// Two views of one session that cannot both have been.
    SplitBrain,
    /// The values are not what the writes make them.
    WrongContent,
    /// An operation has answered something else than the session holds.
    WrongResult,
    /// A session is empty that nobody has ended.
    LostSession,
    /// Whoever sent a dead id was shown something.
    DeadTold,
    /// What was written with a dead id is stored.
    DeadGiven,
    /// A session was gone and is back.
    DeadAgain,
    /// A logout has left a session alive that it should have ended.
    LogoutLeftLive,
    /// A cookie was set or removed without a reason, or not set in spite of one.
    WrongCookie,
    /// An id that a client has made up, or that somebody holds already, was given out.
    Adopted,
    /// Flash was never shown.
    FlashLost,
    /// Flash was shown again after the request that used it up, or in the request that set it.
    FlashAgain,
    /// The CSRF token has changed by itself.
    TokenChanged,
    /// A failure without a fault, or one that is not a 503.
    WrongAnswer,
    /// An answer has come later than the deadline.
    TooLate,
    /// The store holds live sessions that nobody can account for.
    TooManyLive,
}

impl Rule {
    /// All of them.
    pub const ALL: [Self; 21] = [
        Self::LostUpdate,
        Self::AppliedTwice,
        Self::TookEffect,
        Self::FromNowhere,
        Self::OutOfOrder,
        Self::SplitBrain,
        Self::WrongContent,
        Self::WrongResult,
        Self::LostSession,
        Self::DeadTold,
        Self::DeadGiven,
        Self::DeadAgain,
        Self::LogoutLeftLive,
        Self::WrongCookie,
        Self::Adopted,
        Self::FlashLost,
        Self::FlashAgain,
        Self::TokenChanged,
        Self::WrongAnswer,
        Self::TooLate,
        Self::TooManyLive,
    ];
}

/// One violation, and the calls that show it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// The rule that is broken.
    pub rule: Rule,
    /// What was found, with the numbers of the calls.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.rule, self.what)
    }
}

/// What the checker says.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Everything that is wrong, each once.
    pub violations: Vec<Violation>,
    /// The acknowledged writes that the store itself has lost, where its documentation says that it may.
    pub lost: Vec<String>,
    /// How many writes of unknown outcome are known to have taken effect.
    pub took_effect: usize,
    /// How many operations the history has.
    pub operations: usize,
}

/// Judges a history.
#[must_use]
pub fn check(history: &History) -> Verdict {
    let mut findings = Findings::default();
    let index = Index::new(history, &mut findings);
    answers::check(&index, &mut findings);
    results::check(&index, &mut findings);
    presence::check(&index, &mut findings);
    order::check(&index, &mut findings);
    content::check(&index, &mut findings);
    death::check(&index, &mut findings);
    cookies::check(&index, &mut findings);
    flash::check(&index, &mut findings);
    token::check(&index, &mut findings);
    let operations = |call: &crate::history::Call| call.plan.ops.len() + call.plan.body.len();
    Verdict {
        violations: findings.violations.into_iter().collect(),
        took_effect: index.took_effect(),
        lost: findings.lost.into_values().collect(),
        operations: history.calls.iter().map(operations).sum(),
    }
}

/// What was found so far.
#[derive(Default)]
struct Findings {
    violations: BTreeSet<Violation>,
    lost: BTreeMap<(usize, usize), String>,
}

impl Findings {
    fn violated(&mut self, rule: Rule, what: String) {
        self.violations.insert(Violation { rule, what });
    }
}
