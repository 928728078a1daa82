//! Expiring: in a store that needs no sweeps, what expires goes by itself. Here alone the suite has to wait.

use std::time::Duration;

use super::{
    Checked, Handle, Outcome,
    handle::{DAY, done, key_beside, random_key},
    report::ensure,
};
use crate::{
    Clock, SystemClock, Time,
    store::{Expect, Key, Kind, Record, Write},
};

const SOON: Duration = Duration::from_secs(2);

async fn create_for(handle: &Handle, mut record: Record, life: Duration) -> Checked<(Key, Record)> {
    let now = SystemClock.now();
    record.expires = now.after(life);
    let key = random_key();
    let write = Write::new(record.clone(), now);
    let saved = handle.write(&key, Expect::Absent, write).await?;
    done("a save where nothing is", &saved)?;
    Ok((key, record))
}

/// "What expires goes by itself": sessions, markers, and what had expired when it was written.
///
/// # Errors
/// The store breaks this sentence.
pub async fn what_expires_goes_by_itself(handle: Handle) -> Checked {
    let mut keys = Vec::new();
    for life in [
        Duration::ZERO,
        Duration::from_millis(1),
        Duration::from_millis(300),
    ] {
        for record in [handle.record(), handle.marker(Kind::Destroyed)] {
            keys.push(create_for(&handle, record, life).await?.0);
        }
    }
    let soon = SystemClock.now().after(Duration::from_millis(300));
    let touched = handle.create(&handle.record()).await?;
    handle.touch(&touched, soon).await?;
    keys.push(touched);
    let mut stays = None;
    if handle.capabilities().atomic_replace {
        let (session, successor) = (handle.record(), handle.record());
        let old = handle.create(&session).await?;
        let new = key_beside(&old);
        let mut marker = handle.marker(Kind::Regenerated(new));
        marker.expires = soon;
        let replaced = handle
            .replace(&old, session.revision, &marker, &new, &successor)
            .await?;
        done("a replace", &replaced)?;
        keys.push(old);
        stays = Some((new, successor));
    }
    let deadline = SystemClock.now().after(Duration::from_secs(5));
    for key in &keys {
        gone_before(&handle, key, deadline).await?;
    }
    if let Some((new, successor)) = stays {
        let after = "after its predecessor's marker went";
        handle.holds(&new, Some(&successor), after).await?;
    }
    Ok(Outcome::Passed)
}

async fn gone_before(handle: &Handle, key: &Key, deadline: Time) -> Checked<()> {
    while handle.present(key).await?.is_some() {
        ensure!(
            SystemClock.now() < deadline,
            "the store denies sweeps, but what has expired is there after five seconds"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// What a save or a touch has given more time does not go at the old one.
///
/// # Errors
/// The store breaks this sentence.
pub async fn what_was_given_more_time_stays(handle: Handle) -> Checked {
    let (touched, mut first) = create_for(&handle, handle.record(), SOON).await?;
    let tomorrow = SystemClock.now().after(DAY);
    handle
        .store
        .touch(&touched, tomorrow, SystemClock.now())
        .await
        .map_err(|error| super::Failure::store("touch", error))?;
    first.expires = tomorrow;
    let (saved, second) = create_for(&handle, handle.record(), SOON).await?;
    let next = handle.record();
    let expect = Expect::Revision(second.revision);
    done("a save", &handle.save(&saved, expect, &next).await?)?;

    tokio::time::sleep(SOON + Duration::from_millis(500)).await;
    handle
        .holds(&touched, Some(&first), "after its first expiry")
        .await?;
    handle
        .holds(&saved, Some(&next), "after its first expiry")
        .await?;
    Ok(Outcome::Passed)
}
