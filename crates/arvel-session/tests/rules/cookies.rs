//! What the browser is told, and what shared caches are told (DESIGN §6 R13, §7 R15 to R17).

use std::time::Duration;

use arvel_session::{ErrorKind, SameSite, SessionConfig, SessionData};
use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, Response},
    response::IntoResponse,
};

use crate::support::{App, Browser, config, events::Events};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

async fn first_cookie(config: SessionConfig) -> String {
    let app = App::new(config);
    let answer = Browser::default()
        .change(&app, |session| session.put("k", 1))
        .await;
    answer.sets_one_cookie();
    let line = answer.set_cookies()[0];
    let (_, attributes) = line.split_once(';').unwrap();
    attributes.trim().to_owned()
}

#[tokio::test]
async fn r14_the_cookies_attributes_are_the_specifications() {
    for driver in ["memory", "cookie"] {
        let line = first_cookie(config().driver(driver)).await;
        assert_eq!(line, "Path=/; SameSite=Lax; HttpOnly; Max-Age=7200");
    }
    let all = config()
        .path("/app")
        .domain("example.org")
        .http_only(false)
        .same_site(SameSite::None)
        .partitioned(true)
        .expire_on_close(true);
    let line = first_cookie(all).await;
    assert_eq!(
        line,
        "Path=/app; Domain=example.org; SameSite=None; Secure; Partitioned"
    );
}

#[tokio::test]
async fn r14_the_cookies_max_age_ends_with_the_session_and_after_400_days() {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    let line = first_cookie(config().lifetime(1000 * DAY)).await;
    assert!(
        line.ends_with(&format!("Max-Age={}", 400 * 86400)),
        "{line}"
    );
    let line = first_cookie(config().absolute_lifetime(MINUTE)).await;
    assert!(line.ends_with("Max-Age=60"), "{line}");
}

#[tokio::test]
async fn r15_what_browsers_refuse_is_refused_at_start_up() {
    let refused = |config: SessionConfig, setting: &str| {
        let error = arvel_session::SessionManager::new(config.clone()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(setting), "{error}");
    };
    refused(config().cookie_name("__Host-id"), "secure");
    let host = config().cookie_name("__Host-id").secure(true);
    refused(host.clone().domain("example.org"), "domain");
    refused(host.clone().path("/app"), "path");
    refused(config().cookie_name("__Secure-id"), "secure");
    refused(config().cookie_name("a b"), "cookie_name");
    refused(config().cookie_name(""), "cookie_name");
    refused(config().cookie_name("a;b"), "cookie_name");
    refused(config().path("/\r\nSet-Cookie: x"), "path");
    refused(config().domain("exa mple"), "domain");
    refused(config().partitioned(true), "partitioned");
    assert!(arvel_session::SessionManager::new(host).is_ok());
}

#[tokio::test]
async fn r15_a_layers_own_setting_is_checked_when_it_is_built() {
    let app = App::new(config());
    let store = app.manager.store().unwrap();
    let layer = arvel_session::StartSession::new(store).cookie_name("__Host-id");
    let error = layer.try_build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[tokio::test]
async fn r16_a_removal_repeats_the_attributes() {
    for driver in ["memory", "cookie"] {
        let config = config()
            .driver(driver)
            .path("/app")
            .domain("example.org")
            .secure(true);
        let app = App::new(config);
        let mut browser = Browser::default();
        browser.change(&app, |session| session.put("k", 1)).await;
        let answer = browser
            .change(&app, |session| {
                session.invalidate();
                Ok(())
            })
            .await;
        answer.removes_the_cookie();
        let line = answer.set_cookies()[0];
        let expected = "arvel_session=; Path=/app; Domain=example.org; SameSite=Lax; HttpOnly; Secure; Max-Age=0; ";
        assert!(line.starts_with(expected), "{line}");
    }
}

#[tokio::test]
async fn r13_an_unchanged_id_is_sent_again_only_when_it_is_due() {
    for driver in ["memory", "cookie"] {
        let app = App::new(config().driver(driver).lifetime(2 * HOUR));
        let mut browser = Browser::default();
        browser.change(&app, |session| session.put("k", 1)).await;
        // Up to a minute ago: the browser's cookie is as good as new.
        app.clock.advance(MINUTE);
        browser.change(&app, |_| Ok(())).await.is_silent();
        app.clock.advance(Duration::from_secs(1));
        // A fetch in the background does not renew it while half of its time is left.
        let mut fetch = browser.in_background();
        fetch.change(&app, |_| Ok(())).await.is_silent();
        // A navigation does.
        let mut page = browser.clone().header("sec-fetch-mode", "navigate");
        let answer = page.change(&app, |_| Ok(())).await;
        answer.sets_one_cookie();
        assert!(answer.set_cookies()[0].ends_with("Max-Age=7200"));
        page.change(&app, |_| Ok(())).await.is_silent();
        // So does a browser that does not say.
        browser.change(&app, |_| Ok(())).await.sets_one_cookie();
        assert_eq!(browser.all(&app).await, r#"{"k":1}"#);
    }
}

#[tokio::test]
async fn r16_a_cookie_that_cannot_live_longer_is_not_sent_again() {
    for driver in ["memory", "cookie"] {
        let config = config().driver(driver).lifetime(2 * HOUR);
        let app = App::new(config.absolute_lifetime(HOUR));
        let mut browser = Browser::default();
        browser.change(&app, |session| session.put("k", 1)).await;
        for _ in 0..5 {
            app.clock.advance(10 * MINUTE);
            browser.change(&app, |_| Ok(())).await.is_silent();
        }
        assert_eq!(browser.all(&app).await, r#"{"k":1}"#, "{driver}");
    }
}

#[tokio::test]
async fn r13_a_session_of_years_has_its_cookie_renewed_before_browsers_drop_it() {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    for driver in ["memory", "cookie"] {
        for absolute in [None, Some(3000 * DAY)] {
            let config = config().driver(driver).lifetime(1000 * DAY);
            let app = App::new(config.absolute_lifetime(absolute));
            let mut browser = Browser::default();
            browser.change(&app, |session| session.put("k", 1)).await;
            for _ in 0..3 {
                app.clock.advance(150 * DAY);
                let mut fetch = browser.in_background();
                fetch.change(&app, |_| Ok(())).await.is_silent();
                app.clock.advance(150 * DAY);
                browser.change(&app, |_| Ok(())).await.sets_one_cookie();
            }
        }
    }
    let config = config().lifetime(1000 * DAY).absolute_lifetime(800 * DAY);
    let app = App::new(config);
    let mut browser = Browser::default();
    browser.change(&app, |session| session.put("k", 1)).await;
    app.clock.advance(300 * DAY);
    browser.change(&app, |_| Ok(())).await.sets_one_cookie();
}

#[tokio::test]
async fn r13_a_background_fetch_renews_a_cookie_that_is_running_out() {
    for driver in ["memory", "cookie"] {
        let app = App::new(config().driver(driver).lifetime(2 * HOUR));
        let mut browser = Browser::default();
        browser.change(&app, |session| session.put("k", 1)).await;
        let mut fetch = browser.in_background();
        app.clock.advance(HOUR);
        fetch.change(&app, |_| Ok(())).await.is_silent();
        app.clock.advance(Duration::from_secs(1));
        fetch.change(&app, |_| Ok(())).await.sets_one_cookie();
        fetch.change(&app, |_| Ok(())).await.is_silent();
        app.clock.advance(HOUR + 30 * MINUTE);
        assert_eq!(fetch.all(&app).await, r#"{"k":1}"#, "{driver}");
    }
}

#[tokio::test]
async fn r13_a_late_fetch_does_not_overwrite_the_cookie_of_a_login() {
    let app = App::new(config());
    let mut browser = Browser::default();
    browser.change(&app, |session| session.put("k", 1)).await;
    app.clock.advance(10 * MINUTE);
    let fetch = browser.in_background();
    let idle = fetch.hold(&app, |_| Ok(())).await;
    let writing = fetch.hold(&app, |session| session.put("late", 1)).await;
    browser
        .change(&app, |session| {
            session.regenerate();
            Ok(())
        })
        .await
        .sets_one_cookie();
    idle.finish().await.is_silent();
    writing.finish().await.is_silent();
    assert_eq!(browser.all(&app).await, r#"{"k":1,"late":1}"#);
}

#[tokio::test]
async fn r16_a_write_to_a_known_session_sets_no_cookie() {
    let app = App::new(config());
    let mut browser = Browser::default();
    browser.change(&app, |session| session.put("k", 1)).await;
    for _ in 0..3 {
        browser
            .change(&app, |session| session.increment("k", 1).map(|_| ()))
            .await
            .is_silent();
    }
}

#[tokio::test]
async fn r16_the_cookie_driver_sends_a_new_payload_only_when_something_changed() {
    let app = App::new(config().driver("cookie"));
    let mut browser = Browser::default();
    let put = |session: SessionData| session.put("k", 1);
    browser.change(&app, put).await.sets_one_cookie();
    browser.change(&app, |_| Ok(())).await.is_silent();
    browser
        .change(&app, |session| session.put("k", 2))
        .await
        .sets_one_cookie();
}

#[tokio::test]
async fn expire_on_close_leaves_out_max_age_and_the_session_still_ends() {
    for driver in ["memory", "cookie"] {
        let config = config().driver(driver).expire_on_close(true);
        let app = App::new(config.lifetime(HOUR));
        let mut browser = Browser::default();
        let answer = browser.change(&app, |session| session.put("k", 1)).await;
        assert!(!answer.set_cookies()[0].contains("Max-Age"), "{answer:?}");
        for _ in 0..4 {
            app.clock.advance(HOUR / 2);
            browser.change(&app, |_| Ok(())).await;
        }
        assert_eq!(browser.all(&app).await, r#"{"k":1}"#, "{driver}");
        app.clock.advance(HOUR);
        assert_eq!(browser.all(&app).await, "{}", "{driver}");
    }
    // A cookie without an end does not run out, so there is nothing to send again.
    let app = App::new(config().expire_on_close(true));
    let mut browser = Browser::default();
    browser.change(&app, |session| session.put("k", 1)).await;
    app.clock.advance(HOUR);
    browser.change(&app, |_| Ok(())).await.is_silent();
}

/// A response with these headers to a request that does this with its session.
async fn answered(
    app: &App,
    headers: &'static [(&'static str, &'static str)],
    act: fn(&SessionData),
) -> crate::support::Answer {
    Browser::default()
        .call(app, move |session| async move {
            act(&session);
            let mut response: Response<Body> = Body::empty().into_response();
            for (name, value) in headers {
                let name = HeaderName::from_static(name);
                let value = HeaderValue::from_static(value);
                response.headers_mut().append(name, value);
            }
            response
        })
        .await
}

#[tokio::test]
async fn r16_a_shared_cache_never_stores_a_response_that_sets_the_cookie() {
    let app = App::new(config());
    let put = |session: &SessionData| session.put("k", 1).unwrap();
    for headers in [
        &[("cache-control", "public, max-age=60")][..],
        &[("cache-control", "s-maxage=60")],
        &[
            ("cache-control", "private"),
            ("cdn-cache-control", "max-age=60"),
        ],
        &[
            ("cache-control", "private"),
            ("surrogate-control", "max-age=60"),
        ],
        &[("cdn-cache-control", "max-age=60")],
    ] {
        let events = Events::capture();
        let answer = answered(&app, headers, put).await;
        answer.sets_one_cookie();
        assert_eq!(answer.lines("cache-control"), ["no-store"], "{headers:?}");
        assert!(answer.lines("cdn-cache-control").is_empty());
        assert!(answer.lines("surrogate-control").is_empty());
        assert_eq!(events.count("cacheable"), 1, "{}", events.text());
    }
    for control in [
        &[("cache-control", "private, max-age=60")][..],
        &[("cache-control", "no-store")],
    ] {
        let answer = answered(&app, control, put).await;
        assert_eq!(answer.lines("cache-control"), [control[0].1]);
    }
    let answer = answered(&app, &[], put).await;
    assert_eq!(answer.lines("cache-control"), ["private, no-cache"]);
}

#[tokio::test]
async fn r16_a_response_that_read_the_session_is_private_and_varies() {
    let app = App::new(config());
    let read = |session: &SessionData| assert!(session.missing("k"));
    let answer = answered(&app, &[], read).await;
    answer.is_silent();
    assert_eq!(answer.lines("cache-control"), ["private, no-cache"]);
    assert_eq!(
        answer.lines("vary"),
        ["Cookie"],
        "also where none was found"
    );
    let answer = answered(&app, &[("cache-control", "max-age=60")], read).await;
    assert_eq!(
        answer.lines("cache-control"),
        ["max-age=60"],
        "the handler's word"
    );
    let answer = answered(&app, &[("vary", "accept, COOKIE")], read).await;
    assert_eq!(answer.lines("vary"), ["accept, COOKIE"], "not doubled");
    let answer = answered(&app, &[("vary", "accept")], read).await;
    assert_eq!(answer.lines("vary"), ["accept", "Cookie"], "merged");
    let answer = answered(&app, &[("cache-control", "public")], |_| ()).await;
    assert_eq!(answer.lines("cache-control"), ["public"]);
    assert!(answer.lines("vary").is_empty(), "untouched");
}

#[tokio::test]
async fn r17_a_cookie_of_4096_bytes_is_sent_and_one_of_4097_is_refused() {
    let app = App::new(config().driver("cookie"));
    let size = |answer: &crate::support::Answer| {
        let line = answer.set_cookies()[0].to_owned();
        let (pair, _) = line.split_once(';').unwrap();
        pair.len() - 1
    };
    // Base64 grows by four for three bytes, so some sizes are skipped; this name makes 4,096 one of the possible ones.
    let mut largest = 0;
    let mut first_refused = None;
    let mut kept = Browser::default();
    for length in 2900..3100 {
        let mut browser = Browser::default();
        let answer = browser
            .change(&app, move |session| session.put("k", "x".repeat(length)))
            .await;
        if answer.status.is_success() {
            assert_eq!(first_refused, None);
            largest = size(&answer);
            kept = browser;
        } else if first_refused.is_none() {
            answer.failed_with(500);
            let error = answer.error.unwrap();
            assert_eq!(error.kind(), ErrorKind::TooLarge);
            first_refused = Some(error.to_string());
        }
    }
    assert_eq!(largest, 4096);
    let error = first_refused.unwrap();
    assert!(error.contains("4097") && error.contains("4096"), "{error}");

    // What the browser already has stays, and is read back whole.
    let before = kept.cookie().to_owned();
    let answer = kept
        .change(&app, |session| session.put("more", "x".repeat(9)))
        .await;
    answer.failed_with(500);
    assert_eq!(kept.cookie(), before);
    assert!(kept.all(&app).await.len() > 2900);
}

#[tokio::test]
async fn a_record_over_the_stores_limit_is_an_error_that_names_both_sizes() {
    let store = crate::support::script::Script::new().at_most(200);
    let app = App::on(store.clone(), config());
    let mut browser = Browser::default();
    browser.change(&app, |session| session.put("k", 1)).await;
    let answer = browser
        .change(&app, |session| session.put("k", "x".repeat(200)))
        .await;
    answer.failed_with(500);
    let error = answer.error.unwrap();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.to_string().contains("200"), "{error}");
    assert_eq!(browser.all(&app).await, r#"{"k":1}"#);
}
