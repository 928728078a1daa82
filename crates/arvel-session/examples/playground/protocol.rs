//! What `POST /session` understands: a list of operations on this request's session, as JSON.
//!
//! All of it is read before any of it is run, so a mistake in the last operation leaves the session as it was.

use std::time::Duration;

use arvel_session::{Result, SessionData};
use serde_json::{Value, json};

/// The longest that a client may keep its request waiting.
const LONGEST_DELAY_MS: u64 = 60_000;

/// A body that was understood.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) operations: Vec<Operation>,
    pub(crate) delay: Duration,
}

/// One operation and what it works on.
#[derive(Debug)]
pub(crate) enum Operation {
    Get(String, Value),
    Has(String),
    Missing(String),
    All,
    Put(String, Value),
    Forget(String),
    Flush,
    Pull(String, Value),
    Push(String, Value),
    Increment(String, i64),
    Decrement(String, i64),
    Flash(String, Value),
    Now(String, Value),
    Reflash,
    Keep(Vec<String>),
    Token,
    RegenerateToken,
    Regenerate,
    Invalidate,
    Id,
}

impl Plan {
    /// Reads a body; the error says what is wrong with it.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, String> {
        let body = serde_json::from_slice(body).map_err(|error| format!("not JSON: {error}"))?;
        let Value::Object(mut body) = body else {
            return Err(r#"the body must be {"ops": [[name, …], …], "delay_ms": 0}"#.to_owned());
        };
        let Some(Value::Array(items)) = body.remove("ops") else {
            return Err(r#""ops" must be a list of operations"#.to_owned());
        };
        let delay = body.remove("delay_ms").unwrap_or(json!(0));
        let delay = delay.as_u64().filter(|delay| *delay <= LONGEST_DELAY_MS);
        let Some(delay) = delay else {
            return Err(format!(
                r#""delay_ms" must be a whole number from 0 to {LONGEST_DELAY_MS}"#
            ));
        };
        if let Some(unknown) = body.keys().next() {
            return Err(format!(
                r#"{unknown:?} is unknown; there are "ops" and "delay_ms""#
            ));
        }
        let operations = items.into_iter().zip(1..).map(|(item, number)| {
            Operation::parse(item).map_err(|fault| format!("operation {number}: {fault}"))
        });
        Ok(Self {
            operations: operations.collect::<Result<_, _>>()?,
            delay: Duration::from_millis(delay),
        })
    }
}

impl Operation {
    fn parse(item: Value) -> Result<Self, String> {
        let Value::Array(items) = item else {
            return Err("must be a list: [name, arguments…]".to_owned());
        };
        let mut items = items.into_iter();
        let Some(Value::String(name)) = items.next() else {
            return Err("must begin with its name, a text".to_owned());
        };
        let mut arguments = Arguments(items);
        let operation = Self::named(&name, &mut arguments)
            .and_then(|operation| arguments.end().map(|()| operation));
        operation.map_err(|fault| format!("{name:?}: {fault}"))
    }

    fn named(name: &str, arguments: &mut Arguments) -> Result<Self, String> {
        Ok(match name {
            "get" => Self::Get(arguments.key()?, arguments.default()),
            "has" => Self::Has(arguments.key()?),
            "missing" => Self::Missing(arguments.key()?),
            "all" => Self::All,
            "put" => Self::Put(arguments.key()?, arguments.value()?),
            "forget" => Self::Forget(arguments.key()?),
            "flush" => Self::Flush,
            "pull" => Self::Pull(arguments.key()?, arguments.default()),
            "push" => Self::Push(arguments.key()?, arguments.value()?),
            "increment" => Self::Increment(arguments.key()?, arguments.amount()?),
            "decrement" => Self::Decrement(arguments.key()?, arguments.amount()?),
            "flash" => Self::Flash(arguments.key()?, arguments.value()?),
            "now" => Self::Now(arguments.key()?, arguments.value()?),
            "reflash" => Self::Reflash,
            "keep" => Self::Keep(arguments.keys()?),
            "token" => Self::Token,
            "regenerate_token" => Self::RegenerateToken,
            "regenerate" => Self::Regenerate,
            "invalidate" => Self::Invalidate,
            "id" => Self::Id,
            _ => return Err("no such operation".to_owned()),
        })
    }

    /// Does it, and answers its value; `null` where it has none.
    pub(crate) fn run(&self, session: &SessionData) -> Result<Value> {
        match self {
            Self::Get(key, default) => return session.get_or(key, default.clone()),
            Self::Has(key) => return Ok(session.has(key).into()),
            Self::Missing(key) => return Ok(session.missing(key).into()),
            Self::All => return Ok(session.all()?.into()),
            Self::Pull(key, default) => {
                return Ok(session.pull(key)?.unwrap_or_else(|| default.clone()));
            }
            Self::Increment(key, amount) => return Ok(session.increment(key, *amount)?.into()),
            Self::Decrement(key, amount) => return Ok(session.decrement(key, *amount)?.into()),
            Self::Token => return Ok(session.token().into()),
            Self::RegenerateToken => return Ok(session.regenerate_token().into()),
            Self::Id => return Ok(session.id().into()),
            Self::Put(key, value) => session.put(key, value)?,
            Self::Forget(key) => session.forget(key),
            Self::Flush => session.flush(),
            Self::Push(key, value) => session.push(key, value)?,
            Self::Flash(key, value) => session.flash(key, value)?,
            Self::Now(key, value) => session.now(key, value)?,
            Self::Reflash => session.reflash(),
            Self::Keep(keys) => session.keep(keys),
            Self::Regenerate => session.regenerate(),
            Self::Invalidate => session.invalidate(),
        }
        Ok(Value::Null)
    }
}

/// What stands behind an operation's name.
struct Arguments(std::vec::IntoIter<Value>);

impl Arguments {
    fn key(&mut self) -> Result<String, String> {
        let key = self.0.next().ok_or("the key is missing")?;
        text(key)
    }

    fn keys(&mut self) -> Result<Vec<String>, String> {
        self.0.by_ref().map(text).collect()
    }

    fn value(&mut self) -> Result<Value, String> {
        Ok(self.0.next().ok_or("the value is missing")?)
    }

    fn default(&mut self) -> Value {
        self.0.next().unwrap_or_default()
    }

    fn amount(&mut self) -> Result<i64, String> {
        let amount = self.0.next().unwrap_or(json!(1));
        let amount = amount.as_i64();
        amount.ok_or_else(|| "the amount must be a whole number of 64 bits".to_owned())
    }

    fn end(&mut self) -> Result<(), String> {
        match self.0.len() {
            0 => Ok(()),
            more => Err(format!("{more} more than it takes")),
        }
    }
}

fn text(key: Value) -> Result<String, String> {
    match key {
        Value::String(key) => Ok(key),
        _ => Err("a key must be a text".to_owned()),
    }
}
