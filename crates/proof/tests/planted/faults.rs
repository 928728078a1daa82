//! The faults, and the rule that each must be found by.

use std::sync::{Arc, Mutex};

use arvel_session::{
    Error, ErrorKind, Result, StartSession, Time,
    store::{Expect, Key, Kind, Record, Revision, Saved, Write},
};
use axum::{
    Router,
    extract::Request,
    http::{
        HeaderValue,
        header::{COOKIE, SET_COOKIE},
    },
    middleware::{self, Next},
    response::Response,
};
use proof::checker::Rule;

use crate::shelf::{Deeds, Records, Replace, Shelf};

pub(crate) struct Fault {
    pub(crate) name: &'static str,
    pub(crate) rule: Rule,
    pub(crate) plant: Plant,
}

pub(crate) enum Plant {
    /// In the store.
    Store(Box<dyn Fn() -> Arc<dyn Deeds>>),
    /// In how the application sets the layer.
    Layer(fn(StartSession) -> StartSession),
    /// Around the application.
    Around(fn(Router) -> Router),
}

fn store<D: Deeds + Default>(name: &'static str, rule: Rule) -> Fault {
    let plant = Plant::Store(Box::new(|| Arc::new(D::default())));
    Fault { name, rule, plant }
}

pub(crate) fn all() -> Vec<Fault> {
    vec![
        store::<LastWriteWins>("last write wins", Rule::LostUpdate),
        store::<UpsertOnSave>("upsert on save", Rule::DeadTold),
        store::<SaveAfterResponse>("save after the response", Rule::LostUpdate),
        store::<ReadErrorIsEmpty>("a read error is an empty session", Rule::LostSession),
        store::<WriteErrorIsSuccess>("a write error is a success", Rule::LostUpdate),
        store::<TouchRewrites>("touch rewrites the data", Rule::LostUpdate),
        store::<MarkersExpire>("markers expire at once", Rule::DeadGiven),
        store::<LostIncrements>("one write in thirty is lost", Rule::LostUpdate),
        store::<ResendsByItself>("the driver sends again by itself", Rule::AppliedTwice),
        store::<OwnRevisions>("the store counts revisions by itself", Rule::AppliedTwice),
        store::<OldIdLives>("the old id stays good after regenerate", Rule::DeadTold),
        store::<LogoutForgotten>("destroy does not delete", Rule::DeadTold),
        store::<BlindReplace>("regenerate overwrites without comparing", Rule::LostUpdate),
        store::<StaleReads>("reads come from a lagging copy", Rule::LostUpdate),
        store::<Mixed>("another session's record is answered", Rule::FromNowhere),
        store::<LateAndBlind>(
            "a late, blind save brings a dead session back",
            Rule::DeadAgain,
        ),
        Fault {
            name: "flash is never used up",
            rule: Rule::FlashAgain,
            plant: Plant::Layer(|sessions| sessions.keep_flash(|_| true)),
        },
        Fault {
            name: "polling eats flash",
            rule: Rule::FlashLost,
            plant: Plant::Layer(|sessions| sessions.keep_flash(|_| false)),
        },
        Fault {
            name: "prefetching eats flash",
            rule: Rule::FlashLost,
            plant: Plant::Around(|app| app.layer(middleware::from_fn(without_purpose))),
        },
        Fault {
            name: "the client's id is adopted",
            rule: Rule::Adopted,
            plant: Plant::Around(|app| app.layer(middleware::from_fn(adopting))),
        },
        Fault {
            name: "two cookies in one response",
            rule: Rule::WrongCookie,
            plant: Plant::Around(|app| app.layer(middleware::from_fn(doubling))),
        },
    ]
}

fn failure() -> Error {
    Error::new(ErrorKind::Store, "planted")
}

/// Now and then, and nobody knows when.
fn rarely() -> bool {
    fastrand::u8(..30) == 0
}

/// Stores whatever it is given over whatever live record is there.
#[derive(Default)]
struct LastWriteWins;

impl Deeds for LastWriteWins {
    fn save(&self, shelf: &Shelf, key: &Key, expect: Expect, write: Write) -> Result<Saved> {
        if shelf.get(key).is_some_and(|there| there.kind.is_live()) {
            shelf.put(key, write.record);
            return Ok(Saved::Done);
        }
        Ok(shelf.save_now(key, expect, write.record))
    }
}

/// Stores a session where there is none any more, or a marker.
#[derive(Default)]
struct UpsertOnSave;

impl Deeds for UpsertOnSave {
    fn save(&self, shelf: &Shelf, key: &Key, expect: Expect, write: Write) -> Result<Saved> {
        let dead = shelf.get(key).is_none_or(|there| !there.kind.is_live());
        if dead && write.record.kind.is_live() {
            shelf.put(key, write.record);
            return Ok(Saved::Done);
        }
        Ok(shelf.save_now(key, expect, write.record))
    }
}

/// Says that it is done, and does it a moment later.
#[derive(Default)]
struct SaveAfterResponse;

impl Deeds for SaveAfterResponse {
    fn save(&self, shelf: &Shelf, key: &Key, expect: Expect, write: Write) -> Result<Saved> {
        let (shelf, key) = (shelf.clone(), *key);
        tokio::spawn(async move {
            tokio::time::sleep(std::time::Duration::from_millis(15)).await;
            shelf.save_now(&key, expect, write.record);
        });
        Ok(Saved::Done)
    }
}

#[derive(Default)]
struct ReadErrorIsEmpty;

impl Deeds for ReadErrorIsEmpty {
    fn load(&self, shelf: &Shelf, key: &Key) -> Result<Option<Record>> {
        Ok(shelf.get(key).filter(|_| !rarely()))
    }
}

#[derive(Default)]
struct WriteErrorIsSuccess;

impl Deeds for WriteErrorIsSuccess {
    fn save(&self, shelf: &Shelf, key: &Key, expect: Expect, write: Write) -> Result<Saved> {
        if rarely() {
            return Ok(Saved::Done);
        }
        Ok(shelf.save_now(key, expect, write.record))
    }
}

/// Reads the record, and writes all of it back a moment later.
#[derive(Default)]
struct TouchRewrites;

impl Deeds for TouchRewrites {
    fn touch(&self, shelf: &Shelf, key: &Key, expires: Time) -> Result<()> {
        let (shelf, key, read) = (shelf.clone(), *key, shelf.get(key));
        if let Some(mut record) = read.filter(|record| record.kind.is_live()) {
            tokio::spawn(async move {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                record.expires = expires;
                shelf.put(&key, record);
            });
        }
        Ok(())
    }
}

/// A dead id is forgotten at once.
#[derive(Default)]
struct MarkersExpire;

fn without_markers(records: &mut Records) {
    records.retain(|_, record| record.kind.is_live());
}

impl Deeds for MarkersExpire {
    fn save(&self, shelf: &Shelf, key: &Key, expect: Expect, write: Write) -> Result<Saved> {
        let saved = shelf.save_now(key, expect, write.record);
        without_markers(&mut shelf.records());
        Ok(saved)
    }

    fn replace(&self, shelf: &Shelf, replace: Replace) -> Result<Saved> {
        let saved = shelf.replace_now(&replace);
        without_markers(&mut shelf.records());
        Ok(saved)
    }
}

/// What was stored is the state before, now and then.
#[derive(Default)]
struct LostIncrements;

impl Deeds for LostIncrements {
    fn save(&self, shelf: &Shelf, key: &Key, expect: Expect, write: Write) -> Result<Saved> {
        let before = shelf.get(key);
        let saved = shelf.save_now(key, expect, write.record);
        if let (Some(before), Saved::Done, true) = (before, &saved, rarely()) {
            shelf.put(key, before);
        }
        Ok(saved)
    }
}

/// The first answer is lost, and the driver sends again without a word: it meets its own write.
#[derive(Default)]
struct ResendsByItself;

impl Deeds for ResendsByItself {
    fn save(&self, shelf: &Shelf, key: &Key, expect: Expect, write: Write) -> Result<Saved> {
        if rarely() {
            shelf.save_now(key, expect, write.record.clone());
        }
        Ok(shelf.save_now(key, expect, write.record))
    }
}

/// Answers are lost now and then, and a writer does not find its own revision again.
#[derive(Default)]
struct OwnRevisions;

impl Deeds for OwnRevisions {
    fn save(&self, shelf: &Shelf, key: &Key, expect: Expect, write: Write) -> Result<Saved> {
        let mut record = write.record;
        if !rarely() {
            return Ok(shelf.save_now(key, expect, record));
        }
        record.revision = Revision::from_u64(fastrand::u64(..));
        shelf.save_now(key, expect, record);
        Err(failure())
    }
}

#[derive(Default)]
struct OldIdLives;

impl Deeds for OldIdLives {
    fn replace(&self, shelf: &Shelf, replace: Replace) -> Result<Saved> {
        let before = shelf.get(&replace.old);
        let saved = shelf.replace_now(&replace);
        if let (Some(before), Saved::Done) = (before, &saved) {
            shelf.put(&replace.old, before);
        }
        Ok(saved)
    }
}

#[derive(Default)]
struct LogoutForgotten;

impl Deeds for LogoutForgotten {
    fn save(&self, shelf: &Shelf, key: &Key, expect: Expect, write: Write) -> Result<Saved> {
        if write.record.kind == Kind::Destroyed {
            return Ok(Saved::Done);
        }
        Ok(shelf.save_now(key, expect, write.record))
    }
}

#[derive(Default)]
struct BlindReplace;

impl Deeds for BlindReplace {
    fn replace(&self, shelf: &Shelf, replace: Replace) -> Result<Saved> {
        shelf.put(&replace.old, replace.marker);
        shelf.put(&replace.new, replace.write.record);
        Ok(Saved::Done)
    }
}

/// A load now and then answers what was there a while ago.
#[derive(Default)]
struct StaleReads(Mutex<Records>);

impl Deeds for StaleReads {
    fn load(&self, shelf: &Shelf, key: &Key) -> Result<Option<Record>> {
        let mut copy = self.0.lock().unwrap();
        if fastrand::u8(..40) == 0 {
            copy.clone_from(&shelf.records());
        }
        let stale = copy.get(key).filter(|_| fastrand::u8(..4) == 0);
        Ok(stale.cloned().or_else(|| shelf.get(key)))
    }
}

/// Keys are mixed up now and then. It is the seal that such a record does not pass, so the fault needs the seal off, or the
/// whole of two records exchanged: here the successor of one is another's.
#[derive(Default)]
struct Mixed;

impl Deeds for Mixed {
    fn load(&self, shelf: &Shelf, key: &Key) -> Result<Option<Record>> {
        if !rarely() {
            return Ok(shelf.get(key));
        }
        let records = shelf.records();
        let live: Vec<&Record> = records
            .values()
            .filter(|record| record.kind.is_live())
            .collect();
        Ok(fastrand::choice(live).cloned())
    }
}

/// A save whose answer was lost is executed once more much later, whatever is there by then.
#[derive(Default)]
struct LateAndBlind;

impl Deeds for LateAndBlind {
    fn save(&self, shelf: &Shelf, key: &Key, expect: Expect, write: Write) -> Result<Saved> {
        if rarely() && write.record.kind.is_live() {
            let (shelf, key, record) = (shelf.clone(), *key, write.record.clone());
            tokio::spawn(async move {
                tokio::time::sleep(std::time::Duration::from_millis(60)).await;
                shelf.put(&key, record);
            });
        }
        Ok(shelf.save_now(key, expect, write.record))
    }
}

/// A proxy that drops what it does not know.
async fn without_purpose(mut request: Request, next: Next) -> Response {
    request.headers_mut().remove("sec-purpose");
    next.run(request).await
}

/// A new session gets the id that the client has sent.
async fn adopting(request: Request, next: Next) -> Response {
    let sent = request.headers().get(COOKIE).cloned();
    let mut response = next.run(request).await;
    if let (Some(sent), true) = (sent, response.headers().contains_key(SET_COOKIE)) {
        let line = format!("{}; Path=/", sent.to_str().unwrap());
        let line = HeaderValue::from_str(&line).unwrap();
        response.headers_mut().insert(SET_COOKIE, line);
    }
    response
}

async fn doubling(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if let Some(line) = response.headers().get(SET_COOKIE).cloned() {
        response.headers_mut().append(SET_COOKIE, line);
    }
    response
}
