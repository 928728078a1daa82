//! Records that somebody has spoiled.

use axum::http::StatusCode;
use serde_json::json;

use crate::{
    on,
    playground::{Playground, Visitor},
    stores::Store,
};

on! {
    [file redis sqlite postgres mariadb]
    a_damaged_record_is_a_new_session_and_stays_as_it_is
    a_record_of_a_newer_version_is_a_503
    a_record_under_another_key_is_a_new_session
}

async fn known(playground: &Playground) -> Visitor {
    let visitor = playground.visitor();
    visitor.ops(json!([["put", "user", "Ada"]])).await;
    visitor
}

/// Where the record begins: a file has a header and the head of a place before it.
fn start(store: &Store) -> usize {
    match store.setting("SESSION_DRIVER") {
        "file" => 16 + 28,
        _ => 0,
    }
}

async fn a_damaged_record_is_a_new_session_and_stays_as_it_is(mut store: Store) {
    // So that nobody else takes the damaged record away.
    store.set("SESSION_SWEEP_INTERVAL", "0");
    let playground = store.start();
    let visitor = known(&playground).await;
    let good = store.records().await.remove(0);
    let changed = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    let header = start(&store);
    for damaged in [
        b"garbage".to_vec(),
        vec![0; good.len()],
        vec![0xff; good.len()],
        good[..good.len() / 2].to_vec(),
        good[..good.len() - 1].to_vec(),
        changed(good.len() - 1),
        changed(good.len() / 2 + header / 2),
        // The revision, for which the seal vouches.
        changed(header + 3),
    ] {
        store.overwrite(&damaged).await;
        let visitor = visitor.copy();
        let read = visitor.post(r#"{"ops": [["all"]]}"#).await;
        assert_eq!(
            read.set_cookie(),
            None,
            "the cookie is left alone: {read:?}"
        );
        assert_eq!(read.results(), json!([{}]));
        assert_eq!(
            store.records().await,
            std::slice::from_ref(&damaged),
            "untouched"
        );
    }
    // Who writes gets another session, and the old record is not touched.
    let damaged = store.records().await.remove(0);
    let before = visitor.cookie();
    visitor.ops(json!([["put", "k", 1]])).await;
    assert_ne!(visitor.cookie(), before);
    assert_eq!(visitor.all().await, json!({ "k": 1 }));
    let records = store.records().await;
    assert_eq!(records.len(), 2);
    assert!(records.contains(&damaged));
}

async fn a_record_of_a_newer_version_is_a_503(store: Store) {
    let playground = store.start();
    let visitor = known(&playground).await;
    let good = store.records().await.remove(0);
    let mut newer = good.clone();
    // The version of a record is its first byte; that of a file the last of its header.
    let version = if start(&store) == 0 { 0 } else { 15 };
    newer[version] = 2;
    store.overwrite(&newer).await;
    for body in [
        r#"{"ops": [["all"]]}"#,
        r#"{"ops": [["put", "k", 1]]}"#,
        r#"{"ops": [["invalidate"]]}"#,
    ] {
        let answer = visitor.post(body).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{body}");
        assert_eq!(answer.set_cookie(), None, "{body}");
        assert_eq!(store.records().await, std::slice::from_ref(&newer));
    }
    store.overwrite(&good).await;
    assert_eq!(
        visitor.all().await,
        json!({ "user": "Ada" }),
        "nothing was lost"
    );
}

async fn a_record_under_another_key_is_a_new_session(store: Store) {
    const OTHER: &str = "fedcba9876543210fedcba9876543210";
    let visitor = known(&store.start()).await;
    let before = store.records().await;
    let mut settings = store.settings();
    settings.retain(|(name, _)| *name != "SESSION_SECRET_KEY");
    settings.push(("SESSION_SECRET_KEY", OTHER));
    let rotated = Playground::start(&settings);
    let elsewhere = visitor.moved_to(&rotated.url);
    assert_eq!(elsewhere.all().await, json!({}));
    assert_eq!(store.records().await, before);

    // With the old key as a previous one nobody is logged out, and the cookie is renewed.
    let (_, old) = crate::stores::KEY;
    settings.push(("SESSION_PREVIOUS_KEYS", old));
    let rolling = Playground::start(&settings);
    let elsewhere = visitor.moved_to(&rolling.url);
    assert_eq!(elsewhere.all().await, json!({ "user": "Ada" }));
    assert_ne!(elsewhere.cookie(), visitor.cookie());
    let rotated = elsewhere.moved_to(&rotated.url);
    assert_eq!(
        rotated.all().await,
        json!({ "user": "Ada" }),
        "under the new key alone"
    );
}
