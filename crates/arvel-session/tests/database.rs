//! The `database` driver on SQLite, PostgreSQL and MySQL (MariaDB).
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

#[path = "database/file.rs"]
mod file;
#[path = "database/place.rs"]
mod place;
#[path = "database/servers.rs"]
mod servers;
#[path = "support/wire.rs"]
mod wire;

use std::{sync::Arc, time::Duration};

use arvel_session::{
    Error, ErrorKind, Time,
    store::{
        At, Columns, DatabaseStore, Expect, Key, Kind, Record, Revision, Saved, SessionStore, Write,
    },
};
use place::Place;

const NOW: Time = Time::from_millis(1_790_000_000_000);
const LATER: Time = Time::from_millis(1_790_007_200_000);
const TIMEOUT: Duration = Duration::from_secs(2);

/// Makes a test of each check on each database.
macro_rules! on_every_database {
    ($($check:ident)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $check() {
                super::$check(super::place::sqlite()).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $check() {
                if let Some(place) = super::place::postgres() {
                    super::$check(place).await;
                }
            })*
        }
        mod mysql {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $check() {
                if let Some(place) = super::place::mysql() {
                    super::$check(place).await;
                }
            })*
        }
    };
}

on_every_database! {
    loads_what_was_saved
    of_many_loads_at_once_each_finds_its_own
    of_many_saves_at_once_each_is_told_its_own
    saves_only_over_what_is_expected
    a_marker_ends_a_session
    a_save_that_is_sent_again_meets_itself
    of_many_first_saves_one_wins
    no_increment_is_lost_between_two_handles
    replaces_both_or_nothing
    of_many_replaces_one_wins
    a_dropped_call_happens_in_full_or_not_at_all
    touches_the_expiry_alone
    sweeps_what_has_expired_in_batches
    sweepers_and_touches_get_along
    keeps_every_revision_and_expiry
    keeps_every_byte_and_large_bodies
    fills_the_columns
    refuses_a_user_that_does_not_fit
    says_that_the_table_is_missing
    says_that_a_row_is_damaged
    migrates_once_however_often_and_from_wherever
    upgrades_the_original_table
    two_tables_live_side_by_side
}

fn key(number: u8) -> Key {
    Key::new([1, number], [number; 32])
}

fn record(revision: u64, body: &[u8]) -> Record {
    Record::new(
        Kind::Sealed,
        Revision::from_u64(revision),
        LATER,
        body.to_vec(),
    )
}

fn marker(revision: u64) -> Record {
    let successor = Kind::Regenerated(key(200));
    Record::new(successor, Revision::from_u64(revision), LATER, Vec::new())
}

fn write(record: Record) -> Write {
    Write::new(record, NOW)
}

fn at(revision: u64) -> Expect {
    Expect::Revision(Revision::from_u64(revision))
}

async fn load(store: &DatabaseStore, key: &Key) -> Option<Record> {
    store.load(At::Key(key)).await.unwrap()
}

async fn insert(store: &DatabaseStore, key: &Key, record: Record) {
    let saved = store
        .save(key, Expect::Absent, write(record))
        .await
        .unwrap();
    assert!(matches!(saved, Saved::Done), "{saved:?}");
}

fn is_done(saved: &Saved) -> bool {
    matches!(saved, Saved::Done)
}

fn conflict(saved: Saved) -> Option<Record> {
    match saved {
        Saved::Conflict(record) => record,
        other => panic!("not a conflict: {other:?}"),
    }
}

async fn loads_what_was_saved(place: Place) {
    let store = place.store().await;
    assert_eq!(load(&store, &key(1)).await, None);
    insert(&store, &key(1), record(7, b"body")).await;
    assert_eq!(load(&store, &key(1)).await, Some(record(7, b"body")));
    assert_eq!(load(&store, &key(2)).await, None);

    let another = place.open();
    assert_eq!(load(&another, &key(1)).await, Some(record(7, b"body")));
}

/// More than go to a server in one statement, some for the same session, some for none, one for a row that is damaged.
async fn of_many_loads_at_once_each_finds_its_own(place: Place) {
    const DAMAGED: u8 = 40;
    let store = Arc::new(place.store().await);
    for number in 0..=DAMAGED {
        insert(&store, &key(number), record(7, &[number])).await;
    }
    let (table, id) = (&place.table, key(DAMAGED).hex());
    place
        .execute(&format!(
            "UPDATE {table} SET payload = 'X' WHERE id = '{id}'"
        ))
        .await;
    let mut loads = tokio::task::JoinSet::new();
    for number in (0..80).cycle().take(400) {
        let store = store.clone();
        loads.spawn(async move { (number, store.load(At::Key(&key(number))).await) });
    }
    for (number, found) in loads.join_all().await {
        match number {
            ..DAMAGED => assert_eq!(found.unwrap(), Some(record(7, &[number]))),
            DAMAGED => assert_eq!(found.unwrap_err().kind(), ErrorKind::Corrupt),
            _ => assert_eq!(found.unwrap(), None),
        }
    }
}

/// Over what is there, over what is not, over nothing; and two over the same, of which one wins.
async fn of_many_saves_at_once_each_is_told_its_own(place: Place) {
    let store = Arc::new(place.store().await);
    for number in 0..60 {
        insert(&store, &key(number), record(7, b"before")).await;
    }
    insert(&store, &key(60), marker(7)).await;
    let mut saves = tokio::task::JoinSet::new();
    for number in (0..80).chain(0..20) {
        let store = store.clone();
        let expected = if (20..40).contains(&number) { 6 } else { 7 };
        saves.spawn(async move {
            let write = write(record(8, &[number]));
            (
                number,
                store.save(&key(number), at(expected), write).await.unwrap(),
            )
        });
    }
    let mut done = Vec::new();
    for (number, saved) in saves.join_all().await {
        match number {
            20..40 => assert_eq!(conflict(saved), Some(record(7, b"before"))),
            60 => assert_eq!(conflict(saved), Some(marker(7))),
            61.. => assert_eq!(conflict(saved), None),
            _ if is_done(&saved) => done.push(number),
            _ => assert_eq!(conflict(saved), Some(record(8, &[number]))),
        }
    }
    done.sort_unstable();
    assert_eq!(done, (0..20).chain(40..60).collect::<Vec<_>>());
    for number in done {
        assert_eq!(load(&store, &key(number)).await, Some(record(8, &[number])));
    }
}

async fn saves_only_over_what_is_expected(place: Place) {
    let store = place.store().await;
    let one = key(1);
    let saved = store
        .save(&one, at(7), write(record(8, b"8")))
        .await
        .unwrap();
    assert_eq!(conflict(saved), None, "nothing is there");
    assert_eq!(load(&store, &one).await, None);

    insert(&store, &one, record(7, b"7")).await;
    for expect in [Expect::Absent, at(6), at(8)] {
        let saved = store
            .save(&one, expect, write(record(8, b"8")))
            .await
            .unwrap();
        assert_eq!(conflict(saved), Some(record(7, b"7")), "{expect:?}");
    }
    assert_eq!(load(&store, &one).await, Some(record(7, b"7")));

    let saved = store
        .save(&one, at(7), write(record(8, b"8")))
        .await
        .unwrap();
    assert!(is_done(&saved));
    assert_eq!(load(&store, &one).await, Some(record(8, b"8")));
}

async fn a_marker_ends_a_session(place: Place) {
    let store = place.store().await;
    let one = key(1);
    insert(&store, &one, record(7, b"7")).await;
    let mut destroy = write(marker(8));
    destroy.durable = true;
    assert!(is_done(&store.save(&one, at(7), destroy).await.unwrap()));
    for expect in [Expect::Absent, at(7), at(8)] {
        let saved = store
            .save(&one, expect, write(record(9, b"9")))
            .await
            .unwrap();
        assert_eq!(conflict(saved), Some(marker(8)), "{expect:?}");
    }
    assert_eq!(load(&store, &one).await, Some(marker(8)));
}

async fn a_save_that_is_sent_again_meets_itself(place: Place) {
    let store = place.store().await;
    let one = key(1);
    insert(&store, &one, record(7, b"7")).await;
    let saved = store
        .save(&one, Expect::Absent, write(record(7, b"7")))
        .await
        .unwrap();
    assert_eq!(conflict(saved), Some(record(7, b"7")));

    let again = || store.save(&one, at(7), write(record(8, b"8")));
    assert!(is_done(&again().await.unwrap()));
    assert_eq!(conflict(again().await.unwrap()), Some(record(8, b"8")));
}

async fn of_many_first_saves_one_wins(place: Place) {
    let store = Arc::new(place.store().await);
    for round in 0..10 {
        let savers = (1..=8).map(|revision| {
            let store = store.clone();
            tokio::spawn(async move {
                let first = write(record(revision, b"first"));
                (
                    revision,
                    store
                        .save(&key(round), Expect::Absent, first)
                        .await
                        .unwrap(),
                )
            })
        });
        let mut winners = Vec::new();
        for saver in savers.collect::<Vec<_>>() {
            let (revision, saved) = saver.await.unwrap();
            if is_done(&saved) {
                winners.push(revision);
            }
        }
        assert_eq!(winners.len(), 1);
        let kept = load(&store, &key(round)).await.unwrap();
        assert_eq!(kept.revision.as_u64(), winners[0]);
    }
}

async fn no_increment_is_lost_between_two_handles(place: Place) {
    let handles = [Arc::new(place.store().await), Arc::new(place.open())];
    insert(&handles[0], &key(1), record(0, &0_u64.to_be_bytes())).await;
    let clients = (1..=8_u64).map(|client| {
        let store = handles[client as usize % 2].clone();
        tokio::spawn(async move {
            for round in 0..10 {
                increment(&store, client << 32 | round << 16).await;
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    let kept = load(&handles[0], &key(1)).await.unwrap();
    assert_eq!(kept.body.as_ref(), 80_u64.to_be_bytes());
}

/// Adds one, however often it takes.
async fn increment(store: &DatabaseStore, base: u64) {
    let mut found = load(store, &key(1)).await.unwrap();
    for attempt in 1.. {
        let count = u64::from_be_bytes(found.body.as_ref().try_into().unwrap());
        let next = record(base + attempt, &(count + 1).to_be_bytes());
        let expect = Expect::Revision(found.revision);
        match store.save(&key(1), expect, write(next)).await.unwrap() {
            Saved::Done => return,
            saved => found = conflict(saved).unwrap(),
        }
    }
}

fn replace(store: &DatabaseStore, expect: u64, new: u8) -> arvel_session::store::Reply<Saved> {
    let (old, new) = (key(1), key(new));
    let mut successor = write(record(20, b"successor"));
    successor.durable = true;
    store.replace(&old, Revision::from_u64(expect), marker(9), &new, successor)
}

async fn replaces_both_or_nothing(place: Place) {
    let store = place.store().await;
    assert_eq!(conflict(replace(&store, 7, 2).await.unwrap()), None);
    insert(&store, &key(1), record(7, b"7")).await;
    insert(&store, &key(3), record(30, b"another's")).await;

    assert_eq!(
        conflict(replace(&store, 6, 2).await.unwrap()),
        Some(record(7, b"7"))
    );
    assert_eq!(load(&store, &key(2)).await, None);

    // The new key is taken: the old session stays as it was.
    assert_eq!(
        conflict(replace(&store, 7, 3).await.unwrap()),
        Some(record(7, b"7"))
    );
    assert_eq!(load(&store, &key(1)).await, Some(record(7, b"7")));
    assert_eq!(load(&store, &key(3)).await, Some(record(30, b"another's")));

    assert!(is_done(&replace(&store, 7, 2).await.unwrap()));
    assert_eq!(load(&store, &key(1)).await, Some(marker(9)));
    assert_eq!(load(&store, &key(2)).await, Some(record(20, b"successor")));

    assert_eq!(
        conflict(replace(&store, 7, 2).await.unwrap()),
        Some(marker(9)),
        "sent again"
    );
    assert_eq!(
        conflict(replace(&store, 9, 4).await.unwrap()),
        Some(marker(9)),
        "a marker is dead"
    );
    assert_eq!(load(&store, &key(4)).await, None);
}

async fn of_many_replaces_one_wins(place: Place) {
    let store = Arc::new(place.store().await);
    insert(&store, &key(1), record(7, b"7")).await;
    let racers = (10..20).map(|new| {
        let store = store.clone();
        tokio::spawn(async move { (new, replace(&store, 7, new).await.unwrap()) })
    });
    let mut winners = Vec::new();
    for racer in racers.collect::<Vec<_>>() {
        let (new, saved) = racer.await.unwrap();
        match saved {
            Saved::Done => winners.push(new),
            saved => assert_eq!(conflict(saved), Some(marker(9))),
        }
    }
    assert_eq!(winners.len(), 1);
    for new in 10..20 {
        assert_eq!(
            load(&store, &key(new)).await.is_some(),
            winners.contains(&new)
        );
    }
}

async fn a_dropped_call_happens_in_full_or_not_at_all(place: Place) {
    let store = place.store().await;
    insert(&store, &key(1), record(7, b"7")).await;
    for micros in (0..3_000).step_by(150) {
        let call = replace(&store, 7, 2);
        let answer = tokio::time::timeout(Duration::from_micros(micros), call).await;
        // Whatever is still under way ends before this is answered, or soon after.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let (old, new) = (load(&store, &key(1)).await, load(&store, &key(2)).await);
        match new {
            Some(_) => {
                assert_eq!(old, Some(marker(9)));
                place.execute(&format!("DELETE FROM {}", place.table)).await;
                insert(&store, &key(1), record(7, b"7")).await;
            }
            None => {
                assert!(answer.is_err(), "{answer:?}");
                assert_eq!(old, Some(record(7, b"7")));
            }
        }
    }
    assert!(
        is_done(&replace(&store, 7, 2).await.unwrap()),
        "no connection is left in a bad state"
    );
}

async fn touches_the_expiry_alone(place: Place) {
    let store = place.store().await;
    insert(&store, &key(1), record(7, b"7")).await;
    insert(&store, &key(2), marker(8)).await;
    let moved = Time::from_millis(LATER.as_millis() + 1);
    for number in 1..=3 {
        store.touch(&key(number), moved, NOW).await.unwrap();
    }
    let mut expected = record(7, b"7");
    expected.expires = moved;
    assert_eq!(load(&store, &key(1)).await, Some(expected));
    assert_eq!(
        load(&store, &key(2)).await,
        Some(marker(8)),
        "a marker is never extended"
    );
    assert_eq!(load(&store, &key(3)).await, None);

    let saved = store
        .save(&key(1), at(7), write(record(8, b"8")))
        .await
        .unwrap();
    assert!(is_done(&saved), "a touch is no write");
    assert_eq!(
        load(&store, &key(1)).await,
        Some(record(8, b"8")),
        "and a write moves the expiry"
    );
}

async fn sweeps_what_has_expired_in_batches(place: Place) {
    let store = place.store().await;
    for number in 0..10 {
        let mut aged = if number % 2 == 0 {
            record(1, b"old")
        } else {
            marker(1)
        };
        aged.expires = Time::from_millis(NOW.as_millis() - 4 + u64::from(number));
        insert(&store, &key(number), aged).await;
    }
    assert_eq!(store.sweep(NOW, 0).await.unwrap(), 0);
    assert_eq!(store.sweep(NOW, 3).await.unwrap(), 3);
    assert_eq!(
        store.sweep(NOW, 100).await.unwrap(),
        2,
        "it expires at this moment, not after it"
    );
    assert_eq!(store.sweep(NOW, 100).await.unwrap(), 0);
    for number in 0..10 {
        assert_eq!(
            load(&store, &key(number)).await.is_some(),
            number > 4,
            "{number}"
        );
    }
    store.touch(&key(6), NOW, NOW).await.unwrap();
    assert_eq!(
        store.sweep(NOW, usize::MAX).await.unwrap(),
        1,
        "the column decides"
    );
}

async fn sweepers_and_touches_get_along(place: Place) {
    let store = Arc::new(place.store().await);
    for number in 0..60 {
        let mut aged = record(1, b"old");
        aged.expires = NOW;
        insert(&store, &key(number), aged).await;
    }
    let sweepers = (0..4).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { store.sweep(NOW, 20).await.unwrap() })
    });
    let sweepers: Vec<_> = sweepers.collect();
    for number in 0..60 {
        store.touch(&key(number), LATER, NOW).await.unwrap();
    }
    let mut swept = 0;
    for sweeper in sweepers {
        swept += sweeper.await.unwrap();
    }
    swept += store.sweep(NOW, 100).await.unwrap();
    let mut left = 0;
    for number in 0..60 {
        left += usize::from(load(&store, &key(number)).await.is_some());
    }
    assert_eq!(swept + left, 60, "what was touched in time is still there");
}

async fn keeps_every_revision_and_expiry(place: Place) {
    let store = place.store().await;
    let middle = i64::MAX as u64;
    let numbers = [0, 1, middle - 1, middle, middle + 1, u64::MAX - 1, u64::MAX];
    for (number, revision) in (0..).zip(numbers) {
        let mut kept = record(revision, b"x");
        kept.expires = Time::from_millis(numbers[numbers.len() - 1 - usize::from(number)]);
        insert(&store, &key(number), kept.clone()).await;
        assert_eq!(load(&store, &key(number)).await, Some(kept));
        let saved = store
            .save(&key(number), at(revision), write(record(5, b"y")))
            .await
            .unwrap();
        assert!(is_done(&saved), "{revision}");
    }
}

async fn keeps_every_byte_and_large_bodies(place: Place) {
    let store = place.store().await;
    let all: Vec<u8> = (0..=255).collect();
    insert(&store, &key(1), record(1, &all)).await;
    assert_eq!(load(&store, &key(1)).await, Some(record(1, &all)));
    insert(&store, &key(2), record(1, b"")).await;
    assert_eq!(load(&store, &key(2)).await, Some(record(1, b"")));

    let max = store.capabilities().max_bytes;
    for size in [5_000_000, max - Record::HEADER] {
        let large: Vec<u8> = all.iter().copied().cycle().take(size).collect();
        let found = load(&store, &key(3)).await;
        let expect = found.map_or(Expect::Absent, |found| Expect::Revision(found.revision));
        let saved = store
            .save(&key(3), expect, write(record(size as u64, &large)))
            .await
            .unwrap();
        assert!(is_done(&saved));
        assert_eq!(
            load(&store, &key(3)).await,
            Some(record(size as u64, &large))
        );
    }
    let too_large = write(record(1, &vec![0; max]));
    let error = store
        .save(&key(4), Expect::Absent, too_large)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

async fn fills_the_columns(place: Place) {
    let store = place.store().await;
    let mut columns = Columns::default();
    columns.user = Some("0042".into());
    columns.ip = Some("2001:db8:85a3:8d3:1319:8a2e:370:7348".parse().unwrap());
    columns.agent = Some(format!("{}é and more", "a".repeat(499)).into());
    let mut seen = write(record(7, b"7"));
    seen.columns = columns;
    store
        .save(&key(1), Expect::Absent, seen.clone())
        .await
        .unwrap();
    assert_eq!(place.column("user_id").await.as_deref(), Some("0042"));
    assert_eq!(
        place.column("ip_address").await.as_deref(),
        Some("2001:db8:85a3:8d3:1319:8a2e:370:7348")
    );
    assert_eq!(place.column("user_agent").await, Some("a".repeat(499)));
    assert_eq!(
        place.column("last_activity").await.as_deref(),
        Some("1790000000")
    );
    assert_eq!(place.column("id").await, Some(key(1).hex()));

    seen.record = record(8, b"8");
    seen.columns = Columns::default();
    seen.columns.agent = Some("Mozilla\0 😀".into());
    assert!(is_done(
        &store.save(&key(1), at(7), seen.clone()).await.unwrap()
    ));
    assert_eq!(place.column("user_id").await, None);
    assert_eq!(
        place.column("user_agent").await.as_deref(),
        Some("Mozilla 😀")
    );

    seen.record = marker(9);
    seen.columns.user = Some("0042".into());
    assert!(is_done(&store.save(&key(1), at(8), seen).await.unwrap()));
    for column in ["user_id", "ip_address", "user_agent"] {
        assert_eq!(place.column(column).await, None, "a marker has none");
    }
}

async fn refuses_a_user_that_does_not_fit(place: Place) {
    let store = place.store().await;
    let save = |user: String| {
        let mut seen = write(record(7, b"7"));
        seen.columns.user = Some(user.into());
        store.save(&key(1), Expect::Absent, seen)
    };
    for user in ["é".repeat(256), "a\0b".into()] {
        assert_eq!(save(user).await.unwrap_err().kind(), ErrorKind::Value);
    }
    assert!(is_done(&save("é".repeat(255)).await.unwrap()));
    assert_eq!(place.column("user_id").await, Some("é".repeat(255)));
}

async fn says_that_the_table_is_missing(place: Place) {
    let store = place.open();
    let calls: [Result<(), Error>; 3] = [
        store.load(At::Key(&key(1))).await.map(drop),
        store
            .save(&key(1), Expect::Absent, write(record(1, b"")))
            .await
            .map(drop),
        store.touch(&key(1), LATER, NOW).await,
    ];
    for call in calls {
        let error = call.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Store);
        assert!(
            error.to_string().contains("arvel-session migrate"),
            "{error:?}"
        );
    }
    store.migrate().await.unwrap();
    insert(&store, &key(1), record(1, b"")).await;
}

async fn says_that_a_row_is_damaged(place: Place) {
    let store = place.store().await;
    insert(&store, &key(1), record(7, b"7")).await;
    for (payload, kind) in [
        ("X", ErrorKind::Corrupt),
        ("\u{f}23456789012345678", ErrorKind::NewerFormat),
        ("garbage of somebody else", ErrorKind::Corrupt),
    ] {
        let table = &place.table;
        place
            .execute(&format!("UPDATE {table} SET payload = '{payload}'"))
            .await;
        assert_eq!(store.load(At::Key(&key(1))).await.unwrap_err().kind(), kind);
        let saved = store.save(&key(1), at(6), write(record(8, b"8"))).await;
        assert_eq!(
            saved.unwrap_err().kind(),
            kind,
            "nor is it shown as absent by a conflict"
        );
    }
}

async fn migrates_once_however_often_and_from_wherever(place: Place) {
    let stores: Vec<_> = (0..6).map(|_| place.open()).collect();
    let migrations = stores.into_iter().map(|store| {
        tokio::spawn(async move {
            store.migrate().await.unwrap();
            store
        })
    });
    let mut stores = Vec::new();
    for migration in migrations.collect::<Vec<_>>() {
        stores.push(migration.await.unwrap());
    }
    insert(&stores[0], &key(1), record(7, b"7")).await;
    stores[1].migrate().await.unwrap();
    assert_eq!(load(&stores[2], &key(1)).await, Some(record(7, b"7")));
    for column in ["user_id", "last_activity", "expires_at"] {
        assert!(place.has_index(column).await, "{column}");
    }
}

async fn upgrades_the_original_table(place: Place) {
    let table = &place.table;
    place
        .execute(&format!(
            "CREATE TABLE {table} (id VARCHAR(255) NOT NULL PRIMARY KEY, user_id BIGINT, ip_address VARCHAR(45),
             user_agent TEXT, payload TEXT NOT NULL, last_activity INTEGER NOT NULL)"
        ))
        .await;
    place
        .execute(&format!(
            "INSERT INTO {table} VALUES ('theirs', 42, '::1', 'Mozilla', 'a payload', 1700000000)"
        ))
        .await;
    let (one, other) = (place.open(), place.open());
    let (first, second) = tokio::join!(one.migrate(), other.migrate());
    first.unwrap();
    second.unwrap();
    assert_eq!(place.column("user_id").await.as_deref(), Some("42"));
    assert!(place.has_index("expires_at").await);

    let all: Vec<u8> = (0..=255).collect();
    let mut seen = write(record(7, &all));
    seen.columns.user = Some("0042".into());
    assert!(is_done(
        &one.save(&key(1), Expect::Absent, seen).await.unwrap()
    ));
    assert_eq!(load(&other, &key(1)).await, Some(record(7, &all)));
    assert_eq!(
        one.sweep(NOW, 100).await.unwrap(),
        1,
        "the original's rows count as expired"
    );
    assert_eq!(
        place.column("user_id").await.as_deref(),
        Some("0042"),
        "kept as the text that it is"
    );
}

async fn two_tables_live_side_by_side(place: Place) {
    let another = place.another();
    let (one, two) = (place.store().await, another.store().await);
    insert(&one, &key(1), record(1, b"one")).await;
    insert(&two, &key(1), record(2, b"two")).await;
    assert_eq!(load(&one, &key(1)).await, Some(record(1, b"one")));
    assert_eq!(load(&two, &key(1)).await, Some(record(2, b"two")));
}

#[test]
fn a_bad_setting_is_named_and_no_password_shown() {
    let named = |url: &str, table: &str, setting: &str| {
        let error = DatabaseStore::new(url, table, TIMEOUT).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(setting), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    };
    for url in [
        "",
        "sessions.db",
        "oracle://u:hunter2@h/d",
        "sqlite:",
        "sqlite::memory:",
        "sqlite:a.db?mode=hunter2",
        "postgres://u:hunter2@h:port/d",
        "postgresql://u:hunter2@h/d?colour=red",
        "mysql://u:hunter2@h:port/d",
        "mysql://u:pass?hunter2=x@h/d",
        "mariadb://u:hunter2@h/d?colour=red",
        "mysql:x",
        "mysql://u:hunter2@h",
    ] {
        named(url, "sessions", "database_url");
    }
    let long = "a".repeat(41);
    for table in [
        "", "a-b", "a b", "a\"", "a`", "ä", "a.b.c", ".a", "a.", &long,
    ] {
        for url in [
            "sqlite:a.db",
            "postgres://u:hunter2@h/d",
            "mysql://u:hunter2@h/d",
        ] {
            named(url, table, "database_table");
        }
    }
    named("sqlite:a.db", "main.sessions", "database_table");
}

#[test]
fn a_good_setting_is_taken() {
    for url in [
        "sqlite:a.db",
        "sqlite://a.db",
        "sqlite:///tmp/a.db",
        "postgres://u:p@h/d",
        "postgresql://u@h:5433/d?sslmode=disable",
        "postgres://h1,h2/d?target_session_attrs=read-write",
        "postgres:///d?host=/run/postgresql",
        "postgres://u@%2Frun%2Fpostgresql/d",
        "postgres://u@h/d?sslmode=verify-full",
        "mysql://u:p@h/d",
        "mariadb://u@h:3307/d",
        "mysql://u:p@h/d?require_ssl=true",
        "mysql://u@localhost/d?socket=/run/m.sock",
    ] {
        DatabaseStore::new(url, "sessions", TIMEOUT)
            .unwrap_or_else(|error| panic!("{url}: {error:?}"));
    }
    DatabaseStore::new("postgres://h/d", "app.sessions", TIMEOUT).unwrap();
    DatabaseStore::new("mysql://h/d", "app.sessions", TIMEOUT).unwrap();
}

#[test]
fn the_sql_can_be_printed_without_a_database() {
    for (url, table) in [
        ("sqlite:a.db", "\"web_sessions\""),
        ("postgres://h/d", "\"web_sessions\""),
        ("mysql://h/d", "`web_sessions`"),
    ] {
        let sql = DatabaseStore::new(url, "web_sessions", TIMEOUT)
            .unwrap()
            .migration_sql();
        assert!(sql.starts_with(&format!("CREATE TABLE {table}")), "{sql}");
        assert!(sql.contains("-- ALTER TABLE"), "{sql}");
        assert!(sql.contains("web_sessions_expires_at_index"), "{sql}");
        assert!(
            !sql.replace("web_sessions", "").contains("sessions\""),
            "{sql}"
        );
    }
}

mod conformance {
    use super::place::{self, Place};
    use arvel_session::conformance::Opener;
    use std::sync::Arc;

    fn opener(place: Place) -> Opener {
        let place = Arc::new(place);
        Opener::private(move || {
            let place = place.clone();
            async move {
                let store = place.open();
                store.migrate().await?;
                Ok(store)
            }
        })
    }

    mod sqlite {
        arvel_session::conformance_tests!(super::opener(super::place::sqlite()));
    }

    mod postgres {
        arvel_session::conformance_tests!(super::place::postgres().map(super::opener));
    }

    mod mysql {
        arvel_session::conformance_tests!(super::place::mysql().map(super::opener));
    }
}
