//! A clock that can be turned while the process runs.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use arvel_session::{Clock, SystemClock, Time};

/// The machine's time, turned by so many milliseconds. Clones show the same time.
#[derive(Clone, Debug, Default)]
pub struct Turned(Arc<AtomicI64>);

impl Turned {
    pub(super) fn turn(&self, by: i64) {
        self.0.store(by, Ordering::SeqCst);
    }
}

impl Clock for Turned {
    fn now(&self) -> Time {
        let (now, by) = (SystemClock.now(), self.0.load(Ordering::SeqCst));
        let distance = by.unsigned_abs();
        if by >= 0 {
            now.after(Duration::from_millis(distance))
        } else {
            Time::from_millis(now.as_millis().saturating_sub(distance))
        }
    }
}
