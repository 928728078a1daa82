//! The page: a template, and what it shows of a session.

use arvel_session::{Error, Result, SessionData};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use crate::{forms::Action, parts, response::CookieEffect, site::Site, words};

const PAGE: &str = include_str!("page.html");
const FAILURE: &str = include_str!("failure.html");
pub(crate) const STYLE: &str = include_str!("page.css");
pub(crate) const SCRIPT: &str = include_str!("page.js");

/// A session as the page shows it. The response carries it until the cookie is known.
#[derive(Clone)]
pub(crate) struct View {
    pub(crate) fingerprint: String,
    pub(crate) all: Map<String, Value>,
    pub(crate) flash: Map<String, Value>,
    pub(crate) notice: Option<Notice>,
}

/// What was done before the page was shown.
#[derive(Clone)]
pub(crate) enum Notice {
    /// An action by this name, before a redirect that did this to the cookie.
    Done(&'static str, Action, CookieEffect),
    /// Something for this response only.
    Now(String),
    /// A form that was not carried out.
    Problem(String),
}

/// The flash that this request can read. It drops what the request has changed so far.
pub(crate) fn readable_flash(session: &SessionData) -> Map<String, Value> {
    // Flash is read like data, so that applications need not care. What would live on shows which it is.
    session.reflash();
    let flash = session.flashed();
    session.discard();
    flash
}

impl View {
    pub(crate) fn new(
        session: &SessionData,
        flash: Map<String, Value>,
        notice: Option<Notice>,
    ) -> Result<Self> {
        Ok(Self {
            fingerprint: session.id(),
            all: session.all()?,
            flash,
            notice,
        })
    }

    /// Where the value of this key stands.
    pub(crate) fn kind(&self, key: &str) -> &'static str {
        match &self.notice {
            Some(Notice::Now(now)) if now == key => "now",
            _ if self.flash.contains_key(key) => "flash",
            _ => "data",
        }
    }
}

impl IntoResponse for View {
    fn into_response(self) -> Response {
        let mut response = Response::default();
        response.extensions_mut().insert(self);
        response
    }
}

/// The page. `held` says whether the browser holds a session's cookie after this response.
pub(crate) fn draw(site: &Site, view: &View, effect: CookieEffect, held: bool) -> String {
    let facts = &site.facts;
    fill(
        PAGE,
        &[
            ("style", STYLE.to_owned()),
            ("script", SCRIPT.to_owned()),
            ("driver", escape(&facts.driver)),
            (
                "server-side",
                site.store.capabilities().server_side.to_string(),
            ),
            ("promise", words::promise(site).to_owned()),
            ("logout", words::logout(site).to_owned()),
            ("banners", parts::banners(view)),
            ("notice", words::notice(site, view).to_owned()),
            ("identity", parts::identity(view, held)),
            ("content", parts::content(view, held)),
            ("user", parts::user(view)),
            ("cookie", parts::cookie(view, effect)),
            ("attributes", parts::attributes(&facts.attributes)),
            ("settings", parts::settings(site)),
            ("done", parts::done(view)),
        ],
    )
}

/// The page in place of the one that could not be made.
pub(crate) fn draw_failure(site: &Site, error: &Error) -> String {
    let (title, text) = if error.is_unavailable() {
        (
            "The session store does not answer",
            "Nothing was overwritten and your cookie was left alone: when the store is back, so is your session.",
        )
    } else {
        (
            "The session failed",
            "Nothing was stored. What the browser already has stays as it is.",
        )
    };
    fill(
        FAILURE,
        &[
            ("style", STYLE.to_owned()),
            ("driver", escape(&site.facts.driver)),
            ("title", title.to_owned()),
            ("text", text.to_owned()),
            ("error", escape(&error.to_string())),
        ],
    )
}

/// Replaces each `{{name}}`; the values are HTML.
fn fill(template: &str, values: &[(&str, String)]) -> String {
    let mut page = String::with_capacity(template.len() + STYLE.len() + SCRIPT.len() + 4096);
    let mut parts = template.split("{{");
    page.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (name, rest) = part.split_once("}}").unwrap_or((part, ""));
        let value = values.iter().find(|(other, _)| *other == name);
        page.push_str(value.map_or("", |(_, value)| value));
        page.push_str(rest);
    }
    page
}

/// Text that stands in HTML, also in a quoted attribute.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(character),
        }
    }
    out
}
