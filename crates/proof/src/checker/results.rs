//! Within a request each result is what its view and its own operations make it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Findings, Rule, index::Index};
use crate::{
    history::Call,
    plan::{Op, step},
};

/// Begins the names under which flash is set, and nothing else.
pub(super) const FLASH: char = 'f';

pub(super) fn check(index: &Index<'_>, findings: &mut Findings) {
    for (number, call) in index.history.calls.iter().enumerate() {
        if let Some(what) = difference(call) {
            findings.violated(Rule::WrongResult, format!("call {number}: {what}"));
        }
    }
}

fn difference(call: &Call) -> Option<String> {
    let mut session = Session::new(call.view()?);
    for (at, op) in call.plan.ops.iter().enumerate() {
        if *op == Op::Save {
            return None;
        }
        let (expected, result) = (session.run(op), call.result(at)?);
        if expected.as_ref().is_some_and(|expected| expected != result) {
            let expected = expected.unwrap_or_default();
            return Some(format!("{op:?} has answered {result} and not {expected}"));
        }
    }
    None
}

type Values = BTreeMap<String, Value>;

/// A session within a request.
struct Session {
    /// As it began.
    view: Values,
    data: Values,
    flash: Values,
    now: Values,
}

impl Session {
    fn new(view: &serde_json::Map<String, Value>) -> Self {
        let view: Values = view
            .iter()
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let mut session = Self {
            view,
            data: Values::new(),
            flash: Values::new(),
            now: Values::new(),
        };
        session.begin_again();
        session
    }

    fn begin_again(&mut self) {
        let view = self.view.clone().into_iter();
        (self.flash, self.data) = view.partition(|(key, _)| key.starts_with(FLASH));
        self.now.clear();
    }

    fn clear(&mut self) {
        self.data.clear();
        self.flash.clear();
        self.now.clear();
    }

    fn get(&self, key: &str) -> Option<&Value> {
        let layers = [&self.now, &self.flash, &self.data];
        layers.into_iter().find_map(|layer| layer.get(key))
    }

    fn all(&self) -> Values {
        let mut all = self.data.clone();
        all.extend(self.flash.clone());
        all.extend(self.now.clone());
        all
    }

    fn forget(&mut self, key: &str) {
        for layer in [&mut self.data, &mut self.flash, &mut self.now] {
            layer.remove(key);
        }
    }

    fn number(&self, key: &str) -> i64 {
        self.data.get(key).and_then(Value::as_i64).unwrap_or(0)
    }

    fn compute(&mut self, key: &str, number: i64) -> Value {
        self.data.insert(key.to_owned(), json!(number));
        json!(number)
    }

    /// Does it; answers the result, where it can be foretold.
    fn run(&mut self, op: &Op) -> Option<Value> {
        let value = |value: Option<&Value>| value.cloned().unwrap_or_default();
        Some(match op {
            Op::All => json!(self.all()),
            Op::Keys => json!(self.all().keys().collect::<Vec<_>>()),
            Op::Get(key) => value(self.get(key)),
            Op::GetOr(key, default) => value(self.get(key).or(Some(default))),
            Op::Has(key) => json!(self.get(key).is_some()),
            Op::Missing(key) => json!(self.get(key).is_none()),
            Op::Only(keys) => self.filtered(|key| keys.contains(key)),
            Op::Except(keys) => self.filtered(|key| !keys.contains(key)),
            Op::Pull(key) => {
                let pulled = value(self.get(key));
                self.forget(key);
                pulled
            }
            Op::Increment(key, amount) => self.compute(key, self.number(key) + amount),
            Op::Decrement(key, amount) => self.compute(key, self.number(key) - amount),
            Op::Update(key, argument) => self.compute(key, step(self.number(key), *argument)),
            Op::Remember(key, made) => {
                if self.get(key).is_none() {
                    self.data.insert(key.clone(), made.clone());
                }
                value(self.get(key))
            }
            Op::Token | Op::RegenerateToken | Op::Id => return None,
            silent => {
                self.run_silent(silent);
                Value::Null
            }
        })
    }

    fn filtered(&self, wanted: impl Fn(&String) -> bool) -> Value {
        let all = self.all().into_iter().filter(|(key, _)| wanted(key));
        json!(all.collect::<Values>())
    }

    fn run_silent(&mut self, op: &Op) {
        match op {
            Op::Put(key, value) => drop(self.data.insert(key.clone(), value.clone())),
            Op::Push(key, item) => {
                let list = self.data.entry(key.clone()).or_insert(json!([]));
                if let Some(items) = list.as_array_mut() {
                    items.push(item.clone());
                }
            }
            Op::Now(key, value) => drop(self.now.insert(key.clone(), value.clone())),
            Op::Forget(key) => self.forget(key),
            Op::Flush | Op::Invalidate => self.clear(),
            Op::Discard => self.begin_again(),
            _ => {}
        }
    }
}
