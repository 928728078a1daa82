//! Finding the session that a request belongs to, and loading it.

use super::{Answer, Ask, Carrier, Context, Live, Machine, Origin, Step, rule};
use crate::{
    Error, ErrorKind, Result, Time, observe,
    record::{Age, Body, Key, Kind, Record, Token},
};

/// How many cookies of our name, that verify, are looked up.
const MAX_CANDIDATES: usize = 3;

/// The session that a request begins with.
#[derive(Debug, Default)]
pub(crate) struct Opened {
    pub(crate) origin: Origin,
    pub(crate) body: Option<Body>,
    /// The successors of regenerated ids that the browser still holds.
    pub(crate) chains: Vec<Key>,
}

#[derive(Clone)]
enum Candidate {
    Token(Token),
    Payload(Vec<u8>),
}

/// Tries each cookie of our name that verifies, until one is live.
#[derive(Clone, Default)]
pub(crate) struct Open {
    candidates: [Option<Candidate>; MAX_CANDIDATES],
    next: usize,
    asked: Option<Key>,
    marked: bool,
    chains: Vec<Key>,
    found: Option<Box<Live>>,
    /// Where its expiry is being moved to.
    moved: Option<Time>,
}

impl Open {
    /// `values` are those of the cookies with our name, in the order in which they were sent.
    pub(crate) fn new<'a>(cx: &Context, mut values: impl Iterator<Item = &'a [u8]>) -> Self {
        let (first, second) = (values.next(), values.next());
        // One payload is verified when it is opened; of several, those that are forged must not use up the places.
        let several = second.is_some();
        let values = first.into_iter().chain(second).chain(values);
        let verified = values.filter_map(|value| {
            let candidate = if cx.capabilities.server_side {
                Token::decode(value, &cx.keys).map(Candidate::Token)
            } else {
                let payload = cx.read_payload(value);
                payload
                    .filter(|payload| !several || cx.verifies(payload))
                    .map(Candidate::Payload)
            };
            if candidate.is_none() {
                observe::rejected(cx.capabilities.name);
            }
            candidate
        });
        let mut open = Self::default();
        for (place, candidate) in open.candidates.iter_mut().zip(verified) {
            *place = Some(candidate);
        }
        open
    }

    fn ask_next(&mut self, cx: &Context) -> Step<Result<Opened>> {
        let Some(candidate) = self.candidates.get(self.next).and_then(Option::as_ref) else {
            return Step::Done(Ok(self.finish(cx)));
        };
        match candidate {
            Candidate::Token(token) => {
                let key = token.id.key();
                self.asked = Some(key);
                Step::Ask(Ask::Load(key))
            }
            Candidate::Payload(payload) => Step::Ask(Ask::Read(payload.clone())),
        }
    }

    fn loaded(
        &mut self,
        cx: &Context,
        now: Time,
        loaded: Result<Option<Record>>,
    ) -> Step<Result<Opened>> {
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
                    self.marked = true;
                    self.chains.push(successor);
                }
                Kind::Destroyed => self.marked = true,
                Kind::Plain | Kind::Sealed => {
                    if let Some(live) = self.live(cx, now, &record) {
                        return self.found(cx, now, live);
                    }
                }
            }
        }
        let enough = self.marked && !rule!(LiveFirst);
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
    fn found(&mut self, cx: &Context, now: Time, live: Live) -> Step<Result<Opened>> {
        let expires = cx.rules.expiry(now, live.body.created());
        let lag = expires.since(live.expires).max(live.expires.since(expires));
        let due = cx.capabilities.server_side && lag > cx.rules.slack();
        let key = live.key;
        self.found = Some(Box::new(live));
        if due {
            self.moved = Some(expires);
            Step::Ask(Ask::Touch(key, expires))
        } else {
            Step::Done(Ok(self.finish(cx)))
        }
    }

    fn touched(&mut self, cx: &Context) -> Opened {
        if let (Some(live), Some(expires)) = (&mut self.found, self.moved) {
            live.expires = expires;
        }
        self.finish(cx)
    }

    /// The session is loaded and good; its expiry is moved by the next request.
    fn untouched(&mut self, cx: &Context, error: &Error) -> Opened {
        observe::failed(cx.capabilities.name, "touch", error);
        self.finish(cx)
    }

    fn finish(&mut self, cx: &Context) -> Opened {
        let chains = std::mem::take(&mut self.chains);
        let origin = match self.found.take() {
            Some(live) => Origin::Live(live),
            None if self.marked => Origin::Marked,
            None => Origin::None,
        };
        let body = match &origin {
            Origin::Live(live) => Some(live.body.clone()),
            Origin::None | Origin::Marked => None,
        };
        observe::opened(cx.capabilities.name, &origin);
        Opened {
            origin,
            body,
            chains,
        }
    }
}

impl Machine for Open {
    type Output = Result<Opened>;
    const NAME: &'static str = "open";

    fn step(&mut self, cx: &Context, now: Time, answer: Option<Answer>) -> Step<Self::Output> {
        match answer {
            None => self.ask_next(cx),
            Some(Answer::Loaded(loaded)) => self.loaded(cx, now, loaded),
            Some(Answer::Touched(Ok(()))) => Step::Done(Ok(self.touched(cx))),
            Some(Answer::Touched(Err(error))) => Step::Done(Ok(self.untouched(cx, &error))),
            Some(Answer::Saved(_) | Answer::Queued) => Step::Done(Err(unexpected())),
        }
    }

    fn give_up(&mut self, cx: &Context, error: Error) -> Self::Output {
        if self.found.is_some() {
            return Ok(self.untouched(cx, &error));
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
