//! Sweeping: all that has expired, and nothing else.

use super::{
    Checked, Handle, Outcome,
    declared::sweep_all,
    handle::{DAY, HOUR, done, key_beside, random_key, same},
    racing::race,
    report::ensure,
};
use crate::{
    Time,
    store::{Expect, Key, Kind, Record, Saved, Write},
};

/// All sweeps of the suite are at this moment, an hour ago, so that no living record of anyone is ever in reach.
fn sweep_time(handle: &Handle) -> Time {
    handle.ago(HOUR)
}

async fn create_expiring(
    handle: &Handle,
    mut record: Record,
    expires: Time,
) -> Checked<(Key, Record)> {
    record.expires = expires;
    let key = random_key();
    let write = Write::new(record.clone(), handle.ago(DAY));
    let saved = handle.write(&key, Expect::Absent, write).await?;
    done("a save where nothing is", &saved)?;
    Ok((key, record))
}

/// "Remove records that have expired at `now`", sessions and markers; their keys are then free.
///
/// # Errors
/// The store breaks this sentence.
pub async fn a_sweep_removes_what_has_expired(handle: Handle) -> Checked {
    let just_now = sweep_time(&handle);
    let mut keys = Vec::new();
    for expires in [just_now, handle.ago(2 * HOUR), handle.ago(DAY)] {
        for record in [
            handle.record(),
            handle.marker(Kind::Destroyed),
            handle.marker(Kind::Regenerated(random_key())),
        ] {
            keys.push(create_expiring(&handle, record, expires).await?.0);
        }
    }
    sweep_all(&handle, &keys).await?;
    for key in &keys {
        handle.holds(key, None, "after a sweep").await?;
    }
    handle.create_at(&keys[0], &handle.record()).await?;
    Ok(Outcome::Passed)
}

/// "Never one that has not" expired.
///
/// # Errors
/// The store breaks this sentence.
pub async fn a_sweep_leaves_what_lives(handle: Handle) -> Checked {
    let mut living = vec![handle.tomorrow()];
    if handle.crowded().is_none() {
        living.push(Time::from_millis(sweep_time(&handle).as_millis() + 1));
    }
    let mut kept = Vec::new();
    for expires in living {
        for record in [handle.record(), handle.marker(Kind::Destroyed)] {
            kept.push(create_expiring(&handle, record, expires).await?);
        }
    }
    let (expired, _) = create_expiring(&handle, handle.record(), sweep_time(&handle)).await?;
    sweep_all(&handle, &[expired]).await?;
    for (key, record) in &kept {
        let there = handle.present(key).await?;
        same("after a sweep", there.as_ref(), Some(record))?;
    }
    Ok(Outcome::Passed)
}

/// "Remove at most `max` records, and say how many."
///
/// # Errors
/// The store breaks this sentence.
pub async fn a_sweep_is_bounded_and_counts(handle: Handle) -> Checked {
    if let Some(crowded) = handle.crowded() {
        return Ok(crowded);
    }
    let now = sweep_time(&handle);
    sweep_all(&handle, &[]).await?;
    let mut keys = Vec::new();
    for round in 0..7 {
        let record = match round % 2 {
            0 => handle.record(),
            _ => handle.marker(Kind::Destroyed),
        };
        keys.push(create_expiring(&handle, record, now).await?.0);
    }
    let mut left = keys.len();
    for (max, want) in [(0, 0), (3, 3), (1, 1), (100, 3), (100, 0)] {
        let swept = handle.sweep(now, max).await?;
        ensure!(
            swept == want,
            "a sweep of at most {max} of {left} expired records answered {swept}"
        );
        left -= want;
        let mut present = 0;
        for key in &keys {
            present += usize::from(handle.present(key).await?.is_some());
        }
        ensure!(
            present == left,
            "a sweep said that it removed {swept}, which leaves {left}, but {present} are there"
        );
    }
    Ok(Outcome::Passed)
}

/// Where nothing has expired, a sweep answers zero, whatever its bound.
///
/// # Errors
/// The store breaks this sentence.
pub async fn a_sweep_of_nothing_answers_zero(handle: Handle) -> Checked {
    if let Some(crowded) = handle.crowded() {
        return Ok(crowded);
    }
    sweep_all(&handle, &[]).await?;
    for max in [0, 1, 1000, usize::MAX] {
        let swept = handle.sweep(sweep_time(&handle), max).await?;
        ensure!(swept == 0, "a sweep of nothing answered {swept}");
    }
    create_expiring(&handle, handle.record(), sweep_time(&handle)).await?;
    let swept = handle.sweep(sweep_time(&handle), usize::MAX).await?;
    ensure!(swept == 1, "a sweep without a bound answered {swept}");
    Ok(Outcome::Passed)
}

/// A sweep goes by the expiry that was last set: by a save, a touch or a replace.
///
/// # Errors
/// The store breaks this sentence.
pub async fn a_sweep_goes_by_the_last_expiry(handle: Handle) -> Checked {
    let (then, past) = (handle.tomorrow(), handle.ago(2 * HOUR));
    let touched = handle.create(&handle.record()).await?;
    handle.touch(&touched, past).await?;
    let (saved, mut record) = (random_key(), handle.record());
    handle.create_at(&saved, &record).await?;
    let expect = Expect::Revision(record.revision);
    record.expires = past;
    done("a save", &handle.save(&saved, expect, &record).await?)?;
    let mut gone = vec![touched, saved];
    let mut stays = Vec::new();

    if handle.capabilities().atomic_replace {
        let (old, session, successor) = (random_key(), handle.record(), handle.record());
        handle.create_at(&old, &session).await?;
        let new = key_beside(&old);
        let mut marker = handle.marker(Kind::Regenerated(new));
        marker.expires = past;
        let replaced = handle
            .replace(&old, session.revision, &marker, &new, &successor)
            .await?;
        done("a replace", &replaced)?;
        gone.push(old);
        stays.push((new, successor));
    }
    // Expires after the sweep's moment, so that nobody else's sweep can take it before it is moved.
    let (key, mut renewed) = (random_key(), handle.record());
    renewed.expires = handle.now.after(HOUR);
    handle.create_at(&key, &renewed).await?;
    handle.touch(&key, then).await?;
    renewed.expires = then;
    stays.push((key, renewed));

    sweep_all(&handle, &gone).await?;
    for (key, record) in &stays {
        handle.holds(key, Some(record), "after a sweep").await?;
    }
    Ok(Outcome::Passed)
}

/// A record that is renewed while the sweep runs is not removed: either the sweep was first, and the save met nothing; or
/// the save was, and stays.
///
/// # Errors
/// The store breaks this sentence.
pub async fn a_sweep_never_takes_what_was_renewed(handle: Handle) -> Checked {
    for _ in 0..10 {
        let (key, expired) = create_expiring(&handle, handle.record(), sweep_time(&handle)).await?;
        let renewed = handle.record();
        let expect = Expect::Revision(expired.revision);
        let (saving, sweeping) = (handle.store.clone(), handle.store.clone());
        let (now, then, next) = (handle.now, sweep_time(&handle), renewed.clone());
        let save = async move {
            let saved = saving.save(&key, expect, Write::new(next, now)).await?;
            Ok(Some(saved))
        };
        let sweep = async move { sweeping.sweep(then, 1000).await.map(|_| None) };
        let answers = race(vec![Box::pin(save), Box::pin(sweep)]).await?;
        let stayed = answers
            .iter()
            .flatten()
            .any(|saved| matches!(saved, Saved::Done));
        let there = handle.present(&key).await?;
        same(
            "after a sweep at the same time",
            there.as_ref(),
            stayed.then_some(&renewed),
        )?;
    }
    Ok(Outcome::Passed)
}
