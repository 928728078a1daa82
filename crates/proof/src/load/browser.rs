//! A browser: a jar that its tabs share, and what is done with every answer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::link::{COOKIE_NAME, Head, Reply};
use crate::history::{Answer, Cookie, SessionId};

/// A session's cookie, as a browser holds it.
#[derive(Clone, Debug)]
pub struct Token {
    /// Which session it is.
    pub id: SessionId,
    /// What is sent.
    pub value: String,
}

/// A cookie jar; clones are the same jar.
#[derive(Clone, Debug, Default)]
pub struct Jar(Arc<Mutex<Option<Token>>>);

impl Jar {
    fn token(&self) -> MutexGuard<'_, Option<Token>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is sent now.
    #[must_use]
    pub fn get(&self) -> Option<Token> {
        self.token().clone()
    }

    /// Puts another cookie in its place, or none.
    pub fn set(&self, token: Option<Token>) {
        *self.token() = token;
    }

    /// Does what a response says.
    pub fn keep(&self, said: &Said) {
        match said {
            Said::Nothing | Said::Odd(_) => {}
            Said::Set(token) => self.set(Some(token.clone())),
            Said::Removed => self.set(None),
        }
    }
}

/// What a response says about the cookie.
#[derive(Clone, Debug)]
pub enum Said {
    /// Nothing.
    Nothing,
    /// It is this one from now on.
    Set(Token),
    /// There is none any more.
    Removed,
    /// What no response of ours should say.
    Odd(String),
}

impl Said {
    /// Reads a head.
    #[must_use]
    pub fn by(head: Option<&Head>) -> Self {
        let lines = head.map_or(&[][..], |head| head.cookies.as_slice());
        let [line] = lines else {
            return match lines {
                [] => Self::Nothing,
                more => Self::Odd(format!("{} cookies", more.len())),
            };
        };
        let (pair, attributes) = line.split_once(';').unwrap_or((line, ""));
        let value = pair
            .strip_prefix(COOKIE_NAME)
            .and_then(|rest| rest.strip_prefix('='));
        let id = value.and_then(SessionId::of_cookie);
        match (value, id) {
            _ if attributes.contains("Max-Age=0;") => Self::Removed,
            (Some(value), Some(id)) => Self::Set(Token {
                id,
                value: value.to_owned(),
            }),
            _ => Self::Odd("a cookie that is no token".to_owned()),
        }
    }

    /// For the record.
    #[must_use]
    pub fn cookie(self) -> Cookie {
        match self {
            Self::Nothing => Cookie::Kept,
            Self::Set(token) => Cookie::Set(token.id),
            Self::Removed => Cookie::Removed,
            Self::Odd(what) => Cookie::Odd(what),
        }
    }
}

/// What a reply is, for the record.
#[must_use]
pub fn answer(reply: &Reply) -> Answer {
    let Some(head) = &reply.head else {
        return if reply.left {
            Answer::Left
        } else {
            Answer::Cut
        };
    };
    if !head.handled {
        return match head.status.as_u16() {
            422 => Answer::Refused,
            other => Answer::Failed(other),
        };
    }
    match &reply.body {
        Some(body) => Answer::Done {
            status: head.status.as_u16(),
            results: results(body),
        },
        None => Answer::Begun,
    }
}

/// The first line of a body; a `HEAD` has none.
fn results(body: &[u8]) -> Vec<Value> {
    let line = body.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let parsed: Option<Value> = serde_json::from_slice(line).ok();
    let results = parsed.and_then(|mut parsed| match parsed["results"].take() {
        Value::Array(results) => Some(results),
        _ => None,
    });
    results.unwrap_or_default()
}
