//! The pages.

use std::{fmt::Write as _, time::Duration};

use arvel_session::{Key, Result, SessionData, StartSession};
use axum::{
    Form, Json, Router,
    extract::Query,
    http::{HeaderName, header::SET_COOKIE},
    response::{Html, Redirect},
    routing::{any, get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};

const USER: Key<String> = Key::new("user");
const NOTE: Key<String> = Key::new("note");

pub(super) fn router(sessions: StartSession) -> Router {
    Router::new()
        .route("/", get(home))
        .route("/login", post(login))
        .route("/logout", post(logout))
        .route("/note", post(note))
        .route("/part", any(part))
        .route("/who", any(who))
        .layer(sessions)
        .route("/by-hand", get(by_hand))
        .route("/elsewhere", get(elsewhere))
}

/// Who is logged in, what the last request left to say, and the buttons.
async fn home(session: SessionData) -> Result<Html<String>> {
    let user = session.get_or(USER, "nobody".to_owned())?;
    let mut page = page("A site for tests");
    if let Some(said) = session.get::<String>("said")? {
        let _ = write!(page, "<p class=flash>{said}</p>");
    }
    let _ = write!(
        page,
        "<p>Logged in: <b id=user>{user}</b></p>\
         <p>Note: <span id=note>{}</span></p>\
         <form method=post action=/login><input name=user value=Ada><button id=login>Log in</button></form>\
         <form method=post action=/logout><button id=logout>Log out</button></form>",
        session.get_or(NOTE, String::new())?,
    );
    Ok(Html(page))
}

fn page(title: &str) -> String {
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8><link rel=icon href=data:,><title>{title}</title>\
         <style>body {{ font: 1.1rem/1.5 system-ui; max-width: 40rem; margin: 3rem auto; overflow-wrap: anywhere }}\
         .flash {{ background: #dfd; padding: .5rem 1rem }}</style><h1>{title}</h1>"
    )
}

#[derive(Deserialize)]
struct Login {
    user: String,
}

async fn login(session: SessionData, Form(login): Form<Login>) -> Result<Redirect> {
    session.regenerate();
    session.flash("said", format!("Welcome, {}!", login.user))?;
    session.put(USER, login.user)?;
    Ok(Redirect::to("/"))
}

async fn logout(session: SessionData) -> Redirect {
    session.invalidate();
    Redirect::to("/")
}

/// Keeps a text of any size.
async fn note(session: SessionData, text: String) -> Result<&'static str> {
    session.put(NOTE, text)?;
    Ok("noted")
}

#[derive(Deserialize)]
struct Part {
    wait: u64,
    write: bool,
}

/// A part of a page that is fetched in the background: it looks what is there, takes a while, and may write.
async fn part(session: SessionData, Query(part): Query<Part>) -> Result<Json<Value>> {
    let seen = json!({ "user": session.get(USER)?, "note": session.get(NOTE)? });
    if part.write {
        session.increment("parts", 1)?;
    }
    tokio::time::sleep(Duration::from_millis(part.wait)).await;
    Ok(Json(seen))
}

async fn who(session: SessionData) -> Result<String> {
    session.get_or(USER, "nobody".to_owned())
}

#[derive(Deserialize)]
struct ByHand {
    bytes: usize,
}

/// Sets a cookie `by_hand`, with a name and a value of so many bytes together, past our library.
async fn by_hand(Query(cookie): Query<ByHand>) -> ([(HeaderName, String); 1], &'static str) {
    let name = "by_hand";
    let value = "x".repeat(cookie.bytes - name.len());
    (
        [(SET_COOKIE, format!("{name}={value}; Path=/"))],
        "set by hand",
    )
}

#[derive(Deserialize)]
struct Elsewhere {
    site: String,
}

/// Another site's page, with the ways there are from it to ours.
async fn elsewhere(Query(Elsewhere { site }): Query<Elsewhere>) -> Html<String> {
    let mut page = page("Somebody else's page");
    let _ = write!(
        page,
        "<p><a href='{site}/'>A link</a></p>\
         <form method=post action='{site}/who'><button>A form</button></form>\
         <iframe src='{site}/' width=600 height=420></iframe>"
    );
    Html(page)
}
