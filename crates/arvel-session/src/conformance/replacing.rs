//! Replacing: two saves as one.

use super::{
    Checked, Handle, Outcome,
    handle::{conflict, done, key_beside, random_key},
};
use crate::store::{Kind, Record, Revision};

/// "`old` becomes the marker and `new` the record."
///
/// # Errors
/// The store breaks this sentence.
pub async fn a_replace_does_both(handle: Handle) -> Checked {
    let (session, successor) = (handle.record(), handle.record());
    let bystander = handle.create(&session).await?;
    let old = handle.create(&session).await?;
    let new = key_beside(&old);
    let marker = handle.marker(Kind::Regenerated(new));
    let saved = handle
        .replace(&old, session.revision, &marker, &new, &successor)
        .await?;
    done("a replace", &saved)?;
    handle
        .holds(&old, Some(&marker), "under the old key")
        .await?;
    handle
        .holds(&new, Some(&successor), "under the new key")
        .await?;

    let (last, destroyed) = (key_beside(&new), handle.marker(Kind::Destroyed));
    let saved = handle
        .replace(&new, successor.revision, &destroyed, &last, &session)
        .await?;
    done("a replace of a successor", &saved)?;
    handle
        .holds(&new, Some(&destroyed), "after a second replace")
        .await?;
    handle
        .holds(&last, Some(&session), "after a second replace")
        .await?;
    let after = "under a key that was not replaced";
    handle.holds(&bystander, Some(&session), after).await?;
    Ok(Outcome::Passed)
}

/// "A conflict hands back what is under `old`", and "nothing happens".
async fn does_neither(
    handle: &Handle,
    old: &crate::store::Key,
    there: Option<&Record>,
    expect: Revision,
) -> Checked<()> {
    let new = key_beside(old);
    let marker = handle.marker(Kind::Regenerated(new));
    let saved = handle
        .replace(old, expect, &marker, &new, &handle.record())
        .await?;
    conflict("a replace", &saved, there)?;
    handle
        .holds(old, there, "under the old key, after a conflict")
        .await?;
    handle
        .holds(&new, None, "under the new key, after a conflict")
        .await
}

/// "If `old` is at `expect`": at any other revision "a conflict hands back what is under `old`", and nothing happens.
///
/// # Errors
/// The store breaks this sentence.
pub async fn a_replace_at_another_revision_does_neither(handle: Handle) -> Checked {
    let session = handle.record();
    let old = handle.create(&session).await?;
    for flipped in [1, 1 << 40, 1 << 63] {
        let other = Revision::from_u64(session.revision.as_u64() ^ flipped);
        does_neither(&handle, &old, Some(&session), other).await?;
    }
    Ok(Outcome::Passed)
}

/// Where nothing is under `old`, nothing happens.
///
/// # Errors
/// The store breaks this sentence.
pub async fn a_replace_of_nothing_does_neither(handle: Handle) -> Checked {
    let nobodys = Revision::random();
    does_neither(&handle, &random_key(), None, nobodys).await?;
    Ok(Outcome::Passed)
}

/// A marker is not replaced, even at its own revision.
///
/// # Errors
/// The store breaks this sentence.
pub async fn a_replace_of_a_marker_does_neither(handle: Handle) -> Checked {
    for kind in [Kind::Destroyed, Kind::Regenerated(random_key())] {
        let marker = handle.marker(kind);
        let old = handle.create(&marker).await?;
        for expect in [marker.revision, Revision::random()] {
            does_neither(&handle, &old, Some(&marker), expect).await?;
        }
    }
    Ok(Outcome::Passed)
}

/// The same replace sent again meets its own marker, and the successor stays as it is.
///
/// # Errors
/// The store breaks this sentence.
pub async fn a_replace_sent_twice_meets_its_marker(handle: Handle) -> Checked {
    let (session, successor) = (handle.record(), handle.record());
    let old = handle.create(&session).await?;
    let new = key_beside(&old);
    let marker = handle.marker(Kind::Regenerated(new));
    let first = handle
        .replace(&old, session.revision, &marker, &new, &successor)
        .await?;
    done("a replace", &first)?;
    let second = handle
        .replace(&old, session.revision, &marker, &new, &successor)
        .await?;
    conflict("a replace sent twice", &second, Some(&marker))?;
    handle
        .holds(&new, Some(&successor), "after the second")
        .await?;
    Ok(Outcome::Passed)
}
