//! What a handler does with data, and what a request that changes nothing does not do (DESIGN §5, R10).

use std::time::Duration;

use arvel_session::{ErrorKind, Key, SessionData};
use axum::response::IntoResponse;
use serde_json::{Value, json};

use crate::support::{
    App, Browser, config,
    script::{Call, Fault, Script},
};

#[tokio::test]
async fn r10_a_visitor_without_a_session_costs_no_call_and_no_header() {
    let store = Script::new();
    let app = App::on(store.clone(), config());
    let answer = Browser::default().change(&app, |_| Ok(())).await;
    answer.is_silent();
    assert!(answer.lines("vary").is_empty());
    assert!(answer.lines("cache-control").is_empty());
    assert_eq!(store.take_calls(), []);
}

#[tokio::test]
async fn r10_a_visitor_who_only_reads_gets_no_session() {
    let store = Script::new();
    let app = App::on(store.clone(), config());
    let answer = Browser::default()
        .visit(&app, |session| {
            session.now("k", 1)?;
            session.forget("k");
            session.flush();
            session.regenerate();
            session.reflash();
            session.pull::<u8>("k")?;
            session.put("undone", 1)?;
            session.forget("undone");
            Ok(session.id())
        })
        .await;
    answer.is_silent();
    assert_eq!(store.take_calls(), []);
}

#[tokio::test]
async fn r10_reads_cost_one_load_and_write_nothing() {
    let store = Script::new();
    let app = App::on(store.clone(), config());
    let mut browser = Browser::default();
    browser.change(&app, |session| session.put("k", 1)).await;
    let before = store.only_live();
    store.take_log();
    browser
        .visit(&app, |session| {
            session.get::<u8>("k")?;
            session.get_or("x", 1)?;
            session.all()?;
            session.only(["k"])?;
            session.except(["k"])?;
            session.keys();
            session.has("k");
            session.missing("k");
            session.token();
            session.now("x", 1)?;
            session.remember("k", || 2)?;
            session.pull::<u8>("absent")?;
            Ok(session.id())
        })
        .await
        .is_silent();
    assert_eq!(store.take_calls(), [Call::Load]);
    assert_eq!(store.only_live(), before);
}

#[tokio::test]
async fn r10_a_slow_reader_clobbers_nothing() {
    let store = Script::new();
    let app = App::on(store.clone(), config());
    let mut browser = Browser::default();
    browser.change(&app, |session| session.put("k", 1)).await;
    let reader = browser
        .hold(&app, |session| {
            assert_eq!(session.get("k")?, Some(1));
            Ok(())
        })
        .await;
    browser
        .change(&app, |session| session.put("k", 2))
        .await
        .is_silent();
    store.take_log();
    reader.finish().await.is_silent();
    assert_eq!(store.take_calls(), []);
    assert_eq!(browser.all(&app).await, r#"{"k":2}"#);
}

#[tokio::test]
async fn a_commit_that_holds_nothing_but_ageing_never_changes_the_response() {
    let store = Script::new();
    let app = App::on(store.clone(), config());
    let mut browser = Browser::default();
    browser.change(&app, |session| session.flash("k", 1)).await;
    store.script(Call::Save, [Fault::refused(), Fault::refused()]);
    let answer = browser
        .visit(&app, |session| Ok(session.get_or("k", 0)?.to_string()))
        .await;
    answer.is_silent();
    assert_eq!(answer.body, "1");
    store.has_run();
    // With a change besides, the failure counts.
    store.script(Call::Save, [Fault::refused(), Fault::refused()]);
    browser
        .change(&app, |session| session.put("x", 1))
        .await
        .failed_with(503);
}

#[tokio::test(start_paused = true)]
async fn ageing_that_never_ends_does_not_change_the_response_either() {
    let store = Script::new();
    let app = App::on(store.clone(), config());
    let mut browser = Browser::default();
    browser.change(&app, |session| session.flash("k", 1)).await;
    store.script(Call::Save, [Fault::SILENT]);
    let begun = tokio::time::Instant::now();
    browser.change(&app, |_| Ok(())).await.is_silent();
    assert!(begun.elapsed() < Duration::from_millis(2100));
}

#[tokio::test]
async fn any_text_is_a_key_and_every_value_is_kept_exactly() {
    let long = "ä".repeat(300);
    let keys = [
        "",
        "_flash",
        "__proto__",
        "\0",
        "a.b",
        "_token",
        &long,
        "😀",
    ];
    let nested = (0..100).fold(json!(1), |inner, _| json!([inner]));
    let values = [
        json!(u64::MAX),
        json!(i64::MIN),
        json!(1e308),
        json!(5e-324),
        json!(-0.0),
        json!(null),
        json!("\u{0}\u{10ffff}\"\\"),
        nested,
    ];
    let entries: Vec<(String, Value)> = keys
        .iter()
        .map(|key| (*key).to_owned())
        .zip(values)
        .collect();
    for driver in ["memory", "cookie"] {
        let app = App::new(config().driver(driver));
        let mut browser = Browser::default();
        let put = entries.clone();
        browser
            .change(&app, move |session| {
                put.iter()
                    .try_for_each(|(key, value)| session.put(key, value))
            })
            .await
            .sets_one_cookie();
        let expected = entries.clone();
        browser
            .change(&app, move |session| {
                for (key, value) in &expected {
                    assert!(session.has(key));
                    assert_eq!(session.get::<Value>(key)?.as_ref(), Some(value), "{key:?}");
                }
                assert_eq!(session.all()?.len(), expected.len());
                assert_eq!(session.get::<u64>("")?, Some(u64::MAX));
                assert_eq!(session.get::<f64>("\0")?, Some(5e-324));
                Ok(())
            })
            .await
            .is_silent();
    }
}

#[tokio::test]
async fn a_wrong_type_is_an_error_that_names_key_and_types_and_changes_nothing() {
    let session = SessionData::fake().with("text", "secret").with("list", [1]);
    let refusals = [
        session.get::<u64>("text").map(|_| ()).unwrap_err(),
        session.get_or("text", 1_u64).map(|_| ()).unwrap_err(),
        session.pull::<u64>("text").map(|_| ()).unwrap_err(),
        session.increment("text", 1).map(|_| ()).unwrap_err(),
        session.decrement("text", 1).map(|_| ()).unwrap_err(),
        session.push("text", 1).unwrap_err(),
        session.remember("text", || 1_u64).map(|_| ()).unwrap_err(),
        session
            .update("text", |n: Option<u64>| n.unwrap_or(0))
            .map(|_| ())
            .unwrap_err(),
    ];
    for error in refusals {
        assert_eq!(error.kind(), ErrorKind::Type, "{error}");
        assert!(error.to_string().contains("\"text\""), "{error}");
        assert!(error.to_string().contains("found a text"), "{error}");
        assert!(!format!("{error:?} {error}").contains("secret"), "{error}");
    }
    assert!(session.changes().is_empty());
    for refused in [
        session.put("x", f64::NAN),
        session.flash("x", f64::INFINITY),
        session.now("x", f64::NAN),
        session.push("list", f64::NAN),
        session.put("x", (0..128).fold(json!(1), |inner, _| json!([inner]))),
    ] {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Value);
    }
    assert!(
        session
            .put("x", (0..127).fold(json!(1), |inner, _| json!([inner])))
            .is_ok()
    );
}

#[tokio::test]
async fn increment_does_not_wrap() {
    let session = SessionData::fake().with("n", i64::MAX);
    assert_eq!(
        session.increment("n", 1).unwrap_err().kind(),
        ErrorKind::Value
    );
    assert_eq!(session.get::<i64>("n").unwrap(), Some(i64::MAX));
    assert_eq!(session.increment("n", i64::MIN).unwrap(), -1);
    assert_eq!(
        session.decrement("n", i64::MIN).unwrap_err().kind(),
        ErrorKind::Value
    );
}

#[tokio::test]
async fn pull_takes_once_and_forget_takes_flash_as_well() {
    let session = SessionData::fake().with("k", 1).with_flash("k", 2);
    assert_eq!(session.get("k").unwrap(), Some(2), "flash comes first");
    session.forget("k");
    assert!(session.missing("k"));
    let session = SessionData::fake().with("k", 1);
    assert_eq!(session.pull::<u8>("k").unwrap(), Some(1));
    assert_eq!(session.pull::<u8>("k").unwrap(), None);
}

#[tokio::test]
async fn discard_drops_this_requests_changes() {
    let store = Script::new();
    let app = App::on(store.clone(), config());
    let mut browser = Browser::default();
    browser.change(&app, |session| session.put("k", 1)).await;
    store.take_log();
    browser
        .change(&app, |session| {
            session.put("k", 2)?;
            session.flash("f", 1)?;
            session.now("n", 1)?;
            session.forget("k");
            session.regenerate();
            session.invalidate();
            session.discard();
            assert_eq!(session.all()?, json!({"k": 1}).as_object().unwrap().clone());
            Ok(())
        })
        .await
        .is_silent();
    assert_eq!(store.take_calls(), [Call::Load]);
    // On a visitor without a session, too.
    Browser::default()
        .change(&app, |session| {
            session.put("k", 2)?;
            session.token();
            session.discard();
            Ok(())
        })
        .await
        .is_silent();
    assert_eq!(store.take_calls(), []);
}

#[tokio::test]
async fn the_csrf_token_is_the_same_on_parallel_pages_and_costs_nothing_to_read() {
    for driver in ["memory", "cookie"] {
        let app = App::new(config().driver(driver));
        let mut browser = Browser::default();
        let first = browser.visit(&app, |session| Ok(session.token())).await;
        first.sets_one_cookie();
        assert!(first.body.len() >= 43, "{}", first.body);
        for _ in 0..2 {
            let page = browser.visit(&app, |session| Ok(session.token())).await;
            page.is_silent();
            assert_eq!(page.body, first.body);
        }
        let flushed = browser
            .visit(&app, |session| {
                session.flush();
                Ok(session.token())
            })
            .await;
        assert_eq!(flushed.body, first.body);
        let renewed = browser
            .visit(&app, |session| Ok(session.regenerate_token()))
            .await;
        assert_ne!(renewed.body, first.body);
        let page = browser.visit(&app, |session| Ok(session.token())).await;
        assert_eq!(page.body, renewed.body);
        let other = Browser::default()
            .visit(&app, |session| Ok(session.token()))
            .await;
        assert_ne!(other.body, page.body);
    }
}

#[tokio::test]
async fn a_token_is_kept_though_a_save_before_it_found_nothing_to_keep() {
    for driver in ["memory", "cookie"] {
        let app = App::new(config().driver(driver));
        let mut browser = Browser::default();
        let answer = browser
            .call(&app, |session| async move {
                session.regenerate();
                session.save().await.unwrap();
                session.token().into_response()
            })
            .await;
        answer.sets_one_cookie();
        let page = browser.visit(&app, |session| Ok(session.token())).await;
        assert_eq!(page.body, answer.body);
    }
}

#[tokio::test]
async fn the_fingerprint_stays_until_the_id_changes() {
    let app = App::new(config());
    let mut browser = Browser::default();
    let born = browser
        .visit(&app, |session| {
            session.put("k", 1)?;
            Ok(session.id())
        })
        .await;
    let show = |session: SessionData| Ok(session.id());
    assert_eq!(browser.visit(&app, show).await.body, born.body);
    browser
        .change(&app, |session| {
            session.flush();
            session.put("k", 2)
        })
        .await;
    assert_eq!(browser.visit(&app, show).await.body, born.body);
    let changed = browser
        .visit(&app, |session| {
            session.regenerate();
            Ok(session.id())
        })
        .await;
    assert_ne!(changed.body, born.body);
    assert_eq!(browser.visit(&app, show).await.body, changed.body);
    assert!(!browser.cookie().contains(&changed.body));
}

#[tokio::test]
async fn typed_keys_and_texts_name_the_same_values() {
    const VISITS: Key<u64> = Key::new("visits");
    let session = SessionData::fake();
    session.put(VISITS, 1).unwrap();
    assert_eq!(session.increment(VISITS, 1).unwrap(), 2);
    assert_eq!(session.get::<u64>("visits").unwrap(), Some(2));
    assert_eq!(session.get::<u64>(String::from("visits")).unwrap(), Some(2));
    assert!(session.has(VISITS) && session.missing("other"));
}

#[tokio::test]
async fn update_and_remember_may_use_the_session_themselves() {
    let session = SessionData::fake().with("n", 1);
    let inner = session.clone();
    let value = session
        .update("n", move |n: Option<i64>| {
            n.unwrap_or(0) + inner.get_or("step", 2).unwrap()
        })
        .unwrap();
    assert_eq!(value, 3);
    let inner = session.clone();
    let value = session
        .remember("copy", move || inner.get::<i64>("n").unwrap().unwrap())
        .unwrap();
    assert_eq!(value, 3);
}
