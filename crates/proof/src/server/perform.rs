//! One operation on a session.

use std::time::Duration;

use arvel_session::{Result, SessionData};
use serde_json::{Value, json};

use crate::plan::{Op, step};

/// Does it, and answers its result; `null` where it has none.
pub(super) async fn perform(session: &SessionData, op: &Op) -> Result<Value> {
    match op {
        Op::Save => return Ok(session.save().await.is_ok().into()),
        Op::Wait(millis) => tokio::time::sleep(Duration::from_millis(*millis)).await,
        Op::All
        | Op::Keys
        | Op::Get(_)
        | Op::GetOr(..)
        | Op::Has(_)
        | Op::Missing(_)
        | Op::Only(_)
        | Op::Except(_)
        | Op::Id => return read(session, op),
        _ => return change(session, op),
    }
    Ok(Value::Null)
}

fn read(session: &SessionData, op: &Op) -> Result<Value> {
    Ok(match op {
        Op::All => session.all()?.into(),
        Op::Keys => session.keys().into(),
        Op::Get(key) => session.get::<Value>(key.as_str())?.unwrap_or_default(),
        Op::GetOr(key, default) => session.get_or(key.as_str(), default.clone())?,
        Op::Has(key) => session.has(key.as_str()).into(),
        Op::Missing(key) => session.missing(key.as_str()).into(),
        Op::Only(keys) => session.only(keys.iter().map(String::as_str))?.into(),
        Op::Except(keys) => session.except(keys.iter().map(String::as_str))?.into(),
        Op::Id => session.id().into(),
        _ => Value::Null,
    })
}

fn change(session: &SessionData, op: &Op) -> Result<Value> {
    match op {
        Op::Pull(key) => return Ok(session.pull::<Value>(key.as_str())?.unwrap_or_default()),
        Op::Increment(key, amount) => return Ok(session.increment(key.as_str(), *amount)?.into()),
        Op::Decrement(key, amount) => return Ok(session.decrement(key.as_str(), *amount)?.into()),
        Op::Remember(key, value) => return session.remember(key.as_str(), || value.clone()),
        Op::Update(key, argument) => {
            let argument = *argument;
            let change = move |number: Option<i64>| step(number.unwrap_or(0), argument);
            return Ok(json!(session.update(key.as_str(), change)?));
        }
        Op::Token => return Ok(session.token().into()),
        Op::RegenerateToken => return Ok(session.regenerate_token().into()),
        Op::Put(key, value) => session.put(key.as_str(), value)?,
        Op::Push(key, item) => session.push(key.as_str(), item)?,
        Op::Flash(key, value) => session.flash(key.as_str(), value)?,
        Op::Now(key, value) => session.now(key.as_str(), value)?,
        Op::SetUser(user) => session.set_user(Some(user)),
        Op::Forget(key) => session.forget(key.as_str()),
        Op::Flush => session.flush(),
        Op::Reflash => session.reflash(),
        Op::Keep(keys) => session.keep(keys.iter().map(String::as_str)),
        Op::Regenerate => session.regenerate(),
        Op::Invalidate => session.invalidate(),
        Op::Discard => session.discard(),
        _ => {}
    }
    Ok(Value::Null)
}
