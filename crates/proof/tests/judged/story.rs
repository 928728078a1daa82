//! Histories that are made up, a call a line.

use proof::{
    history::{Answer, Call, Cookie, History, SessionId},
    plan::{Op, Plan},
};
use serde_json::{Value, json};

/// What happens when; a call's number is its place.
#[derive(Clone, Default)]
pub(crate) struct Story(pub(crate) History);

/// The sessions of all stories.
pub(crate) const A: u64 = 1;
pub(crate) const B: u64 = 2;
pub(crate) const C: u64 = 3;

/// Longer than any story.
const GRACE: u64 = 1_000_000;

pub(crate) fn story() -> Story {
    Story(History {
        quiet: true,
        grace: GRACE,
        ..History::default()
    })
}

impl Story {
    fn last(&mut self) -> &mut Call {
        self.0.calls.last_mut().unwrap()
    }

    /// A request of these moments without a cookie, which sees nothing and is answered.
    pub(crate) fn call(mut self, start: u64, end: u64) -> Self {
        self.0.calls.push(Call {
            plan: Plan {
                ops: vec![Op::All],
                ..Plan::default()
            },
            start,
            end,
            answer: Answer::Done {
                status: 200,
                results: vec![json!({})],
            },
            ..Call::default()
        });
        self
    }

    pub(crate) fn sends(mut self, id: u64) -> Self {
        self.last().sent = Some(SessionId::made_up(id));
        self
    }

    pub(crate) fn gets(mut self, id: u64) -> Self {
        self.last().cookie = Cookie::Set(SessionId::made_up(id));
        self
    }

    pub(crate) fn sees(mut self, view: Value) -> Self {
        if let Answer::Done { results, .. } = &mut self.last().answer {
            results[0] = view;
        }
        self
    }

    /// Does this, and is told this.
    pub(crate) fn told(mut self, op: Op, result: Value) -> Self {
        let last = self.last();
        last.plan.ops.push(op);
        if let Answer::Done { results, .. } = &mut last.answer {
            results.push(result);
        }
        self
    }

    pub(crate) fn does(self, op: Op) -> Self {
        self.told(op, Value::Null)
    }

    pub(crate) fn stamps(self) -> Self {
        let number = self.0.calls.len() - 1;
        self.does(Op::Push("log".into(), json!(format!("{number}.0"))))
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut Call)) -> Self {
        change(self.last());
        self
    }

    /// The same with another world around it.
    pub(crate) fn where_(mut self, change: impl FnOnce(&mut History)) -> Self {
        change(&mut self.0);
        self
    }
}

pub(crate) fn put(key: &str, value: &str) -> Op {
    Op::Put(key.into(), json!(value))
}

pub(crate) fn flash(value: &str) -> Op {
    Op::Flash("f".into(), json!(value))
}

/// A session that has this log and nothing else.
pub(crate) fn log(stamps: &[&str]) -> Value {
    json!({ "log": stamps })
}
