//! Markers: dead stays dead.

use super::{
    Checked, Handle, Outcome,
    handle::{conflict, done, random_key},
};
use crate::store::{Expect, Kind, Record, Revision};

fn kinds() -> [Kind; 2] {
    [Kind::Destroyed, Kind::Regenerated(random_key())]
}

/// "Stores a record, or a marker over one": a marker comes back exactly, with its successor.
///
/// # Errors
/// The store breaks this sentence.
pub async fn markers_come_back_exactly(handle: Handle) -> Checked {
    for kind in kinds() {
        let (session, marker) = (handle.record(), handle.marker(kind));
        let key = handle.create(&session).await?;
        let expect = Expect::Revision(session.revision);
        let saved = handle.save(&key, expect, &marker).await?;
        done("a marker over a session", &saved)?;
        handle.holds(&key, Some(&marker), "after a marker").await?;

        let key = handle.create(&marker).await?;
        let after = "after a marker where nothing was";
        handle.holds(&key, Some(&marker), after).await?;
    }
    Ok(Outcome::Passed)
}

/// Expecting "a live record of this revision": a marker is never overwritten, whichever revision is given.
///
/// # Errors
/// The store breaks this sentence.
pub async fn a_marker_is_never_overwritten(handle: Handle) -> Checked {
    for kind in kinds() {
        let (session, marker) = (handle.record(), handle.marker(kind));
        let key = handle.create(&session).await?;
        let expect = Expect::Revision(session.revision);
        done("a marker", &handle.save(&key, expect, &marker).await?)?;

        let expectations = [
            Expect::Absent,
            Expect::Revision(session.revision),
            Expect::Revision(marker.revision),
            Expect::Revision(Revision::from_u64(0)),
        ];
        for expect in expectations {
            for next in [handle.record(), handle.marker(Kind::Destroyed)] {
                let saved = handle.save(&key, expect, &next).await?;
                conflict("a save over a marker", &saved, Some(&marker))?;
            }
        }
        handle.holds(&key, Some(&marker), "after conflicts").await?;
    }
    Ok(Outcome::Passed)
}

/// The revision of a marker protects it too when it is zero, which an empty column may look like.
///
/// # Errors
/// The store breaks this sentence.
pub async fn a_marker_of_revision_zero_is_a_marker(handle: Handle) -> Checked {
    let zero = Revision::from_u64(0);
    let marker = Record::new(Kind::Destroyed, zero, handle.tomorrow(), Vec::new());
    let key = handle.create(&marker).await?;
    for expect in [Expect::Revision(zero), Expect::Absent] {
        let saved = handle.save(&key, expect, &handle.record()).await?;
        conflict("a save over a marker", &saved, Some(&marker))?;
    }
    handle.holds(&key, Some(&marker), "after conflicts").await?;
    Ok(Outcome::Passed)
}
