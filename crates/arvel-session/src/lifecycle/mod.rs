//! The life of a session within a request, as a pure state machine: cookies and the store's answers go in, questions to
//! the store and a `Set-Cookie` come out. No I/O, no clock, no runtime.
//!
//! [`Open`] finds and loads the session; [`Commit`] stores what a request changed. Both are [`Machine`]s: whoever drives
//! one asks the store what it wants to know, and hands the answer back.

mod commit;
mod destroy;
mod envelope;
mod expiry;
#[cfg(test)]
mod explorer;
mod failures;
mod handover;
mod open;
mod queued;
mod refresh;
mod replace;
mod rule;
mod rules;
#[cfg(test)]
mod vectors;
mod work;

pub(crate) use commit::{Basis, Commit, Committed, Outcome};
pub(crate) use handover::{Moment, redraft, restore};
pub(crate) use open::{Open, Opened};
pub(crate) use rule::rule;
#[cfg(test)]
pub(crate) use rule::{Rule, in_force};
pub(crate) use rules::{Context, Rules};
pub(crate) use work::{Attempt, Work};

use std::sync::Arc;

use crate::{
    Error, Result, Time,
    record::{Age, Body, Key, Record, Revision, Token},
    store::{Expect, Saved, Write},
};

/// A question to the store. It is handed about, so what is large is shared.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    Load(Key),
    /// The cookie driver's load.
    Read(Vec<u8>),
    Save(Key, Expect, Arc<Write>),
    Replace(Arc<Replacement>),
    Touch(Key, Time),
    /// Not to the store: wait until no other commit of this key in this process is under way.
    Queue(Key),
}

/// Turn the record under `old` into `marker`, and store `write` under `new`, in one step.
#[derive(Debug)]
pub(crate) struct Replacement {
    pub(crate) old: Key,
    pub(crate) expect: Revision,
    pub(crate) marker: Record,
    pub(crate) new: Key,
    pub(crate) write: Arc<Write>,
}

/// The answer to an [`Ask`] of the same name.
#[derive(Debug)]
pub(crate) enum Answer {
    Loaded(Result<Option<Record>>),
    Saved(Result<Saved>),
    Touched(Result<()>),
    /// It is this commit's turn. The one before may have left the record that it has stored last.
    Queued(Option<Record>),
}

/// What a machine wants next.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "it lives for one statement")]
pub(crate) enum Step<T> {
    Ask(Ask),
    Done(T),
}

/// A part of the lifecycle, driven by answers.
pub(crate) trait Machine {
    type Output;

    /// What it does, in log lines and metrics.
    const NAME: &'static str;

    /// The first step, with no answer, or the next one.
    fn step(&mut self, cx: &Context, now: Time, answer: Option<Answer>) -> Step<Self::Output>;

    /// What comes out when the deadline has passed.
    fn give_up(&mut self, cx: &Context, error: Error) -> Self::Output;
}

/// What the request came with.
#[derive(Clone, Debug, Default)]
pub(crate) enum Origin {
    /// No session: no cookie, or none that is known.
    #[default]
    None,
    Live(Live),
    /// Only ids that are dead.
    Marked,
}

/// A session as it was loaded, or as this request has stored it.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(crate) key: Key,
    pub(crate) carrier: Carrier,
    pub(crate) revision: Revision,
    pub(crate) expires: Time,
    pub(crate) body: Body,
    /// It was sealed under a previous key.
    pub(crate) reseal: bool,
}

/// How the browser holds the session.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Carrier {
    Id(Token),
    /// The record itself; whether the current key sealed it.
    Payload(Age),
}

/// What the response says about the cookie.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) enum CookieChange {
    #[default]
    Nothing,
    Set {
        value: String,
        /// `None` for a cookie that ends with the browser.
        max_age: Option<std::time::Duration>,
    },
    Remove,
}

impl std::fmt::Debug for CookieChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Nothing => "Nothing",
            Self::Set { .. } => "Set(…)",
            Self::Remove => "Remove",
        })
    }
}
