//! What happens to every response on its way out, outside of `StartSession`.
//!
//! Only here it is known what the response does to the cookie, so the page is drawn here.

use std::{fmt, sync::LazyLock};

use arvel_session::Error;
use axum::{
    body::Body,
    extract::{Request, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, Response,
        header::{
            ACCEPT, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, LOCATION,
            REFERRER_POLICY, SET_COOKIE, X_CONTENT_TYPE_OPTIONS,
        },
    },
    middleware::Next,
};
use base64_simd::STANDARD;
use ring::digest::{SHA256, digest};

use crate::{
    page::{self, SCRIPT, STYLE, View},
    site::Site,
};

/// Tells scripts what the response did to the cookie, which they cannot see themselves.
const REPORT: HeaderName = HeaderName::from_static("x-session-cookie");

/// What a response does to the session's cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CookieEffect {
    LeftAlone,
    /// Its name and value have so many bytes.
    Set(usize),
    Removed,
}

/// Draws the page, reports on the cookie, and sets the headers that every response has.
pub(crate) async fn complete(
    State(site): State<Site>,
    request: Request,
    next: Next,
) -> Response<Body> {
    let came = brings_cookie(request.headers(), &site.facts.cookie_name);
    let for_people = accepts_html(request.headers());
    let (mut parts, mut body) = next.run(request).await.into_parts();
    let effect = CookieEffect::of(&parts.headers, &site.facts.cookie_name);
    let html = if let Some(view) = parts.extensions.remove::<View>() {
        let held =
            came && effect != CookieEffect::Removed || matches!(effect, CookieEffect::Set(_));
        Some(page::draw(&site, &view, effect, held))
    } else {
        let error = parts.extensions.get::<Error>().filter(|_| for_people);
        error.map(|error| page::draw_failure(&site, error))
    };
    if let Some(html) = html {
        parts.headers.remove(CONTENT_LENGTH);
        let kind = HeaderValue::from_static("text/html; charset=utf-8");
        parts.headers.insert(CONTENT_TYPE, kind);
        body = Body::from(html);
    }
    report(&mut parts.headers, effect);
    protect(&mut parts.headers);
    Response::from_parts(parts, body)
}

/// Says it in a header, and to the page that a redirect leads to.
fn report(headers: &mut HeaderMap, effect: CookieEffect) {
    if let Ok(text) = HeaderValue::from_str(&effect.to_string()) {
        headers.insert(REPORT, text);
    }
    let target = headers
        .get(LOCATION)
        .and_then(|target| target.to_str().ok());
    if let Some(target) = target.filter(|target| target.starts_with("/?"))
        && let Ok(target) = HeaderValue::from_str(&format!("{target}&cookie={}", effect.word()))
    {
        headers.insert(LOCATION, target);
    }
}

fn protect(headers: &mut HeaderMap) {
    static POLICY: LazyLock<String> = LazyLock::new(|| {
        format!(
            "default-src 'none'; style-src {}; script-src {}; img-src data:; connect-src 'self'; \
             form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
            source(STYLE),
            source(SCRIPT),
        )
    });
    if let Ok(policy) = HeaderValue::from_str(&POLICY) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
}

/// Allows this text inside of the page, and no other.
fn source(text: &str) -> String {
    let digest = digest(&SHA256, text.as_bytes());
    format!("'sha256-{}'", STANDARD.encode_to_string(digest))
}

fn brings_cookie(headers: &HeaderMap, name: &str) -> bool {
    let lines = headers.get_all(COOKIE).iter();
    let mut pairs = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    pairs.any(|pair| {
        pair.trim_ascii()
            .strip_prefix(name.as_bytes())
            .is_some_and(|rest| rest.first() == Some(&b'='))
    })
}

fn accepts_html(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

impl CookieEffect {
    fn of(headers: &HeaderMap, name: &str) -> Self {
        let lines = headers.get_all(SET_COOKIE).iter();
        let mut ours = lines.filter_map(|line| {
            let (pair, attributes) = line.to_str().ok()?.split_once(';')?;
            let (found, value) = pair.split_once('=')?;
            (found == name).then_some((value, attributes))
        });
        match ours.next_back() {
            None => Self::LeftAlone,
            Some((_, attributes)) if attributes.contains("Max-Age=0;") => Self::Removed,
            Some((value, _)) => Self::Set(name.len() + value.len()),
        }
    }

    /// The form that stands in a redirect's address.
    fn word(self) -> String {
        match self {
            Self::LeftAlone => "left-alone".to_owned(),
            Self::Set(bytes) => format!("set-{bytes}"),
            Self::Removed => "removed".to_owned(),
        }
    }

    /// Reads what [`word`](Self::word) wrote.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        match word {
            "left-alone" => Some(Self::LeftAlone),
            "removed" => Some(Self::Removed),
            _ => word.strip_prefix("set-")?.parse().ok().map(Self::Set),
        }
    }
}

impl fmt::Display for CookieEffect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeftAlone => f.write_str("left alone"),
            Self::Set(bytes) => write!(f, "set, {bytes} bytes"),
            Self::Removed => f.write_str("removed"),
        }
    }
}
