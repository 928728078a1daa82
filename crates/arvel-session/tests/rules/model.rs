//! All operations against a plain model: random requests of random operations, on both built-in drivers.
//!
//! The model is what the guide says, written down with maps. A run is seeded, so it is the same every time.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use arvel_session::{Result, SessionData};
use axum::{http::Method, response::IntoResponse};
use proptest::{
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::{Map, Value, json};

use crate::support::{App, Browser, Held, config};

type Values = BTreeMap<&'static str, Value>;

const KEYS: [&str; 2] = ["a", "_flash"];

/// One operation of a handler.
#[derive(Clone, Debug)]
enum Op {
    Get(&'static str),
    Put(&'static str, i64),
    Forget(&'static str),
    Flush,
    Pull(&'static str),
    Push(&'static str, i64),
    Increment(&'static str, i64),
    Remember(&'static str, i64),
    Update(&'static str, i64),
    Flash(&'static str, i64),
    Now(&'static str, i64),
    Reflash,
    Keep(&'static str),
    Token,
    RegenerateToken,
    Regenerate,
    Invalidate,
    Discard,
    Id,
    Save,
}

/// One request: what its handler does, and whether anybody sees the response.
#[derive(Clone, Debug)]
struct Visit {
    ops: Vec<Op>,
    unseen: bool,
}

fn op() -> impl Strategy<Value = Op> {
    let key = || prop::sample::select(&KEYS[..]);
    let number = || -3_i64..4;
    prop_oneof![
        2 => key().prop_map(Op::Get),
        4 => (key(), number()).prop_map(|(key, n)| Op::Put(key, n)),
        2 => key().prop_map(Op::Forget),
        1 => Just(Op::Flush),
        2 => key().prop_map(Op::Pull),
        2 => (key(), number()).prop_map(|(key, n)| Op::Push(key, n)),
        3 => (key(), number()).prop_map(|(key, n)| Op::Increment(key, n)),
        2 => (key(), number()).prop_map(|(key, n)| Op::Remember(key, n)),
        2 => (key(), number()).prop_map(|(key, n)| Op::Update(key, n)),
        4 => (key(), number()).prop_map(|(key, n)| Op::Flash(key, n)),
        2 => (key(), number()).prop_map(|(key, n)| Op::Now(key, n)),
        2 => Just(Op::Reflash),
        2 => key().prop_map(Op::Keep),
        1 => Just(Op::Token),
        1 => Just(Op::RegenerateToken),
        1 => Just(Op::Regenerate),
        1 => Just(Op::Invalidate),
        1 => Just(Op::Discard),
        1 => Just(Op::Id),
        1 => Just(Op::Save),
    ]
}

fn visit() -> impl Strategy<Value = Visit> {
    let ops = prop::collection::vec(op(), 0..8);
    (ops, prop::bool::weighted(0.2)).prop_map(|(ops, unseen)| Visit { ops, unseen })
}

/// What a browser's session is, between requests.
#[derive(Clone, Debug, Default)]
struct Stored {
    exists: bool,
    data: Values,
    flash: Values,
    token: Option<String>,
    id: Option<String>,
}

/// What a request sees of it, and what it has changed.
#[derive(Clone, Debug)]
struct Model {
    /// As it was when the request began, or when it last saved.
    begun: Stored,
    stored: Stored,
    /// The flash that was readable when the request began.
    opened: Values,
    readable: Values,
    begun_readable: Values,
    now: Values,
    /// For the next request; true where it was set, false where it was merely kept.
    next: BTreeMap<&'static str, (Value, bool)>,
    begun_next: BTreeMap<&'static str, (Value, bool)>,
    /// The token was shown, so a new session is kept.
    keep: bool,
}

impl Model {
    fn new(stored: Stored) -> Self {
        Self {
            begun: stored.clone(),
            opened: stored.flash.clone(),
            readable: stored.flash.clone(),
            begun_readable: stored.flash.clone(),
            stored,
            now: Values::new(),
            next: BTreeMap::new(),
            begun_next: BTreeMap::new(),
            keep: false,
        }
    }

    fn get(&self, key: &str) -> Option<Value> {
        let shadows = self.now.get(key).or(self.readable.get(key));
        shadows.or(self.stored.data.get(key)).cloned()
    }

    fn all(&self) -> Map<String, Value> {
        let layers = self.stored.data.iter().chain(&self.readable);
        let layers = layers.chain(&self.now);
        layers
            .map(|(key, value)| ((*key).to_owned(), value.clone()))
            .collect()
    }

    fn forget(&mut self, key: &str) {
        self.stored.data.remove(key);
        self.stored.flash.remove(key);
        self.readable.remove(key);
        self.now.remove(key);
        self.next.remove(key);
    }

    fn flush(&mut self) {
        self.stored.data.clear();
        self.stored.flash.clear();
        self.readable.clear();
        self.now.clear();
        self.next.clear();
    }

    fn keep(&mut self, wanted: impl Fn(&str) -> bool) {
        let current: Values = self
            .readable
            .clone()
            .into_iter()
            .chain(self.now.clone())
            .collect();
        for (key, value) in current.into_iter().filter(|(key, _)| wanted(key)) {
            let newer = self.next.get(key).is_some_and(|(_, set)| *set);
            if !newer {
                self.next.insert(key, (value, false));
            }
        }
    }

    fn discard(&mut self) {
        self.stored = self.begun.clone();
        self.next = self.begun_next.clone();
        self.readable = self.begun_readable.clone();
        self.now.clear();
        self.keep = false;
    }

    fn has_content(&self) -> bool {
        !self.stored.data.is_empty() || !self.next.is_empty() || self.keep
    }

    /// Everything so far is stored; the request goes on.
    fn save(&mut self) {
        self.stored.exists |= self.has_content();
        self.keep = false;
        for (_, set) in self.next.values_mut() {
            *set = true;
        }
        self.begun = self.stored.clone();
        self.begun_next = self.next.clone();
        self.begun_readable = self.readable.clone();
    }

    /// The request is over.
    fn finish(mut self, unseen: bool) -> Stored {
        self.save();
        if !self.stored.exists {
            return Stored::default();
        }
        if !unseen {
            for key in self.opened.keys() {
                self.stored.flash.remove(key);
            }
        }
        for (key, (value, _)) in self.next {
            self.stored.flash.insert(key, value);
        }
        self.stored
    }

    /// Runs one operation on both; what they answer must be the same.
    fn run(&mut self, op: &Op, session: &SessionData) {
        match *op {
            Op::Get(key) => {
                assert_eq!(session.get::<Value>(key).unwrap(), self.get(key));
                assert_eq!(session.has(key), self.get(key).is_some());
            }
            Op::Put(key, n) => {
                session.put(key, n).unwrap();
                self.stored.data.insert(key, json!(n));
            }
            Op::Forget(key) => {
                session.forget(key);
                self.forget(key);
            }
            Op::Flush => {
                session.flush();
                self.flush();
            }
            Op::Pull(key) => {
                assert_eq!(session.pull::<Value>(key).unwrap(), self.get(key));
                if self.get(key).is_some() {
                    self.forget(key);
                }
            }
            Op::Push(..) | Op::Increment(..) | Op::Remember(..) | Op::Update(..) => {
                self.compute(op, session);
            }
            Op::Flash(key, n) => {
                session.flash(key, n).unwrap();
                self.next.insert(key, (json!(n), true));
            }
            Op::Now(key, n) => {
                session.now(key, n).unwrap();
                self.now.insert(key, json!(n));
            }
            Op::Reflash => {
                session.reflash();
                self.keep(|_| true);
            }
            Op::Keep(wanted) => {
                session.keep([wanted]);
                self.keep(|key| key == wanted);
            }
            Op::Discard => {
                session.discard();
                self.discard();
            }
            Op::Token | Op::RegenerateToken | Op::Regenerate | Op::Invalidate | Op::Id => {
                self.identify(op, session);
            }
            Op::Save => self.save(),
        }
        assert_eq!(session.all().unwrap(), self.all(), "after {op:?}");
    }

    fn compute(&mut self, op: &Op, session: &SessionData) {
        match *op {
            Op::Push(key, n) => {
                let pushed = session.push(key, n).is_ok();
                let list = self.stored.data.entry(key).or_insert(json!([]));
                let list = list.as_array_mut();
                assert_eq!(pushed, list.is_some());
                list.into_iter().for_each(|list| list.push(json!(n)));
            }
            Op::Increment(key, n) => {
                let sum = session.increment(key, n).ok();
                let current = self.stored.data.get(key).map_or(Some(0), Value::as_i64);
                assert_eq!(sum, current.map(|current| current + n));
                if let Some(sum) = sum {
                    self.stored.data.insert(key, json!(sum));
                }
            }
            Op::Remember(key, n) => {
                let expected = self.get(key).unwrap_or(json!(n));
                assert_eq!(session.remember(key, || json!(n)).unwrap(), expected);
                if self.get(key).is_none() {
                    self.stored.data.insert(key, expected);
                }
            }
            Op::Update(key, n) => {
                let change = move |value: Option<Value>| json!([value.is_some(), n]);
                let expected = change(self.stored.data.get(key).cloned());
                assert_eq!(session.update(key, change).unwrap(), expected);
                self.stored.data.insert(key, expected);
            }
            _ => unreachable!("no computation"),
        }
    }

    fn identify(&mut self, op: &Op, session: &SessionData) {
        match op {
            Op::Token => {
                let token = session.token();
                let known = self.stored.token.get_or_insert(token.clone());
                assert_eq!(token, *known);
                self.keep |= !self.stored.exists;
            }
            Op::RegenerateToken => {
                let token = session.regenerate_token();
                assert_ne!(self.stored.token, Some(token.clone()));
                self.stored.token = Some(token);
                self.keep |= !self.stored.exists;
            }
            Op::Id => {
                let id = session.id();
                assert_eq!(id, *self.stored.id.get_or_insert(id.clone()));
            }
            Op::Regenerate => {
                let before = session.id();
                session.regenerate();
                assert_ne!(session.id(), before);
                self.stored.id = Some(session.id());
                // What the new token is, nobody has seen yet.
                self.stored.token = None;
            }
            Op::Invalidate => {
                session.invalidate();
                self.flush();
                self.keep = false;
                self.stored = Stored::default();
            }
            _ => unreachable!("no identity"),
        }
    }
}

/// Runs a request's operations on its session and on the model.
async fn perform(visit: Visit, model: Arc<Mutex<Model>>, session: SessionData) {
    for op in &visit.ops {
        if matches!(op, Op::Save) {
            session.save().await.unwrap();
        }
        model.lock().unwrap().run(op, &session);
    }
}

async fn visit_with(app: &App, browser: &mut Browser, stored: Stored, visit: Visit) -> Stored {
    let model = Arc::new(Mutex::new(Model::new(stored)));
    let mut sender = browser.clone();
    sender.method = if visit.unseen {
        Method::HEAD
    } else {
        Method::GET
    };
    let (handler, shared) = (visit.clone(), model.clone());
    let answer = sender
        .call(app, move |session| {
            let run = perform(handler.clone(), shared.clone(), session);
            async {
                run.await;
                "done".into_response()
            }
        })
        .await;
    browser.jar = sender.jar;
    assert!(answer.status.is_success(), "{answer:?}");
    assert!(answer.set_cookies().len() <= 1, "{answer:?}");
    let model = model.lock().unwrap().clone();
    let stored = model.finish(visit.unseen);
    assert_eq!(stored.exists, !browser.jar.is_empty(), "{answer:?}");
    stored
}

/// The same seed every time.
fn check<S: Strategy>(cases: u32, strategy: S, test: impl Fn(S::Value)) {
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let result = runner.run(&strategy, |value| {
        test(value);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

fn block_on(future: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(future);
}

#[test]
fn two_browsers_behave_as_the_model_does_on_both_drivers() {
    for driver in ["memory", "cookie"] {
        let visits = prop::collection::vec((0..2_usize, visit()), 1..10);
        check(500, visits, |visits| {
            block_on(async {
                let app = App::new(config().driver(driver));
                let mut browsers = [Browser::default(), Browser::default()];
                let mut stored = [Stored::default(), Stored::default()];
                for (who, visit) in visits {
                    let before = std::mem::take(&mut stored[who]);
                    stored[who] = visit_with(&app, &mut browsers[who], before, visit).await;
                }
            });
        });
    }
}

/// A change of a request that runs beside others.
#[derive(Clone, Debug)]
enum Change {
    Put(&'static str, i64),
    Increment(&'static str, i64),
    Push(&'static str, i64),
    Forget(&'static str),
    Remember(&'static str, i64),
    Flush,
}

impl Change {
    fn apply(&self, session: &SessionData) -> Result<()> {
        match *self {
            Self::Put(key, n) => session.put(key, n),
            Self::Increment(key, n) => session.increment(key, n).map(|_| ()),
            Self::Push(key, n) => session.push(key, n),
            Self::Forget(key) => {
                session.forget(key);
                Ok(())
            }
            Self::Remember(key, n) => session.remember(key, || json!(n)).map(|_| ()),
            Self::Flush => {
                session.flush();
                Ok(())
            }
        }
    }

    /// The same on plain data; `None` where it fails.
    fn apply_to(&self, data: &mut Values) -> Option<()> {
        match *self {
            Self::Put(key, n) => {
                data.insert(key, json!(n));
            }
            Self::Increment(key, n) => {
                let current = data.get(key).map_or(Some(0), Value::as_i64)?;
                data.insert(key, json!(current + n));
            }
            Self::Push(key, n) => {
                let list = data.entry(key).or_insert(json!([]));
                list.as_array_mut()?.push(json!(n));
            }
            Self::Forget(key) => {
                data.remove(key);
            }
            Self::Remember(key, n) => {
                data.entry(key).or_insert(json!(n));
            }
            Self::Flush => data.clear(),
        }
        Some(())
    }

    /// Whether it changes nothing where this is the data, so that nothing is there to be replayed.
    fn is_idle(&self, data: &Values) -> bool {
        matches!(self, Self::Remember(key, _) if data.contains_key(key))
    }
}

fn change() -> impl Strategy<Value = Change> {
    let key = || prop::sample::select(&["n", "list", "x"][..]);
    prop_oneof![
        2 => (key(), 0..5_i64).prop_map(|(key, n)| Change::Put(key, n)),
        4 => (key(), 0..5_i64).prop_map(|(key, n)| Change::Increment(key, n)),
        4 => (key(), 0..5_i64).prop_map(|(key, n)| Change::Push(key, n)),
        2 => key().prop_map(Change::Forget),
        2 => (key(), 0..5_i64).prop_map(|(key, n)| Change::Remember(key, n)),
        1 => Just(Change::Flush),
    ]
}

/// What one of the parallel requests does besides.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Stays,
    Regenerates,
    Invalidates,
}

fn race() -> impl Strategy<Value = (Vec<Vec<Change>>, usize, End)> {
    let requests = prop::collection::vec(prop::collection::vec(change(), 0..4), 1..6);
    let end = prop::sample::select(&[End::Stays, End::Regenerates, End::Invalidates][..]);
    (requests, 0..6_usize, end)
}

async fn begin(app: &App) -> (Browser, Values) {
    let mut browser = Browser::default();
    browser
        .change(app, |session| {
            session.put("n", 1)?;
            session.put("list", [0])
        })
        .await
        .sets_one_cookie();
    (
        browser,
        Values::from([("n", json!(1)), ("list", json!([0]))]),
    )
}

async fn hold(app: &App, browser: &Browser, changes: Vec<Change>, end: End) -> Held {
    browser
        .hold(app, move |session| {
            for change in &changes {
                // What fails has changed nothing, and the handler goes on.
                let _ = change.apply(&session);
            }
            match end {
                End::Stays => {}
                End::Regenerates => session.regenerate(),
                End::Invalidates => session.invalidate(),
            }
            Ok(())
        })
        .await
}

/// What a request's journal holds: the changes that went well on what it had loaded.
fn journal(loaded: &Values, changes: &[Change]) -> Vec<Change> {
    let mut view = loaded.clone();
    let went_well = changes.iter().filter(|change| {
        let idle = change.is_idle(&view);
        let mut tried = view.clone();
        let done = change.apply_to(&mut tried).is_some() && !idle;
        if done {
            view = tried;
        }
        done
    });
    went_well.cloned().collect()
}

#[test]
fn parallel_requests_behave_as_their_journals_one_after_the_other() {
    check(400, race(), |(requests, who, end)| {
        block_on(async {
            let app = App::new(config());
            let (mut browser, mut data) = begin(&app).await;
            let loaded = data.clone();
            let mut held = Vec::new();
            for (index, changes) in requests.iter().enumerate() {
                let end = if index == who { end } else { End::Stays };
                held.push((end, hold(&app, &browser, changes.clone(), end).await));
            }
            let mut dead = false;
            for ((end, held), changes) in held.into_iter().zip(&requests) {
                let answer = held.finish().await;
                let mut after = data.clone();
                let journal = journal(&loaded, changes);
                let replayed = journal
                    .iter()
                    .try_for_each(|change| change.apply_to(&mut after));
                match end {
                    End::Invalidates => {
                        answer.removes_the_cookie();
                        dead = true;
                    }
                    _ if dead => answer.is_silent(),
                    _ if replayed.is_none() => answer.failed_with(500),
                    End::Stays => answer.is_silent(),
                    End::Regenerates => {
                        answer.sets_one_cookie();
                        let line = answer.set_cookies()[0].to_owned();
                        let value = line.split(['=', ';']).nth(1).unwrap();
                        browser = Browser::with_cookie(value);
                    }
                }
                if replayed.is_some() {
                    data = after;
                }
            }
            let expected = if dead { Values::new() } else { data };
            let all: Value = serde_json::from_str(&browser.all(&app).await).unwrap();
            assert_eq!(all, json!(expected));
        });
    });
}
