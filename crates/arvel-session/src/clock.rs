//! Time: the one seam through which the library learns what time it is.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

/// A moment, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// The moment `millis` milliseconds after the Unix epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the Unix epoch.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    /// This moment plus `duration`; a part of a millisecond counts as a whole one.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        let part = u64::from(duration.subsec_nanos()).div_ceil(1_000_000);
        let millis = duration.as_secs().saturating_mul(1000).saturating_add(part);
        Self(self.0.saturating_add(millis))
    }

    /// How long after `earlier` this moment is; zero when it is not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// Where the time comes from.
///
/// # Examples
///
/// ```
/// use arvel_session::{Clock, ManualClock};
/// use std::time::Duration;
///
/// let clock = ManualClock::default();
/// let before = clock.now();
/// clock.advance(Duration::from_secs(7200));
/// assert_eq!(clock.now().since(before), Duration::from_secs(7200));
/// ```
pub trait Clock: Send + Sync + 'static {
    /// The present moment.
    fn now(&self) -> Time;
}

/// The machine's clock; the default.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(
        clippy::disallowed_methods,
        reason = "this is the one home of the time"
    )]
    fn now(&self) -> Time {
        let since_epoch = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let millis = since_epoch.as_secs().saturating_mul(1000);
        Time(millis.saturating_add(u64::from(since_epoch.subsec_millis())))
    }
}

/// A clock that a test turns; clones show the same time.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// A clock that shows `now`.
    pub fn new(now: Time) -> Self {
        Self(Arc::new(AtomicU64::new(now.0)))
    }

    /// Turns the clock forward.
    pub fn advance(&self, by: Duration) {
        self.set(self.now().after(by));
    }

    /// Sets the clock, backwards too.
    pub fn set(&self, now: Time) {
        self.0.store(now.0, Ordering::SeqCst);
    }
}

/// A fixed moment in 2026.
impl Default for ManualClock {
    fn default() -> Self {
        Self::new(Time(1_790_000_000_000))
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Time {
        Time(self.0.load(Ordering::SeqCst))
    }
}

/// A clock that never goes back, so that what has expired once stays expired.
pub(crate) struct Monotonic {
    clock: Box<dyn Clock>,
    latest: AtomicU64,
}

impl Monotonic {
    pub(crate) fn new(clock: impl Clock) -> Self {
        Self {
            clock: Box::new(clock),
            latest: AtomicU64::new(0),
        }
    }
}

impl Clock for Monotonic {
    fn now(&self) -> Time {
        let now = self.clock.now().0;
        // Read first: most calls fall in a millisecond that is known, and then nothing is written.
        let latest = self.latest.load(Ordering::Relaxed);
        if now <= latest {
            return Time(latest);
        }
        Time(now.max(self.latest.fetch_max(now, Ordering::Relaxed)))
    }
}

impl fmt::Debug for Monotonic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Monotonic").field(&self.now()).finish()
    }
}
