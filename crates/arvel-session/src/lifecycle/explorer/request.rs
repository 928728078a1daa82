//! One request: the real machines, driven as the middleware drives them.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    rc::Rc,
    sync::Arc,
};

use super::{
    script::{Contents, Op, Script, Shown, perform},
    world::Left,
};
use crate::{
    Error, ErrorKind, Result, SessionData, Time,
    engine::Engine,
    lifecycle::{
        Answer, Ask, Basis, Commit, Committed, Context, CookieChange, Machine, Moment, Open,
        Opened, Origin, Outcome, Step, Work, commit::Stage, restore,
    },
    record::{Key, Record, Token, scripted, to_hex},
    session::{Home, State},
    store::{Reply, Saved},
};

/// How far a request is.
#[derive(Clone)]
pub(super) enum Progress {
    Waiting,
    Opening(Box<Open>, Box<Ask>),
    /// In its handler; the next thing is a commit.
    Handling,
    Committing(Box<Commit>, Box<Ask>),
    Ended,
}

#[derive(Clone)]
pub(super) struct Request {
    pub(super) script: Script,
    pub(super) name: String,
    pub(super) progress: Progress,
    state: State,
    /// What it finds in the queues of its process.
    pub(super) left: Option<Rc<Left>>,
    /// Its commit had its turn before, and found then what lay there.
    has_turn: bool,
    stream: u64,
    drawn: u64,
    /// All that it was told so far: its state is a function of that.
    pub(super) history: u64,
    pub(super) faulted: bool,
    /// What it came with.
    pub(super) sent: Vec<Key>,
    /// What the store knew of that.
    pub(super) carried: Vec<Key>,
    /// Its session, if that was live when it was loaded.
    pub(super) own: Option<Key>,
    pub(super) base: Contents,
    pub(super) shown: Shown,
    /// The next part of the script.
    pub(super) part: usize,
    /// The parts that no commit has stored: from here to `part`.
    pub(super) stored: usize,
    pub(super) acked: Vec<Acked>,
    pub(super) token: Option<String>,
    /// Its response is an error.
    pub(super) failed: bool,
    /// How its last commit ended.
    pub(super) outcome: Option<Outcome>,
    /// It came without a session, and made one.
    pub(super) created: bool,
    /// Its response sends an id again that the browser had.
    pub(super) sent_again: bool,
    /// What its response tells the browser, until it arrives there.
    pub(super) cookie: CookieChange,
}

/// What was acknowledged, and under which key.
#[derive(Clone)]
pub(super) struct Acked {
    pub(super) parts: std::ops::Range<usize>,
    pub(super) key: Key,
}

/// Why a request stands still.
pub(super) enum Halt {
    /// It waits for the store.
    Asked,
    Opened,
    /// The open has failed: the handler does not run.
    Refused,
    Committed(Box<Result<Committed>>),
}

struct Nowhere;

impl Home for Nowhere {
    fn csrf_token(&self, seed: &[u8; 16]) -> String {
        to_hex(seed)
    }

    fn is_csrf_token(&self, seed: &[u8; 16], token: &str) -> bool {
        token == to_hex(seed)
    }

    fn is(&self, _: &Engine) -> bool {
        false
    }

    fn save(&self, _: SessionData) -> Reply<()> {
        panic!("the explorer commits by itself")
    }
}

impl Request {
    pub(super) fn new(script: Script, name: String, stream: u64) -> Self {
        Self {
            script,
            name,
            progress: Progress::Waiting,
            state: State::default(),
            left: None,
            has_turn: false,
            stream,
            drawn: 0,
            history: 0,
            faulted: false,
            sent: Vec::new(),
            carried: Vec::new(),
            own: None,
            base: Contents::default(),
            shown: Shown::new(),
            part: 0,
            stored: 0,
            acked: Vec::new(),
            token: None,
            failed: false,
            outcome: None,
            created: false,
            sent_again: false,
            cookie: CookieChange::Nothing,
        }
    }

    pub(super) fn ask(&self) -> Option<&Ask> {
        match &self.progress {
            Progress::Opening(_, ask) | Progress::Committing(_, ask) => Some(ask),
            Progress::Waiting | Progress::Handling | Progress::Ended => None,
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        matches!(self.progress, Progress::Ended)
    }

    /// The first of the two steps of a replace that is not atomic.
    pub(super) fn is_inserting(&self) -> bool {
        matches!(&self.progress, Progress::Committing(commit, ask)
            if matches!((&commit.stage, &**ask), (Stage::Replacing(_), Ask::Save(..))))
    }

    /// The operations that the commit under way stores.
    pub(super) fn ops(&self) -> Vec<Op> {
        self.script.parts[self.stored..self.part].concat()
    }

    /// Whether these change anything.
    pub(super) fn changes(&self, ops: &[Op]) -> bool {
        ops.iter().any(|op| match op {
            Op::Reflash => !self.shown.is_empty(),
            Op::Token => self.own.is_none(),
            _ => true,
        })
    }

    pub(super) fn pending(&self) -> std::ops::Range<usize> {
        self.stored..self.part
    }

    /// Whether the commit under way is that of the response, which ages flash.
    pub(super) fn ages(&self) -> bool {
        self.script.ages && self.part == self.script.parts.len()
    }

    pub(super) fn remember(&mut self, what: impl Hash) {
        let mut hasher = DefaultHasher::new();
        (self.history, what).hash(&mut hasher);
        self.history = hasher.finish();
    }

    pub(super) fn start(&mut self, cx: &Context, now: Time, jar: &[String]) -> Halt {
        self.remember((jar, now));
        let tokens = jar
            .iter()
            .map(|value| Token::decode(value.as_bytes(), &cx.keys));
        self.sent = tokens.map(|token| token.unwrap().id.key()).collect();
        let mut open = Open::default();
        let mut values = jar.iter().map(String::as_bytes);
        if let Some(first) = values.next() {
            open.read(cx, first, values);
        }
        self.open(cx, now, Box::new(open), None)
    }

    /// Hands the store's answer to the machine that asked.
    pub(super) fn answered(&mut self, cx: &Context, now: Time, answer: Answer) -> Halt {
        self.remember((print(&answer), now));
        match std::mem::replace(&mut self.progress, Progress::Handling) {
            Progress::Opening(open, ask) => {
                if let (Ask::Load(key), Answer::Loaded(Ok(Some(record)))) = (*ask, &answer)
                    && !record.is_expired(now)
                {
                    self.carried.push(key);
                }
                self.open(cx, now, open, Some(answer))
            }
            Progress::Committing(commit, _) => self.run(cx, now, commit, Some(answer)),
            Progress::Waiting | Progress::Handling | Progress::Ended => panic!("nobody asked"),
        }
    }

    /// The deadline passes, or the process dies, while the store is being asked.
    pub(super) fn give_up(&mut self, cx: &Context, now: Time) -> Halt {
        self.remember(("gives up", now));
        let error = Error::new(ErrorKind::Timeout, "the deadline has passed");
        match std::mem::replace(&mut self.progress, Progress::Handling) {
            Progress::Opening(mut open, _) => match open.give_up(cx, error) {
                Ok(()) => {
                    self.opened(open.opened);
                    Halt::Opened
                }
                Err(_) => Halt::Refused,
            },
            Progress::Committing(mut commit, _) => {
                let result = commit.give_up(cx, error);
                self.committed(cx, result, commit)
            }
            Progress::Waiting | Progress::Handling | Progress::Ended => panic!("nobody asked"),
        }
    }

    fn open(
        &mut self,
        cx: &Context,
        now: Time,
        mut open: Box<Open>,
        answer: Option<Answer>,
    ) -> Halt {
        match open.step(cx, now, answer) {
            Step::Ask(ask) => {
                self.progress = Progress::Opening(open, Box::new(ask));
                Halt::Asked
            }
            Step::Done(Ok(())) => {
                self.opened(open.opened);
                Halt::Opened
            }
            Step::Done(Err(_)) => Halt::Refused,
        }
    }

    fn opened(&mut self, mut opened: Opened) {
        if let Origin::Live(live) = &opened.origin {
            self.own = Some(live.key);
            self.base = Contents::of(&live.body);
            self.shown = self.base.flash.clone();
        }
        self.state = State::default();
        self.state.open(&mut opened);
    }

    /// Runs the next part of the handler.
    pub(super) fn handle(&mut self) {
        let session = SessionData::new(std::mem::take(&mut self.state), Arc::new(Nowhere));
        let ops = self.script.parts[self.part];
        let token = scripted::with(self.stream, &mut self.drawn, || {
            perform(&session, ops, &self.name)
        });
        self.token = token.or(self.token.take());
        self.state = std::mem::take(&mut **session.state());
        self.part += 1;
        self.progress = Progress::Handling;
    }

    /// Skips to the response, since `save()` has failed.
    pub(super) fn bail_out(&mut self) {
        self.script.parts = &self.script.parts[..self.part];
    }

    fn moment(&self) -> Moment {
        if self.part < self.script.parts.len() {
            return Moment::Save;
        }
        Moment::Head {
            age: self.script.ages,
            navigation: self.script.navigation,
        }
    }

    /// Begins the commit of what the handler has done.
    pub(super) fn commit(&mut self, cx: &Context, now: Time) -> Halt {
        self.remember(now);
        let moment = self.moment();
        if cx.is_clean(&self.state, moment) {
            let unchanged = Committed {
                outcome: Outcome::Unchanged,
                cookie: CookieChange::Nothing,
                basis: Basis::Same,
            };
            let commit = Box::new(Commit::new(Work::default()));
            return self.committed(cx, Ok(unchanged), commit);
        }
        let shared = moment == Moment::Save;
        let mut work = Work::take(&mut self.state, cx, now, moment, shared);
        work.hot = self.is_hot(&work.origin);
        self.run(cx, now, Box::new(Commit::new(work)), None)
    }

    /// Others of its process have queued: something lies there.
    fn is_hot(&self, origin: &Origin) -> bool {
        let own = match origin {
            Origin::Live(live) => Some(live.key),
            Origin::None | Origin::Marked => None,
        };
        let left = self.left.as_ref().zip(own);
        left.is_some_and(|(left, own)| left.contains_key(&own))
    }

    fn run(
        &mut self,
        cx: &Context,
        now: Time,
        mut commit: Box<Commit>,
        mut answer: Option<Answer>,
    ) -> Halt {
        loop {
            let stream = self.stream;
            let step = scripted::with(stream, &mut self.drawn, || {
                commit.step(cx, now, answer.take())
            });
            match step {
                // It comes to its turn at once: whatever happens in between can happen before.
                Step::Ask(Ask::Queue(key)) => {
                    let finds = !std::mem::replace(&mut self.has_turn, true);
                    let left = self.left.as_ref().filter(|_| finds);
                    let left = left.and_then(|left| left.get(&key).cloned());
                    self.remember(("its turn", left.as_ref().map(Record::encode)));
                    answer = Some(Answer::Queued(left));
                }
                Step::Ask(ask) => {
                    self.progress = Progress::Committing(commit, Box::new(ask));
                    return Halt::Asked;
                }
                Step::Done(result) => return self.committed(cx, result, commit),
            }
        }
    }

    /// As the engine does at the end of a commit.
    fn committed(
        &mut self,
        cx: &Context,
        result: Result<Committed>,
        mut commit: Box<Commit>,
    ) -> Halt {
        self.has_turn = false;
        let moment = self.moment();
        let before = std::mem::take(&mut self.state.cookie);
        let halt = match result {
            Ok(committed) => {
                let report = committed.clone();
                let shared = moment == Moment::Save;
                self.cookie = cx.settle(&mut self.state, committed, moment, shared);
                Ok(report)
            }
            Err(error) => {
                if moment == Moment::Save {
                    restore(&mut self.state, commit.take_work());
                }
                Err(error)
            }
        };
        if moment == Moment::Save {
            if self.state.cookie == CookieChange::Nothing {
                self.state.cookie = before;
            }
        } else if self.cookie == CookieChange::Nothing {
            self.cookie = before;
        }
        Halt::Committed(Box::new(halt))
    }
}

/// An answer as something that can be hashed.
fn print(answer: &Answer) -> (u8, Option<Vec<u8>>) {
    let encode = |record: &Option<Record>| record.as_ref().map(|r| r.encode());
    match answer {
        Answer::Loaded(Ok(record)) => (0, encode(record)),
        Answer::Saved(Ok(Saved::Conflict(record))) => (1, encode(record)),
        Answer::Saved(Ok(_)) => (2, None),
        Answer::Touched(Ok(())) => (3, None),
        Answer::Loaded(Err(_)) | Answer::Saved(Err(_)) | Answer::Touched(Err(_)) => (4, None),
        Answer::Queued(left) => (5, encode(left)),
    }
}
