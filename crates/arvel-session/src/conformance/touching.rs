//! Touching: the expiry of a live record, and nothing else.

use super::{
    Checked, Handle, Outcome,
    handle::{DAY, HOUR, done, random_key},
};
use crate::{
    Time,
    store::{Expect, Kind, Record},
};

/// "Move the expiry of a live record, and nothing else: not its revision, not its body."
///
/// # Errors
/// The store breaks this sentence.
pub async fn a_touch_moves_the_expiry_alone(handle: Handle) -> Checked {
    for kind in [Kind::Plain, Kind::Sealed] {
        let mut record = handle.record();
        record.kind = kind;
        let key = handle.create(&record).await?;
        let (later, odd) = (
            handle.now.after(30 * DAY),
            handle.tomorrow().as_millis() | 511,
        );
        for expires in [later, Time::from_millis(odd), handle.now.after(HOUR)] {
            handle.touch(&key, expires).await?;
            record.expires = expires;
            handle.holds(&key, Some(&record), "after a touch").await?;
        }
        let next = handle.record();
        let expect = Expect::Revision(record.revision);
        done(
            "a save after a touch",
            &handle.save(&key, expect, &next).await?,
        )?;
        handle.holds(&key, Some(&next), "after that save").await?;
    }
    Ok(Outcome::Passed)
}

/// "A key that is not there is left alone, without an error."
///
/// # Errors
/// The store breaks this sentence.
pub async fn a_touch_creates_nothing(handle: Handle) -> Checked {
    let key = random_key();
    handle.touch(&key, handle.tomorrow()).await?;
    handle.holds(&key, None, "after a touch of nothing").await?;
    handle.create_at(&key, &handle.record()).await?;
    Ok(Outcome::Passed)
}

/// "A marker is left alone, without an error."
///
/// # Errors
/// The store breaks this sentence.
pub async fn a_touch_leaves_markers_alone(handle: Handle) -> Checked {
    for kind in [Kind::Destroyed, Kind::Regenerated(random_key())] {
        let marker: Record = handle.marker(kind);
        let key = handle.create(&marker).await?;
        for expires in [handle.now.after(30 * DAY), handle.now.after(HOUR)] {
            handle.touch(&key, expires).await?;
            handle.holds(&key, Some(&marker), "after a touch").await?;
        }
    }
    Ok(Outcome::Passed)
}
