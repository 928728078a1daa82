//! The endpoints for people: the page, and the forms on it, each answered with a redirect.

use std::collections::HashMap;

use arvel_session::{Result, SessionData};
use axum::{
    Form,
    extract::{Path, Query, rejection::FormRejection},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde_json::Value;

use crate::{
    page::{self, Notice, View},
    response::CookieEffect,
};

/// The key of the one who is logged in.
pub(crate) const USER: &str = "user";

type Fields = HashMap<String, String>;

/// What a form does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Put,
    Push,
    Increment,
    Decrement,
    Forget,
    Flush,
    Flash,
    /// Flash with two redirects, of which the first uses it up.
    Detour,
    /// Flash with two redirects, of which the first keeps it.
    Reflash,
    Now,
    Login,
    Logout,
    Regenerate,
}

impl Action {
    const ALL: [(&'static str, Self); 13] = [
        ("put", Self::Put),
        ("push", Self::Push),
        ("increment", Self::Increment),
        ("decrement", Self::Decrement),
        ("forget", Self::Forget),
        ("flush", Self::Flush),
        ("flash", Self::Flash),
        ("detour", Self::Detour),
        ("reflash", Self::Reflash),
        ("now", Self::Now),
        ("login", Self::Login),
        ("logout", Self::Logout),
        ("regenerate", Self::Regenerate),
    ];

    /// The action of this name, which is also its path.
    fn named(name: &str) -> Option<Self> {
        let found = Self::ALL.iter().find(|(other, _)| *other == name);
        found.map(|(_, action)| *action)
    }

    fn perform(self, session: &SessionData, fields: &Fields) -> Result<(), Problem> {
        match self {
            Self::Put => session.put(key(fields)?, value(fields))?,
            Self::Push => session.push(key(fields)?, value(fields))?,
            Self::Increment => drop(session.increment(key(fields)?, amount(fields)?)?),
            Self::Decrement => drop(session.decrement(key(fields)?, amount(fields)?)?),
            Self::Forget => session.forget(key(fields)?),
            Self::Flush => session.flush(),
            Self::Flash | Self::Detour | Self::Reflash => {
                session.flash(key(fields)?, value(fields))?;
            }
            Self::Now => session.now(key(fields)?, value(fields))?,
            Self::Login => log_in(session, fields)?,
            Self::Logout => session.invalidate(),
            Self::Regenerate => session.regenerate(),
        }
        Ok(())
    }
}

/// Why a form was not carried out.
struct Problem(StatusCode, String);

impl Problem {
    fn bad(message: &str) -> Self {
        Self(StatusCode::BAD_REQUEST, message.to_owned())
    }
}

impl From<arvel_session::Error> for Problem {
    fn from(error: arvel_session::Error) -> Self {
        Self(StatusCode::UNPROCESSABLE_ENTITY, error.to_string())
    }
}

/// `GET /`: the page.
pub(crate) async fn home(session: SessionData, Query(query): Query<Fields>) -> Result<View> {
    let flash = page::readable_flash(&session);
    let done = query.get("done").and_then(|name| {
        let (name, action) = Action::ALL.iter().find(|(other, _)| other == name)?;
        let effect = CookieEffect::from_word(query.get("cookie")?)?;
        Some(Notice::Done(name, *action, effect))
    });
    View::new(&session, flash, done)
}

/// `POST /put` and so on: does it and redirects to the page. Only `now` shows the page at once, since its value is
/// for this very response.
pub(crate) async fn act(
    Path(name): Path<String>,
    session: SessionData,
    fields: Result<Form<Fields>, FormRejection>,
) -> Result<Response> {
    let Some(action) = Action::named(&name) else {
        return Ok(StatusCode::NOT_FOUND.into_response());
    };
    let flash = page::readable_flash(&session);
    let fields = match fields {
        Ok(Form(fields)) => Ok(fields),
        // A bare POST, which is all that a logout needs.
        Err(FormRejection::InvalidFormContentType(_)) => Ok(Fields::new()),
        Err(error) => Err(Problem(error.status(), error.body_text())),
    };
    let done = fields.and_then(|fields| {
        action.perform(&session, &fields)?;
        Ok(fields)
    });
    Ok(match (done, action) {
        (Err(Problem(status, fault)), _) => {
            session.discard();
            let view = View::new(&session, flash, Some(Notice::Problem(fault)))?;
            (status, view).into_response()
        }
        (Ok(mut fields), Action::Now) => {
            let key = fields.remove("key").unwrap_or_default();
            View::new(&session, flash, Some(Notice::Now(key)))?.into_response()
        }
        (Ok(_), Action::Detour | Action::Reflash) => {
            Redirect::to(&format!("/{name}")).into_response()
        }
        (Ok(_), _) => finished(&name),
    })
}

/// `GET /reflash` and `GET /detour`: a stop between a form and the page, where flash is kept or used up.
pub(crate) async fn stop(Path(name): Path<String>, session: SessionData) -> Response {
    match Action::named(&name) {
        Some(Action::Reflash) => session.reflash(),
        Some(Action::Detour) => {}
        _ => return StatusCode::NOT_FOUND.into_response(),
    }
    finished(&name)
}

fn finished(name: &str) -> Response {
    Redirect::to(&format!("/?done={name}")).into_response()
}

/// A new id, so that one which somebody planted is worth nothing; for another user an altogether new session.
fn log_in(session: &SessionData, fields: &Fields) -> Result<(), Problem> {
    let name = fields.get("name").map_or("", |name| name.trim());
    if name.is_empty() {
        return Err(Problem::bad("Who logs in? The name is empty."));
    }
    match session.get::<Value>(USER)? {
        Some(user) if user != name => session.invalidate(),
        _ => session.regenerate(),
    }
    session.put(USER, name)?;
    session.set_user(Some(name));
    session.flash("status", format!("Welcome, {name}!"))?;
    Ok(())
}

fn key(fields: &Fields) -> Result<String, Problem> {
    // What the page lists may be any text, of which a form's field would change line ends and control characters.
    let exact = fields.get("exact_key");
    let key = match exact.map(|key| serde_json::from_str(key)) {
        Some(Ok(key)) => Some(key),
        _ => fields.get("key").cloned(),
    };
    key.ok_or_else(|| Problem::bad("The key is missing."))
}

/// JSON where it is JSON, otherwise a text.
fn value(fields: &Fields) -> Value {
    let text = fields.get("value").map_or("", String::as_str);
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}

fn amount(fields: &Fields) -> Result<i64, Problem> {
    let text = fields.get("amount").map_or("1", |amount| amount.trim());
    let amount = text.parse();
    amount.map_err(|_| Problem::bad("The amount must be a whole number of 64 bits."))
}
