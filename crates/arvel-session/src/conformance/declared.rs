//! What a store declares about itself, checked both ways: what it denies must really not hold.

use super::{
    Checked, Handle, Outcome,
    handle::{DAY, HOUR, Kept, LARGEST_TRIED, done, key_beside, random_key, same},
    report::{Failure, ensure},
};
use crate::{
    ErrorKind,
    store::{At, Expect, Key, Kind, Record, Revision, Saved, Write},
};

/// "What this store promises. Must not change."
///
/// # Errors
/// The store breaks this sentence.
pub async fn capabilities_do_not_change(handle: Handle) -> Checked {
    let declared = handle.capabilities();
    ensure!(!declared.name.is_empty(), "the store has no name");
    handle.keep(&handle.record()).await?;
    ensure!(
        handle.capabilities() == declared,
        "after a save the store declares something else"
    );
    let Handle { opener, store, .. } = handle;
    drop(store);
    ensure!(
        Handle::open(&opener).await?.capabilities() == declared,
        "another handle declares something else"
    );
    Ok(Outcome::Passed)
}

/// "The record stays with us and the browser holds an id. Otherwise the browser holds the record."
///
/// # Errors
/// The store breaks this sentence.
pub async fn server_side_is_as_declared(handle: Handle) -> Checked {
    let (key, record) = (random_key(), handle.record());
    let declared = handle.capabilities().server_side;
    match handle.save(&key, Expect::Absent, &record).await? {
        Saved::Done if declared => {
            handle.holds(&key, Some(&record), "after a save").await?;
        }
        Saved::Token(token) if !declared => {
            let found = handle.load_at(At::Payload(&token)).await?;
            same("in the token", found.as_ref(), Some(&record))?;
            let after = "under its key, though the browser holds it";
            handle.holds(&key, None, after).await?;
            let expect = Expect::Revision(Revision::random());
            let again = handle.save(&key, expect, &record).await?;
            ensure!(
                matches!(again, Saved::Token(_)),
                "a save at a revision answered {again:?}, though nothing can be compared"
            );
        }
        other => {
            return Err(Failure::new(format!(
                "the store declares server_side = {declared}, but a save answered {other:?}"
            )));
        }
    }
    Ok(Outcome::Passed)
}

/// "Another handle, opened with the same settings in another process, sees the same records."
///
/// # Errors
/// The store breaks this sentence.
pub async fn shared_is_as_declared(handle: Handle) -> Checked {
    let record = handle.record();
    let kept = handle.keep(&record).await?;
    if handle.capabilities().shared {
        let found = handle.another().await?.find(&kept).await?;
        same("through another handle", found.as_ref(), Some(&record))?;
    } else if let Ok(other) = handle.another().await {
        let found = other.find(&kept).await.ok().flatten();
        same("the store denies shared", found.as_ref(), None)?;
    }
    Ok(Outcome::Passed)
}

/// "Records outlive this process."
///
/// # Errors
/// The store breaks this sentence.
pub async fn persistent_is_as_declared(handle: Handle) -> Checked {
    let (session, marker) = (handle.record(), handle.marker(Kind::Destroyed));
    let kept = handle.keep(&session).await?;
    let dead = match kept {
        Kept::Under(_) => Some(handle.create(&marker).await?),
        Kept::In(_) => None,
    };
    let declared = handle.capabilities().persistent;
    let Handle { opener, store, .. } = handle;
    drop(store);

    let reopened = Handle::open(&opener).await?;
    if declared {
        let found = reopened.find(&kept).await?;
        same("after reopening", found.as_ref(), Some(&session))?;
        if let Some(dead) = dead {
            reopened
                .holds(&dead, Some(&marker), "after reopening")
                .await?;
        }
    } else {
        let found = reopened.find(&kept).await.ok().flatten();
        same("the store denies persistent", found.as_ref(), None)?;
    }
    Ok(Outcome::Passed)
}

/// "`SessionStore::replace` is there."
///
/// # Errors
/// The store breaks this sentence.
pub async fn atomic_replace_is_as_declared(handle: Handle) -> Checked {
    let (session, successor) = (handle.record(), handle.record());
    let old = random_key();
    handle.save(&old, Expect::Absent, &session).await?;
    let new = key_beside(&old);
    let marker = handle.marker(Kind::Regenerated(new));
    let write = Write::new(successor.clone(), handle.now);
    let answer = handle
        .store
        .replace(&old, session.revision, marker, &new, write)
        .await;
    match answer {
        Ok(saved) if handle.capabilities().atomic_replace => done("a replace", &saved)?,
        Err(error)
            if !handle.capabilities().atomic_replace && error.kind() == ErrorKind::Unsupported =>
        {
            let stays = handle.capabilities().server_side.then_some(&session);
            handle.holds(&old, stays, "after a refused replace").await?;
            handle.holds(&new, None, "after a refused replace").await?;
        }
        other => {
            return Err(Failure::new(format!(
                "the store declares atomic_replace = {}, but a replace answered {other:?}",
                handle.capabilities().atomic_replace
            )));
        }
    }
    Ok(Outcome::Passed)
}

/// "`SessionStore::sweep` is needed; otherwise what expires goes by itself."
///
/// A store that denies it answers zero and removes nothing when it is swept.
///
/// # Errors
/// The store breaks this sentence.
pub async fn sweeps_is_as_declared(handle: Handle) -> Checked {
    if handle.capabilities().sweeps {
        return needs_its_sweeps(handle).await;
    }
    // What lives for an hour is swept as if two had passed, unless others live here who would be hit if the store lies.
    let soon = Record::new(
        Kind::Plain,
        Revision::random(),
        handle.now.after(HOUR),
        handle.body(300),
    );
    let past = Record::new(
        Kind::Plain,
        Revision::random(),
        handle.ago(HOUR),
        handle.body(300),
    );
    let kept = handle.keep(&soon).await?;
    let write = Write::new(past, handle.ago(2 * HOUR));
    handle.write(&random_key(), Expect::Absent, write).await?;
    let later = match handle.crowded() {
        None => handle.now.after(2 * HOUR),
        Some(_) => handle.now,
    };
    let swept = handle.sweep(later, 1000).await?;
    ensure!(
        swept == 0,
        "the store denies sweeps, but a sweep removed {swept}"
    );
    let found = handle.find(&kept).await?;
    same(
        "after a sweep of a store that denies sweeps",
        found.as_ref(),
        Some(&soon),
    )?;
    Ok(Outcome::Passed)
}

async fn needs_its_sweeps(handle: Handle) -> Checked {
    let mut expired = handle.record();
    expired.expires = handle.ago(HOUR);
    let key = random_key();
    let write = Write::new(expired.clone(), handle.ago(DAY));
    let saved = handle.write(&key, Expect::Absent, write).await?;
    done("a save of what has expired", &saved)?;
    if handle.crowded().is_none() {
        let there = handle.present(&key).await?;
        same("before the sweep", there.as_ref(), Some(&expired))?;
    }
    sweep_all(&handle, &[key]).await?;
    Ok(Outcome::Passed)
}

/// Sweeps as often as it takes, and fails unless these keys are then gone.
pub(super) async fn sweep_all(handle: &Handle, keys: &[Key]) -> Checked<()> {
    // Bounded, for in a crowded place others keep bringing what has expired.
    for _ in 0..1000 {
        if handle.sweep(handle.ago(HOUR), 100).await? == 0 {
            break;
        }
    }
    for key in keys {
        let there = handle.present(key).await?;
        same("after sweeping all that has expired", there.as_ref(), None)?;
    }
    Ok(())
}

/// "Bytes are kept exactly, up to `max_bytes`."
///
/// Of a store that keeps more than 16 MiB, a record of 16 MiB is tried.
///
/// # Errors
/// The store breaks this sentence.
pub async fn the_largest_record_is_kept(handle: Handle) -> Checked {
    let largest = handle.capabilities().max_bytes.min(LARGEST_TRIED);
    ensure!(
        largest >= Record::HEADER + Key::LEN,
        "the store declares max_bytes = {largest}, in which no marker fits"
    );
    let mut record = handle.record();
    record.body = handle.body(largest - Record::HEADER).into();
    ensure!(
        record.encoded_len() == largest,
        "the suite made a record of the wrong size"
    );
    let kept = handle.keep(&record).await?;
    let found = handle.find(&kept).await?;
    same(
        "after a save of the largest record",
        found.as_ref(),
        Some(&record),
    )?;
    Ok(Outcome::Passed)
}

/// "What is larger is refused with `ErrorKind::TooLarge`", and nothing is changed.
///
/// # Errors
/// The store breaks this sentence.
pub async fn larger_records_are_refused(handle: Handle) -> Checked {
    let capabilities = handle.capabilities();
    if capabilities.max_bytes > LARGEST_TRIED {
        return Ok(Outcome::NotApplicable(format!(
            "the store keeps more than {LARGEST_TRIED} bytes, which is the most that is tried"
        )));
    }
    let mut large = handle.record();
    large.body = super::handle::bytes(1, capabilities.max_bytes + 1 - Record::HEADER).into();
    let unknown = random_key();
    refused(&handle, &unknown, Expect::Absent, &large).await?;
    handle.holds(&unknown, None, "after a refused save").await?;
    if !capabilities.server_side {
        return Ok(Outcome::Passed);
    }

    let record = handle.record();
    let key = handle.create(&record).await?;
    let expect = Expect::Revision(record.revision);
    refused(&handle, &key, expect, &large).await?;
    if capabilities.atomic_replace {
        let new = key_beside(&key);
        let marker = handle.marker(Kind::Regenerated(new));
        let write = Write::new(large, handle.now);
        let answer = handle
            .store
            .replace(&key, record.revision, marker, &new, write)
            .await;
        too_large("a replace", answer)?;
        handle.holds(&new, None, "after a refused replace").await?;
    }
    handle
        .holds(&key, Some(&record), "after what was refused")
        .await?;
    Ok(Outcome::Passed)
}

async fn refused(handle: &Handle, key: &Key, expect: Expect, large: &Record) -> Checked<()> {
    let write = Write::new(large.clone(), handle.now);
    too_large("a save", handle.store.save(key, expect, write).await)
}

fn too_large(call: &str, answer: crate::Result<Saved>) -> Checked<()> {
    match answer {
        Err(error) if error.kind() == ErrorKind::TooLarge => Ok(()),
        Err(error) => Err(Failure::store(
            &format!("{call} of too large a record"),
            error,
        )),
        Ok(saved) => Err(Failure::new(format!(
            "{call} of one byte more than max_bytes answered {saved:?}"
        ))),
    }
}
