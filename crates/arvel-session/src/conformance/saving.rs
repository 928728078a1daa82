//! Saving: compare and set, one call after the other.

use super::{
    Checked, Handle, Outcome,
    handle::{HOUR, conflict, done, key_beside, random_key, same},
};
use crate::store::{Expect, Kind, Record, Revision, Write};

/// Expecting "nothing at all": a record that is there is a conflict, handed back, and unchanged.
///
/// # Errors
/// The store breaks this sentence.
pub async fn a_new_record_overwrites_nothing(handle: Handle) -> Checked {
    let record = handle.record();
    let key = handle.create(&record).await?;
    let saved = handle.save(&key, Expect::Absent, &handle.record()).await?;
    conflict("a second save where nothing is", &saved, Some(&record))?;
    handle
        .holds(&key, Some(&record), "after a conflict")
        .await?;
    Ok(Outcome::Passed)
}

/// "Store the record if what is there is what the caller expects": at the revision that is there, the new one takes its
/// place whole.
///
/// # Errors
/// The store breaks this sentence.
pub async fn a_save_at_the_revision_takes_its_place(handle: Handle) -> Checked {
    let mut last = handle.record();
    let key = handle.create(&last).await?;
    let revisions = [0, 1, (1 << 53) + 1, 1 << 63, u64::MAX].map(Revision::from_u64);
    for (length, revision) in [1000, 0, 300, 20_000, 3].into_iter().zip(revisions) {
        let next = Record {
            kind: if length == 0 {
                Kind::Plain
            } else {
                Kind::Sealed
            },
            revision,
            expires: handle.now.after(HOUR),
            body: handle.body(length).into(),
        };
        let expect = Expect::Revision(last.revision);
        let saved = handle.save(&key, expect, &next).await?;
        done("a save at the revision that is there", &saved)?;
        handle.holds(&key, Some(&next), "after a save").await?;
        last = next;
    }
    Ok(Outcome::Passed)
}

/// "Otherwise change nothing and hand back what is there": at any other revision, even one bit away.
///
/// # Errors
/// The store breaks this sentence.
pub async fn a_save_at_another_revision_conflicts(handle: Handle) -> Checked {
    let record = handle.record();
    let key = handle.create(&record).await?;
    for bit in 0..64 {
        let other = Revision::from_u64(record.revision.as_u64() ^ (1 << bit));
        let saved = handle
            .save(&key, Expect::Revision(other), &handle.record())
            .await?;
        conflict("a save at another revision", &saved, Some(&record))?;
    }
    handle.holds(&key, Some(&record), "after conflicts").await?;
    Ok(Outcome::Passed)
}

/// "A key that is not there is a conflict with `None`", and a save at a revision creates nothing.
///
/// # Errors
/// The store breaks this sentence.
pub async fn a_save_at_a_revision_creates_nothing(handle: Handle) -> Checked {
    let key = random_key();
    for next in [handle.record(), handle.marker(Kind::Destroyed)] {
        let expect = Expect::Revision(Revision::random());
        let saved = handle.save(&key, expect, &next).await?;
        conflict("a save at a revision where nothing is", &saved, None)?;
        handle.holds(&key, None, "after the conflict").await?;
    }
    Ok(Outcome::Passed)
}

/// "The caller sends the same save again and recognises its own revision in the conflict."
///
/// # Errors
/// The store breaks this sentence.
pub async fn a_save_sent_twice_conflicts_with_itself(handle: Handle) -> Checked {
    let (first, second) = (handle.record(), handle.record());
    let key = handle.create(&first).await?;
    let again = handle.save(&key, Expect::Absent, &first).await?;
    conflict("a first save sent twice", &again, Some(&first))?;

    let expect = Expect::Revision(first.revision);
    done("a second save", &handle.save(&key, expect, &second).await?)?;
    let again = handle.save(&key, expect, &second).await?;
    conflict("a second save sent twice", &again, Some(&second))?;
    handle.holds(&key, Some(&second), "after both").await?;
    Ok(Outcome::Passed)
}

/// "`Write::durable` asks that the write survives a crash": it changes nothing else.
///
/// # Errors
/// The store breaks this sentence.
pub async fn durable_writes_are_writes(handle: Handle) -> Checked {
    let durable = |record: &Record| {
        let mut write = Write::new(record.clone(), handle.now);
        write.durable = true;
        write
    };
    let (key, first, second) = (random_key(), handle.record(), handle.record());
    let saved = handle.write(&key, Expect::Absent, durable(&first)).await?;
    done("a durable save", &saved)?;
    handle
        .holds(&key, Some(&first), "after a durable save")
        .await?;
    let wrong = Expect::Revision(second.revision);
    let saved = handle.write(&key, wrong, durable(&second)).await?;
    conflict("a durable save at another revision", &saved, Some(&first))?;

    if handle.capabilities().atomic_replace {
        let new = key_beside(&key);
        let marker = handle.marker(Kind::Regenerated(new));
        let replaced = handle
            .store
            .replace(&key, first.revision, marker.clone(), &new, durable(&second))
            .await
            .map_err(|error| super::Failure::store("a durable replace", error))?;
        done("a durable replace", &replaced)?;
        handle
            .holds(&key, Some(&marker), "after a durable replace")
            .await?;
        handle
            .holds(&new, Some(&second), "after a durable replace")
            .await?;
    } else {
        let saved = handle
            .write(&key, Expect::Revision(first.revision), durable(&second))
            .await?;
        done("a second durable save", &saved)?;
        handle
            .holds(&key, Some(&second), "after a durable save")
            .await?;
    }
    Ok(Outcome::Passed)
}

/// "An expired record counts as present until it is swept."
///
/// # Errors
/// The store breaks this sentence.
pub async fn expired_records_count_as_present(handle: Handle) -> Checked {
    if let Some(crowded) = handle.crowded() {
        return Ok(crowded);
    }
    for mut expired in [handle.record(), handle.marker(Kind::Destroyed)] {
        expired.expires = handle.ago(HOUR);
        let key = handle.create(&expired).await?;
        let saved = handle.save(&key, Expect::Absent, &handle.record()).await?;
        conflict("a save over what has expired", &saved, Some(&expired))?;
        let there = handle.present(&key).await?;
        same("after that conflict", there.as_ref(), Some(&expired))?;
    }
    Ok(Outcome::Passed)
}
