//! Dropping: a call that nobody waits for any more, as when a client disconnects.

use std::{future::poll_fn, pin::Pin, task::Poll, time::Duration};

use super::{
    Checked, Handle, Outcome,
    handle::{conflict, done, key_beside},
    report::{Failure, ensure},
};
use crate::store::{At, Expect, Key, Kind, Record, Reply, Saved, Write};

/// After how many polls calls are dropped: most drivers have answered by then.
const POLLS: usize = 8;

/// Polls at most so many times, and then drops the call.
async fn drop_after<T>(polls: usize, mut reply: Reply<T>) {
    let mut left = polls;
    poll_fn(|cx| {
        if left == 0 || Pin::new(&mut reply).poll(cx).is_ready() {
            return Poll::Ready(());
        }
        left -= 1;
        match left {
            0 => Poll::Ready(()),
            _ => Poll::Pending,
        }
    })
    .await;
}

/// "A call that is dropped half way either happens in full or not at all": a save.
///
/// The record may also be saved a little later, in the background. The store goes on working.
///
/// # Errors
/// The store breaks this sentence.
pub async fn a_dropped_save_is_all_or_nothing(handle: Handle) -> Checked {
    let mut last = handle.record();
    let key = handle.create(&last).await?;
    for polls in 0..POLLS {
        let mut next = handle.record();
        (next.body, next.expires) = (
            handle.body(5000).into(),
            handle.now.after(Duration::from_secs(9999)),
        );
        let write = Write::new(next.clone(), handle.now);
        drop_after(
            polls,
            handle
                .store
                .save(&key, Expect::Revision(last.revision), write),
        )
        .await;
        let found = handle.load(&key).await?;
        ensure!(
            found.as_ref() == Some(&last) || found.as_ref() == Some(&next),
            "a save that was dropped after {polls} polls left {found:?} (was {last:?}, wanted {next:?})"
        );
        last = save_over(&handle, &key, last, &next).await?;
    }
    // A save that lingers must find that it is too late.
    tokio::time::sleep(Duration::from_millis(20)).await;
    handle
        .holds(&key, Some(&last), "after all dropped saves")
        .await?;
    Ok(Outcome::Passed)
}

/// Saves over whichever of the two is there.
async fn save_over(handle: &Handle, key: &Key, last: Record, dropped: &Record) -> Checked<Record> {
    let saved = handle.record();
    let expect = Expect::Revision(last.revision);
    let answer = handle.save(key, expect, &saved).await?;
    if !matches!(answer, Saved::Done) {
        conflict("a save after a dropped one", &answer, Some(dropped))?;
        let expect = Expect::Revision(dropped.revision);
        let answer = handle.save(key, expect, &saved).await?;
        done("a save over a dropped one", &answer)?;
    }
    handle
        .holds(key, Some(&saved), "after a save over a dropped one")
        .await?;
    Ok(saved)
}

/// "A call that is dropped half way either happens in full or not at all": a replace.
///
/// # Errors
/// The store breaks this sentence.
pub async fn a_dropped_replace_is_all_or_nothing(handle: Handle) -> Checked {
    for polls in 0..POLLS {
        let (session, successor) = (handle.record(), handle.record());
        let old = handle.create(&session).await?;
        let new = key_beside(&old);
        let marker = handle.marker(Kind::Regenerated(new));
        let write = Write::new(successor.clone(), handle.now);
        let replace = handle
            .store
            .replace(&old, session.revision, marker.clone(), &new, write);
        drop_after(polls, replace).await;

        // What still goes on in the background gets a moment to end; then it must be one or the other.
        let mut tries = 0;
        loop {
            let (under_old, under_new) = (handle.load(&old).await?, handle.load(&new).await?);
            let nothing = under_old.as_ref() == Some(&session) && under_new.is_none();
            let all = under_old.as_ref() == Some(&marker) && under_new.as_ref() == Some(&successor);
            if nothing || all {
                break;
            }
            tries += 1;
            if tries == 100 {
                return Err(Failure::new(format!(
                    "a replace that was dropped after {polls} polls left {under_old:?} and {under_new:?}"
                )));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    Ok(Outcome::Passed)
}

/// A load that is dropped takes nothing with it: the next one is answered with its own record.
///
/// # Errors
/// The store breaks this sentence.
pub async fn a_dropped_load_mixes_nothing_up(handle: Handle) -> Checked {
    let (dropped, asked) = (handle.record(), handle.record());
    let (dropped_key, asked_key) = (handle.create(&dropped).await?, handle.create(&asked).await?);
    for polls in 0..POLLS {
        drop_after(polls, handle.store.load(At::Key(&dropped_key))).await;
        for _ in 0..2 {
            let after = "after a load that was dropped";
            handle.holds(&asked_key, Some(&asked), after).await?;
            handle.holds(&dropped_key, Some(&dropped), after).await?;
        }
    }
    Ok(Outcome::Passed)
}
