//! What only SQLite's file does: locks, other processes, a disk that is full.

use std::{os::unix::fs::PermissionsExt, sync::Arc, time::Instant};

use arvel_session::store::SessionStore;
use rusqlite::Connection;

use super::{place::Place, *};

/// Another process, as far as SQLite is concerned.
fn stranger(place: &Place) -> Connection {
    Connection::open(place.path()).unwrap()
}

fn sqlite() -> Place {
    place::sqlite()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_file_is_an_error_for_writers_and_nothing_to_readers() {
    let place = sqlite();
    let store = place.store_with(Duration::from_millis(300)).await;
    insert(&store, &key(1), record(7, b"7")).await;
    let stranger = stranger(&place);
    stranger.execute_batch("BEGIN IMMEDIATE").unwrap();

    let began = Instant::now();
    let error = store
        .save(&key(1), at(7), write(record(8, b"8")))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store);
    assert!(
        began.elapsed() < Duration::from_millis(1_500),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(load(&store, &key(1)).await, Some(record(7, b"7")));

    stranger.execute_batch("ROLLBACK").unwrap();
    let saved = store
        .save(&key(1), at(7), write(record(8, b"8")))
        .await
        .unwrap();
    assert!(is_done(&saved));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_waits_for_a_short_lock() {
    let place = sqlite();
    let store = Arc::new(place.store().await);
    let stranger = stranger(&place);
    stranger.execute_batch("BEGIN IMMEDIATE").unwrap();
    let saving = tokio::spawn({
        let store = store.clone();
        async move {
            store
                .save(&key(1), Expect::Absent, write(record(7, b"7")))
                .await
                .unwrap()
        }
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!saving.is_finished());
    stranger.execute_batch("COMMIT").unwrap();
    assert!(is_done(&saving.await.unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_locked_for_all_is_never_empty() {
    let place = sqlite();
    let store = place.store_with(Duration::from_millis(300)).await;
    insert(&store, &key(1), record(7, b"7")).await;
    drop(store);
    // In this mode one writer excludes every reader. It begins when the store has let go of the file.
    let stranger = stranger(&place);
    let mode = || stranger.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()));
    while mode().is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stranger.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let store = place.open_with(Duration::from_millis(300));
    let error = store.load(At::Key(&key(1))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store);
    stranger.execute_batch("COMMIT").unwrap();
    assert_eq!(load(&store, &key(1)).await, Some(record(7, b"7")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_file_is_an_error_and_is_not_made_by_a_request() {
    let place = sqlite();
    let store = place.open();
    assert!(store.load(At::Key(&key(1))).await.is_err());
    assert!(
        store
            .save(&key(1), Expect::Absent, write(record(7, b"7")))
            .await
            .is_err()
    );
    assert!(!place.path().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_database_is_an_error() {
    let place = sqlite();
    std::fs::write(place.path(), vec![b'x'; 8192]).unwrap();
    let store = place.open();
    assert!(store.migrate().await.is_err());
    assert!(store.load(At::Key(&key(1))).await.is_err());
    assert!(
        store
            .save(&key(1), Expect::Absent, write(record(7, b"7")))
            .await
            .is_err()
    );
    assert_eq!(std::fs::read(place.path()).unwrap(), vec![b'x'; 8192]);
}

#[tokio::test(flavor = "multi_thread")]
async fn others_cannot_read_the_file() {
    let place = sqlite();
    let store = place.store().await;
    insert(&store, &key(1), record(7, b"7")).await;
    for file in std::fs::read_dir(place.path().parent().unwrap()).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", file.path());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_write_that_ends_the_transaction_fails_alone() {
    let place = sqlite();
    let store = Arc::new(place.store().await);
    place
        .execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON sessions WHEN NEW.revision % 10 = 3
             BEGIN SELECT RAISE(ROLLBACK, 'refused'); END",
        )
        .await;
    // While a stranger holds the lock, they gather; then they are one group.
    let stranger = stranger(&place);
    stranger.execute_batch("BEGIN IMMEDIATE").unwrap();
    let savers = (0..100).map(|number| {
        let store = store.clone();
        tokio::spawn(async move {
            let first = write(record(u64::from(number), b"x"));
            store
                .save(&key(number), Expect::Absent, first)
                .await
                .is_ok()
        })
    });
    let savers: Vec<_> = savers.collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    stranger.execute_batch("COMMIT").unwrap();
    for (number, saver) in (0..).zip(savers) {
        let is_saved = saver.await.unwrap();
        assert_eq!(is_saved, number % 10 != 3, "{number}");
        assert_eq!(
            load(&store, &key(number)).await.is_some(),
            is_saved,
            "{number}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_replace_did_first_is_undone_when_the_rest_fails() {
    let place = sqlite();
    let store = place.store().await;
    insert(&store, &key(1), record(7, b"7")).await;
    place
        .execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON sessions BEGIN SELECT RAISE(ABORT, 'refused'); END",
        )
        .await;
    assert!(replace(&store, 7, 2).await.is_err());
    assert_eq!(load(&store, &key(1)).await, Some(record(7, b"7")));
    place.execute("DROP TRIGGER refuse").await;
    assert!(is_done(&replace(&store, 7, 2).await.unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_was_given_up_is_not_made_later() {
    let place = sqlite();
    let store = place.store().await;
    let stranger = stranger(&place);
    stranger.execute_batch("BEGIN IMMEDIATE").unwrap();
    // The first is under way when it is dropped; the second has not begun.
    let first = store.save(&key(1), Expect::Absent, write(record(7, b"7")));
    tokio::time::sleep(Duration::from_millis(100)).await;
    let second = store.save(&key(2), Expect::Absent, write(record(7, b"7")));
    drop((first, second));
    stranger.execute_batch("COMMIT").unwrap();
    insert(&store, &key(3), record(7, b"7")).await;
    assert_eq!(load(&store, &key(2)).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_store_lets_go_of_the_file() {
    let place = sqlite();
    let store = place.store().await;
    insert(&store, &key(1), record(7, b"7")).await;
    assert!(is_open(&place));
    drop(store);
    for _ in 0..200 {
        if !is_open(&place) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the writer has not ended");
}

/// Whether this process has the file open.
fn is_open(place: &Place) -> bool {
    std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .flatten()
        .any(|fd| std::fs::read_link(fd.path()).is_ok_and(|target| target == place.path()))
}
