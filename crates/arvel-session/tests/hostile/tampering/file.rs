//! The `file` driver's file: a header and slots, each with a checksum.

use std::{fs, os::unix::fs::FileExt, path::PathBuf};

use arvel_session::store::FileStore;
use tempfile::TempDir;

use super::{App, Found, probe, visitor};
use crate::support::{Browser, config};

/// Where the slots of short records begin, and how long a slot's head is (`store/file/layout.rs`).
const SLOTS: [usize; 2] = [16, 2056];
const HEAD: usize = 28;
/// The version of the layout.
const LAYOUT: usize = 15;

/// A folder with one session.
struct Scene {
    app: App,
    folder: TempDir,
    browser: Browser,
    path: PathBuf,
}

impl Scene {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let app = App::on(FileStore::open(folder.path()).unwrap(), config());
        let (browser, _) = visitor(&app, "a").await;
        let path = files(&folder).remove(0);
        Self {
            app,
            folder,
            browser,
            path,
        }
    }

    /// What requests find while a bit of the file is flipped, for each bit of these bytes.
    async fn flip(&self, bytes: std::ops::Range<usize>, expected: impl Fn(usize) -> Found) {
        let good = fs::read(&self.path).unwrap();
        let file = fs::File::options().write(true).open(&self.path).unwrap();
        for bit in bytes.start * 8..bytes.end * 8 {
            let at = bit / 8;
            let bad = good[at] ^ (1 << (bit % 8));
            file.write_all_at(&[bad], at as u64).unwrap();
            let found = probe(&self.app, self.browser.cookie()).await;
            let expected = match (at, bad) {
                (LAYOUT, 2..) => Found::Unavailable,
                _ => expected(at),
            };
            assert_eq!(found, expected, "bit {} of byte {at}", bit % 8);
            file.write_all_at(&good[at..=at], at as u64).unwrap();
            if found == Found::Nothing {
                let new = files(&self.folder)
                    .into_iter()
                    .filter(|it| *it != self.path);
                new.for_each(|path| fs::remove_file(path).unwrap());
            }
        }
        assert_eq!(fs::read(&self.path).unwrap(), good, "left as it is");
    }

    fn length(&self) -> usize {
        usize::try_from(fs::metadata(&self.path).unwrap().len()).unwrap()
    }
}

fn files(folder: &TempDir) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(fs::read_dir(path).unwrap().map(|file| file.unwrap().path()));
        }
    }
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_one_record_is_the_session_or_none() {
    let scene = Scene::new().await;
    scene
        .flip(0..scene.length(), |at| match at {
            // Nobody needs the rest of the header once there is a record.
            0..LAYOUT | LAYOUT => Found::session(r#"{"a":1}"#),
            _ => Found::Nothing,
        })
        .await;
}

/// The record before the newest is what a crash in the middle of a write leaves. It is the same session, a write ago.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_two_records_is_the_session_or_what_it_was_before() {
    let scene = Scene::new().await;
    let one_record = scene.length();
    let mut browser = scene.browser.clone();
    let put = |session: arvel_session::SessionData| session.put("a", 2);
    browser.change(&scene.app, put).await.is_silent();
    let newest = |_| Found::session(r#"{"a":2}"#);
    scene.flip(0..one_record, newest).await;
    // The first and the last bytes of what lies between the two.
    scene.flip(one_record..one_record + HEAD, newest).await;
    scene.flip(SLOTS[1] - HEAD..SLOTS[1], newest).await;
    let before = |_| Found::session(r#"{"a":1}"#);
    scene.flip(SLOTS[1]..scene.length(), before).await;
}

/// Nothing that was before a marker is left to come back.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_a_marker_is_a_dead_id_or_an_unknown_one() {
    let scene = Scene::new().await;
    let one_record = scene.length();
    end(&scene, scene.browser.clone()).await;
    scene.flip(0..one_record, |_| Found::Dead).await;
    scene
        .flip(SLOTS[1]..scene.length(), |_| Found::Nothing)
        .await;
}

/// The same where the records before lie in other zones of the file.
#[tokio::test(flavor = "multi_thread")]
async fn a_marker_over_records_of_any_length_is_the_last_of_its_file() {
    let scene = Scene::new().await;
    let mut browser = scene.browser.clone();
    for length in [3_000, 20_000, 3_001, 20_001] {
        let put = move |session: arvel_session::SessionData| session.put("b", "b".repeat(length));
        browser.change(&scene.app, put).await.is_silent();
    }
    end(&scene, browser).await;
    assert_eq!(probe(&scene.app, scene.browser.cookie()).await, Found::Dead);
    scene
        .flip(SLOTS[1]..SLOTS[1] + HEAD, |_| Found::Nothing)
        .await;
}

async fn end(scene: &Scene, mut browser: Browser) {
    let ended = browser.change(&scene.app, |session| {
        session.invalidate();
        Ok(())
    });
    ended.await.removes_the_cookie();
}
