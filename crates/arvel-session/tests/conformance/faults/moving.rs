//! Stores whose touches, sweeps and expiries are wrong.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use arvel_session::{
    Clock, SystemClock, Time,
    store::{Key, Kind, Record, Reply, Revision, SessionStore, Write},
};

use super::{Broken, Fault, failure, fault};
use crate::honest::{Shelf, shared};

pub(crate) fn faults() -> Vec<Fault> {
    let mut faults = touching();
    faults.extend(sweeping());
    faults.extend(expiring());
    faults
}

fn touching() -> Vec<Fault> {
    let live = |record: &Record| record.kind.is_live();
    vec![
        fault(
            "a touch changes the revision",
            "a_touch_moves_the_expiry_alone",
            |broken| {
                broken.moves(|record, expires| {
                    if record.kind.is_live() {
                        record.expires = expires;
                        record.revision = Revision::from_u64(7);
                    }
                })
            },
        ),
        fault(
            "a touch empties the body",
            "a_touch_moves_the_expiry_alone",
            |broken| {
                broken.moves(|record, expires| {
                    if record.kind.is_live() {
                        record.expires = expires;
                        record.body.clear();
                    }
                })
            },
        ),
        fault(
            "a touch does nothing",
            "a_touch_moves_the_expiry_alone",
            |broken| broken.moves(|_, _| {}),
        ),
        fault(
            "a touch only prolongs",
            "a_touch_moves_the_expiry_alone",
            |broken| {
                broken.moves(|record, expires| {
                    if record.kind.is_live() {
                        record.expires = record.expires.max(expires);
                    }
                })
            },
        ),
        fault(
            "a touch moves markers",
            "a_touch_leaves_markers_alone",
            |broken| broken.moves(|record, expires| record.expires = expires),
        ),
        fault(
            "a touch prolongs markers of regenerated sessions",
            "a_touch_leaves_markers_alone",
            |broken| {
                broken.moves(|record, expires| {
                    if record.kind != Kind::Destroyed {
                        record.expires = expires;
                    }
                })
            },
        ),
        fault("a touch creates", "a_touch_creates_nothing", |broken| {
            broken.touch(|shelf, key, expires| {
                let mut records = shelf.records();
                let record = records.entry(*key).or_insert_with(|| {
                    Record::new(Kind::Plain, Revision::from_u64(7), expires, Vec::new())
                });
                if record.kind.is_live() {
                    record.expires = expires;
                }
                Reply::ready(Ok(()))
            })
        }),
        fault(
            "a touch of nothing fails",
            "a_touch_creates_nothing",
            |broken| {
                broken.touch(|shelf, key, expires| match shelf.get(key) {
                    None => failure(),
                    Some(_) => shelf.touch(key, expires, SystemClock.now()),
                })
            },
        ),
        fault(
            "a touch of a marker fails",
            "a_touch_leaves_markers_alone",
            |broken| {
                broken.touch(move |shelf, key, expires| match shelf.get(key) {
                    Some(there) if !live(&there) => failure(),
                    _ => shelf.touch(key, expires, SystemClock.now()),
                })
            },
        ),
    ]
}

/// Sweeps by another rule.
fn sweeps(broken: Broken, expired: fn(&Record, Time) -> bool) -> Broken {
    broken.sweep(move |shelf, now, max| {
        Reply::ready(Ok(shelf.sweep_now(max, |record| expired(record, now))))
    })
}

fn sweeping() -> Vec<Fault> {
    let millis = Duration::from_millis(1);
    vec![
        fault("sweeps all", "a_sweep_leaves_what_lives", |broken| {
            sweeps(broken, |_, _| true)
        }),
        fault(
            "sweeps markers before their time",
            "a_sweep_leaves_what_lives",
            |broken| {
                sweeps(broken, |record, now| {
                    record.is_expired(now) || !record.kind.is_live()
                })
            },
        ),
        fault(
            "sweeps a millisecond too soon",
            "a_sweep_leaves_what_lives",
            move |broken| broken.sweep(move |shelf, now, max| shelf.sweep(now.after(millis), max)),
        ),
        fault(
            "sweeps a millisecond too late",
            "a_sweep_removes_what_has_expired",
            |broken| sweeps(broken, |record, now| record.expires < now),
        ),
        fault(
            "never sweeps",
            "a_sweep_removes_what_has_expired",
            |broken| broken.sweep(|_, _, _| Reply::ready(Ok(0))),
        ),
        fault(
            "never sweeps markers",
            "a_sweep_removes_what_has_expired",
            |broken| {
                sweeps(broken, |record, now| {
                    record.is_expired(now) && record.kind.is_live()
                })
            },
        ),
        fault(
            "sweeps without a bound",
            "a_sweep_is_bounded_and_counts",
            |broken| {
                broken.sweep(|shelf, now, max| {
                    let swept = shelf.sweep_now(usize::MAX, |record| record.is_expired(now));
                    Reply::ready(Ok(swept.min(max)))
                })
            },
        ),
        fault(
            "sweeps one less than it says",
            "a_sweep_is_bounded_and_counts",
            |broken| {
                broken.sweep(|shelf, now, max| {
                    let expired = shelf
                        .records()
                        .values()
                        .filter(|there| there.is_expired(now))
                        .count();
                    shelf.sweep_now(max.saturating_sub(1).max(expired.min(1)), |record| {
                        record.is_expired(now)
                    });
                    Reply::ready(Ok(expired.min(max)))
                })
            },
        ),
        fault(
            "says that it swept nothing",
            "a_sweep_is_bounded_and_counts",
            |broken| {
                broken.sweep(|shelf, now, max| {
                    shelf.sweep_now(max, |record| record.is_expired(now));
                    Reply::ready(Ok(0))
                })
            },
        ),
        fault(
            "says that it swept when nothing had expired",
            "a_sweep_of_nothing_answers_zero",
            |broken| {
                broken.sweep(|shelf, now, max| {
                    let swept = shelf.sweep_now(max, |record| record.is_expired(now));
                    Reply::ready(Ok(swept.max(max.min(1))))
                })
            },
        ),
        fault(
            "has a signed bound",
            "a_sweep_of_nothing_answers_zero",
            |broken| {
                broken.sweep(|shelf, now, max| match i64::try_from(max) {
                    Ok(_) => shelf.sweep(now, max),
                    Err(_) => failure(),
                })
            },
        ),
        fault(
            "sweeps by the first expiry",
            "a_sweep_goes_by_the_last_expiry",
            |broken| {
                let noted = Births::default();
                let births = noted.clone();
                broken
                    .save(move |shelf, key, expect, write| {
                        noted.note(key, &write);
                        shelf.save(key, expect, write)
                    })
                    .sweep(move |shelf, now, max| {
                        let expired =
                            |key: &Key, there: &Record| births.first_expiry(key, there) <= now;
                        let mut records = shelf.records();
                        let gone: Vec<_> = records
                            .iter()
                            .filter(|(key, there)| expired(key, there))
                            .map(|(key, _)| *key)
                            .take(max)
                            .collect();
                        Reply::ready(Ok(gone
                            .iter()
                            .filter_map(|key| records.remove(key))
                            .count()))
                    })
            },
        ),
        fault(
            "looks what has expired, then removes it",
            "a_sweep_never_takes_what_was_renewed",
            |broken| {
                broken.sweep(|shelf, now, max| {
                    let shelf = shelf.clone();
                    Reply::later(async move {
                        let expired = |there: &Record| there.is_expired(now);
                        let keys: Vec<_> = {
                            let records = shelf.records();
                            records
                                .iter()
                                .filter(|(_, there)| expired(there))
                                .map(|(key, _)| *key)
                                .take(max)
                                .collect()
                        };
                        tokio::time::sleep(Duration::from_millis(2)).await;
                        let mut records = shelf.records();
                        Ok(keys.iter().filter_map(|key| records.remove(key)).count())
                    })
                })
            },
        ),
    ]
}

/// How long a record was to live when it was first saved, and until when.
#[derive(Clone, Default)]
struct Births(Arc<Mutex<HashMap<Key, (Duration, Time)>>>);

impl Births {
    fn note(&self, key: &Key, write: &Write) {
        let expires = write.record.expires;
        let mut births = self.0.lock().unwrap();
        births
            .entry(*key)
            .or_insert((expires.since(write.now), expires));
    }

    fn first_expiry(&self, key: &Key, there: &Record) -> Time {
        self.0
            .lock()
            .unwrap()
            .get(key)
            .map_or(there.expires, |birth| birth.1)
    }

    fn had_no_life(&self, key: &Key) -> bool {
        self.0
            .lock()
            .unwrap()
            .get(key)
            .is_some_and(|birth| birth.0.is_zero())
    }
}

fn expiring() -> Vec<Fault> {
    vec![
        expires(
            "never lets anything expire",
            "what_expires_goes_by_itself",
            |_, _, _, _| false,
        ),
        expires(
            "lets no marker expire",
            "what_expires_goes_by_itself",
            |_, _, there, now| there.kind.is_live() && there.is_expired(now),
        ),
        expires(
            "takes no life for an endless one",
            "what_expires_goes_by_itself",
            |births, key, there, now| !births.had_no_life(key) && there.is_expired(now),
        ),
        expires(
            "lets records go at their first expiry",
            "what_was_given_more_time_stays",
            |births, key, there, now| births.first_expiry(key, there) <= now,
        ),
    ]
}

/// A store that needs no sweeps, in which records go by this rule.
fn expires(
    name: &'static str,
    meant: &'static str,
    gone: fn(&Births, &Key, &Record, Time) -> bool,
) -> Fault {
    let births = Births::default();
    let purge = {
        let births = births.clone();
        move |shelf: &Shelf| {
            let now = SystemClock.now();
            shelf
                .records()
                .retain(|key, there| !gone(&births, key, there, now));
        }
    };
    let (on_load, on_save) = (purge.clone(), purge);
    let broken = Broken::new(Shelf::server())
        .declares(|c| c.sweeps = false)
        .sweep(|_, _, _| Reply::ready(Ok(0)))
        .load(move |shelf, at| {
            on_load(shelf);
            shelf.load(at)
        })
        .save(move |shelf, key, expect, write| {
            on_save(shelf);
            births.note(key, &write);
            shelf.save(key, expect, write)
        });
    (name, meant, shared(broken))
}
