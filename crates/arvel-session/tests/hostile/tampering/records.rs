//! What a store keeps: a session, sealed or plain, and the markers of dead ids.

use arvel_session::{
    SessionConfig,
    store::{Key, Record},
};
use axum::http::StatusCode;
use serde_json::Value;

use super::{Found, blobs::Blobs, flipped, probe, visitor};
use crate::support::{App, Browser, config};

/// An application with a session under a known key, and another that nobody may be given.
struct Scene {
    app: App,
    store: Blobs,
    browser: Browser,
    fingerprint: String,
    key: Key,
    bystander: Browser,
}

const SHOWS: &str = r#"{"a":1}"#;

impl Scene {
    async fn new(config: SessionConfig) -> Self {
        let store = Blobs::default();
        let app = App::on(store.clone(), config);
        let (bystander, _) = visitor(&app, "bystander").await;
        let others = store.newcomer(&[]);
        let (browser, fingerprint) = visitor(&app, "a").await;
        Self {
            key: store.newcomer(&[others]),
            app,
            store,
            browser,
            fingerprint,
            bystander,
        }
    }

    fn stored(&self) -> Vec<u8> {
        self.store.rows()[&self.key].clone()
    }

    /// What a request finds when this is stored in place of the record. If that is no session, the bytes stay as they are.
    async fn finds(&self, stored: Vec<u8>) -> Found {
        let before = self.store.rows().clone();
        self.store.rows().insert(self.key, stored.clone());
        let found = probe(&self.app, self.browser.cookie()).await;
        if !matches!(found, Found::Session(_)) {
            assert_eq!(self.stored(), stored, "left as it is");
        }
        // Without what the probe has made.
        *self.store.rows() = before;
        found
    }

    async fn nobody_else_was_touched(&self) {
        let shows = self.bystander.all(&self.app).await;
        assert_eq!(shows, r#"{"bystander":1}"#);
    }
}

/// What flipping a bit of the version comes to: a newer format, or damage.
fn of_version(flipped: &[u8]) -> Found {
    match flipped[0] {
        2..=15 => Found::Unavailable,
        _ => Found::Nothing,
    }
}

/// What a record comes to whose expiry was changed, and nothing else.
fn of_expiry(scene: &Scene, flipped: &[u8], alive: Found) -> Found {
    let record = Record::decode(flipped.to_vec().into()).unwrap();
    match record.is_expired(arvel_session::Clock::now(&scene.app.clock)) {
        true => Found::Nothing,
        false => alive,
    }
}

const KIND: usize = Record::KIND_AT;
const REVISION: usize = Record::REVISION_AT;
const EXPIRY: usize = Record::EXPIRES_AT;
const BODY: usize = Record::HEADER;

#[tokio::test]
async fn a_sealed_record_is_opened_as_it_was_sealed_or_not_at_all() {
    let scene = Scene::new(config()).await;
    let good = scene.stored();
    assert_eq!(scene.finds(good.clone()).await, Found::session(SHOWS));
    for bit in 0..good.len() * 8 {
        let bad = flipped(&good, bit);
        let expected = match bit / 8 {
            0 => of_version(&bad),
            // Whoever can write to the store can move the expiry of a session, and no more.
            EXPIRY..BODY => of_expiry(&scene, &bad, Found::session(SHOWS)),
            _ => Found::Nothing,
        };
        assert_eq!(scene.finds(bad).await, expected, "bit {bit}");
    }
    for length in 0..good.len() {
        let found = scene.finds(good[..length].to_vec()).await;
        assert_eq!(found, Found::Nothing, "{length} bytes");
    }
    scene.nobody_else_was_touched().await;
}

/// With `encrypt = false` nothing vouches for what is stored: it is this session all the same, or none.
#[tokio::test]
async fn a_plain_record_is_the_same_session_or_none() {
    let scene = Scene::new(config().encrypt(false)).await;
    let good = scene.stored();
    let serial = BODY + 9..BODY + 17;
    let entries = BODY + 33..good.len();
    for bit in 0..good.len() * 8 {
        let bad = flipped(&good, bit);
        scene.store.rows().insert(scene.key, bad.clone());
        let answer = scene
            .browser
            .clone()
            .visit(&scene.app, |session| {
                let all = session.all();
                let shows = all.map_or_else(
                    |error| error.to_string(),
                    |all| Value::from(all).to_string(),
                );
                Ok(format!("{} {shows}", session.id()))
            })
            .await;
        if answer.status == StatusCode::SERVICE_UNAVAILABLE {
            assert_eq!(of_version(&bad), Found::Unavailable, "bit {bit}");
            continue;
        }
        answer.is_silent();
        let (fingerprint, shows) = answer.body.split_once(' ').unwrap();
        let is_whole = fingerprint == scene.fingerprint && shows == SHOWS;
        match bit / 8 {
            0 | KIND => assert_eq!(shows, "{}", "bit {bit}"),
            REVISION..EXPIRY => assert!(is_whole, "bit {bit}"),
            EXPIRY..BODY => {
                let alive = of_expiry(&scene, &bad, Found::session(shows));
                assert_eq!(is_whole, alive != Found::Nothing, "bit {bit}");
            }
            byte if serial.contains(&byte) => {
                assert_eq!((shows, is_whole), (SHOWS, false), "bit {bit}");
            }
            // A changed entry is a changed entry; a length that leads nowhere is damage.
            byte if entries.contains(&byte) => {
                let damaged = shows == "{}" || shows.contains("damaged") || shows.contains("found");
                assert!(damaged || fingerprint == scene.fingerprint, "bit {bit}");
                assert!(!is_whole, "bit {bit}");
            }
            // The number of revisions and the flag of a user shift all that follows.
            byte => assert!(
                is_whole || shows == "{}" || byte == BODY,
                "bit {bit}: {shows}"
            ),
        }
    }
    scene.store.rows().insert(scene.key, good);
    assert_eq!(scene.browser.all(&scene.app).await, SHOWS);
    scene.nobody_else_was_touched().await;
}

/// A session that was regenerated: its dead id is `key`.
async fn regenerated() -> (Scene, Browser) {
    let scene = Scene::new(config()).await;
    let mut browser = scene.browser.clone();
    browser
        .change(&scene.app, |session| {
            session.regenerate();
            Ok(())
        })
        .await
        .sets_one_cookie();
    (scene, browser)
}

#[tokio::test]
async fn a_marker_is_a_dead_id_or_an_unknown_one_and_never_a_session() {
    let (scene, successor) = regenerated().await;
    markers_bits(&scene).await;
    assert_eq!(successor.all(&scene.app).await, SHOWS);

    let scene = Scene::new(config()).await;
    scene
        .browser
        .clone()
        .change(&scene.app, |session| {
            session.invalidate();
            Ok(())
        })
        .await
        .removes_the_cookie();
    markers_bits(&scene).await;
}

async fn markers_bits(scene: &Scene) {
    let good = scene.stored();
    assert_eq!(scene.finds(good.clone()).await, Found::Dead);
    for bit in 0..good.len() * 8 {
        let bad = flipped(&good, bit);
        let expected = match bit / 8 {
            0 => of_version(&bad),
            KIND => Found::Nothing,
            EXPIRY..BODY => of_expiry(scene, &bad, Found::Dead),
            // The revision, and who the successor is: only a commit that is under way would follow there.
            _ => Found::Dead,
        };
        assert_eq!(scene.finds(bad).await, expected, "bit {bit}");
    }
    scene.nobody_else_was_touched().await;
}

/// A request that had loaded the session and finds its marker: with a wrong successor it fails, and writes nowhere.
#[tokio::test]
async fn a_handover_to_a_wrong_successor_is_a_503() {
    let (first, _) = regenerated().await;
    let bits = first.stored().len() * 8;
    for bit in BODY * 8..bits {
        let scene = Scene::new(config()).await;
        let late = scene
            .browser
            .hold(&scene.app, |session| session.put("late", 1))
            .await;
        let mut browser = scene.browser.clone();
        browser
            .change(&scene.app, |session| {
                session.regenerate();
                Ok(())
            })
            .await
            .sets_one_cookie();
        let bad = flipped(&scene.stored(), bit);
        scene.store.rows().insert(scene.key, bad);
        late.finish().await.failed_with(503);
        assert_eq!(browser.all(&scene.app).await, SHOWS);
        scene.nobody_else_was_touched().await;
    }
}

/// A request that had loaded the session, and finds at its commit that the record was changed: it stores all of it, or says
/// that it did not.
#[tokio::test]
async fn a_commit_over_a_spoiled_record_stores_everything_or_fails() {
    for encrypt in [true, false] {
        let scene = Scene::new(config().encrypt(encrypt)).await;
        let good = scene.stored();
        for bit in 0..good.len() * 8 {
            let late = scene
                .browser
                .hold(&scene.app, |session| session.put("late", 1))
                .await;
            let bad = flipped(&good, bit);
            scene.store.rows().insert(scene.key, bad.clone());
            let answer = late.finish().await;
            match bit / 8 {
                // Another revision: sealed, that cannot be opened; plain, it is a session that the change is applied to.
                REVISION..EXPIRY if encrypt => {
                    answer.failed_with(503);
                    assert_eq!(scene.stored(), bad);
                }
                // A kind that is a marker's, and a record that is not one.
                KIND if bad[KIND] >= Record::FIRST_MARKER => {
                    assert!(answer.status.is_server_error(), "bit {bit}: {answer:?}");
                    assert!(answer.set_cookies().is_empty());
                    assert_eq!(scene.stored(), bad);
                }
                // A store compares the revision, and what was loaded is whole.
                _ => {
                    answer.is_silent();
                    let shows = scene.browser.all(&scene.app).await;
                    assert_eq!(shows, r#"{"a":1,"late":1}"#, "bit {bit}");
                }
            }
            scene.store.rows().insert(scene.key, good.clone());
        }
        scene.nobody_else_was_touched().await;
    }
}
