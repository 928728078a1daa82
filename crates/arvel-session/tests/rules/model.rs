//! All operations against a plain model: random requests of random operations, on both built-in drivers.
//!
//! A run is seeded, so it is the same every time. `fuzz/` runs the same model on what it makes up itself.

use arvel_session::{Result, SessionData};
use proptest::{
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::{Value, json};

use crate::support::{
    App, Browser, Held, config,
    model::{KEYS, Op, Stored, Values, Visit, visit_with},
};

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
