//! The cookies: a signed token, and the sealed record of the `cookie` driver, under the current key and a previous one.

use arvel_session::{Secret, SessionConfig, store::Key};
use axum::http::HeaderValue;
use base64_simd::URL_SAFE_NO_PAD as BASE64;

use super::{App, Found, blobs::Blobs, flipped, probe, read, send, visitor};
use crate::support::{Browser, config};

/// Sends this cookie with each bit of its text and of its bytes flipped: what is not as we made it is no session.
async fn every_bit_of(app: &App, browser: &Browser, shows: &str) {
    let cookie = browser.cookie().to_owned();
    assert_eq!(probe(app, &cookie).await, Found::session(shows));
    let mut sent = 0;
    for bit in 0..cookie.len() * 8 {
        let text = flipped(cookie.as_bytes(), bit);
        // Anything else is no header.
        if HeaderValue::from_bytes(&text).is_ok() {
            let answer = send(app, &text, read).await;
            answer.is_silent();
            assert_eq!(answer.body, "{}", "bit {bit} of the text");
            sent += 1;
        }
    }
    assert!(sent > cookie.len() * 4);
    let bytes = BASE64.decode_to_vec(&cookie).unwrap();
    for bit in 0..bytes.len() * 8 {
        let forged = BASE64.encode_to_string(flipped(&bytes, bit));
        assert_eq!(probe(app, &forged).await, Found::Nothing, "bit {bit}");
    }
    assert_eq!(probe(app, &cookie).await, Found::session(shows));
}

/// The same application after its key was rotated.
fn rotated(config: SessionConfig) -> SessionConfig {
    let old = config.settings().secret_key().unwrap().clone();
    config.secret_key(Secret::generate()).previous_keys([old])
}

#[tokio::test]
async fn a_token_is_taken_as_it_was_signed_or_not_at_all() {
    let store = Blobs::default();
    let config = config();
    let app = App::on(store.clone(), config.clone());
    let (browser, _) = visitor(&app, "a").await;
    let before = store.rows().clone();
    every_bit_of(&app, &browser, r#"{"a":1}"#).await;
    let untouched = |store: &Blobs| {
        before
            .keys()
            .all(|key: &Key| store.rows()[key] == before[key])
    };
    assert!(untouched(&store));

    let app = App::on(store.clone(), rotated(config));
    let mut fetch = browser.in_background();
    fetch.change(&app, |_| Ok(())).await.is_silent();
    // A navigation would get the cookie anew.
    let bytes = BASE64.decode_to_vec(browser.cookie()).unwrap();
    for bit in 0..bytes.len() * 8 {
        let forged = BASE64.encode_to_string(flipped(&bytes, bit));
        assert_eq!(probe(&app, &forged).await, Found::Nothing, "bit {bit}");
    }
    assert_eq!(fetch.all(&app).await, r#"{"a":1}"#);
}

#[tokio::test]
async fn a_sealed_payload_is_taken_as_it_was_sealed_or_not_at_all() {
    // What a browser keeps is sealed, whatever `encrypt` says.
    for encrypt in [true, false] {
        let config = config().driver("cookie").encrypt(encrypt);
        let app = App::new(config.clone());
        let (browser, _) = visitor(&app, "a").await;
        every_bit_of(&app, &browser, r#"{"a":1}"#).await;

        let app = App::new(rotated(config));
        let bytes = BASE64.decode_to_vec(browser.cookie()).unwrap();
        for bit in 0..bytes.len() * 8 {
            let forged = BASE64.encode_to_string(flipped(&bytes, bit));
            assert_eq!(probe(&app, &forged).await, Found::Nothing, "bit {bit}");
        }
        assert_eq!(browser.all(&app).await, r#"{"a":1}"#);
    }
}
