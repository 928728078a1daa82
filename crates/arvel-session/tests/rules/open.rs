//! Finding and loading the session: whose cookie counts, and what a store that fails may not do (DESIGN §2).

use std::time::Duration;

use arvel_session::{
    Error, ErrorKind, ManualClock, Time,
    store::{Kind, Record, Revision},
};
use axum::http::{Method, StatusCode};

use crate::support::{
    App, Browser, config,
    events::Events,
    script::{Call, Fault, Script},
};

fn app() -> (App, Script) {
    let store = Script::new();
    (App::on(store.clone(), config()), store)
}

async fn visitor(app: &App, key: &'static str) -> Browser {
    let mut browser = Browser::default();
    let answer = browser
        .change(app, move |session| session.put(key, 1))
        .await;
    answer.sets_one_cookie();
    browser
}

#[tokio::test]
async fn r01_an_unknown_id_is_not_adopted() {
    let (app, store) = app();
    let mut browser = visitor(&app, "a").await;
    let old = browser.cookie().to_owned();
    let (key, _) = store.only_live();
    store.lose(&key);

    let answer = browser.change(&app, |session| session.put("b", 1)).await;
    answer.sets_one_cookie();
    assert_ne!(browser.cookie(), old);
    assert_ne!(store.only_live().0, key);
    assert_eq!(browser.all(&app).await, r#"{"b":1}"#);
}

#[tokio::test]
async fn r01_an_expired_id_is_not_adopted_though_the_store_still_has_it() {
    let (app, store) = app();
    let mut browser = visitor(&app, "a").await;
    let (key, _) = store.only_live();
    app.clock.advance(Duration::from_secs(7200));
    assert_eq!(browser.all(&app).await, "{}");

    browser
        .change(&app, |session| session.put("b", 1))
        .await
        .sets_one_cookie();
    assert_eq!(browser.all(&app).await, r#"{"b":1}"#);
    assert!(store.live().iter().any(|(other, _)| *other != key));
}

#[tokio::test]
async fn r01_regenerate_does_not_adopt_a_clients_id_either() {
    let (app, store) = app();
    let mut browser = visitor(&app, "a").await;
    let old = browser.cookie().to_owned();
    let (key, _) = store.only_live();
    store.lose(&key);
    browser
        .change(&app, |session| {
            session.regenerate();
            session.put("user", 7)
        })
        .await
        .sets_one_cookie();
    assert_ne!(browser.cookie(), old);
    assert!(store.record(&key).is_none());
}

#[tokio::test]
async fn r02_a_store_that_fails_to_load_is_a_503_and_the_handler_does_not_run() {
    let (app, store) = app();
    let mut browser = visitor(&app, "a").await;
    store.take_calls();
    store.script(Call::Load, [Fault::refused()]);
    let events = Events::capture();
    let answer = browser
        .change(&app, |_| panic!("the handler must not run"))
        .await;
    answer.failed_with(503);
    assert_eq!(answer.error.as_ref().unwrap().kind(), ErrorKind::Store);
    assert_eq!(store.take_calls(), [Call::Load], "and nothing is written");
    assert_eq!(events.count("failed"), 1, "it is logged: {}", events.text());
    assert_eq!(browser.all(&app).await, r#"{"a":1}"#, "nothing was lost");
}

#[tokio::test(start_paused = true)]
async fn r02_a_store_that_does_not_answer_is_a_503_at_the_deadline() {
    let store = Script::new();
    let app = App::on(store.clone(), config().timeout(Duration::from_millis(700)));
    let mut browser = visitor(&app, "a").await;
    store.script(Call::Load, [Fault::SILENT]);
    let begun = tokio::time::Instant::now();
    let answer = browser.change(&app, |_| panic!("not to run")).await;
    answer.failed_with(503);
    assert_eq!(answer.error.unwrap().kind(), ErrorKind::Timeout);
    assert!(begun.elapsed() <= Duration::from_millis(710));
    assert_eq!(browser.all(&app).await, r#"{"a":1}"#);
}

#[tokio::test]
async fn r02_a_record_of_a_newer_format_is_a_503() {
    let (app, store) = app();
    let mut browser = visitor(&app, "a").await;
    store.script(Call::Load, [Fault::error(newer())]);
    browser.change(&app, |_| Ok(())).await.failed_with(503);
}

fn newer() -> Error {
    let mut record = Record::new(
        Kind::Plain,
        Revision::from_u64(1),
        Time::from_millis(u64::MAX),
        b"".as_slice(),
    )
    .encode();
    record[0] = 2;
    Record::decode(record.into()).unwrap_err()
}

#[tokio::test]
async fn r02_the_status_of_an_outage_can_be_set() {
    let (clock, store) = (ManualClock::default(), Script::new());
    let app = App::at_with(clock, store.clone(), config(), |layer| {
        layer.unavailable_status(StatusCode::BAD_GATEWAY)
    });
    let mut browser = visitor(&app, "a").await;
    store.script(Call::Load, [Fault::refused()]);
    browser.change(&app, |_| Ok(())).await.failed_with(502);
}

#[tokio::test]
async fn r02_a_corrupt_record_is_a_new_session_and_stays_as_it_is() {
    let damages: [fn(&mut Record); 3] = [
        |record| record.body = record.body.slice(..record.body.len() - 1),
        |record| {
            let mut body = record.body.to_vec();
            let middle = body.len() / 2;
            body[middle] ^= 1;
            record.body = body.into();
        },
        // Not sealed, though it should be.
        |record| record.kind = Kind::Plain,
    ];
    for damage in damages {
        let store = Script::new().persistent();
        let app = App::on(store.clone(), config());
        let mut browser = visitor(&app, "a").await;
        let old = browser.cookie().to_owned();
        let (key, mut record) = store.only_live();
        damage(&mut record);
        store.overwrite(&key, record.clone());

        let events = Events::capture();
        let answer = browser
            .visit(&app, |session| {
                assert!(session.missing("a"));
                session.put("b", 1)?;
                Ok(String::new())
            })
            .await;
        answer.sets_one_cookie();
        assert_eq!(events.count("cannot be opened"), 1, "{}", events.text());
        assert_ne!(browser.cookie(), old);
        assert_eq!(store.record(&key), Some(record));
        assert_eq!(browser.all(&app).await, r#"{"b":1}"#);
    }
}

#[tokio::test]
async fn r02_a_record_that_the_store_calls_corrupt_is_a_new_session() {
    let (app, store) = app();
    let mut browser = visitor(&app, "a").await;
    let corrupt = Record::decode(b"short".as_slice().into()).unwrap_err();
    assert_eq!(corrupt.kind(), ErrorKind::Corrupt);
    store.script(Call::Load, [Fault::error(corrupt)]);
    browser
        .change(&app, |session| session.put("b", 1))
        .await
        .sets_one_cookie();
    assert_eq!(store.live().len(), 2);
}

#[tokio::test]
async fn a_sealed_record_under_a_key_that_is_gone_is_a_new_session() {
    let store = Script::new().persistent();
    let secret = arvel_session::Secret::generate();
    let old = App::on(store.clone(), config().secret_key(secret.clone()));
    let browser = visitor(&old, "a").await;
    let (key, record) = store.only_live();
    // The token verifies under the current key, the record was sealed under another.
    let app = App::at(
        old.clock.clone(),
        store.clone(),
        config().secret_key(secret).cookie_name("other"),
    );
    let mut stranger = Browser::default();
    stranger
        .change(&app, |session| session.put("b", 1))
        .await
        .sets_one_cookie();
    let (other, _) = store
        .live()
        .into_iter()
        .find(|(other, _)| *other != key)
        .unwrap();
    store.overwrite(&other, record.clone());
    assert_eq!(stranger.all(&app).await, "{}");
    assert_eq!(store.record(&other), Some(record));
    assert_eq!(browser.all(&old).await, r#"{"a":1}"#);
}

#[tokio::test]
async fn what_does_not_verify_never_reaches_the_store_and_is_a_new_session() {
    let (app, store) = app();
    let good = visitor(&app, "a").await.cookie().to_owned();
    store.take_calls();
    let mut flipped = good.clone().into_bytes();
    flipped[20] = if flipped[20] == b'A' { b'B' } else { b'A' };
    let bad = [
        String::from_utf8(flipped).unwrap(),
        good[..good.len() - 1].to_owned(),
        format!("{good}A"),
        format!("\"{good}\""),
        format!("{good}="),
        "A".repeat(84),
        "x".repeat(6000),
        "%00".into(),
        String::new(),
        "../../etc/passwd".into(),
        good.replace(['-', '_'], "+"),
    ];
    for value in bad.into_iter().filter(|value| *value != good) {
        let mut browser = Browser::with_cookie(value.clone());
        let answer = browser
            .visit(&app, |session| Ok(session.has("a").to_string()))
            .await;
        answer.is_silent();
        assert_eq!(answer.body, "false", "{value}");
    }
    assert_eq!(store.take_calls(), []);
}

#[tokio::test]
async fn a_forged_payload_is_a_new_session_in_the_cookie_driver_too() {
    let app = App::new(config().driver("cookie"));
    let good = visitor(&app, "a").await.cookie().to_owned();
    let far = Time::from_millis(u64::MAX);
    let revision = Revision::from_u64(1);
    let key = arvel_session::store::Key::new([0; 2], [1; 32]);
    let record = |kind, body: &[u8]| Record::new(kind, revision, far, body.to_vec()).encode();
    let mut newer = record(Kind::Sealed, &[0; 80]);
    newer[0] = 2;
    let bad = [
        record(Kind::Plain, &[0; 40]),
        record(Kind::Sealed, &[0; 80]),
        record(Kind::Destroyed, b""),
        record(Kind::Regenerated(key), b""),
        newer,
        Vec::new(),
    ];
    let encoded = bad.iter().map(|bytes| base64_url(bytes));
    let cut = good[..good.len() - 2].to_owned();
    for value in encoded.chain([cut, "x".repeat(6000)]) {
        let mut browser = Browser::with_cookie(value.clone());
        let answer = browser
            .visit(&app, |session| {
                assert!(session.missing("a"));
                session.put("b", 1)?;
                Ok(String::new())
            })
            .await;
        assert_eq!(answer.status, StatusCode::OK, "{value}");
        answer.sets_one_cookie();
        assert_eq!(browser.all(&app).await, r#"{"b":1}"#);
    }
}

fn base64_url(bytes: &[u8]) -> String {
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes)
}

/// Sends these values, each as a cookie of our name, in this order.
async fn open_with(app: &App, values: &[&str]) -> String {
    let pairs: Vec<_> = values
        .iter()
        .map(|value| format!("arvel_session={value}"))
        .collect();
    let browser = Browser::default().header("cookie", &pairs.join("; "));
    browser.all(app).await
}

#[tokio::test]
async fn of_several_cookies_the_first_live_one_counts() {
    let (app, store) = app();
    let first = visitor(&app, "first").await;
    let second = visitor(&app, "second").await;
    let lost = visitor(&app, "lost").await;
    let mut dead = visitor(&app, "dead").await;
    let dead_value = dead.cookie().to_owned();
    dead.change(&app, |session| {
        session.regenerate();
        Ok(())
    })
    .await
    .sets_one_cookie();
    let (key, _) = store
        .live()
        .into_iter()
        .find(|(_, record)| record.body.windows(4).any(|bytes| bytes == b"lost"))
        .unwrap();
    store.lose(&key);

    let (one, two, lost) = (first.cookie(), second.cookie(), lost.cookie());
    assert_eq!(open_with(&app, &[one, two]).await, r#"{"first":1}"#);
    assert_eq!(open_with(&app, &[two, one]).await, r#"{"second":1}"#);
    let junk = "A".repeat(84);
    let candidates = [&junk, "", lost, &dead_value, two];
    assert_eq!(
        open_with(&app, &candidates).await,
        r#"{"second":1}"#,
        "junk, unknown and superseded ones do not count while one is live"
    );
    assert_eq!(
        open_with(&app, &[lost, &dead_value, lost, one]).await,
        "{}",
        "three at most are looked up"
    );
    store.take_calls();
    open_with(&app, &[lost, lost, lost, lost, lost]).await;
    assert_eq!(store.take_calls().len(), 3);
}

#[tokio::test]
async fn forged_payloads_do_not_hide_the_live_one_in_the_cookie_driver() {
    let app = App::new(config().driver("cookie"));
    let browser = visitor(&app, "a").await;
    let mut newer = base64_simd::URL_SAFE_NO_PAD
        .decode_to_vec(browser.cookie())
        .unwrap();
    newer[0] = 2;
    let (junk, newer) = (base64_url(&[1; 60]), base64_url(&newer));
    let candidates = [&junk, &newer, &junk, &junk, browser.cookie()];
    assert_eq!(open_with(&app, &candidates).await, r#"{"a":1}"#);
}

#[tokio::test]
async fn all_cookie_lines_are_read() {
    let (app, _) = app();
    let browser = visitor(&app, "a").await;
    let value = browser.cookie();
    let browser = Browser::default()
        .header("cookie", "theme=dark; x")
        .header("cookie", &format!("lang=en;arvel_session={value}"));
    assert_eq!(browser.all(&app).await, r#"{"a":1}"#);
}

#[tokio::test]
async fn an_id_comes_in_by_the_cookie_header_and_by_no_other_way() {
    let (app, store) = app();
    let browser = visitor(&app, "a").await;
    let pair = format!("arvel_session={}", browser.cookie());
    store.take_log();
    let mut request = Browser::default()
        .header("authorization", &format!("Bearer {}", browser.cookie()))
        .header("x-session", browser.cookie())
        .header("set-cookie", &pair)
        .header("content-type", "application/x-www-form-urlencoded")
        .request(|session| Ok(session.has("a").to_string()));
    *request.uri_mut() = format!("/?{pair}").parse().unwrap();
    *request.method_mut() = Method::POST;
    *request.body_mut() = pair.into();
    let answer = Browser::default().receive(app.send(request).await).await;
    answer.is_silent();
    assert_eq!(answer.body, "false");
    assert_eq!(store.take_calls(), []);
}

#[tokio::test]
async fn a_marker_counts_only_where_no_cookie_is_live() {
    let (app, _) = app();
    let mut browser = visitor(&app, "a").await;
    let dead = browser.cookie().to_owned();
    browser
        .change(&app, |session| {
            session.regenerate();
            Ok(())
        })
        .await
        .sets_one_cookie();
    // Before the live one, the marker does not shadow it, and what is written is kept.
    let both = format!("arvel_session={dead}; arvel_session={}", browser.cookie());
    let mut twice = Browser::default().header("cookie", &both);
    twice
        .change(&app, |session| session.put("b", 2))
        .await
        .is_silent();
    assert_eq!(browser.all(&app).await, r#"{"a":1,"b":2}"#);
    // On its own it does count: what is written is dropped (R12).
    let mut alone = Browser::with_cookie(dead);
    alone
        .change(&app, |session| session.put("c", 3))
        .await
        .is_silent();
    assert_eq!(browser.all(&app).await, r#"{"a":1,"b":2}"#);
}
