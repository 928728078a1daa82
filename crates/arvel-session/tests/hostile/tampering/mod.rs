//! Every bit of every kind of cookie and record, flipped, one at a time, and the request sent through the middleware.
//!
//! What was flipped is never taken for another session, and never eats one; what becomes of it is said for each kind, and
//! is exactly that: the session as it is, no session (its bytes are left as they are), a dead id, or a 503.

mod blobs;
mod cookies;
mod file;
mod records;
mod rows;

use arvel_session::SessionData;
use axum::{
    body::Body,
    http::{HeaderValue, Request, StatusCode, header::COOKIE},
};

use crate::support::{Answer, App, Browser};

/// What a request finds.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Found {
    /// A session, with all that it shows.
    Session(String),
    /// None: what is put makes a new one, under a new id.
    Nothing,
    /// A dead id: what is put is dropped.
    Dead,
    /// An error, and the handler does not run.
    Unavailable,
}

impl Found {
    fn session(shows: &str) -> Self {
        Self::Session(shows.to_owned())
    }
}

/// The same bytes with one bit of them flipped.
fn flipped(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut flipped = bytes.to_vec();
    flipped[bit / 8] ^= 1 << (bit % 8);
    flipped
}

/// A browser with a session that shows this, and its fingerprint.
async fn visitor(app: &App, key: &'static str) -> (Browser, String) {
    let mut browser = Browser::default();
    let answer = browser
        .visit(app, move |session| {
            session.put(key, 1)?;
            Ok(session.id())
        })
        .await;
    answer.sets_one_cookie();
    (browser, answer.body)
}

/// What a request with this cookie finds: it reads, and if there is no session, another one writes.
async fn probe(app: &App, cookie: &str) -> Found {
    let read = send(app, cookie.as_bytes(), read).await;
    if read.status == StatusCode::SERVICE_UNAVAILABLE {
        read.failed_with(503);
        return Found::Unavailable;
    }
    read.is_silent();
    if read.body != "{}" {
        return Found::Session(read.body);
    }
    let written = send(app, cookie.as_bytes(), |session| {
        assert!(session.all()?.is_empty());
        session.put("new", 1)?;
        Ok(String::new())
    })
    .await;
    if written.set_cookies().is_empty() {
        written.is_silent();
        return Found::Dead;
    }
    written.sets_one_cookie();
    assert!(!written.set_cookies()[0].contains(cookie), "a new id");
    Found::Nothing
}

fn read(session: SessionData) -> arvel_session::Result<String> {
    Ok(serde_json::to_string(&session.all()?).unwrap())
}

/// A request with this value as its cookie, whatever bytes that are.
async fn send(
    app: &App,
    cookie: &[u8],
    handler: impl Fn(SessionData) -> arvel_session::Result<String> + Send + Sync + 'static,
) -> Answer {
    let mut request: Request<Body> = Browser::default().request(handler);
    let line = [b"arvel_session=", cookie].concat();
    let line = HeaderValue::from_bytes(&line).unwrap();
    request.headers_mut().insert(COOKIE, line);
    Browser::default().receive(app.send(request).await).await
}
