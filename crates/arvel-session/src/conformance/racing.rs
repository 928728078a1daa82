//! Racing: compare and set under real concurrency, each racer on a thread of its own.

use std::{
    pin::Pin,
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{
    Checked, Handle, Outcome,
    handle::{bytes, done, key_beside, random_key, same},
    report::{Failure, ensure},
};
use crate::{
    Error, ErrorKind, Result, Time,
    store::{At, Expect, Key, Kind, Record, Revision, Saved, SessionStore, Write},
};

const RACERS: usize = 6;
const ROUNDS: usize = 10;
/// How often one step is tried again. A thread cannot be stopped from outside, so no racer may go on for ever.
const MOST_TRIES: usize = 100_000;
const LIMIT: Duration = Duration::from_secs(60);

pub(super) type Racer<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// Lets all racers go at one moment, and answers what each of them did.
pub(super) async fn race<T: Send + 'static>(racers: Vec<Racer<T>>) -> Checked<Vec<T>> {
    let start = Arc::new(Barrier::new(racers.len()));
    let runtime = tokio::runtime::Handle::current();
    let mut running = Vec::new();
    for racer in racers {
        let (start, runtime) = (start.clone(), runtime.clone());
        running.push(tokio::task::spawn_blocking(move || {
            start.wait();
            runtime.block_on(tokio::time::timeout(LIMIT, racer))
        }));
    }
    let mut answers = Vec::new();
    for racer in running {
        let answer = racer
            .await
            .map_err(|error| Failure::new(format!("a call panicked: {error}")))?
            .map_err(|_| Failure::new(format!("a call in a race was not answered in {LIMIT:?}")))?;
        answers.push(answer.map_err(|error| Failure::store("a call in a race", error))?);
    }
    Ok(answers)
}

/// One save for each of these records, all with the same expectation.
fn savers(
    stores: &[Arc<dyn SessionStore>],
    handle: &Handle,
    key: Key,
    expect: Expect,
    records: &[Record],
) -> Vec<Racer<Saved>> {
    let stores = stores.iter().cycle();
    let now = handle.now;
    records
        .iter()
        .cloned()
        .zip(stores)
        .map(|(record, store)| {
            let store = store.clone();
            Box::pin(async move { store.save(&key, expect, Write::new(record, now)).await })
                as Racer<Saved>
        })
        .collect()
}

/// The one that was answered `Done`, where all others were handed back its record.
fn winner<'a>(answers: &[Saved], records: &'a [Record]) -> Checked<&'a Record> {
    let winners: Vec<_> = answers
        .iter()
        .zip(records)
        .filter(|(saved, _)| matches!(saved, Saved::Done))
        .collect();
    let [(_, winner)] = winners[..] else {
        return Err(Failure::new(format!(
            "{} of {} saves with one expectation were answered Done",
            winners.len(),
            records.len()
        )));
    };
    for saved in answers {
        if let Saved::Conflict(there) = saved {
            same("in a loser's conflict", there.as_ref(), Some(winner))?;
        }
    }
    Ok(winner)
}

pub(super) async fn one_save_wins_on(
    stores: &[Arc<dyn SessionStore>],
    handle: &Handle,
) -> Checked<()> {
    for round in 0..ROUNDS {
        let first = handle.record();
        let (key, expect) = if round % 2 == 0 {
            (random_key(), Expect::Absent)
        } else {
            let key = handle.create(&first).await?;
            (key, Expect::Revision(first.revision))
        };
        let mut records = vec![handle.marker(Kind::Destroyed)];
        records.resize_with(RACERS, || handle.record());
        let answers = race(savers(stores, handle, key, expect, &records)).await?;
        let winner = winner(&answers, &records)?;
        handle.holds(&key, Some(winner), "after a race").await?;
    }
    Ok(())
}

/// Of many saves with one expectation, exactly one is stored; the others are handed back its record. A marker among them
/// wins or loses like any other.
///
/// # Errors
/// The store breaks this sentence.
pub async fn one_of_many_saves_wins(handle: Handle) -> Checked {
    one_save_wins_on(std::slice::from_ref(&handle.store), &handle).await?;
    Ok(Outcome::Passed)
}

/// Counts to the number of racers times rounds, each step read from what is there and stored by compare and set.
pub(super) async fn count_on(stores: &[Arc<dyn SessionStore>], handle: &Handle) -> Checked<()> {
    let mut zero = handle.record();
    zero.body = vec![0; 8].into();
    let key = handle.create(&zero).await?;
    let now = handle.now;
    let racers = stores.iter().cycle().take(RACERS).cloned();
    let racers = racers.map(|store| {
        Box::pin(async move {
            for _ in 0..ROUNDS {
                increment(store.as_ref(), &key, now).await?;
            }
            Ok(())
        }) as Racer<()>
    });
    race(racers.collect()).await?;
    let counted = handle.load(&key).await?.map_or(0, |record| count(&record));
    let want = RACERS * ROUNDS;
    ensure!(
        counted == want as u64,
        "{want} increments that were answered Done count {counted}"
    );
    Ok(())
}

fn count(record: &Record) -> u64 {
    record
        .body
        .first_chunk()
        .map_or(0, |eight| u64::from_be_bytes(*eight))
}

async fn increment(store: &dyn SessionStore, key: &Key, now: Time) -> Result<()> {
    let mut there = store.load(At::Key(key)).await?;
    for _ in 0..MOST_TRIES {
        let Some(mut record) = there else {
            return Err(Error::new(ErrorKind::Store, "the record is gone"));
        };
        let expect = Expect::Revision(record.revision);
        record.body = (count(&record) + 1).to_be_bytes().to_vec().into();
        record.revision = Revision::random();
        there = match store.save(key, expect, Write::new(record, now)).await? {
            Saved::Conflict(there) => there,
            Saved::Done | Saved::Token(_) => return Ok(()),
        };
    }
    Err(Error::new(
        ErrorKind::Store,
        format!("{MOST_TRIES} saves at the revision that was handed back were conflicts"),
    ))
}

/// What was answered `Done` is not lost: many writers that count by compare and set reach the sum of their steps.
///
/// # Errors
/// The store breaks this sentence.
pub async fn no_increment_is_lost(handle: Handle) -> Checked {
    count_on(std::slice::from_ref(&handle.store), &handle).await?;
    Ok(Outcome::Passed)
}

/// Of many replaces of one record, exactly one happens; the new keys of the others do not exist.
///
/// # Errors
/// The store breaks this sentence.
pub async fn one_of_many_replaces_wins(handle: Handle) -> Checked {
    for _ in 0..ROUNDS {
        let (session, successor) = (handle.record(), handle.record());
        let old = handle.create(&session).await?;
        let (mut racers, mut entries) = (Vec::new(), Vec::new());
        for _ in 0..RACERS {
            let new = key_beside(&old);
            let marker = handle.marker(Kind::Regenerated(new));
            racers.push(replacer(
                &handle,
                old,
                session.revision,
                &marker,
                new,
                &successor,
            ));
            entries.push((new, marker));
        }
        let answers = race(racers).await?;
        let markers: Vec<_> = entries.iter().map(|(_, marker)| marker.clone()).collect();
        let winner = winner(&answers, &markers)?;
        handle.holds(&old, Some(winner), "after a race").await?;
        for (new, marker) in &entries {
            let want = (marker == winner).then_some(&successor);
            handle.holds(new, want, "under a racer's new key").await?;
        }
    }
    Ok(Outcome::Passed)
}

fn replacer(
    handle: &Handle,
    old: Key,
    expect: Revision,
    marker: &Record,
    new: Key,
    record: &Record,
) -> Racer<Saved> {
    let store = handle.store.clone();
    let (marker, write) = (marker.clone(), Write::new(record.clone(), handle.now));
    Box::pin(async move { store.replace(&old, expect, marker, &new, write).await })
}

/// Of a save and a replace that start from one revision, exactly one happens.
///
/// # Errors
/// The store breaks this sentence.
pub async fn a_save_and_a_replace_never_both_win(handle: Handle) -> Checked {
    for _ in 0..ROUNDS {
        let (session, successor, saved) = (handle.record(), handle.record(), handle.record());
        let old = handle.create(&session).await?;
        let new = key_beside(&old);
        let marker = handle.marker(Kind::Regenerated(new));
        let expect = Expect::Revision(session.revision);
        let stores = std::slice::from_ref(&handle.store);
        let mut racers = savers(stores, &handle, old, expect, std::slice::from_ref(&saved));
        racers.push(replacer(
            &handle,
            old,
            session.revision,
            &marker,
            new,
            &successor,
        ));
        let answers = race(racers).await?;
        let records = [saved, marker];
        let winner = winner(&answers, &records)?;
        handle.holds(&old, Some(winner), "after a race").await?;
        let want = (!winner.kind.is_live()).then_some(&successor);
        handle.holds(&new, want, "under the new key").await?;
    }
    Ok(Outcome::Passed)
}

/// A touch at the same time undoes no save, and revives nothing: it moves "nothing else" than the expiry.
///
/// # Errors
/// The store breaks this sentence.
pub async fn a_touch_never_undoes_a_save(handle: Handle) -> Checked {
    for round in 0..ROUNDS {
        let session = handle.record();
        let next = match round % 2 {
            0 => handle.record(),
            _ => handle.marker(Kind::Destroyed),
        };
        let key = handle.create(&session).await?;
        let expect = Expect::Revision(session.revision);
        let stores = std::slice::from_ref(&handle.store);
        let mut racers = savers(stores, &handle, key, expect, std::slice::from_ref(&next));
        let (now, moved) = (handle.now, handle.now.after(super::handle::HOUR));
        for _ in 0..2 {
            let store = handle.store.clone();
            racers.push(Box::pin(async move {
                store.touch(&key, moved, now).await?;
                Ok(Saved::Conflict(None))
            }));
        }
        done("a save beside touches", &race(racers).await?[0])?;
        let mut there = handle.load(&key).await?;
        if let Some(there) = &mut there
            && there.kind.is_live()
            && there.expires == moved
        {
            there.expires = next.expires;
        }
        same("after a save beside touches", there.as_ref(), Some(&next))?;
    }
    Ok(Outcome::Passed)
}

/// The record that has this revision in the check below, so that a reader can tell whether it has all of it.
fn record_of(revision: Revision, expires: Time, most: usize) -> Record {
    let length = [10, 20_000, 300, 5_000][(revision.as_u64() % 4) as usize];
    let body = bytes(revision.as_u64(), length.min(most));
    Record::new(Kind::Sealed, revision, expires, body)
}

/// A load at the same time as a save finds the record before it or the one after it, never a part of either, and never
/// nothing.
///
/// # Errors
/// The store breaks this sentence.
pub async fn a_load_never_sees_half_a_save(handle: Handle) -> Checked {
    let most = handle.capabilities().max_bytes - Record::HEADER;
    let (now, expires) = (handle.now, handle.tomorrow());
    let first = record_of(Revision::random(), expires, most);
    let key = handle.create(&first).await?;
    let written = Arc::new(AtomicBool::new(false));

    let (store, finished) = (handle.store.clone(), written.clone());
    let writer: Racer<Checked<()>> = Box::pin(async move {
        let mut last = first;
        for _ in 0..40 {
            let next = record_of(Revision::random(), expires, most);
            let expect = Expect::Revision(last.revision);
            let saved = store
                .save(&key, expect, Write::new(next.clone(), now))
                .await;
            if !matches!(saved, Ok(Saved::Done)) {
                finished.store(true, Ordering::SeqCst);
                return Ok(done("the only save", &saved?));
            }
            last = next;
        }
        finished.store(true, Ordering::SeqCst);
        Ok(Ok(()))
    });
    let mut racers = vec![writer];
    for _ in 0..2 {
        let (store, written) = (handle.store.clone(), written.clone());
        racers.push(Box::pin(async move {
            for _ in 0..MOST_TRIES {
                if written.load(Ordering::SeqCst) {
                    break;
                }
                let found = store.load(At::Key(&key)).await?;
                let whole = found
                    .as_ref()
                    .map(|found| record_of(found.revision, expires, most));
                if found.is_none() || found != whole {
                    return Ok(same("beside saves", found.as_ref(), whole.as_ref())
                        .and_then(|()| Err(Failure::new("a load beside saves found nothing"))));
                }
            }
            Ok(Ok(()))
        }));
    }
    race(racers).await?.into_iter().collect::<Checked<()>>()?;
    Ok(Outcome::Passed)
}

/// Whoever meets the marker of a regenerated session finds its successor.
///
/// # Errors
/// The store breaks this sentence.
pub async fn a_marker_is_never_seen_before_its_successor(handle: Handle) -> Checked {
    for _ in 0..ROUNDS {
        let (session, successor) = (handle.record(), handle.record());
        let old = handle.create(&session).await?;
        let new = key_beside(&old);
        let marker = handle.marker(Kind::Regenerated(new));
        let mut racers = vec![replacer(
            &handle,
            old,
            session.revision,
            &marker,
            new,
            &successor,
        )];
        for _ in 0..2 {
            let store = handle.store.clone();
            racers.push(Box::pin(async move {
                for _ in 0..MOST_TRIES {
                    let there = store.load(At::Key(&old)).await?;
                    if !there.is_some_and(|there| there.kind.is_live()) {
                        return store.load(At::Key(&new)).await.map(Saved::Conflict);
                    }
                }
                Err(Error::new(ErrorKind::Store, "the marker never came"))
            }));
        }
        let answers = race(racers).await?;
        done("a replace", &answers[0])?;
        for seen in &answers[1..] {
            super::handle::conflict("what follows the marker", seen, Some(&successor))?;
        }
    }
    Ok(Outcome::Passed)
}
