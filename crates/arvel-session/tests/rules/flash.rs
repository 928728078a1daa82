//! Flash data: shown to exactly one request, whatever else is under way (DESIGN §5).

use arvel_session::SessionData;
use axum::{
    body::Body,
    http::{Method, StatusCode},
    response::IntoResponse,
};

use crate::support::{
    App, Browser, config,
    script::{Call, Script},
};

/// What a request sees, and whether the next one sees it too.
async fn seen(browser: &mut Browser, app: &App) -> String {
    let show = |session: SessionData| Ok(serde_json::to_string(&session.all()?).unwrap());
    browser.visit(app, show).await.body
}

async fn flashed(driver: &str) -> (App, Browser) {
    let app = App::new(config().driver(driver));
    let mut browser = Browser::default();
    browser
        .change(&app, |session| {
            session.flash("status", "hi")?;
            assert!(session.missing("status"), "not in this request");
            Ok(())
        })
        .await
        .sets_one_cookie();
    (app, browser)
}

#[tokio::test]
async fn flash_is_readable_in_the_next_request_and_in_that_one_only() {
    for driver in ["memory", "cookie"] {
        let (app, mut browser) = flashed(driver).await;
        assert_eq!(seen(&mut browser, &app).await, r#"{"status":"hi"}"#);
        assert_eq!(seen(&mut browser, &app).await, "{}");
    }
}

#[tokio::test]
async fn flash_ages_whether_or_not_the_handler_looked() {
    let (app, mut browser) = flashed("memory").await;
    browser.change(&app, |_| Ok(())).await.is_silent();
    assert_eq!(seen(&mut browser, &app).await, "{}");
}

#[tokio::test]
async fn now_is_for_this_request_only() {
    for driver in ["memory", "cookie"] {
        let (app, mut browser) = flashed(driver).await;
        browser
            .change(&app, |session| {
                session.put("k", "data")?;
                session.now("k", "now")?;
                session.now("status", "now")?;
                assert_eq!(session.get("k")?, Some("now".to_owned()));
                assert_eq!(session.get("status")?, Some("now".to_owned()));
                Ok(())
            })
            .await;
        assert_eq!(seen(&mut browser, &app).await, r#"{"k":"data"}"#);
    }
}

#[tokio::test]
async fn reflash_keeps_all_readable_flash_now_included_for_one_more_request() {
    for driver in ["memory", "cookie"] {
        let (app, mut browser) = flashed(driver).await;
        browser
            .change(&app, |session| {
                session.now("now", 1)?;
                session.flash("new", 2)?;
                session.reflash();
                Ok(())
            })
            .await;
        assert_eq!(
            seen(&mut browser, &app).await,
            r#"{"new":2,"now":1,"status":"hi"}"#
        );
        assert_eq!(seen(&mut browser, &app).await, "{}");
    }
}

#[tokio::test]
async fn keep_keeps_just_these() {
    let app = App::new(config());
    let mut browser = Browser::default();
    browser
        .change(&app, |session| {
            session.flash("a", 1)?;
            session.flash("b", 2)
        })
        .await;
    browser
        .change(&app, |session| {
            session.keep(["b", "absent"]);
            Ok(())
        })
        .await;
    assert_eq!(seen(&mut browser, &app).await, r#"{"b":2}"#);
}

#[tokio::test]
async fn a_newer_flash_of_the_same_key_wins_over_reflash_in_either_order() {
    let orders: [fn(SessionData) -> arvel_session::Result<()>; 2] = [
        |session| {
            session.flash("status", "new")?;
            session.reflash();
            Ok(())
        },
        |session| {
            session.reflash();
            session.flash("status", "new")
        },
    ];
    for order in orders {
        let (app, mut browser) = flashed("memory").await;
        browser.change(&app, order).await;
        assert_eq!(seen(&mut browser, &app).await, r#"{"status":"new"}"#);
    }
}

#[tokio::test]
async fn a_newer_flash_of_a_parallel_request_wins_over_reflash() {
    let (app, mut browser) = flashed("memory").await;
    let keeper = browser
        .hold(&app, |session| {
            session.reflash();
            Ok(())
        })
        .await;
    browser
        .change(&app, |session| session.flash("status", "new"))
        .await
        .is_silent();
    keeper.finish().await.is_silent();
    assert_eq!(seen(&mut browser, &app).await, r#"{"status":"new"}"#);
}

#[tokio::test]
async fn flash_shadows_data_of_the_same_name_and_does_not_destroy_it() {
    let (app, mut browser) = flashed("memory").await;
    // Changing the data below is seen once the shadow is gone.
    browser
        .change(&app, |session| {
            session.put("status", "data")?;
            assert_eq!(session.get("status")?, Some("hi".to_owned()));
            assert!(session.has("status"));
            assert_eq!(session.all()?["status"], "hi");
            assert_eq!(session.keys(), ["status"]);
            Ok(())
        })
        .await;
    assert_eq!(seen(&mut browser, &app).await, r#"{"status":"data"}"#);
}

#[tokio::test]
async fn forget_removes_both_and_flush_removes_all() {
    let removals: [fn(&SessionData); 2] = [
        |session| session.forget("status"),
        |session| session.flush(),
    ];
    for remove in removals {
        let (app, mut browser) = flashed("memory").await;
        browser
            .change(&app, move |session| {
                session.put("status", "data")?;
                session.flash("status", "next")?;
                session.now("status", "now")?;
                remove(&session);
                assert!(session.missing("status"));
                session.reflash();
                Ok(())
            })
            .await;
        assert_eq!(seen(&mut browser, &app).await, "{}");
    }
}

#[tokio::test]
async fn a_flash_set_by_a_parallel_request_is_not_eaten() {
    let app = App::new(config());
    let mut browser = Browser::default();
    browser
        .change(&app, |session| session.flash("old", 1))
        .await;
    let slow = browser.hold(&app, |_| Ok(())).await;
    let writer = browser.hold(&app, |session| session.put("k", 1)).await;
    browser
        .change(&app, |session| session.flash("new", 1))
        .await
        .is_silent();
    slow.finish().await.is_silent();
    writer.finish().await.is_silent();
    assert_eq!(seen(&mut browser, &app).await, r#"{"k":1,"new":1}"#);
}

#[tokio::test]
async fn a_flash_of_the_same_name_set_by_a_parallel_request_is_not_eaten() {
    let (app, mut browser) = flashed("memory").await;
    let slow = browser.hold(&app, |_| Ok(())).await;
    browser
        .change(&app, |session| session.flash("status", "new"))
        .await;
    slow.finish().await.is_silent();
    assert_eq!(seen(&mut browser, &app).await, r#"{"status":"new"}"#);
}

#[tokio::test]
async fn flash_survives_a_regenerate_and_ages_across_it() {
    for driver in ["memory", "cookie"] {
        let (app, mut browser) = flashed(driver).await;
        browser
            .change(&app, |session| {
                session.regenerate();
                session.flash("next", 1)
            })
            .await;
        assert_eq!(seen(&mut browser, &app).await, r#"{"next":1}"#);
        assert_eq!(seen(&mut browser, &app).await, "{}");
    }
    // The successor gets the late request's flash, and what that one saw is consumed there.
    let (app, mut browser) = flashed("memory").await;
    let late = browser.hold(&app, |session| session.flash("late", 1)).await;
    let unseen = browser.using(Method::HEAD);
    let mut login = unseen.clone();
    login
        .change(&app, |session| {
            session.regenerate();
            Ok(())
        })
        .await
        .sets_one_cookie();
    browser.jar = login.jar;
    late.finish().await.is_silent();
    assert_eq!(seen(&mut browser, &app).await, r#"{"late":1}"#);
}

#[tokio::test]
async fn what_nobody_sees_does_not_age_flash() {
    let app = App::configured(config(), |layer| {
        layer.keep_flash(|parts| parts.headers.contains_key("x-poll"))
    });
    let mut browser = Browser::default();
    let flash = |session: SessionData| session.flash("status", "hi");
    let unseen: [fn(&Browser) -> Browser; 6] = [
        |browser| browser.using(Method::HEAD),
        |browser| browser.clone().header("sec-purpose", "prefetch"),
        |browser| browser.clone().header("sec-purpose", "prefetch;prerender"),
        |browser| browser.clone().header("sec-purpose", "x, Prefetch"),
        |browser| browser.clone().header("x-poll", "1"),
        |browser| browser.using(Method::HEAD).header("x-poll", "1"),
    ];
    for unseen in unseen {
        browser.change(&app, flash).await;
        let mut other = unseen(&browser);
        let answer = other.visit(&app, |session| Ok(session.has("status").to_string()));
        let answer = answer.await;
        answer.is_silent();
        assert_eq!(seen(&mut browser, &app).await, r#"{"status":"hi"}"#);
        assert_eq!(seen(&mut browser, &app).await, "{}");
    }
    for status in [StatusCode::NOT_MODIFIED, StatusCode::SWITCHING_PROTOCOLS] {
        browser.change(&app, flash).await;
        browser
            .call(&app, move |_| async move { status.into_response() })
            .await;
        assert_eq!(seen(&mut browser, &app).await, r#"{"status":"hi"}"#);
        seen(&mut browser, &app).await;
    }
    let aging: [fn(&Browser) -> Browser; 3] = [
        |browser| {
            browser
                .using(Method::POST)
                .header("sec-purpose", "prefetch")
        },
        |browser| browser.clone().header("sec-purpose", "prefetching"),
        |browser| browser.using(Method::POST),
    ];
    for aging in aging {
        browser.change(&app, flash).await;
        aging(&browser).change(&app, |_| Ok(())).await;
        assert_eq!(seen(&mut browser, &app).await, "{}");
    }
}

#[tokio::test]
async fn a_request_that_does_not_age_may_still_write_and_flash() {
    let (app, browser) = flashed("memory").await;
    browser
        .using(Method::HEAD)
        .change(&app, |session| {
            session.put("k", 1)?;
            session.flash("more", 1)
        })
        .await
        .is_silent();
    let mut browser = browser;
    let all = r#"{"k":1,"more":1,"status":"hi"}"#;
    assert_eq!(seen(&mut browser, &app).await, all);
    assert_eq!(seen(&mut browser, &app).await, r#"{"k":1}"#);
}

#[tokio::test]
async fn a_skipped_request_neither_loads_nor_ages() {
    let store = Script::new();
    let clock = arvel_session::ManualClock::default();
    let app = App::at_with(clock, store.clone(), config(), |layer| {
        layer.skip(|parts| parts.headers.contains_key("x-asset"))
    });
    let mut browser = Browser::default();
    browser.change(&app, |session| session.flash("k", 1)).await;
    store.take_log();
    let asset = browser.clone().header("x-asset", "1");
    let response = app.send(asset.plain_request()).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(store.take_calls(), []);
    assert_eq!(seen(&mut browser, &app).await, r#"{"k":1}"#);
}

#[tokio::test]
async fn ageing_is_one_save_and_nothing_where_there_is_no_flash() {
    let store = Script::new();
    let app = App::on(store.clone(), config());
    let mut browser = Browser::default();
    browser.change(&app, |session| session.flash("k", 1)).await;
    store.take_log();
    seen(&mut browser, &app).await;
    assert_eq!(store.take_calls(), [Call::Load, Call::Save]);
    seen(&mut browser, &app).await;
    assert_eq!(store.take_calls(), [Call::Load]);
}

#[tokio::test]
async fn a_flash_that_save_has_stored_is_for_the_next_request() {
    let (app, mut browser) = flashed("memory").await;
    browser
        .call(&app, |session: SessionData| async move {
            session.flash("next", 1).unwrap();
            session.save().await.unwrap();
            assert!(session.missing("next"), "not in this request");
            assert!(session.has("status"), "and this one's stays readable");
            session.reflash();
            session.put("k", 1).unwrap();
            Body::empty().into_response()
        })
        .await;
    assert_eq!(
        seen(&mut browser, &app).await,
        r#"{"k":1,"next":1,"status":"hi"}"#
    );
    assert_eq!(seen(&mut browser, &app).await, r#"{"k":1}"#);
}

#[tokio::test]
async fn a_reflash_that_is_replayed_keeps_what_a_parallel_request_has_aged() {
    let (app, mut browser) = flashed("memory").await;
    let keeper = browser
        .hold(&app, |session| {
            session.reflash();
            Ok(())
        })
        .await;
    assert_eq!(seen(&mut browser, &app).await, r#"{"status":"hi"}"#);
    keeper.finish().await.is_silent();
    assert_eq!(seen(&mut browser, &app).await, r#"{"status":"hi"}"#);
    assert_eq!(seen(&mut browser, &app).await, "{}");
}

#[tokio::test]
async fn a_flash_whose_removal_was_saved_does_not_come_back_by_discard() {
    let removals: [fn(&SessionData); 3] = [
        |session| session.forget("status"),
        |session| session.flush(),
        |session| session.invalidate(),
    ];
    for remove in removals {
        let (app, mut browser) = flashed("memory").await;
        browser
            .call(&app, move |session: SessionData| async move {
                remove(&session);
                session.save().await.unwrap();
                session.discard();
                assert!(session.missing("status"));
                session.reflash();
                Body::empty().into_response()
            })
            .await;
        assert_eq!(seen(&mut browser, &app).await, "{}");
    }
}
