//! Finding the session that a request belongs to, and loading it.

use std::iter::once;

use super::{Answer, Ask, Carrier, Context, Live, Machine, Origin, Step, rule};
use crate::{
    Error, ErrorKind, Result, Time, observe,
    record::{Age, Key, Kind, Record, Token},
};

/// How many cookies of our name, that verify, are looked up.
const MAX_CANDIDATES: usize = 3;

/// The session that a request begins with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Opened {
    pub(crate) origin: Origin,
    /// When that was loaded.
    pub(crate) at: Time,
    /// The successors of regenerated ids that the browser still holds.
    pub(crate) chains: Vec<Key>,
}

#[derive(Clone)]
enum Candidate {
    Token(Token),
    Payload(Vec<u8>),
}

impl Candidate {
    /// What a cookie's value says, if we made it.
    #[inline]
    fn read(cx: &Context, value: &[u8], several: bool) -> Option<Self> {
        let candidate = if cx.capabilities.server_side {
            Token::decode(value, &cx.keys).map(Self::Token)
        } else {
            let payload = cx.read_payload(value);
            let payload = payload.filter(|payload| !several || cx.verifies(payload));
            payload.map(Self::Payload)
        };
        if candidate.is_none() {
            observe::rejected(cx.capabilities.name);
        }
        candidate
    }
}

type Next = Step<Result<()>>;

/// Tries each cookie of our name that verifies, until one is live.
#[derive(Clone, Default)]
pub(crate) struct Open {
    candidates: [Option<Candidate>; MAX_CANDIDATES],
    next: usize,
    asked: Option<Key>,
    /// What has been found so far; complete when the machine is done.
    pub(crate) opened: Opened,
    /// Where its expiry is being moved to.
    moved: Option<Time>,
}

impl Open {
    /// Reads the values of the cookies with our name, in the order in which they were sent.
    pub(crate) fn read<'a>(
        &mut self,
        cx: &Context,
        first: &'a [u8],
        mut others: impl Iterator<Item = &'a [u8]>,
    ) {
        let second = others.next();
        // One payload is verified when it is opened; of several, those that are forged must not use up the places.
        let several = second.is_some();
        let values = once(first).chain(second).chain(others);
        let mut candidates = values.filter_map(|value| Candidate::read(cx, value, several));
        for place in &mut self.candidates {
            *place = candidates.next();
            if place.is_none() {
                break;
            }
        }
    }

    fn ask_next(&mut self, cx: &Context) -> Next {
        let Some(candidate) = self.candidates.get_mut(self.next).and_then(Option::as_mut) else {
            return self.finish(cx);
        };
        match candidate {
            Candidate::Token(token) => {
                let key = token.id.key();
                self.asked = Some(key);
                Step::Ask(Ask::Load(key))
            }
            Candidate::Payload(payload) => Step::Ask(Ask::Read(std::mem::take(payload))),
        }
    }

    fn loaded(&mut self, cx: &Context, now: Time, loaded: Result<Option<Record>>) -> Next {
        let record = match loaded {
            Ok(record) => record.filter(|record| !record.is_expired(now)),
            // Damaged is unknown: the record stays as it is, the visitor gets a new session.
            Err(error) if is_damage(cx, &error) => {
                unreadable(cx);
                None
            }
            Err(error) => return Step::Done(Err(failed(cx, error))),
        };
        if let Some(record) = record {
            match record.kind {
                // No seal vouches for a marker, and we never give one to a browser.
                Kind::Regenerated(_) | Kind::Destroyed if !cx.capabilities.server_side => {
                    unreadable(cx);
                }
                Kind::Regenerated(successor) => {
                    self.opened.origin = Origin::Marked;
                    self.opened.chains.push(successor);
                }
                Kind::Destroyed => self.opened.origin = Origin::Marked,
                Kind::Plain | Kind::Sealed => {
                    if let Some(live) = self.live(cx, now, &record) {
                        return self.found(cx, now, live);
                    }
                }
            }
        }
        let enough = matches!(self.opened.origin, Origin::Marked) && !rule!(LiveFirst);
        self.next += if enough { MAX_CANDIDATES } else { 1 };
        self.ask_next(cx)
    }

    fn live(&self, cx: &Context, now: Time, record: &Record) -> Option<Live> {
        let key = self.asked.unwrap_or(Key::NONE);
        let Some((body, age)) = cx.disclose(&key, record) else {
            unreadable(cx);
            return None;
        };
        let carrier = match self.candidates.get(self.next)?.as_ref()? {
            Candidate::Token(token) => Carrier::Id(*token),
            Candidate::Payload(_) => Carrier::Payload(age),
        };
        // The absolute lifetime may have been shortened since the expiry was written.
        let over = cx.rules.expiry(now, body.created()) <= now;
        (!over).then_some(Live {
            key,
            carrier,
            revision: record.revision,
            expires: record.expires,
            body,
            reseal: age == Age::Previous,
        })
    }

    /// Moves the expiry, where it lags behind by more than the slack.
    fn found(&mut self, cx: &Context, now: Time, live: Live) -> Next {
        let expires = cx.rules.expiry(now, live.body.created());
        let lag = expires.since(live.expires).max(live.expires.since(expires));
        let due = cx.capabilities.server_side && lag > cx.rules.slack();
        let key = live.key;
        self.opened.origin = Origin::Live(live);
        self.opened.at = now;
        if due {
            self.moved = Some(expires);
            Step::Ask(Ask::Touch(key, expires))
        } else {
            self.finish(cx)
        }
    }

    fn touched(&mut self, cx: &Context) -> Next {
        if let (Origin::Live(live), Some(expires)) = (&mut self.opened.origin, self.moved) {
            live.expires = expires;
        }
        self.finish(cx)
    }

    /// The session is loaded and good; its expiry is moved by the next request.
    fn untouched(&self, cx: &Context, error: &Error) -> Next {
        observe::failed(cx.capabilities.name, "touch", error);
        self.finish(cx)
    }

    fn finish(&self, cx: &Context) -> Next {
        observe::opened(cx.capabilities.name, &self.opened.origin);
        Step::Done(Ok(()))
    }
}

impl Machine for Open {
    type Output = Result<()>;
    const NAME: &'static str = "open";

    fn step(&mut self, cx: &Context, now: Time, answer: Option<Answer>) -> Step<Self::Output> {
        match answer {
            None => self.ask_next(cx),
            Some(Answer::Loaded(loaded)) => self.loaded(cx, now, loaded),
            Some(Answer::Touched(Ok(()))) => self.touched(cx),
            Some(Answer::Touched(Err(error))) => self.untouched(cx, &error),
            Some(Answer::Saved(_) | Answer::Queued(_)) => Step::Done(Err(unexpected())),
        }
    }

    fn give_up(&mut self, cx: &Context, error: Error) -> Self::Output {
        if matches!(self.opened.origin, Origin::Live(_)) {
            self.untouched(cx, &error);
            return Ok(());
        }
        Err(failed(cx, error))
    }
}

/// Anybody can send a payload that claims to be of a newer format, so that is no failure of a store's.
fn is_damage(cx: &Context, error: &Error) -> bool {
    match error.kind() {
        ErrorKind::Corrupt => true,
        ErrorKind::NewerFormat => !cx.capabilities.server_side,
        _ => false,
    }
}

/// A record that cannot be opened: the store's is damaged, the browser's is forged.
fn unreadable(cx: &Context) {
    if cx.capabilities.server_side {
        observe::corrupt(cx.capabilities.name);
    } else {
        observe::rejected(cx.capabilities.name);
    }
}

fn failed(cx: &Context, error: Error) -> Error {
    observe::failed(cx.capabilities.name, "load", &error);
    error
}

pub(super) fn unexpected() -> Error {
    Error::new(ErrorKind::Store, "the store answered another question")
}
