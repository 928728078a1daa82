//! Stores that are right only while nobody else is there.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use arvel_session::store::{At, Expect, Key, Record, Reply, Saved, SessionStore, Write};
use tokio::{sync::Mutex as Gate, time::sleep};

use super::{Broken, Fault, Replace, fault};
use crate::honest::{Shelf, opener};

const A_MOMENT: Duration = Duration::from_millis(1);

pub(crate) fn faults() -> Vec<Fault> {
    let mut faults = looking();
    faults.extend(halves());
    faults.extend(handles());
    faults
}

/// Compares, and some time later sets.
async fn look_then_save(shelf: Shelf, key: Key, expect: Expect, write: Write) -> Saved {
    let there = shelf.get(&key);
    if !Shelf::expected(there.as_ref(), expect) {
        return Saved::Conflict(there);
    }
    sleep(A_MOMENT).await;
    shelf.put(key, write.record);
    Saved::Done
}

async fn look_then_replace(shelf: Shelf, replace: Replace) -> Saved {
    if let Some(conflict) = replace.conflict(&shelf) {
        return conflict;
    }
    sleep(A_MOMENT).await;
    replace.do_it(&shelf)
}

fn looking() -> Vec<Fault> {
    vec![
        fault(
            "looks, then saves",
            "one_of_many_saves_wins no_increment_is_lost",
            |broken| {
                broken.save(|shelf, key, expect, write| {
                    let saved = look_then_save(shelf.clone(), *key, expect, write);
                    Reply::later(async { Ok(saved.await) })
                })
            },
        ),
        fault(
            "looks, then saves what is new",
            "one_of_many_saves_wins",
            |broken| {
                broken.save(|shelf, key, expect, write| match expect {
                    Expect::Absent => {
                        let saved = look_then_save(shelf.clone(), *key, expect, write);
                        Reply::later(async { Ok(saved.await) })
                    }
                    Expect::Revision(_) => shelf.save(key, expect, write),
                })
            },
        ),
        fault(
            "looks, then replaces",
            "one_of_many_replaces_wins",
            |broken| {
                broken.replace(|shelf, replace| {
                    let replaced = look_then_replace(shelf.clone(), replace);
                    Reply::later(async { Ok(replaced.await) })
                })
            },
        ),
        fault(
            "looks, then touches",
            "a_touch_never_undoes_a_save",
            |broken| {
                broken.touch(|shelf, key, expires| {
                    let (shelf, key) = (shelf.clone(), *key);
                    Reply::later(async move {
                        if let Some(mut there) = shelf.get(&key)
                            && there.kind.is_live()
                        {
                            sleep(A_MOMENT).await;
                            there.expires = expires;
                            shelf.put(key, there);
                        }
                        Ok(())
                    })
                })
            },
        ),
        fault(
            "locks saves and replaces apart",
            "a_save_and_a_replace_never_both_win",
            |broken| {
                let (saves, replaces) = (Arc::new(Gate::new(())), Arc::new(Gate::new(())));
                broken
                    .save(move |shelf, key, expect, write| {
                        let gate = saves.clone();
                        let saved = look_then_save(shelf.clone(), *key, expect, write);
                        Reply::later(async move {
                            let _alone = gate.lock().await;
                            Ok(saved.await)
                        })
                    })
                    .replace(move |shelf, replace| {
                        let gate = replaces.clone();
                        let replaced = look_then_replace(shelf.clone(), replace);
                        Reply::later(async move {
                            let _alone = gate.lock().await;
                            Ok(replaced.await)
                        })
                    })
            },
        ),
    ]
}

/// Saves under a lock, in steps: does `first` to the place, waits, and stores.
fn saves_in_steps(broken: Broken, readers_wait: bool, first: fn(&Shelf, &Key, Record)) -> Broken {
    let gate = Arc::new(Gate::new(()));
    let readers = gate.clone();
    broken
        .load(move |shelf, at| {
            let (gate, shelf) = (readers.clone(), shelf.clone());
            let At::Key(key) = at else {
                return Reply::ready(Ok(None));
            };
            let key = *key;
            Reply::later(async move {
                if readers_wait {
                    let _alone = gate.lock().await;
                }
                Ok(shelf.get(&key))
            })
        })
        .save(move |shelf, key, expect, write| {
            let (gate, shelf, key) = (gate.clone(), shelf.clone(), *key);
            Reply::later(async move {
                let _alone = gate.lock().await;
                let there = shelf.get(&key);
                if !Shelf::expected(there.as_ref(), expect) {
                    return Ok(Saved::Conflict(there));
                }
                if there.is_some() {
                    first(&shelf, &key, write.record.clone());
                    sleep(A_MOMENT).await;
                }
                shelf.put(key, write.record);
                Ok(Saved::Done)
            })
        })
}

fn put_half(shelf: &Shelf, key: &Key, mut record: Record) {
    record.body.truncate(record.body.len() / 2);
    shelf.put(*key, record);
}

fn remove(shelf: &Shelf, key: &Key, _record: Record) {
    shelf.records().remove(key);
}

/// Saves as it should, and once more a little later when nobody waits for the answer.
struct Late(Option<(Shelf, Key, Record)>);

impl Drop for Late {
    fn drop(&mut self) {
        if let Some((shelf, key, record)) = self.0.take() {
            tokio::spawn(async move {
                sleep(5 * A_MOMENT).await;
                shelf.put(key, record);
            });
        }
    }
}

fn halves() -> Vec<Fault> {
    vec![
        fault(
            "saves in two steps",
            "a_load_never_sees_half_a_save",
            |broken| saves_in_steps(broken, false, put_half),
        ),
        fault(
            "removes, then saves",
            "a_load_never_sees_half_a_save",
            |broken| saves_in_steps(broken, false, remove),
        ),
        fault(
            "leaves half a save when it is dropped",
            "a_dropped_save_is_all_or_nothing",
            |broken| saves_in_steps(broken, true, put_half),
        ),
        fault(
            "leaves nothing when a save is dropped",
            "a_dropped_save_is_all_or_nothing",
            |broken| saves_in_steps(broken, true, remove),
        ),
        fault(
            "saves late what was dropped",
            "a_dropped_save_is_all_or_nothing",
            |broken| {
                broken.save(|shelf, key, expect, write| {
                    let (shelf, key) = (shelf.clone(), *key);
                    Reply::later(async move {
                        let mut late = Late(Some((shelf.clone(), key, write.record.clone())));
                        tokio::task::yield_now().await;
                        late.0 = None;
                        shelf.save(&key, expect, write).await
                    })
                })
            },
        ),
        fault(
            "marks the old session before the new one is there",
            "a_marker_is_never_seen_before_its_successor",
            |broken| {
                broken.replace(|shelf, replace| {
                    let shelf = shelf.clone();
                    Reply::later(async move {
                        if let Some(conflict) = replace.conflict(&shelf) {
                            return Ok(conflict);
                        }
                        // Atomic but for who looks in between, or when it is dropped.
                        shelf.put(replace.old, replace.marker.clone());
                        sleep(2 * A_MOMENT).await;
                        shelf.put(replace.new, replace.write.record);
                        Ok(Saved::Done)
                    })
                })
            },
        ),
        fault(
            "leaves a dropped load's answer to the next",
            "a_dropped_load_mixes_nothing_up",
            queueing,
        ),
        fault(
            "leaves half a replace when it is dropped",
            "a_dropped_replace_is_all_or_nothing",
            |broken| {
                broken.replace(|shelf, replace| {
                    let shelf = shelf.clone();
                    Reply::later(async move {
                        if replace.conflict(&shelf).is_none() {
                            shelf.put(replace.new, replace.write.record.clone());
                            tokio::task::yield_now().await;
                        }
                        if let Some(conflict) = replace.conflict(&shelf) {
                            shelf.records().remove(&replace.new);
                            return Ok(conflict);
                        }
                        Ok(replace.do_it(&shelf))
                    })
                })
            },
        ),
    ]
}

/// Answers in order, as on one connection, but a dropped load leaves its answer to the next.
fn queueing(broken: Broken) -> Broken {
    let answers: Arc<Mutex<VecDeque<Option<Record>>>> = Arc::default();
    broken.load(move |shelf, at| {
        let At::Key(key) = at else {
            return Reply::ready(Ok(None));
        };
        let (answers, found) = (answers.clone(), shelf.get(key));
        Reply::later(async move {
            answers.lock().unwrap().push_back(found);
            tokio::task::yield_now().await;
            Ok(answers.lock().unwrap().pop_front().flatten())
        })
    })
}

fn handles() -> Vec<Fault> {
    let (one, other) = (Shelf::server(), Shelf::server());
    vec![
        (
            "each handle remembers what it has seen",
            "what_is_done_is_visible_everywhere a_replace_is_visible_everywhere",
            opener(move || remembering(one.clone())),
        ),
        (
            "each handle locks for itself",
            "one_of_many_saves_wins_between_handles no_increment_is_lost_between_handles",
            opener(move || locking(other.clone())),
        ),
    ]
}

fn remembering(shelf: Shelf) -> Broken {
    let memory: Arc<Mutex<HashMap<Key, Record>>> = Arc::default();
    let seen = memory.clone();
    Broken::new(shelf)
        .finds(move |_, key, found| {
            let mut memory = memory.lock().unwrap();
            found.map(|found| memory.entry(*key).or_insert(found).clone())
        })
        .save(move |shelf, key, expect, write| {
            let saved = shelf.save_now(key, expect, write.record);
            seen.lock().unwrap().remove(key);
            Reply::ready(Ok(saved))
        })
}

fn locking(shelf: Shelf) -> Broken {
    let gate = Arc::new(Gate::new(()));
    Broken::new(shelf).save(move |shelf, key, expect, write| {
        let gate = gate.clone();
        let saved = look_then_save(shelf.clone(), *key, expect, write);
        Reply::later(async move {
            let _alone = gate.lock().await;
            Ok(saved.await)
        })
    })
}
