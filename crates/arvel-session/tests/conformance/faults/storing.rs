//! Stores that do not keep what they are given, or not by compare and set.

use std::{sync::Arc, time::Duration};

use arvel_session::{
    Clock, SystemClock, Time,
    store::{At, Key, Kind, Record, Reply, Revision, Saved, SessionStore},
};

use tokio::{sync::Semaphore, time::sleep};

use super::{Fault, failure, fault};

pub(crate) fn faults() -> Vec<Fault> {
    let mut faults = loading();
    faults.extend(spoiling());
    faults.extend(saving());
    faults
}

fn loading() -> Vec<Fault> {
    vec![
        fault(
            "fails on an unknown key",
            "unknown_keys_load_nothing",
            |broken| {
                broken.load(|shelf, at| match at {
                    At::Key(key) if shelf.get(key).is_none() => failure(),
                    at => shelf.load(at),
                })
            },
        ),
        fault(
            "finds an empty record under an unknown key",
            "unknown_keys_load_nothing",
            |broken| broken.finds(|_, _, found| Some(found.unwrap_or_else(empty))),
        ),
        fault(
            "answers what has expired without its body",
            "expired_records_are_themselves_or_nothing",
            |broken| {
                broken.finds(|_, _, found| {
                    found.map(|mut found| {
                        if found.is_expired(SystemClock.now()) {
                            found.body.clear();
                        }
                        found
                    })
                })
            },
        ),
        fault(
            "refuses to save what has expired",
            "expired_records_are_themselves_or_nothing",
            |broken| {
                broken.save(|shelf, key, expect, write| {
                    if write.record.is_expired(write.now) {
                        return failure();
                    }
                    shelf.save(key, expect, write)
                })
            },
        ),
        fault(
            "believes what the browser sends",
            "payloads_are_not_believed",
            |broken| {
                broken.load(|shelf, at| match at {
                    At::Payload(payload) => {
                        Reply::ready(Record::decode(payload.to_vec().into()).map(Some))
                    }
                    at @ At::Key(_) => shelf.load(at),
                })
            },
        ),
        fault(
            "fails on long user agents",
            "columns_never_spoil_a_save",
            |broken| {
                broken.save(|shelf, key, expect, write| {
                    let agent = write.columns.agent.as_deref().unwrap_or_default();
                    if agent.chars().count() > 255 {
                        return failure();
                    }
                    shelf.save(key, expect, write)
                })
            },
        ),
        fault("fails on IPv6", "columns_never_spoil_a_save", |broken| {
            broken.save(|shelf, key, expect, write| {
                if write.columns.ip.is_some_and(|ip| ip.is_ipv6()) {
                    return failure();
                }
                shelf.save(key, expect, write)
            })
        }),
        fault(
            "fails when many ask at once",
            "many_records_at_once",
            |broken| {
                let places = Arc::new(Semaphore::new(50));
                broken.load(move |shelf, at| {
                    let found = shelf.load(at);
                    let Ok(place) = places.clone().try_acquire_owned() else {
                        return failure();
                    };
                    Reply::later(async move {
                        sleep(Duration::from_millis(1)).await;
                        drop(place);
                        found.await
                    })
                })
            },
        ),
        fault("evicts what lives", "many_records_at_once", |broken| {
            broken.save(|shelf, key, expect, write| {
                let saved = shelf.save_now(key, expect, write.record);
                let mut records = shelf.records();
                if records.len() > 300 {
                    let evicted = *records.keys().find(|other| *other != key).unwrap();
                    records.remove(&evicted);
                }
                Reply::ready(Ok(saved))
            })
        }),
        fault(
            "has keys without case",
            "keys_one_bit_apart_are_apart",
            |broken| by_name(broken, |key| key.hash().to_ascii_lowercase()),
        ),
        fault("cuts its keys", "keys_one_bit_apart_are_apart", |broken| {
            by_name(broken, |key| key.hash()[..31].to_vec())
        }),
        fault("trims its keys", "keys_one_bit_apart_are_apart", |broken| {
            by_name(broken, |key| key.hash().trim_ascii_end().to_vec())
        }),
    ]
}

/// Loads and saves under some other form of the key.
fn by_name(broken: super::Broken, name: fn(&Key) -> Vec<u8>) -> super::Broken {
    let under = move |key: &Key| {
        let mut hash = [0; 32];
        let name = name(key);
        hash[..name.len()].copy_from_slice(&name);
        Key::new(key.tag(), hash)
    };
    broken
        .load(move |shelf, at| match at {
            At::Key(key) => shelf.load(At::Key(&under(key))),
            at @ At::Payload(_) => shelf.load(at),
        })
        .save(move |shelf, key, expect, write| shelf.save(&under(key), expect, write))
}

fn empty() -> Record {
    Record::new(
        Kind::Plain,
        Revision::from_u64(0),
        Time::default(),
        Vec::new(),
    )
}

fn spoiling() -> Vec<Fault> {
    vec![
        fault("drops a byte", "bodies_come_back_exactly", |broken| {
            broken.spoils(|record| record.body.truncate(record.body.len().saturating_sub(1)))
        }),
        fault(
            "ends a body at its first NUL",
            "bodies_come_back_exactly",
            |broken| {
                broken.spoils(|record| {
                    let end = record.body.iter().position(|byte| *byte == 0);
                    record.body.truncate(end.unwrap_or(usize::MAX));
                })
            },
        ),
        fault(
            "keeps bodies as text",
            "bodies_come_back_exactly",
            |broken| {
                broken.spoils(|record| {
                    record.body = String::from_utf8_lossy(&record.body).into_owned().into();
                })
            },
        ),
        fault(
            "cuts bodies at 64,000 bytes",
            "bodies_come_back_exactly the_largest_record_is_kept",
            |broken| broken.spoils(|record| record.body.truncate(64_000)),
        ),
        fault(
            "forgets that a body is sealed",
            "bodies_come_back_exactly",
            |broken| {
                broken.spoils(|record| {
                    if record.kind == Kind::Sealed {
                        record.kind = Kind::Plain;
                    }
                })
            },
        ),
        fault(
            "keeps revisions as doubles",
            "revisions_come_back_exactly",
            |broken| {
                broken.spoils(|record| {
                    record.revision = Revision::from_u64(record.revision.as_u64() as f64 as u64);
                })
            },
        ),
        fault(
            "keeps revisions as signed numbers",
            "revisions_come_back_exactly",
            |broken| {
                broken.spoils(|record| {
                    let most = i64::MAX.unsigned_abs();
                    record.revision = Revision::from_u64(record.revision.as_u64().min(most));
                })
            },
        ),
        fault(
            "keeps expiries in seconds",
            "expiries_come_back_exactly",
            |broken| {
                broken.spoils(|record| {
                    record.expires = Time::from_millis(record.expires.as_secs() * 1000)
                })
            },
        ),
        fault(
            "forgets successors",
            "markers_come_back_exactly",
            |broken| {
                broken.spoils(|record| {
                    if !record.kind.is_live() {
                        record.kind = Kind::Destroyed;
                    }
                })
            },
        ),
    ]
}

fn saving() -> Vec<Fault> {
    vec![
        fault(
            "overwrites what is there with what is new",
            "a_new_record_overwrites_nothing",
            |broken| {
                broken.also_saves(|there, expected, _| {
                    expected.is_none() && there.is_some_and(|there| there.kind.is_live())
                })
            },
        ),
        fault(
            "lets the last write win",
            "a_save_at_another_revision_conflicts",
            |broken| {
                broken.also_saves(|there, expected, _| {
                    expected.is_some() && there.is_some_and(|there| there.kind.is_live())
                })
            },
        ),
        fault(
            "creates what is not there",
            "a_save_at_a_revision_creates_nothing",
            |broken| broken.also_saves(|there, _, _| there.is_none()),
        ),
        fault(
            "compares half of a revision",
            "a_save_at_another_revision_conflicts",
            |broken| {
                broken.also_saves(|there, expected, _| {
                    there.zip(expected).is_some_and(|(there, expected)| {
                        there.kind.is_live()
                            && there.revision.as_u64() as u32 == expected.as_u64() as u32
                    })
                })
            },
        ),
        fault(
            "says Done to what is sent twice",
            "a_save_sent_twice_conflicts_with_itself",
            |broken| broken.also_saves(|there, _, write| there == Some(&write.record)),
        ),
        fault(
            "saves durably whatever is there",
            "durable_writes_are_writes",
            |broken| broken.also_saves(|_, _, write| write.durable),
        ),
        fault(
            "forgets what is durable",
            "durable_writes_are_writes",
            |broken| {
                broken.save(|shelf, key, expect, write| match write.durable {
                    true => Reply::ready(Ok(Saved::Done)),
                    false => shelf.save(key, expect, write),
                })
            },
        ),
        fault(
            "takes what has expired for absent",
            "expired_records_count_as_present",
            |broken| {
                broken.also_saves(|there, expected, _| {
                    expected.is_none()
                        && there.is_some_and(|there| there.is_expired(SystemClock.now()))
                })
            },
        ),
        fault(
            "overwrites a marker at its revision",
            "a_marker_is_never_overwritten a_marker_of_revision_zero_is_a_marker",
            |broken| {
                broken.also_saves(|there, expected, _| {
                    expected.is_some() && there.map(|there| there.revision) == expected
                })
            },
        ),
        fault(
            "takes a marker for absent",
            "a_marker_is_never_overwritten",
            |broken| {
                broken.also_saves(|there, expected, _| {
                    expected.is_none() && there.is_some_and(|there| !there.kind.is_live())
                })
            },
        ),
        fault(
            "takes revision zero for absent",
            "a_marker_of_revision_zero_is_a_marker",
            |broken| {
                broken.also_saves(|there, expected, _| {
                    expected.is_none() && there.is_some_and(|there| there.revision.as_u64() == 0)
                })
            },
        ),
        fault(
            "keeps the old body",
            "a_save_at_the_revision_takes_its_place",
            |broken| {
                broken.save(|shelf, key, expect, mut write| {
                    if let Some(there) = shelf.get(key)
                        && write.record.kind.is_live()
                    {
                        write.record.body = there.body;
                    }
                    shelf.save(key, expect, write)
                })
            },
        ),
        fault(
            "keeps the old expiry",
            "a_save_at_the_revision_takes_its_place",
            |broken| {
                broken.save(|shelf, key, expect, mut write| {
                    write.record.expires = shelf
                        .get(key)
                        .map_or(write.record.expires, |there| there.expires);
                    shelf.save(key, expect, write)
                })
            },
        ),
        fault(
            "hands nothing back in a conflict",
            "a_new_record_overwrites_nothing a_save_at_another_revision_conflicts",
            |broken| broken.conflicts(|_, _, _| None),
        ),
        fault(
            "hands back a conflict without its body",
            "a_new_record_overwrites_nothing a_save_at_another_revision_conflicts",
            |broken| {
                broken.conflicts(|_, _, there| {
                    there.map(|mut there| {
                        there.body.clear();
                        there
                    })
                })
            },
        ),
        fault(
            "hands back an empty record where nothing is",
            "a_save_at_a_revision_creates_nothing",
            |broken| broken.conflicts(|_, _, there| there.or_else(|| Some(empty()))),
        ),
        fault(
            "hides markers in a conflict",
            "a_marker_is_never_overwritten",
            |broken| broken.conflicts(|_, _, there| there.filter(|there| there.kind.is_live())),
        ),
        fault(
            "changes what is there in a conflict",
            "a_new_record_overwrites_nothing a_save_at_another_revision_conflicts",
            |broken| {
                broken.conflicts(|shelf, key, there| {
                    if let Some(mut changed) = there.clone() {
                        changed.revision = Revision::from_u64(7);
                        shelf.put(*key, changed);
                    }
                    there
                })
            },
        ),
    ]
}
