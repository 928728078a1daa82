//! Sharing: what one handle does, another one sees, at once.

use super::{
    Checked, Handle, Outcome,
    handle::{DAY, conflict, done, key_beside},
    racing::{count_on, one_save_wins_on},
};
use crate::store::{Expect, Kind};

/// "A save that was answered `Done` is visible to every later load, through any handle."
///
/// # Errors
/// The store breaks this sentence.
pub async fn what_is_done_is_visible_everywhere(handle: Handle) -> Checked {
    let other = handle.another().await?;
    let mut last = handle.record();
    let key = handle.create(&last).await?;
    for round in 0..20 {
        let (here, there) = match round % 2 {
            0 => (&other, &handle),
            _ => (&handle, &other),
        };
        here.holds(&key, Some(&last), "through the other handle")
            .await?;
        let next = here.record();
        let expect = Expect::Revision(last.revision);
        done("a save", &here.save(&key, expect, &next).await?)?;
        there
            .holds(&key, Some(&next), "through the other handle")
            .await?;
        last = next;
        last.expires = handle.tomorrow().after(round * DAY);
        here.touch(&key, last.expires).await?;
        there
            .holds(&key, Some(&last), "touched by the other handle")
            .await?;
    }
    let expect = Expect::Revision(last.revision);
    let marker = handle.marker(Kind::Destroyed);
    done("a marker", &handle.save(&key, expect, &marker).await?)?;
    let late = other.save(&key, expect, &other.record()).await?;
    conflict(
        "a save after the other handle's marker",
        &late,
        Some(&marker),
    )?;
    Ok(Outcome::Passed)
}

/// A replace through one handle is seen whole through another.
///
/// # Errors
/// The store breaks this sentence.
pub async fn a_replace_is_visible_everywhere(handle: Handle) -> Checked {
    if !handle.capabilities().atomic_replace {
        return super::declared::atomic_replace_is_as_declared(handle)
            .await
            .map(|_| {
                Outcome::NotApplicable("the store denies atomic_replace, and that is so".into())
            });
    }
    let other = handle.another().await?;
    let (session, successor) = (handle.record(), handle.record());
    let old = handle.create(&session).await?;
    other
        .holds(&old, Some(&session), "through the other handle")
        .await?;
    let new = key_beside(&old);
    other.holds(&new, None, "before the replace").await?;
    let marker = handle.marker(Kind::Regenerated(new));
    let replaced = handle
        .replace(&old, session.revision, &marker, &new, &successor)
        .await?;
    done("a replace", &replaced)?;
    other
        .holds(&old, Some(&marker), "through the other handle")
        .await?;
    other
        .holds(&new, Some(&successor), "through the other handle")
        .await?;
    Ok(Outcome::Passed)
}

/// Of many saves with one expectation through two handles, exactly one is stored.
///
/// # Errors
/// The store breaks this sentence.
pub async fn one_of_many_saves_wins_between_handles(handle: Handle) -> Checked {
    let other = handle.another().await?;
    let stores = [handle.store.clone(), other.store];
    one_save_wins_on(&stores, &handle).await?;
    Ok(Outcome::Passed)
}

/// Writers that count by compare and set through two handles lose no step.
///
/// # Errors
/// The store breaks this sentence.
pub async fn no_increment_is_lost_between_handles(handle: Handle) -> Checked {
    let other = handle.another().await?;
    let stores = [handle.store.clone(), other.store];
    count_on(&stores, &handle).await?;
    Ok(Outcome::Passed)
}
