//! Each call of the store once, with every outcome.

use std::time::Duration;

use arvel_session::{
    Clock, ErrorKind, SystemClock, Time,
    store::{At, Expect, Key, Kind, Record, RedisStore, Revision, Saved, SessionStore, Write},
};
use tokio::time::sleep;

const HOUR: Duration = Duration::from_secs(3600);

/// A key that no other test and no other run uses.
pub(crate) fn fresh_key(tag: u16) -> Key {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    hash[8..12].copy_from_slice(&std::process::id().to_be_bytes());
    hash[12..20].copy_from_slice(&now().as_millis().to_be_bytes());
    Key::new(tag.to_be_bytes(), hash)
}

pub(crate) fn now() -> Time {
    SystemClock.now()
}

pub(crate) fn session(revision: u64, body: &[u8]) -> Record {
    let revision = Revision::from_u64(revision);
    Record::new(Kind::Sealed, revision, now().after(HOUR), body.to_vec())
}

pub(crate) fn write(record: Record) -> Write {
    Write::new(record, now())
}

pub(crate) async fn load(store: &RedisStore, key: &Key) -> Option<Record> {
    store.load(At::Key(key)).await.unwrap()
}

/// Saves, and says whether it is done or what was there instead.
pub(crate) async fn save(
    store: &RedisStore,
    key: &Key,
    expect: Expect,
    record: &Record,
) -> Result<(), Option<Record>> {
    told(
        store
            .save(key, expect, write(record.clone()))
            .await
            .unwrap(),
    )
}

fn told(saved: Saved) -> Result<(), Option<Record>> {
    match saved {
        Saved::Done => Ok(()),
        Saved::Conflict(found) => Err(found),
        Saved::Token(_) => panic!("a server-side store has no tokens"),
    }
}

pub(crate) fn at(revision: u64) -> Expect {
    Expect::Revision(Revision::from_u64(revision))
}

pub(crate) async fn all(store: &RedisStore) {
    // Tags all over the slots of a cluster; the last are its first and last node's, or nearly so.
    for tag in [0, 1, 0x1f2e, 0x8000, 0xabcd, 0xffff] {
        saving(store, tag).await;
        markers(store, tag).await;
        replacing(store, tag).await;
        touching(store, tag).await;
    }
    expiring(store).await;
    sizes(store).await;
    racing(store).await;
    assert_eq!(store.sweep(now(), 100).await.unwrap(), 0);
}

async fn saving(store: &RedisStore, tag: u16) {
    let key = fresh_key(tag);
    assert_eq!(load(store, &key).await, None);
    let first = session(1, b"first\0\r\n\xff");
    assert_eq!(save(store, &key, at(1), &first).await, Err(None));
    assert_eq!(save(store, &key, Expect::Absent, &first).await, Ok(()));
    assert_eq!(load(store, &key).await, Some(first.clone()));

    // A number of which some bytes are zero, and one that is text with a `\r\n` in it.
    let second = session(0x0d0a_0000_0000_00ff, b"");
    let there = Err(Some(first.clone()));
    assert_eq!(save(store, &key, Expect::Absent, &second).await, there);
    assert_eq!(save(store, &key, at(2), &second).await, there);
    assert_eq!(save(store, &key, at(1), &second).await, Ok(()));
    assert_eq!(
        save(store, &key, at(1), &first).await,
        Err(Some(second.clone()))
    );
    let third = session(3, b"third");
    assert_eq!(
        save(store, &key, at(0x0d0a_0000_0000_00ff), &third).await,
        Ok(())
    );
    assert_eq!(load(store, &key).await, Some(third));
}

async fn markers(store: &RedisStore, tag: u16) {
    for kind in [Kind::Destroyed, Kind::Regenerated(fresh_key(tag))] {
        let key = fresh_key(tag);
        let marker = Record::new(kind, Revision::from_u64(7), now().after(HOUR), "");
        save(store, &key, Expect::Absent, &session(1, b"alive"))
            .await
            .unwrap();
        assert_eq!(save(store, &key, at(1), &marker).await, Ok(()));

        let late = session(8, b"late");
        let dead = Err(Some(marker.clone()));
        assert_eq!(save(store, &key, at(1), &late).await, dead);
        assert_eq!(
            save(store, &key, at(7), &late).await,
            dead,
            "a marker matches nothing"
        );
        assert_eq!(save(store, &key, Expect::Absent, &late).await, dead);
        let replaced = store.replace(
            &key,
            marker.revision,
            marker.clone(),
            &fresh_key(tag),
            write(late),
        );
        assert_eq!(told(replaced.await.unwrap()), dead);
        store
            .touch(&key, now().after(2 * HOUR), now())
            .await
            .unwrap();
        assert_eq!(load(store, &key).await, Some(marker));
    }
}

async fn replacing(store: &RedisStore, tag: u16) {
    let (old, new) = (fresh_key(tag), fresh_key(tag));
    let marker = Record::new(
        Kind::Regenerated(new),
        Revision::from_u64(2),
        now().after(HOUR),
        "",
    );
    let successor = session(2, b"successor");
    let replace = |expect| {
        let expect = Revision::from_u64(expect);
        store.replace(&old, expect, marker.clone(), &new, write(successor.clone()))
    };
    assert_eq!(told(replace(1).await.unwrap()), Err(None));
    let first = session(1, b"first");
    save(store, &old, Expect::Absent, &first).await.unwrap();
    assert_eq!(told(replace(9).await.unwrap()), Err(Some(first)));
    assert_eq!(
        load(store, &new).await,
        None,
        "nothing of a replace that conflicts is there"
    );
    assert_eq!(told(replace(1).await.unwrap()), Ok(()));
    assert_eq!(load(store, &old).await, Some(marker.clone()));
    assert_eq!(load(store, &new).await, Some(successor.clone()));
    assert_eq!(told(replace(1).await.unwrap()), Err(Some(marker)));
}

async fn touching(store: &RedisStore, tag: u16) {
    let key = fresh_key(tag);
    store.touch(&key, now().after(HOUR), now()).await.unwrap();
    assert_eq!(load(store, &key).await, None, "a touch makes nothing");
    let record = session(5, b"untouched");
    save(store, &key, Expect::Absent, &record).await.unwrap();
    let later = now().after(3 * HOUR);
    store.touch(&key, later, now()).await.unwrap();
    let moved = Record {
        expires: later,
        ..record
    };
    assert_eq!(load(store, &key).await, Some(moved));
    assert_eq!(
        save(store, &key, at(5), &session(6, b"saved")).await,
        Ok(())
    );
}

/// Redis removes what has expired, also what a touch or a replace left there.
async fn expiring(store: &RedisStore) {
    let soon = now().after(Duration::from_millis(300));
    let brief = |revision| Record {
        expires: soon,
        ..session(revision, b"brief")
    };
    let (saved, touched, old, new) = (fresh_key(1), fresh_key(1), fresh_key(1), fresh_key(1));
    save(store, &saved, Expect::Absent, &brief(1))
        .await
        .unwrap();
    save(store, &saved, at(1), &brief(2)).await.unwrap();
    save(store, &touched, Expect::Absent, &session(1, b"long"))
        .await
        .unwrap();
    store.touch(&touched, soon, now()).await.unwrap();
    save(store, &old, Expect::Absent, &session(1, b"old"))
        .await
        .unwrap();
    let marker = Record {
        kind: Kind::Destroyed,
        body: "".into(),
        ..brief(2)
    };
    let replaced = store.replace(&old, Revision::from_u64(1), marker, &new, write(brief(2)));
    told(replaced.await.unwrap()).unwrap();
    let past = fresh_key(1);
    let gone = Record {
        expires: Time::from_millis(1),
        ..session(1, b"past")
    };
    assert_eq!(save(store, &past, Expect::Absent, &gone).await, Ok(()));
    let far = Record {
        expires: Time::from_millis(u64::MAX),
        ..session(1, b"far")
    };
    let forever = fresh_key(1);
    assert_eq!(save(store, &forever, Expect::Absent, &far).await, Ok(()));

    assert!(load(store, &saved).await.is_some(), "it has 300 ms to live");
    sleep(Duration::from_millis(350)).await;
    for key in [&saved, &touched, &old, &new, &past] {
        assert_eq!(load(store, key).await, None);
    }
    assert_eq!(load(store, &forever).await, Some(far));
    save(store, &forever, at(1), &brief(2)).await.unwrap();
}

async fn sizes(store: &RedisStore) {
    let key = fresh_key(2);
    let most = store.capabilities().max_bytes;
    let too_large = session(1, &vec![7; most - Record::HEADER + 1]);
    let refused = store
        .save(&key, Expect::Absent, write(too_large.clone()))
        .await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::TooLarge);
    let marker = Record::new(Kind::Destroyed, Revision::from_u64(2), now(), "");
    let refused = store.replace(
        &key,
        Revision::from_u64(1),
        marker,
        &fresh_key(2),
        write(too_large),
    );
    assert_eq!(refused.await.unwrap_err().kind(), ErrorKind::TooLarge);
    let largest = session(1, &vec![7; most - Record::HEADER]);
    assert_eq!(save(store, &key, Expect::Absent, &largest).await, Ok(()));
    assert_eq!(load(store, &key).await, Some(largest));
    save(store, &key, at(1), &session(2, b"")).await.unwrap();
}

/// Of writers that expect the same revision, one wins; nobody's conflict shows anything else.
async fn racing(store: &RedisStore) {
    let key = fresh_key(3);
    save(store, &key, Expect::Absent, &session(1, b"start"))
        .await
        .unwrap();
    let writers = (2..34).map(|revision| {
        let saved = store.save(&key, at(1), write(session(revision, b"mine")));
        tokio::spawn(async move { (revision, told(saved.await.unwrap())) })
    });
    let (mut winners, mut shown) = (Vec::new(), Vec::new());
    for writer in writers.collect::<Vec<_>>() {
        match writer.await.unwrap() {
            (revision, Ok(())) => winners.push(revision),
            (_, Err(found)) => shown.push(found.unwrap().revision.as_u64()),
        }
    }
    assert_eq!(winners.len(), 1);
    assert!(
        shown.iter().all(|revision| *revision == winners[0]),
        "{shown:?}"
    );
}
