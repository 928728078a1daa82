//! Loading: what was saved comes back exactly, under its own key alone.

use std::{net::IpAddr, sync::Arc};

use tokio::task::JoinSet;

use super::{
    Checked, Handle, Outcome,
    handle::{DAY, HOUR, done, random_key, same},
    report::{Failure, ensure},
};
use crate::{
    Time,
    record::random,
    store::{At, Columns, Expect, Key, Kind, Record, Revision, Write},
};

/// "`None` when there is nothing": "unknown is not an error".
///
/// # Errors
/// The store breaks this sentence.
pub async fn unknown_keys_load_nothing(handle: Handle) -> Checked {
    handle.keep(&handle.record()).await?;
    for _ in 0..10 {
        let key = random_key();
        handle.holds(&key, None, "under an unknown key").await?;
        handle.holds(&key, None, "after loading it").await?;
    }
    Ok(Outcome::Passed)
}

/// "Answer what was last saved under this key"; "bytes are kept exactly".
///
/// # Errors
/// The store breaks this sentence.
pub async fn bodies_come_back_exactly(handle: Handle) -> Checked {
    let every_byte: Vec<u8> = (0..=u8::MAX).chain((0..=u8::MAX).rev()).collect();
    let mut bodies = vec![
        Vec::new(),
        vec![0],
        vec![255],
        every_byte,
        b"' \\ \" \n %00".into(),
    ];
    bodies.extend([300, 4000, 9_001, 100 << 10].map(|length| handle.body(length)));
    for body in bodies {
        for kind in [Kind::Plain, Kind::Sealed] {
            let mut record = handle.record();
            (record.kind, record.body) = (kind, body.clone().into());
            comes_back(&handle, &record).await?;
        }
    }
    Ok(Outcome::Passed)
}

async fn comes_back(handle: &Handle, record: &Record) -> Checked<()> {
    let kept = handle.keep(record).await?;
    let found = handle.find(&kept).await?;
    same("after a save", found.as_ref(), Some(record))
}

/// Revisions are any 64-bit numbers, and are kept exactly.
///
/// # Errors
/// The store breaks this sentence.
pub async fn revisions_come_back_exactly(handle: Handle) -> Checked {
    let sign = 1 << 63;
    for number in [
        0,
        1,
        (1 << 53) + 1,
        sign - 1,
        sign,
        sign + 1,
        u64::MAX - 1,
        u64::MAX,
    ] {
        let mut record = handle.record();
        record.revision = Revision::from_u64(number);
        comes_back(&handle, &record).await?;
    }
    Ok(Outcome::Passed)
}

/// Expiries are kept to the millisecond, however far away.
///
/// # Errors
/// The store breaks this sentence.
pub async fn expiries_come_back_exactly(handle: Handle) -> Checked {
    let tomorrow = handle.tomorrow().as_millis();
    let in_a_century = handle.now.after(36_525 * DAY).as_millis();
    for millis in [tomorrow, tomorrow + 1, tomorrow | 511, in_a_century] {
        let mut record = handle.record();
        record.expires = Time::from_millis(millis);
        comes_back(&handle, &record).await?;
    }
    Ok(Outcome::Passed)
}

/// "It may answer an expired record or nothing in its place": but never another one; and a save of what has expired
/// already is no error.
///
/// # Errors
/// The store breaks this sentence.
pub async fn expired_records_are_themselves_or_nothing(handle: Handle) -> Checked {
    let soon = Time::from_millis(handle.now.as_millis() + 1);
    for expires in [handle.now, handle.ago(HOUR), soon] {
        let mut record = handle.record();
        record.expires = expires;
        let kept = handle.keep(&record).await?;
        if let Some(found) = handle.find(&kept).await? {
            same("an expired record", Some(&found), Some(&record))?;
        }
    }
    Ok(Outcome::Passed)
}

/// "Under this key": keys that differ in one bit are different keys.
///
/// # Errors
/// The store breaks this sentence.
pub async fn keys_one_bit_apart_are_apart(handle: Handle) -> Checked {
    // A letter and a closing zero, so that a flipped bit makes another case and a trailing space.
    let mut hash: [u8; 32] = random();
    (hash[0], hash[31]) = (b'A', 0);
    let tag = random();
    let mut stored = vec![(Key::new(tag, hash), handle.record())];
    for bit in 0..256 {
        let mut neighbour = hash;
        neighbour[bit / 8] ^= 1 << (bit % 8);
        stored.push((Key::new(tag, neighbour), handle.record()));
    }
    for (key, record) in &stored {
        handle.create_at(key, record).await?;
    }
    for (key, record) in &stored {
        handle
            .holds(key, Some(record), "beside its neighbours")
            .await?;
    }
    Ok(Outcome::Passed)
}

/// What the browser sends is for stores whose record the browser holds; any other finds nothing in it.
///
/// # Errors
/// The store breaks this sentence.
pub async fn payloads_are_not_believed(handle: Handle) -> Checked {
    let record = handle.record();
    let key = handle.create(&record).await?;
    for payload in [
        record.encode(),
        key.to_bytes().to_vec(),
        key.hex().into_bytes(),
    ] {
        let found = handle.store.load(At::Payload(&payload)).await;
        ensure!(
            !matches!(found, Ok(Some(_))),
            "a record was loaded from what the browser sent"
        );
    }
    Ok(Outcome::Passed)
}

/// Columns are for people who look at the table: whatever stands in them, the record is stored.
///
/// # Errors
/// The store breaks this sentence.
pub async fn columns_never_spoil_a_save(handle: Handle) -> Checked {
    // The letters of one to four bytes in front move the others, so that every cut falls within one of them somewhere.
    let agents = (0..4)
        .map(|shift| "x".repeat(shift) + &"é€🦀".repeat(1000))
        .chain([String::new(), "x' OR ''=\"\\%_\t".repeat(20)]);
    let addresses = [
        "127.0.0.1",
        "255.255.255.255",
        "::1",
        "::ffff:255.255.255.255",
    ]
    .into_iter()
    .chain(["ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"; 2]);
    let users = [
        "7",
        "O'Brien\"; DROP TABLE sessions; --",
        "",
        "użytkownik 🦀",
        "\\",
        "null",
    ];
    for ((agent, address), user) in agents.zip(addresses).zip(users) {
        let record = handle.record();
        let mut write = Write::new(record.clone(), handle.now);
        write.columns = Columns {
            user: Some(Arc::from(user)),
            ip: address.parse::<IpAddr>().ok(),
            agent: Some(Arc::from(agent)),
        };
        let key = random_key();
        let saved = handle.write(&key, Expect::Absent, write.clone()).await?;
        done("a save with columns", &saved)?;
        let expect = Expect::Revision(record.revision);
        write.record = handle.record();
        let saved = handle.write(&key, expect, write.clone()).await?;
        done("a second save with columns", &saved)?;
        let after = "after a save with columns";
        handle.holds(&key, Some(&write.record), after).await?;
    }
    Ok(Outcome::Passed)
}

/// Many records at once are no trouble: every save and every load is answered.
///
/// # Errors
/// The store breaks this sentence.
pub async fn many_records_at_once(handle: Handle) -> Checked {
    let handle = Arc::new(handle);
    let mut saves = JoinSet::new();
    for _ in 0..500 {
        let handle = handle.clone();
        saves.spawn(async move {
            let record = handle.record();
            let key = handle.create(&record).await?;
            Ok::<_, Failure>((key, record))
        });
    }
    let stored: Vec<_> = saves.join_all().await.into_iter().collect::<Checked<_>>()?;
    let mut loads = JoinSet::new();
    for (key, record) in stored {
        let handle = handle.clone();
        loads.spawn(async move { handle.holds(&key, Some(&record), "among many").await });
    }
    loads
        .join_all()
        .await
        .into_iter()
        .collect::<Checked<()>>()?;
    Ok(Outcome::Passed)
}
