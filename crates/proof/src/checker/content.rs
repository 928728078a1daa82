//! A view's common keys are exactly what the requests in its log make of nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{
    Findings, Rule,
    deed::{LOG, Stamp},
    index::{Index, View},
};
use crate::plan::{Op, step};

/// Begins the names of the keys that everybody writes, and only with a stamp: texts, numbers, lists, and what is updated.
const COMMON: [char; 4] = ['k', 'n', 'l', 'u'];

pub(super) fn check(index: &Index<'_>, findings: &mut Findings) {
    for view in &index.views {
        let mut content = Content::default();
        view.log
            .iter()
            .for_each(|stamp| content.apply(index, *stamp));
        for what in content.differences(view) {
            let what = format!("call {} has seen {what}, after {:?}", view.call, view.log);
            findings.violated(Rule::WrongContent, what);
        }
    }
}

pub(super) fn is_common(key: &str) -> bool {
    key != LOG && key.starts_with(COMMON)
}

#[derive(Default)]
struct Content {
    data: BTreeMap<String, Value>,
    /// Keys of which nobody can tell what is there.
    open: BTreeSet<String>,
}

impl Content {
    fn apply(&mut self, index: &Index<'_>, stamp: Stamp) {
        let Some(part) = index
            .deeds
            .get(stamp.call)
            .and_then(|deed| deed.part(stamp))
        else {
            // Told by `presence.rs`.
            return;
        };
        let call = index.call(stamp.call);
        let all: Vec<&Op> = call.plan.ops.iter().chain(&call.plan.body).collect();
        for at in &part.ops {
            self.apply_one(all[*at], call.result(*at));
        }
    }

    fn apply_one(&mut self, op: &Op, result: Option<&Value>) {
        match op {
            Op::Put(key, value) => self.set(key, value.clone()),
            Op::Forget(key) => self.remove(key),
            Op::Flush => *self = Self::default(),
            Op::Push(key, item) if key != LOG => {
                let mut list = self.data.get(key).cloned().unwrap_or(json!([]));
                if let Some(items) = list.as_array_mut() {
                    items.push(item.clone());
                }
                self.change(key, list);
            }
            Op::Increment(key, amount) => self.change(key, json!(self.number(key) + amount)),
            Op::Decrement(key, amount) => self.change(key, json!(self.number(key) - amount)),
            Op::Update(key, argument) => {
                self.change(key, json!(step(self.number(key), *argument)));
            }
            // Whether these have changed anything depends on what the handler saw.
            Op::Pull(key) => match result {
                Some(Value::Null) => {}
                Some(_) => self.remove(key),
                None => drop(self.open.insert(key.clone())),
            },
            Op::Remember(key, value) => match result {
                Some(result) if result == value => {
                    if !self.data.contains_key(key) {
                        self.change(key, value.clone());
                    }
                }
                Some(_) => {}
                None => drop(self.open.insert(key.clone())),
            },
            _ => {}
        }
    }

    fn number(&self, key: &str) -> i64 {
        self.data.get(key).and_then(Value::as_i64).unwrap_or(0)
    }

    /// Whatever was there.
    fn set(&mut self, key: &str, value: Value) {
        self.open.remove(key);
        self.data.insert(key.to_owned(), value);
    }

    /// By what was there, which may be unknown.
    fn change(&mut self, key: &str, value: Value) {
        self.data.insert(key.to_owned(), value);
    }

    fn remove(&mut self, key: &str) {
        self.open.remove(key);
        self.data.remove(key);
    }

    fn differences(&self, view: &View<'_>) -> Vec<String> {
        let seen = view.data.keys().map(String::as_str);
        let keys: BTreeSet<&str> = seen.chain(self.data.keys().map(String::as_str)).collect();
        let common = keys
            .into_iter()
            .filter(|key| is_common(key) && !self.open.contains(*key));
        let differing = common.filter(|key| view.data.get(*key) != self.data.get(*key));
        let text = |value: Option<&Value>| value.map_or("nothing".to_owned(), Value::to_string);
        differing
            .map(|key| {
                let (seen, expected) = (text(view.data.get(key)), text(self.data.get(key)));
                format!("{key} = {seen} where {expected} should be")
            })
            .collect()
    }
}
