//! The store under test: how it is opened, and what the checks do with an open handle.

use std::{fmt, pin::Pin, sync::Arc, time::Duration};

use super::report::{Checked, Failure, Outcome, ensure};
use crate::{
    Clock, Result, SystemClock, Time,
    record::random,
    store::{At, Capabilities, Expect, Key, Kind, Record, Revision, Saved, SessionStore, Write},
};

pub(super) const HOUR: Duration = Duration::from_secs(3600);
pub(super) const DAY: Duration = Duration::from_secs(86_400);

/// Larger records than this are not tried, whatever the store allows.
pub(super) const LARGEST_TRIED: usize = 16 << 20;

type Opening = Pin<Box<dyn Future<Output = Result<Arc<dyn SessionStore>>> + Send>>;

/// How a handle to the store under test is opened.
///
/// The function that it is made of is called several times, since some checks need a second handle, or one that is opened
/// after all others are gone. Each call must open the *same place with the same settings*: the same folder, the same
/// table, the same server. A store that is not [shared](Capabilities::shared) simply makes a new one each time.
#[derive(Clone)]
pub struct Opener {
    open: Arc<dyn Fn() -> Opening + Send + Sync>,
    private: bool,
}

impl Opener {
    /// An opener of a place that nothing else uses while a check runs: a temporary folder, a table of its own.
    ///
    /// All that a sweep does can then be checked exactly.
    pub fn private<F, O, S>(open: F) -> Self
    where
        F: Fn() -> O + Send + Sync + 'static,
        O: Future<Output = Result<S>> + Send + 'static,
        S: SessionStore,
    {
        Self {
            private: true,
            ..Self::crowded(open)
        }
    }

    /// An opener of a place that holds other records too, or that several tests use at once.
    ///
    /// All keys are random, so nobody is disturbed. But how many records a sweep removes cannot be told there, and the
    /// checks of that answer [`Outcome::NotApplicable`].
    pub fn crowded<F, O, S>(open: F) -> Self
    where
        F: Fn() -> O + Send + Sync + 'static,
        O: Future<Output = Result<S>> + Send + 'static,
        S: SessionStore,
    {
        let open = move || -> Opening {
            let opening = open();
            Box::pin(async move { Ok(Arc::new(opening.await?) as Arc<dyn SessionStore>) })
        };
        Self {
            open: Arc::new(open),
            private: false,
        }
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opener")
            .field("private", &self.private)
            .finish_non_exhaustive()
    }
}

/// An open handle to the store under test: what a check works on.
pub struct Handle {
    pub(super) store: Arc<dyn SessionStore>,
    pub(super) opener: Opener,
    /// When the check began, by the real clock: some stores let records expire by themselves.
    pub(super) now: Time,
}

/// Where a record was kept: under its key, or in what the browser now holds.
pub(super) enum Kept {
    Under(Key),
    In(Vec<u8>),
}

impl Handle {
    /// Opens the store.
    ///
    /// # Errors
    /// It cannot be opened.
    pub async fn open(opener: &Opener) -> Checked<Self> {
        Ok(Self {
            store: (opener.open)()
                .await
                .map_err(|error| Failure::store("opening the store", error))?,
            opener: opener.clone(),
            now: SystemClock.now(),
        })
    }

    pub(super) async fn another(&self) -> Checked<Self> {
        Self::open(&self.opener).await
    }

    pub(super) fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    /// The reason not to run a check that needs the place for itself, where it is crowded.
    pub(super) fn crowded(&self) -> Option<Outcome> {
        (!self.opener.private).then(|| {
            Outcome::NotApplicable("others use this place too, so nobody can count there".into())
        })
    }

    /// When records that are to stay expire.
    pub(super) fn tomorrow(&self) -> Time {
        self.now.after(DAY)
    }

    /// A moment before the check began, so that what expires there has expired for everyone.
    pub(super) fn ago(&self, by: Duration) -> Time {
        let millis = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        Time::from_millis(self.now.as_millis().saturating_sub(millis))
    }

    /// A session of 300 bytes that lives until tomorrow.
    pub(super) fn record(&self) -> Record {
        Record::new(
            Kind::Sealed,
            Revision::random(),
            self.tomorrow(),
            self.body(300),
        )
    }

    /// `length` random bytes, or as many as the store takes.
    pub(super) fn body(&self, length: usize) -> Vec<u8> {
        let most = self.capabilities().max_bytes;
        bytes(
            u64::from_be_bytes(random()),
            length.min(most.saturating_sub(Record::HEADER)),
        )
    }

    /// A marker that stays until tomorrow.
    pub(super) fn marker(&self, kind: Kind) -> Record {
        Record::new(kind, Revision::random(), self.tomorrow(), Vec::new())
    }

    pub(super) async fn load(&self, key: &Key) -> Checked<Option<Record>> {
        self.load_at(At::Key(key)).await
    }

    pub(super) async fn load_at(&self, at: At<'_>) -> Checked<Option<Record>> {
        self.store
            .load(at)
            .await
            .map_err(|error| Failure::store("load", error))
    }

    pub(super) async fn save(&self, key: &Key, expect: Expect, record: &Record) -> Checked<Saved> {
        self.write(key, expect, Write::new(record.clone(), self.now))
            .await
    }

    pub(super) async fn write(&self, key: &Key, expect: Expect, write: Write) -> Checked<Saved> {
        self.store
            .save(key, expect, write)
            .await
            .map_err(|error| Failure::store("save", error))
    }

    pub(super) async fn replace(
        &self,
        old: &Key,
        expect: Revision,
        marker: &Record,
        new: &Key,
        record: &Record,
    ) -> Checked<Saved> {
        let write = Write::new(record.clone(), self.now);
        self.store
            .replace(old, expect, marker.clone(), new, write)
            .await
            .map_err(|error| Failure::store("replace", error))
    }

    pub(super) async fn touch(&self, key: &Key, expires: Time) -> Checked<()> {
        self.store
            .touch(key, expires, self.now)
            .await
            .map_err(|error| Failure::store("touch", error))
    }

    pub(super) async fn sweep(&self, now: Time, max: usize) -> Checked<usize> {
        let swept = self
            .store
            .sweep(now, max)
            .await
            .map_err(|error| Failure::store("sweep", error))?;
        ensure!(
            swept <= max,
            "a sweep of at most {max} said that it removed {swept}"
        );
        Ok(swept)
    }

    /// Stores a record under a key of its own.
    pub(super) async fn create(&self, record: &Record) -> Checked<Key> {
        let key = random_key();
        self.create_at(&key, record).await?;
        Ok(key)
    }

    pub(super) async fn create_at(&self, key: &Key, record: &Record) -> Checked<()> {
        let saved = self.save(key, Expect::Absent, record).await?;
        done("a save where nothing is", &saved)
    }

    /// Stores a record wherever this kind of store keeps it.
    pub(super) async fn keep(&self, record: &Record) -> Checked<Kept> {
        let key = random_key();
        match self.save(&key, Expect::Absent, record).await? {
            Saved::Done => Ok(Kept::Under(key)),
            Saved::Token(token) => Ok(Kept::In(token)),
            Saved::Conflict(_) => Err(Failure::new("a save where nothing is met a conflict")),
        }
    }

    pub(super) async fn find(&self, kept: &Kept) -> Checked<Option<Record>> {
        match kept {
            Kept::Under(key) => self.load(key).await,
            Kept::In(token) => self.load_at(At::Payload(token)).await,
        }
    }

    /// Fails unless exactly this is loaded.
    pub(super) async fn holds(&self, key: &Key, want: Option<&Record>, after: &str) -> Checked<()> {
        same(after, self.load(key).await?.as_ref(), want)
    }

    /// What is there, expired or not: a save at a revision that nobody has changes nothing and hands it back.
    pub(super) async fn present(&self, key: &Key) -> Checked<Option<Record>> {
        let nobodys = Expect::Revision(Revision::random());
        match self.save(key, nobodys, &self.record()).await? {
            Saved::Conflict(there) => Ok(there),
            other => Err(Failure::new(format!(
                "a save at a wrong revision answered {other:?}"
            ))),
        }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("store", &self.capabilities())
            .field("opener", &self.opener)
            .finish_non_exhaustive()
    }
}

/// A key that nobody else uses.
pub(super) fn random_key() -> Key {
    Key::new(random(), random())
}

/// The key of a session that regenerates: the tag is inherited.
pub(super) fn key_beside(key: &Key) -> Key {
    Key::new(key.tag(), random())
}

/// `length` bytes that follow from `seed`.
pub(super) fn bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let eights = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state ^ (state >> 29)).to_be_bytes()
    });
    let mut bytes: Vec<u8> = eights.take(length.div_ceil(8)).flatten().collect();
    bytes.truncate(length);
    bytes
}

/// Fails unless the answer is `Done`.
pub(super) fn done(what: &str, saved: &Saved) -> Checked<()> {
    ensure!(
        matches!(saved, Saved::Done),
        "{what} answered {saved:?} instead of Done"
    );
    Ok(())
}

/// Fails unless the answer is a conflict that hands back exactly this.
pub(super) fn conflict(what: &str, saved: &Saved, there: Option<&Record>) -> Checked<()> {
    match saved {
        Saved::Conflict(handed) => {
            same(&format!("{what}, in the conflict"), handed.as_ref(), there)
        }
        other => Err(Failure::new(format!(
            "{what} answered {other:?} instead of a conflict"
        ))),
    }
}

/// Fails unless these two are the same.
pub(super) fn same(after: &str, got: Option<&Record>, want: Option<&Record>) -> Checked<()> {
    let at_byte = match (got, want) {
        (Some(got), Some(want)) => got
            .body
            .iter()
            .zip(&want.body)
            .position(|(got, want)| got != want)
            .map(|at| format!(" (the bodies differ from byte {at} on)"))
            .unwrap_or_default(),
        _ => String::new(),
    };
    ensure!(
        got == want,
        "{after}: found {got:?}, expected {want:?}{at_byte}"
    );
    Ok(())
}
