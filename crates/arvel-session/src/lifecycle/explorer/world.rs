//! Everything that takes part: the store, the requests, the browser's jar, and what may happen next.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    rc::Rc,
    time::Duration,
};

use super::{
    check,
    ghost::{Ghost, Verdict, Violation, contents},
    request::{Acked, Halt, Progress, Request},
    script::{Contents, Op},
    shelf::Shelf,
};
use crate::{
    Error, ErrorKind, Result, Time,
    lifecycle::{Answer, Ask, Basis, Committed, Context, CookieChange, Outcome},
    record::{Key, Record},
    store::Saved,
};

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The browser sends the request with the cookies of its jar.
    Start(usize),
    /// The handler is done. (Where time plays no part, it is done at once.)
    Finish(usize),
    /// The store is asked, in this way.
    Call(usize, Fate),
    /// The response reaches the browser's jar.
    Arrive(usize),
    /// The delayed call is executed.
    Late,
    /// The store loses what is under its n-th key.
    Lose(usize),
    /// So much time passes that the session, or a marker, expires; and perhaps it is swept.
    Pass(Duration, Sweep),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sweep {
    No,
    Yes,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Answered,
    /// Executed, but the answer is lost.
    Lost,
    /// Not executed, and an error comes back.
    Refused,
    /// An error comes back; later it may be executed all the same.
    Delayed,
    /// Executed, but the request gives up before it hears of it (its deadline, or its death).
    Deserted,
    /// The request gives up, and later the call may be executed.
    DesertedEarly,
}

/// A call that may be executed later.
#[derive(Clone)]
struct Delayed {
    request: usize,
    ask: Ask,
    caller: Rc<Request>,
}

/// Records that commits have left for the next ones.
pub(super) type Left = BTreeMap<Key, Record>;

#[derive(Clone)]
pub(super) struct World {
    pub(super) now: Time,
    pub(super) shelf: Shelf,
    pub(super) requests: Vec<Rc<Request>>,
    /// A cookie of another path, which no response of ours changes, and ours.
    pub(super) foreign: Option<String>,
    pub(super) cookie: Option<String>,
    delayed: Option<Delayed>,
    pub(super) faults: u8,
    /// What lies in the queues of one process: for each session a record that some commit has stored.
    pub(super) left: Option<Rc<Left>>,
    /// What lies there has been sent, and nobody knows yet whether it is stored.
    pub(super) ahead: bool,
    /// How time may pass yet.
    pub(super) jumps: Vec<Duration>,
    pub(super) ghost: Ghost,
}

impl World {
    pub(super) fn empty(now: Time) -> Self {
        Self {
            now,
            shelf: Shelf::default(),
            requests: Vec::new(),
            foreign: None,
            cookie: None,
            delayed: None,
            faults: 0,
            left: None,
            ahead: false,
            jumps: Vec::new(),
            ghost: Ghost::default(),
        }
    }

    pub(super) fn jar(&self) -> Vec<String> {
        self.foreign.iter().chain(&self.cookie).cloned().collect()
    }

    /// Everything has been answered, and every answer has arrived.
    pub(super) fn is_over(&self) -> bool {
        let over =
            |request: &Rc<Request>| request.has_ended() && request.cookie == CookieChange::Nothing;
        self.requests.iter().all(over)
    }

    pub(super) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.now.hash(&mut hasher);
        for (key, record) in &self.shelf.0 {
            (key, record.encode()).hash(&mut hasher);
        }
        for request in &self.requests {
            let arriving = request.cookie != CookieChange::Nothing;
            (request.history, arriving).hash(&mut hasher);
        }
        (&self.foreign, &self.cookie, self.faults, &self.jumps).hash(&mut hasher);
        for (key, record) in self.left.iter().flat_map(|left| left.iter()) {
            (key, record.revision.as_u64()).hash(&mut hasher);
        }
        if let Some(delayed) = &self.delayed {
            (delayed.request, delayed.caller.history).hash(&mut hasher);
        }
        self.ghost.hash(&mut hasher);
        hasher.finish()
    }

    /// Whatever may happen next.
    pub(super) fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        for (index, request) in self.requests.iter().enumerate() {
            match &request.progress {
                Progress::Waiting if self.is_first_of_its_kind(index) => {
                    events.push(Event::Start(index));
                }
                Progress::Waiting => {}
                Progress::Handling => events.push(Event::Finish(index)),
                Progress::Opening(_, ask) | Progress::Committing(_, ask) => {
                    let fates = self.fates(ask);
                    events.extend(fates.iter().map(|fate| Event::Call(index, *fate)));
                }
                Progress::Ended if request.cookie != CookieChange::Nothing => {
                    events.push(Event::Arrive(index));
                }
                Progress::Ended => {}
            }
        }
        if self.delayed.is_some() {
            events.push(Event::Late);
        }
        if self.faults > 0 {
            events.extend((0..self.shelf.0.len()).map(Event::Lose));
        }
        for jump in self.possible_jumps() {
            events.push(Event::Pass(jump, Sweep::No));
            events.push(Event::Pass(jump, Sweep::Yes));
        }
        events
    }

    /// Of requests that do the same, which one starts first makes no difference.
    fn is_first_of_its_kind(&self, index: usize) -> bool {
        let kind = self.requests[index].script.name;
        let mut before = self.requests[..index].iter();
        before
            .all(|other| other.script.name != kind || !matches!(other.progress, Progress::Waiting))
    }

    fn fates(&self, ask: &Ask) -> &'static [Fate] {
        use Fate::*;
        match ask {
            _ if self.faults == 0 => &[Answered],
            Ask::Load(_) | Ask::Read(_) | Ask::Queue(_) => &[Answered, Refused],
            Ask::Touch(..) if self.delayed.is_none() => &[Answered, Delayed],
            Ask::Touch(..) => &[Answered, Refused],
            Ask::Save(..) | Ask::Replace(_) if self.delayed.is_none() => {
                &[Answered, Lost, Delayed, Deserted, DesertedEarly]
            }
            Ask::Save(..) | Ask::Replace(_) => &[Answered, Lost, Refused, Deserted],
        }
    }

    /// A marker outlives every call and every delay, since it lives for twice the deadline at least.
    fn possible_jumps(&self) -> Vec<Duration> {
        let is_calm =
            self.delayed.is_none() && !self.requests.iter().any(|request| request.ask().is_some());
        let mut jumps = self.jumps.clone();
        jumps.retain(|jump| is_calm || *jump < Duration::from_secs(2));
        jumps
    }

    pub(super) fn apply(&mut self, cx: &Context, event: Event) -> Verdict {
        match event {
            Event::Start(index) => {
                let (jar, now) = (self.jar(), self.now);
                let halt = self.request(index).start(cx, now, &jar);
                self.went(cx, index, halt)
            }
            Event::Finish(index) => {
                let now = self.now;
                let halt = self.request(index).commit(cx, now);
                self.went(cx, index, halt)
            }
            Event::Call(index, fate) => self.call(cx, index, fate),
            Event::Arrive(index) => {
                match std::mem::take(&mut self.request(index).cookie) {
                    CookieChange::Nothing => {}
                    CookieChange::Set { value, .. } => self.cookie = Some(value),
                    CookieChange::Remove => self.cookie = None,
                }
                Ok(())
            }
            Event::Late => {
                let Some(Delayed { ask, caller, .. }) = self.delayed.take() else {
                    panic!("nothing is delayed");
                };
                self.execute(cx, &caller, &ask).map(drop)
            }
            Event::Lose(index) => {
                self.faults -= 1;
                let key = *self.shelf.0.keys().nth(index).unwrap();
                self.shelf.0.remove(&key);
                self.ghost.lost(key);
                Ok(())
            }
            Event::Pass(jump, sweep) => {
                self.pass(jump, sweep);
                Ok(())
            }
        }
    }

    pub(super) fn pass(&mut self, jump: Duration, sweep: Sweep) {
        self.now = self.now.after(jump);
        self.jumps.retain(|possible| *possible != jump);
        if sweep == Sweep::Yes {
            let now = self.now;
            self.shelf.0.retain(|_, record| !record.is_expired(now));
        }
        self.ghost.time_passed = true;
    }

    fn request(&mut self, index: usize) -> &mut Request {
        let request = Rc::make_mut(&mut self.requests[index]);
        request.left.clone_from(&self.left);
        request
    }

    /// What a commit has stored, and knows it, lies there for the others.
    fn leave(&mut self, ask: &Ask, answer: &Answer) {
        if let (Some(left), Some((key, record))) = (&mut self.left, saving(ask))
            && matches!(answer, Answer::Saved(Ok(Saved::Done)))
            && !self.ahead
        {
            // The oldest one is the worst that can lie there.
            let left = Rc::make_mut(left).entry(key);
            left.or_insert_with(|| record.clone());
        }
    }

    /// What a commit is about to store lies there for the others, whatever comes of it.
    fn leave_ahead(&mut self, index: usize) {
        if let (true, Some(left)) = (self.ahead, &mut self.left)
            && let Some((key, record)) = self.requests[index].ask().and_then(saving)
        {
            Rc::make_mut(left).insert(key, record.clone());
        }
    }

    fn call(&mut self, cx: &Context, index: usize, fate: Fate) -> Verdict {
        let caller = self.requests[index].clone();
        let ask = caller.ask().cloned().unwrap();
        if fate != Fate::Answered {
            self.faults -= 1;
            self.request(index).faulted = true;
        }
        let answer = match fate {
            Fate::Answered | Fate::Lost | Fate::Deserted => Some(self.execute(cx, &caller, &ask)?),
            Fate::Refused => None,
            Fate::Delayed | Fate::DesertedEarly => {
                self.delayed = Some(Delayed {
                    request: index,
                    ask: ask.clone(),
                    caller,
                });
                None
            }
        };
        let now = self.now;
        let halt = match (fate, answer) {
            (Fate::Answered, Some(answer)) => {
                self.leave(&ask, &answer);
                self.request(index).answered(cx, now, answer)
            }
            (Fate::Deserted | Fate::DesertedEarly, _) => self.request(index).give_up(cx, now),
            _ => self.request(index).answered(cx, now, no_answer(&ask)),
        };
        self.went(cx, index, halt)
    }

    fn execute(&mut self, cx: &Context, caller: &Request, ask: &Ask) -> Result<Answer, Violation> {
        let before = self.shelf.clone();
        let answer = self.shelf.execute(ask);
        self.ghost.executed(cx, caller, ask, &before, &self.shelf)?;
        check::kept(self, cx)?;
        Ok(answer)
    }

    /// Goes on with a request until it needs the store, or somebody's time.
    fn went(&mut self, cx: &Context, index: usize, mut halt: Halt) -> Verdict {
        loop {
            match halt {
                Halt::Asked => {
                    self.leave_ahead(index);
                    return Ok(());
                }
                Halt::Refused => {
                    let request = self.request(index);
                    request.failed = true;
                    request.progress = Progress::Ended;
                    return check::refused(self, index);
                }
                Halt::Opened => check::opened(self, index)?,
                Halt::Committed(result) => {
                    check::committed(self, cx, index, &result)?;
                    let request = self.request(index);
                    if request.part == request.script.parts.len() {
                        request.failed = result.is_err();
                        request.progress = Progress::Ended;
                        return Ok(());
                    }
                    if result.is_err() {
                        request.bail_out();
                        let now = self.now;
                        halt = self.request(index).commit(cx, now);
                        continue;
                    }
                }
            }
            self.request(index).handle();
            if !self.jumps.is_empty() {
                return Ok(());
            }
            let now = self.now;
            halt = self.request(index).commit(cx, now);
        }
    }

    /// The request is told how its commit ended.
    pub(super) fn note(&mut self, cx: &Context, index: usize, committed: &Committed) {
        let request = self.request(index);
        request.outcome = Some(committed.outcome);
        request.created |= committed.outcome == Outcome::Created && request.sent.is_empty();
        let is_set = committed.cookie != CookieChange::Nothing;
        let is_old = matches!(committed.outcome, Outcome::Saved | Outcome::Unchanged);
        request.sent_again |= is_set && is_old;
        let parts = request.pending();
        request.stored = request.part;
        match &committed.basis {
            Basis::Same if committed.outcome == Outcome::Superseded => {
                let key = request.own.unwrap();
                request.acked.push(Acked { parts, key });
            }
            Basis::Same => {}
            Basis::Nothing => {
                request.own = None;
                request.base = Contents::default();
            }
            Basis::Stored(stored) => {
                let key = stored.key;
                request.acked.push(Acked { parts, key });
                request.carried.push(key);
                request.own = Some(key);
                request.base = contents(cx, &key, &stored.write.record);
            }
        }
    }

    pub(super) fn has_script_with(&self, op: Op) -> bool {
        self.requests.iter().any(|request| request.script.has(op))
    }

    pub(super) fn live(&self, key: Key) -> Option<&Record> {
        let record = self.shelf.0.get(&key)?;
        (record.kind.is_live() && !record.is_expired(self.now)).then_some(record)
    }
}

/// The live record that is to be saved.
fn saving(ask: &Ask) -> Option<(Key, &Record)> {
    match ask {
        Ask::Save(key, _, write) if write.record.kind.is_live() => Some((*key, &write.record)),
        _ => None,
    }
}

fn no_answer(ask: &Ask) -> Answer {
    let error = Error::new(ErrorKind::Store, "no answer");
    match ask {
        Ask::Load(_) | Ask::Read(_) => Answer::Loaded(Err(error)),
        Ask::Save(..) | Ask::Replace(_) => Answer::Saved(Err(error)),
        Ask::Touch(..) => Answer::Touched(Err(error)),
        Ask::Queue(_) => Answer::Queued(None),
    }
}
