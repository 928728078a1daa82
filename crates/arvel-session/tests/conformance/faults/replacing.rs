//! Stores whose replace is not two saves as one.

use arvel_session::store::{Reply, Revision, Saved};

use super::{Fault, fault};

pub(crate) fn faults() -> Vec<Fault> {
    vec![
        fault(
            "leaves the old session alive",
            "a_replace_does_both",
            |broken| {
                broken.replace(|shelf, replace| {
                    let conflict = replace.conflict(shelf);
                    Reply::ready(Ok(conflict.unwrap_or_else(|| {
                        shelf.put(replace.new, replace.write.record);
                        Saved::Done
                    })))
                })
            },
        ),
        fault("forgets the new session", "a_replace_does_both", |broken| {
            broken.replace(|shelf, replace| {
                let conflict = replace.conflict(shelf);
                Reply::ready(Ok(conflict.unwrap_or_else(|| {
                    shelf.put(replace.old, replace.marker);
                    Saved::Done
                })))
            })
        }),
        fault(
            "gives the marker the session's revision",
            "a_replace_does_both",
            |broken| {
                broken.replace(|shelf, mut replace| {
                    replace.marker.revision = replace.expect;
                    replace.on(shelf)
                })
            },
        ),
        fault(
            "replaces at any revision",
            "a_replace_at_another_revision_does_neither",
            |broken| {
                broken.replace(|shelf, replace| match shelf.get(&replace.old) {
                    Some(there) if there.kind.is_live() => Reply::ready(Ok(replace.do_it(shelf))),
                    _ => replace.on(shelf),
                })
            },
        ),
        fault(
            "replaces a marker",
            "a_replace_of_a_marker_does_neither",
            |broken| {
                broken.replace(|shelf, replace| match shelf.get(&replace.old) {
                    Some(there) if there.revision == replace.expect => {
                        Reply::ready(Ok(replace.do_it(shelf)))
                    }
                    _ => replace.on(shelf),
                })
            },
        ),
        fault(
            "replaces what is not there",
            "a_replace_of_nothing_does_neither",
            |broken| {
                broken.replace(|shelf, replace| match shelf.get(&replace.old) {
                    None => Reply::ready(Ok(replace.do_it(shelf))),
                    Some(_) => replace.on(shelf),
                })
            },
        ),
        fault(
            "creates the new session in a conflict",
            "a_replace_at_another_revision_does_neither",
            |broken| {
                broken.replace(|shelf, replace| {
                    shelf.put(replace.new, replace.write.record.clone());
                    replace.on(shelf)
                })
            },
        ),
        fault(
            "marks the old session in a conflict",
            "a_replace_at_another_revision_does_neither",
            |broken| {
                broken.replace(|shelf, replace| {
                    let conflict = replace.conflict(shelf);
                    match conflict {
                        Some(Saved::Conflict(Some(there))) if there.kind.is_live() => {
                            shelf.put(replace.old, replace.marker);
                            Reply::ready(Ok(Saved::Conflict(Some(there))))
                        }
                        _ => replace.on(shelf),
                    }
                })
            },
        ),
        fault(
            "hands back what is under the new key",
            "a_replace_at_another_revision_does_neither",
            |broken| {
                broken.replace(|shelf, replace| {
                    let conflict = replace.conflict(shelf);
                    match conflict {
                        Some(_) => Reply::ready(Ok(Saved::Conflict(shelf.get(&replace.new)))),
                        None => replace.on(shelf),
                    }
                })
            },
        ),
        fault(
            "says Done to a replace sent twice",
            "a_replace_sent_twice_meets_its_marker",
            |broken| {
                broken.replace(|shelf, replace| {
                    if shelf.get(&replace.old).as_ref() == Some(&replace.marker) {
                        return Reply::ready(Ok(Saved::Done));
                    }
                    replace.on(shelf)
                })
            },
        ),
        fault(
            "replaces all sessions of a revision",
            "a_replace_does_both",
            |broken| {
                broken.replace(|shelf, replace| {
                    let is_its = |revision: Revision| revision == replace.expect;
                    if replace.conflict(shelf).is_none() {
                        let mut records = shelf.records();
                        for record in records.values_mut().filter(|there| is_its(there.revision)) {
                            *record = replace.marker.clone();
                        }
                        records.insert(replace.new, replace.write.record);
                        return Reply::ready(Ok(Saved::Done));
                    }
                    replace.on(shelf)
                })
            },
        ),
        fault(
            "loses a durable replace",
            "durable_writes_are_writes",
            |broken| {
                broken.replace(|shelf, replace| match replace.write.durable {
                    true => Reply::ready(Ok(Saved::Done)),
                    false => replace.on(shelf),
                })
            },
        ),
    ]
}
