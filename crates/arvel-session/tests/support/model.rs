//! A plain model of a session, and a browser that does the same to the model and to the library.
//!
//! The model is what the guide says, written down with maps: each request starts from what is stored, its operations
//! change it, and the end of the request decides what is stored next.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use arvel_session::SessionData;
use axum::{http::Method, response::IntoResponse};
use serde_json::{Map, Value, json};

use super::{App, Browser};

pub(crate) type Values = BTreeMap<&'static str, Value>;

pub(crate) const KEYS: [&str; 2] = ["a", "_flash"];

/// One operation of a handler.
#[derive(Clone, Debug)]
pub(crate) enum Op {
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
pub(crate) struct Visit {
    pub(crate) ops: Vec<Op>,
    pub(crate) unseen: bool,
}

/// What a browser's session is, between requests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stored {
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
        if !self.stored.exists {
            // Nothing was stored, and no id with it: what is shown from now on may be another.
            self.stored.id = None;
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

pub(crate) async fn visit_with(
    app: &App,
    browser: &mut Browser,
    stored: Stored,
    visit: Visit,
) -> Stored {
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
