//! Cookies that we did not give out like this: a new session, whatever they are.

use axum::http::{Method, StatusCode};
use serde_json::json;

use crate::{
    on, on_every_server,
    playground::{Answer, Playground, Visitor},
    stores::{self, KEY, Store},
};

on! {
    [cookie memory file redis redis_tls redis_unix redis_sentinel redis_cluster sqlite postgres mariadb]
    what_we_did_not_sign_is_no_session
    of_two_cookies_the_one_that_verifies_counts
}
on_every_server! { a_signed_id_that_is_not_known_is_not_adopted }
on! { [cookie] what_does_not_fit_into_a_cookie_is_refused }

/// Sends these `Cookie` lines and no others.
async fn post(playground: &Playground, lines: &[String], ops: serde_json::Value) -> Answer {
    let headers: Vec<_> = lines.iter().map(|line| ("cookie", line.as_str())).collect();
    let body = json!({ "ops": ops }).to_string();
    let visitor = playground.visitor();
    visitor
        .send_with(Method::POST, "/session", &body, &headers)
        .await
}

/// What a browser, a proxy or an attacker can make of a good value.
fn spoiled(good: &str) -> Vec<String> {
    let changed = |at: usize| {
        let mut bytes = good.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    let mut values = vec![
        String::new(),
        "x".to_owned(),
        "null".to_owned(),
        "=".repeat(10),
        "A".repeat(good.len()),
        "A".repeat(84),
        "x".repeat(4097),
        "A".repeat(60_000),
        changed(0),
        changed(good.len() / 2),
        changed(good.len() - 1),
        good[..good.len() - 1].to_owned(),
        good[..good.len() / 2].to_owned(),
        format!("{good}A"),
        format!("{good}{good}"),
        format!("{good}="),
        format!("{good}%00"),
        format!("\"{good}\""),
        format!("'{good}'"),
        format!("é{good}"),
        good.replace(|_| true, "é"),
        good.to_ascii_lowercase(),
        format!("{good}, arvel_session={good}"),
    ];
    values.retain(|value| value != good);
    values
}

async fn good(playground: &Playground) -> String {
    let visitor = playground.visitor();
    visitor.ops(json!([["put", "user", "Ada"]])).await;
    visitor.cookie().unwrap()
}

async fn what_we_did_not_sign_is_no_session(store: Store) {
    let playground = store.start();
    let good = good(&playground).await;
    let before = store.records().await;
    for value in spoiled(&good) {
        let line = [format!("arvel_session={value}")];
        let answer = post(&playground, &line, json!([["all"]])).await;
        assert_eq!(answer.set_cookie(), None, "{value}");
        assert_eq!(answer.results(), json!([{}]), "{value}");
    }
    assert_eq!(store.records().await, before, "nothing is created");

    let line = [format!("arvel_session=\"{good}\"")];
    let answer = post(&playground, &line, json!([["put", "k", 1]])).await;
    assert!(answer.set_cookie().is_some(), "a new session begins");
    let visitor = playground.visitor().with_cookie(&good);
    assert_eq!(
        visitor.all().await,
        json!({ "user": "Ada" }),
        "the good one is as it was"
    );

    // A process whose store is out of reach would answer 503 if it asked.
    if store.is_server_side() {
        let unreachable = Playground::start(&[
            KEY,
            ("SESSION_DRIVER", "redis"),
            ("SESSION_REDIS_URL", "redis://127.0.0.1:1"),
        ]);
        for value in spoiled(&good) {
            let line = [format!("arvel_session={value}")];
            let answer = post(&unreachable, &line, json!([["all"]])).await;
            assert_eq!(
                answer.status,
                StatusCode::OK,
                "the store is not asked: {value}"
            );
        }
        let line = [format!("arvel_session={good}")];
        let answer = post(&unreachable, &line, json!([["all"]])).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    }
}

async fn of_two_cookies_the_one_that_verifies_counts(store: Store) {
    let playground = store.start();
    let good = good(&playground).await;
    let own = format!("arvel_session={good}");
    for lines in [
        vec![format!("arvel_session=forged; {own}")],
        vec![format!("{own}; arvel_session=forged")],
        vec![format!("{own}; {own}")],
        vec!["arvel_session=; arvel_session".to_owned(), own.clone()],
        vec!["other=1; =; ;;".to_owned(), format!("a=b;{own};é=é")],
        (0..50)
            .map(|_| "arvel_session=forged".to_owned())
            .chain([own.clone()])
            .collect(),
    ] {
        let answer = post(&playground, &lines, json!([["get", "user"]])).await;
        assert_eq!(answer.set_cookie(), None, "{lines:?}");
        assert_eq!(answer.results(), json!(["Ada"]), "{lines:?}");
    }
}

async fn a_signed_id_that_is_not_known_is_not_adopted(store: Store) {
    // The same key signs for every store, so this is an id of ours that this store has never seen.
    let elsewhere = stores::memory().await.unwrap().start();
    let stranger = good(&elsewhere).await;
    let playground = store.start();
    let visitor = playground.visitor().with_cookie(&stranger);
    let read = visitor.post(r#"{"ops": [["all"]]}"#).await;
    assert_eq!(read.set_cookie(), None, "who only looks gets nothing");
    assert_eq!(read.results(), json!([{}]));
    assert_eq!(store.records().await.len(), 0);
    visitor.ops(json!([["put", "k", 1]])).await;
    let given = visitor.cookie().unwrap();
    assert_ne!(id_of(&given), id_of(&stranger), "another id");
    assert_eq!(visitor.all().await, json!({ "k": 1 }));
    let planted = playground.visitor().with_cookie(&stranger);
    assert_eq!(
        planted.all().await,
        json!({}),
        "nobody gets in by the old one"
    );
}

/// The characters of the value that hold the id and nothing else.
fn id_of(value: &str) -> &str {
    &value[7..41]
}

async fn what_does_not_fit_into_a_cookie_is_refused(store: Store) {
    let playground = store.start();
    let visitor = playground.visitor();
    visitor.ops(json!([["put", "k", "old"]])).await;
    let before = visitor.cookie();
    let fits = json!({ "ops": [["put", "big", "x".repeat(2800)]] }).to_string();
    let answer = visitor.copy().post(&fits).await;
    let (pair, _) = answer.set_cookie().unwrap().split_once(';').unwrap();
    assert!((3700..=4096).contains(&(pair.len() - 1)), "{}", pair.len());

    let body =
        json!({ "ops": [["put", "k", "new"], ["put", "big", "x".repeat(4000)]] }).to_string();
    let html = [("accept", "text/html")];
    let answer = visitor
        .send_with(Method::POST, "/session", &body, &html)
        .await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answer.set_cookie(), None);
    let text = answer.text();
    assert!(text.contains("4096"), "both sizes: {text}");
    let sizes = text.split(|character: char| !character.is_ascii_digit());
    let sizes = sizes.filter_map(|size| size.parse::<u32>().ok());
    assert!(
        sizes.filter(|size| (5000..7000).contains(size)).count() > 0,
        "both sizes: {text}"
    );
    assert_eq!(visitor.cookie(), before, "what the browser has stays");
    assert_eq!(visitor.all().await, json!({ "k": "old" }));
    serves_on(&visitor).await;
}

async fn serves_on(visitor: &Visitor) {
    visitor.ops(json!([["put", "k", "newer"]])).await;
    assert_eq!(visitor.all().await, json!({ "k": "newer" }));
}
