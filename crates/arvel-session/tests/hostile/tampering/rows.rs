//! The `database` driver's row: what each column is good for, and that no more depends on it. The three databases share
//! what reads a row.

use std::time::Duration;

use arvel_session::{
    Clock,
    store::{DatabaseStore, Record},
};
use rusqlite::{Connection, params};
use tempfile::TempDir;

use super::{App, Found, flipped, probe, visitor};
use crate::support::{Browser, config};

const SHOWS: &str = r#"{"a":1}"#;

/// A table with one session, and another connection to it.
struct Scene {
    app: App,
    browser: Browser,
    row: i64,
    db: Connection,
    _folder: TempDir,
}

impl Scene {
    async fn new(timeout: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sessions.db");
        let url = format!("sqlite:{}", path.display());
        let config = config()
            .driver("database")
            .database_url(url)
            .timeout(timeout);
        let store = DatabaseStore::from_config(&config).unwrap();
        store.migrate().await.unwrap();
        let app = App::new(config);
        let (browser, _) = visitor(&app, "a").await;
        let db = Connection::open(path).unwrap();
        db.pragma_update(None, "synchronous", "OFF").unwrap();
        let row = db
            .query_row("SELECT rowid FROM sessions", [], |row| row.get(0))
            .unwrap();
        Self {
            app,
            browser,
            row,
            db,
            _folder: folder,
        }
    }

    /// A column's bytes: a number's are big endian.
    fn get<T: rusqlite::types::FromSql>(&self, column: &str) -> T {
        let select = format!("SELECT {column} FROM sessions WHERE rowid = ?");
        self.db
            .query_row(&select, [self.row], |row| row.get(0))
            .unwrap()
    }

    fn set(&self, column: &str, value: impl rusqlite::ToSql) {
        let update = format!("UPDATE sessions SET {column} = ? WHERE rowid = ?");
        let changed = self.db.execute(&update, params![value, self.row]);
        assert_eq!(changed.unwrap(), 1);
    }

    async fn finds(&self) -> Found {
        let found = probe(&self.app, self.browser.cookie()).await;
        let clean = "DELETE FROM sessions WHERE rowid <> ?";
        self.db.execute(clean, [self.row]).unwrap();
        found
    }

    /// Flips each bit of a number.
    async fn flip_number(&self, column: &str, expected: impl Fn(i64) -> Found) {
        let good: i64 = self.get(column);
        for bit in 0..64 {
            let bad = good ^ (1 << bit);
            self.set(column, bad);
            assert_eq!(self.finds().await, expected(bad), "bit {bit} of {column}");
            self.set(column, good);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_is_the_session_or_none() {
    let scene = Scene::new(Duration::from_secs(30)).await;
    let session = Found::session(SHOWS);
    let now = i64::try_from(scene.app.clock.now().as_millis()).unwrap();

    let payload: Vec<u8> = scene.get("payload");
    for bit in 0..payload.len() * 8 {
        let bad = flipped(&payload, bit);
        let expected = match bit / 8 {
            0 if (2..=15).contains(&bad[0]) => Found::Unavailable,
            // The column's counts.
            Record::EXPIRES_AT..Record::HEADER => session.clone(),
            _ => Found::Nothing,
        };
        scene.set("payload", bad);
        assert_eq!(scene.finds().await, expected, "bit {bit} of the payload");
    }
    scene.set("payload", payload);

    scene
        .flip_number("expires_at", |moved| match moved > now {
            true => session.clone(),
            false => Found::Nothing,
        })
        .await;
    // What a save compares, and what people look at.
    for column in ["revision", "live", "last_activity"] {
        scene.flip_number(column, |_| session.clone()).await;
    }
    for column in ["user_id", "ip_address", "user_agent"] {
        scene.set(column, "somebody else");
        assert_eq!(scene.finds().await, session, "{column}");
    }

    let id: String = scene.get("id");
    for bit in 0..id.len() * 8 {
        let bad = flipped(id.as_bytes(), bit);
        scene
            .db
            .execute(
                "UPDATE sessions SET id = CAST(? AS TEXT) WHERE rowid = ?",
                params![bad, scene.row],
            )
            .unwrap();
        assert_eq!(scene.finds().await, Found::Nothing, "bit {bit} of the id");
    }
    scene.set("id", id);
    assert_eq!(scene.finds().await, session);
}

/// The columns that a save compares and the payload contradict each other: nothing is stored, and nobody is told that it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_over_columns_that_contradict_the_payload_is_a_503() {
    // It tries again until then.
    let scene = Scene::new(Duration::from_millis(500)).await;
    for column in ["revision", "live"] {
        let good: i64 = scene.get(column);
        for bit in [0, 1, 31, 32, 62, 63] {
            scene.set(column, good ^ (1 << bit));
            let payload: Vec<u8> = scene.get("payload");
            let put = |session: arvel_session::SessionData| session.put("a", 2);
            let answer = scene.browser.clone().change(&scene.app, put).await;
            answer.failed_with(503);
            assert_eq!(scene.get::<Vec<u8>>("payload"), payload);
        }
        scene.set(column, good);
    }
    assert_eq!(scene.browser.all(&scene.app).await, SHOWS);
}
