//! Keys and their rotation, seals, and what a copy of the store or of the log shows (DESIGN §7 R14, §8 R18, R19).

use std::{collections::BTreeSet, time::Duration};

use arvel_session::{Key, Secret, SessionConfig, SessionData, store::Kind};

use crate::support::{
    App, Browser, config,
    events::Events,
    script::{Call, Fault, Script},
};

const MINUTE: Duration = Duration::from_secs(60);

async fn begun(config: SessionConfig) -> (App, Script, Browser) {
    let store = Script::new().persistent();
    let app = App::on(store.clone(), config);
    let mut browser = Browser::default();
    browser.change(&app, |session| session.put("k", 1)).await;
    store.take_log();
    (app, store, browser)
}

/// The same application after its key was rotated.
fn rotated(app: &App, store: &Script, secret: &Secret) -> App {
    let old = app
        .manager
        .config()
        .unwrap()
        .settings()
        .secret_key()
        .unwrap();
    let old = old.clone();
    let secret = secret.clone();
    app.again(store, |config| {
        config.secret_key(secret).previous_keys([old])
    })
}

#[tokio::test]
async fn r14_a_token_is_signed_for_one_cookie_name_under_one_secret() {
    let (app, store, browser) = begun(config()).await;
    let other_name = app.again(&store, |config| config.cookie_name("other"));
    let mut stranger = Browser::default();
    stranger
        .jar
        .insert("other".into(), browser.cookie().to_owned());
    assert_eq!(stranger.all(&other_name).await, "{}");
    let other_key = app.again(&store, |config| config.secret_key(Secret::generate()));
    store.take_log();
    assert_eq!(browser.all(&other_key).await, "{}");
    assert_eq!(store.take_calls(), [], "the store is not asked");
}

#[tokio::test]
async fn r14_ids_are_random_and_tokens_say_when_they_were_issued() {
    let app = App::new(config());
    let mut seen = BTreeSet::new();
    for _ in 0..200 {
        let mut browser = Browser::default();
        browser.change(&app, |session| session.put("k", 1)).await;
        let value = browser.cookie().to_owned();
        let bytes = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(&value).unwrap();
        assert_eq!(bytes.len(), 63);
        let issued = u32::from_be_bytes(bytes[1..5].try_into().unwrap());
        assert_eq!(issued, 1_790_000_000);
        // Any 8 bytes of the id differ from all others'.
        assert!(seen.insert(bytes[7..15].to_vec()));
        assert!(seen.insert(bytes[15..23].to_vec()));
        assert!(seen.insert(bytes[23..31].to_vec()));
    }
}

#[tokio::test]
async fn a_rotated_key_reissues_the_cookie_and_reseals_the_record() {
    let (old, store, mut browser) = begun(config()).await;
    let secret = Secret::generate();
    let app = rotated(&old, &store, &secret);
    let (key, before) = store.only_live();
    // A background fetch changes the seal, and leaves the cookie (R13).
    let mut fetch = browser.in_background();
    fetch.change(&app, |_| Ok(())).await.is_silent();
    assert_eq!(store.take_calls(), [Call::Load, Call::Save]);
    let after = store.record(&key).unwrap();
    assert_ne!(after.revision, before.revision);
    // A navigation gets the new cookie; then all is done.
    browser.change(&app, |_| Ok(())).await.sets_one_cookie();
    browser.change(&app, |_| Ok(())).await.is_silent();
    assert_eq!(store.take_calls(), [Call::Load, Call::Load]);

    let without_old = app.again(&store, |config| config.previous_keys([]));
    assert_eq!(browser.all(&without_old).await, r#"{"k":1}"#);
    assert_eq!(fetch.all(&without_old).await, "{}", "still the old cookie");
}

#[tokio::test]
async fn a_csrf_token_stays_good_while_its_key_is_accepted_and_only_then() {
    let store = Script::new();
    let app = App::on(store.clone(), config());
    let mut browser = Browser::default();
    let form = browser
        .visit(&app, |session| Ok(session.token()))
        .await
        .body;
    let verify =
        |token: String| move |session: SessionData| Ok(session.verify_token(&token).to_string());

    let rotated = rotated(&app, &store, &Secret::generate());
    let page = browser.visit(&rotated, |session| Ok(session.token())).await;
    assert_ne!(page.body, form, "a token is made under the current key");
    for token in [&page.body, &form] {
        let answer = browser.visit(&rotated, verify(token.clone())).await;
        assert_eq!(answer.body, "true");
    }
    let without_old = rotated.again(&store, |config| config.previous_keys([]));
    assert_eq!(
        browser.visit(&without_old, verify(form.clone())).await.body,
        "false"
    );
    let wrong = [
        String::new(),
        form[1..].to_owned(),
        format!("{form}A"),
        "é".repeat(43),
    ];
    for token in wrong {
        assert_eq!(browser.visit(&app, verify(token)).await.body, "false");
    }
    let stranger = Browser::default().visit(&app, verify(form)).await;
    assert_eq!(stranger.body, "false");
    stranger.is_silent();
}

#[tokio::test]
async fn a_rotated_key_reissues_the_payload_of_the_cookie_driver() {
    let config = config().driver("cookie");
    let app = App::new(config.clone());
    let mut browser = Browser::default();
    browser.change(&app, |session| session.put("k", 1)).await;
    let old = config.settings().secret_key().unwrap().clone();
    let config = config.secret_key(Secret::generate());
    let app = App::new(config.clone().previous_keys([old]));
    let mut fetch = browser.in_background();
    fetch.change(&app, |_| Ok(())).await.is_silent();
    browser.change(&app, |_| Ok(())).await.sets_one_cookie();
    browser.change(&app, |_| Ok(())).await.is_silent();
    let without_old = App::new(config);
    assert_eq!(browser.all(&without_old).await, r#"{"k":1}"#);
}

#[tokio::test]
async fn a_reseal_that_meets_a_conflict_is_dropped() {
    let (old, store, browser) = begun(config()).await;
    let app = rotated(&old, &store, &Secret::generate());
    let reader = browser.hold(&app, |_| Ok(())).await;
    let mut writer = browser.in_background();
    writer
        .change(&old, |session| session.put("k", 2))
        .await
        .is_silent();
    let (key, before) = store.only_live();
    store.take_log();
    reader.finish().await.sets_one_cookie();
    assert_eq!(store.take_calls(), [Call::Save], "and no second try");
    assert_eq!(store.record(&key), Some(before));
}

#[tokio::test]
async fn a_reseal_that_fails_does_not_change_the_response() {
    let (old, store, mut browser) = begun(config()).await;
    let app = rotated(&old, &store, &Secret::generate());
    store.script(Call::Save, [Fault::refused(), Fault::refused()]);
    let answer = browser.visit(&app, |session| Ok(session.get_or("k", 0)?.to_string()));
    assert_eq!(answer.await.body, "1");
    store.has_run();
}

#[tokio::test]
async fn a_sealed_record_can_be_moved_neither_to_another_session_nor_to_another_cookie() {
    let (app, store, browser) = begun(config()).await;
    let (victim, record) = store.only_live();
    let mut thief = Browser::default();
    thief.change(&app, |session| session.put("x", 1)).await;
    let (own, _) = store
        .live()
        .into_iter()
        .find(|(key, _)| *key != victim)
        .unwrap();
    store.overwrite(&own, record.clone());
    assert_eq!(thief.all(&app).await, "{}");
    assert_eq!(browser.all(&app).await, r#"{"k":1}"#);

    // Another cookie name on the same store: the same id there would open nothing.
    let other = app.again(&store, |config| config.cookie_name("other"));
    let mut stranger = Browser::default();
    stranger.change(&other, |session| session.put("x", 1)).await;
    let (own, _) = store
        .live()
        .into_iter()
        .find(|(key, _)| *key != victim && *key != own)
        .unwrap();
    store.overwrite(&own, record);
    assert_eq!(stranger.all(&other).await, "{}");
}

#[tokio::test]
async fn a_payload_is_good_for_one_cookie_name_and_its_expiry_is_in_the_seal() {
    let config = config().driver("cookie");
    let app = App::new(config.clone());
    let mut browser = Browser::default();
    browser.change(&app, |session| session.put("k", 1)).await;
    let other = App::new(config.cookie_name("other"));
    let mut stranger = Browser::default();
    stranger
        .jar
        .insert("other".into(), browser.cookie().to_owned());
    assert_eq!(stranger.all(&other).await, "{}");
    // Every bit of it counts: version, kind, revision, expiry, nonce, body, tag.
    let base64 = base64_simd::URL_SAFE_NO_PAD;
    let bytes = base64.decode_to_vec(browser.cookie()).unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let forged = Browser::with_cookie(base64.encode_to_string(flipped));
        assert_eq!(forged.all(&app).await, "{}", "bit {bit}");
    }
}

#[tokio::test]
async fn a_revision_or_a_kind_that_was_changed_in_the_store_opens_nothing() {
    let (app, store, browser) = begun(config()).await;
    let (key, record) = store.only_live();
    let mut older = record.clone();
    older.revision = arvel_session::store::Revision::from_u64(1);
    store.overwrite(&key, older);
    assert_eq!(browser.all(&app).await, "{}");
    store.overwrite(&key, record.clone());
    assert_eq!(browser.all(&app).await, r#"{"k":1}"#);
}

#[tokio::test]
async fn without_encryption_a_record_is_plain_and_one_that_was_sealed_is_still_read() {
    let (app, store, mut browser) = begun(config()).await;
    assert_eq!(store.only_live().1.kind, Kind::Sealed);
    let plain = app.again(&store, |config| config.encrypt(false));
    assert_eq!(browser.all(&plain).await, r#"{"k":1}"#);
    browser
        .change(&plain, |session| session.put("k", "in the clear"))
        .await;
    let (_, record) = store.only_live();
    assert_eq!(record.kind, Kind::Plain);
    assert!(contains(&record.body, b"in the clear"));
    assert_eq!(browser.all(&app).await, "{}", "but not the other way round");
}

#[tokio::test]
async fn the_memory_driver_keeps_nothing_at_rest_and_is_not_sealed() {
    let store = Script::new();
    let app = App::on(store.clone(), config());
    let mut browser = Browser::default();
    browser.change(&app, |session| session.put("k", 1)).await;
    assert_eq!(store.only_live().1.kind, Kind::Plain);
}

fn contains(hay: &[u8], needle: &[u8]) -> bool {
    hay.windows(needle.len()).any(|window| window == needle)
}

#[tokio::test]
async fn r18_nothing_usable_is_at_rest() {
    let (app, store, mut browser) = begun(config()).await;
    browser
        .change(&app, |session| {
            session.put("card", "4111 1111 1111 1111")?;
            session.regenerate();
            Ok(())
        })
        .await
        .sets_one_cookie();
    let token = base64_simd::URL_SAFE_NO_PAD
        .decode_to_vec(browser.cookie())
        .unwrap();
    let id = &token[5..31];
    let (key, _) = store.only_live();
    let hash = ring::digest::digest(&ring::digest::SHA256, id);
    assert_eq!(
        key.hash(),
        hash.as_ref(),
        "SHA-256 of the id, and no secret in it"
    );
    for (key, record) in store.records() {
        let dump = [&key.to_bytes()[..], &record.encode()].concat();
        for secret in [id, &id[2..10], &id[18..26], b"card", b"4111"] {
            assert!(!contains(&dump, secret), "{record:?}");
        }
        // Nor can a cookie be made of it: what the store shows verifies nowhere.
        let forged = base64_simd::URL_SAFE_NO_PAD.encode_to_string(&dump[..63.min(dump.len())]);
        assert_eq!(Browser::with_cookie(forged).all(&app).await, "{}");
    }
}

fn corrupt() -> arvel_session::Error {
    arvel_session::store::Record::decode(b"short".as_slice().into()).unwrap_err()
}

/// Every part of a request goes wrong once, and nothing of what was said shows.
#[tokio::test(start_paused = true)]
async fn r19_no_secret_no_id_and_no_value_is_in_the_log_or_in_an_error() {
    let secret = Secret::generate();
    let shown = "value-4111";
    let events = Events::capture();
    let (app, store, mut browser) = begun(config().secret_key(secret.clone())).await;
    let mut texts = Vec::new();
    let mut cookies = vec![browser.cookie().to_owned()];
    let put = move |session: SessionData| session.put("card", shown);
    let requests: [fn(SessionData) -> arvel_session::Result<()>; 5] = [
        |session| session.put("card", "value-4111"),
        |session| session.flash("card", "value-4111"),
        |session| session.increment("card", 1).map(|_| ()),
        |session| {
            session.regenerate();
            session.put("user", "value-4111")
        },
        |session| {
            session.invalidate();
            Ok(())
        },
    ];
    for request in requests {
        for faults in [
            vec![],
            vec![Fault::refused(), Fault::refused()],
            vec![Fault::lost()],
        ] {
            for call in [Call::Load, Call::Save, Call::Replace, Call::Touch] {
                app.clock.advance(2 * MINUTE);
                store.script(call, faults.clone());
                let late = browser.clone();
                browser.change(&app, put).await;
                let answer = browser.change(&app, request).await;
                texts.push(format!("{answer:?}"));
                late.clone().change(&app, request).await;
                cookies.extend(browser.jar.values().cloned());
                store.clear();
            }
        }
    }
    store.script(Call::Load, [Fault::error(corrupt())]);
    let mut visitor = Browser::default();
    visitor.change(&app, put).await;
    visitor.change(&app, put).await;
    Browser::with_cookie("A".repeat(84)).change(&app, put).await;
    texts.push(events.text());
    assert!(events.text().lines().count() > 100);
    assert!(events.count("cannot be opened") > 0);
    for text in texts {
        // The cookie's own line is where it belongs.
        let text: String = text
            .split("\"set-cookie\"")
            .map(|part| part.split_once(';').map_or(part, |(_, rest)| rest))
            .collect();
        assert!(!text.contains("4111"), "{text}");
        for cookie in &cookies {
            assert!(!text.contains(&cookie[8..40]), "{text}");
        }
    }
}

#[tokio::test]
async fn r19_no_debug_shows_a_secret_an_id_or_a_value() {
    let secret_text = "correct horse battery staple, and more";
    let secret: Secret = secret_text.parse().unwrap();
    let (app, store, mut browser) = begun(config().secret_key(secret.clone())).await;
    browser
        .change(&app, |session| {
            session.set_user(Some("user-4111"));
            session.put("card", "value-4111")
        })
        .await;
    let plain = App::on(store.clone(), config().encrypt(false));
    let mut other = Browser::default();
    other
        .change(&plain, |session| session.put("card", "value-4111"))
        .await;
    let session = SessionData::fake().with("card", "value-4111");
    let (config, store_handle) = (app.manager.config().unwrap(), app.manager.store().unwrap());
    let layer = arvel_session::StartSession::new(store_handle.clone());
    let service = tower::Layer::layer(&layer, "inner");
    let mut texts = vec![
        format!("{session:?}"),
        format!("{:?}", session.get::<u8>("card")),
        format!("{:?} {secret:?}", Key::<u8>::new("card")),
        format!("{config:?} {:?}", config.settings()),
        format!("{:?} {store_handle:?} {layer:?} {service:?}", app.manager),
    ];
    for entry in store.take_log() {
        texts.push(format!("{entry:?}"));
    }
    for (key, record) in store.records() {
        texts.push(format!("{key:?} {record:?}"));
        assert!(!format!("{key:?}").contains(&key.hex()));
    }
    for text in texts {
        assert!(!text.contains("4111"), "{text}");
        assert!(!text.contains(secret_text), "{text}");
        assert!(!text.contains(&browser.cookie()[8..40]), "{text}");
    }
}
