//! The thin slice: a browser, a handler, each built-in driver.
mod support;
use support::{App, Browser, config};

#[tokio::test]
async fn a_counter_counts() {
    for driver in ["memory", "cookie"] {
        let app = App::new(config().driver(driver));
        let mut browser = Browser::default();
        for expected in 1..5 {
            let answer = browser
                .visit(&app, |session| Ok(session.increment("n", 1)?.to_string()))
                .await;
            assert_eq!(answer.body, expected.to_string(), "{driver}: {answer:?}");
        }
        let answer = browser
            .visit(&app, |session| {
                session.flash("status", "hi")?;
                session.regenerate();
                Ok(String::new())
            })
            .await;
        assert_eq!(answer.set_cookies().len(), 1);
        let answer = browser
            .visit(&app, |session| session.get_or("status", String::new()))
            .await;
        assert_eq!(answer.body, "hi");
        let answer = browser
            .visit(&app, |session| session.get_or("status", String::new()))
            .await;
        assert_eq!(answer.body, "");
        let answer = browser
            .visit(&app, |session| {
                session.invalidate();
                Ok(String::new())
            })
            .await;
        assert!(answer.set_cookies()[0].contains("Max-Age=0"));
        assert!(browser.jar.is_empty());
    }
}

#[tokio::test]
async fn a_body_is_watched_only_while_a_handle_is_alive() {
    let app = App::new(config());
    let mut browser = Browser::default();
    let kept = std::sync::Arc::new(std::sync::Mutex::new(None));
    let keep = kept.clone();
    browser
        .visit(&app, |session| {
            session.put("a", 1)?;
            Ok("x".into())
        })
        .await;
    let response = app.send(browser.request(|_| Ok("x".into()))).await;
    assert!(
        !response.headers().contains_key("vary"),
        "untouched, and nobody holds it"
    );
    let response = app
        .send(browser.request(move |session| {
            *keep.lock().unwrap() = Some(session);
            Ok("x".into())
        }))
        .await;
    assert!(response.headers().contains_key("vary"));
    drop(kept);
}
