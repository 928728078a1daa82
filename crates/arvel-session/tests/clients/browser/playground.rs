//! The playground: what a person sees, and what the browser keeps.

use std::ops::Deref;

use serde_json::{Value, json};

use super::tab::Tab;
use crate::playground::Playground;

const MEMORY: &[(&str, &str)] = &[("SESSION_DRIVER", "memory")];

/// The playground's page.
struct Page {
    tab: Tab,
    _playground: Playground,
}

impl Page {
    /// Opens the playground with these settings; `None` where there is no browser.
    async fn open(settings: &[(&str, &str)]) -> Option<Self> {
        let tab = Tab::open().await?;
        let playground = Playground::start(settings);
        tab.visit(&playground.url).await;
        Some(Self {
            tab,
            _playground: playground,
        })
    }

    async fn cookie(&self) -> Option<Value> {
        self.tab.cookie("arvel_session").await
    }
}

impl Deref for Page {
    type Target = Tab;

    fn deref(&self) -> &Tab {
        &self.tab
    }
}

#[tokio::test]
async fn what_is_put_is_shown_and_flash_is_shown_once() {
    let Some(page) = Page::open(MEMORY).await else {
        return;
    };
    assert_eq!(page.text("#driver").await, "memory");
    assert_eq!(page.text("#fingerprint").await, "no session, no cookie");
    assert_eq!(page.cookie().await, None);
    page.keep("1-first-visit").await;

    page.press("form[action='/put'] button").await;
    page.wait_for(".content").await;
    assert_eq!(
        page.text(".content tbody").await,
        "name \"Ada\" data Forget"
    );
    page.keep("2-put").await;

    page.press("form[action='/flash'] button").await;
    page.wait_for(".banner.flash").await;
    assert_eq!(page.text(".banner.flash b").await, "Profile updated!");
    let address = page
        .script("return location.pathname + location.search", json!([]))
        .await;
    assert_eq!(address, "/", "a reload is a plain visit");
    page.keep("3-flash-after-the-redirect").await;
    page.reload().await;
    assert!(!page.has(".banner").await, "shown once");
    page.keep("4-reloaded").await;

    page.press(".content button").await;
    page.wait_for(".empty").await;
    assert_eq!(page.text("#history .what").await, "POST /forget");
    page.has_no_errors().await;
}

#[tokio::test]
async fn a_login_changes_the_id_and_a_logout_removes_the_cookie() {
    let Some(page) = Page::open(&[]).await else {
        return;
    };
    assert_eq!(page.text("#driver").await, "cookie", "by default");
    page.press("form[action='/put'] button").await;
    page.wait_for(".content").await;
    let before = page.text("#fingerprint").await;
    let first = page.cookie().await.unwrap();
    has_the_default_attributes(&page, &first).await;
    page.keep("5-before-the-login").await;

    page.press("#login button[formaction='/login']").await;
    page.wait_for(".who.in").await;
    let second = page.cookie().await.unwrap();
    has_the_default_attributes(&page, &second).await;
    assert_ne!(second["value"], first["value"]);
    assert_ne!(page.text("#fingerprint").await, before);
    assert_eq!(page.text(".who").await, "Ada");
    assert_eq!(page.text(".banner.flash b").await, "Welcome, Ada!");
    page.keep("6-logged-in").await;

    page.press("#login button[formaction='/logout']").await;
    page.wait_for("#fingerprint.none").await;
    assert_eq!(page.cookie().await, None);
    assert_eq!(page.text(".effects .removed").await, "removed");
    assert_eq!(page.text(".who").await, "nobody is logged in");
    page.keep("7-logged-out").await;
    page.has_no_errors().await;
}

/// What the specification asks for: `HttpOnly`, `Path=/`, `SameSite=Lax`, two hours, not `Secure`, for this host alone.
async fn has_the_default_attributes(page: &Page, cookie: &Value) {
    for (attribute, value) in [
        ("httpOnly", json!(true)),
        ("path", json!("/")),
        ("sameSite", json!("Lax")),
        ("secure", json!(false)),
        ("domain", json!("127.0.0.1")),
    ] {
        assert_eq!(cookie[attribute], value, "{attribute}");
    }
    let now = page.script("return Date.now() / 1000", json!([])).await;
    let left = cookie["expiry"].as_f64().unwrap() - now.as_f64().unwrap();
    assert!((7140.0..=7201.0).contains(&left), "{left} seconds");
    let visible = page.script("return document.cookie", json!([])).await;
    assert_eq!(visible, "", "no script can read it");
}

#[tokio::test]
async fn requests_at_once_lose_nothing_and_a_stream_is_stored() {
    let Some(page) = Page::open(MEMORY).await else {
        return;
    };
    page.press("#race [data-requests='6']").await;
    page.wait_for(".verdict:not(:empty)").await;
    let verdict = page.text(".verdict").await;
    assert_eq!(verdict, "6 increments, counter = 6: nothing was lost.");
    page.keep("8-requests-at-once").await;

    page.press("#stream button").await;
    page.wait_for("#stream .output:not([hidden])").await;
    page.wait_for("#stream button:not(:disabled)").await;
    let output = page.text("#stream .output").await;
    assert!(
        output.ends_with("The next request reads streamed = true"),
        "{output}"
    );

    page.press("#console form button").await;
    page.wait_for("#console .output:not([hidden])").await;
    let answer = page.text("#console .output").await;
    assert!(answer.starts_with("200 OK · cookie left alone"), "{answer}");
    assert!(answer.contains(r#""counter":6"#), "{answer}");
    page.keep("9-stream-and-console").await;
    page.has_no_errors().await;
}

#[tokio::test]
async fn a_narrow_window_shows_all_of_it() {
    let Some(page) = Page::open(MEMORY).await else {
        return;
    };
    page.resize(500, 900).await;
    let long = json!([
        ["put", "k".repeat(300), "v".repeat(3000)],
        ["flash", "f", "w".repeat(300)]
    ]);
    let post = "return fetch('/session', { method: 'POST', body: arguments[0] }).then(() => 1)";
    let body = json!({ "ops": long }).to_string();
    page.script(post, json!([body])).await;
    page.reload().await;
    assert!(page.has(".banner.flash").await);
    let overflow = "return document.documentElement.scrollWidth - innerWidth";
    let overflow = page.script(overflow, json!([])).await;
    assert!(overflow.as_i64().unwrap() <= 0, "{overflow}");
    page.keep("10-narrow").await;
    page.has_no_errors().await;
}
