//! Taking the record while many clients run.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use super::{Call, Micros};

/// Gives each call its number and its times. One for a run.
#[derive(Debug)]
pub struct Recorder {
    origin: Instant,
    calls: Mutex<Vec<Option<Call>>>,
    stalls: Mutex<Vec<(Micros, Micros)>>,
}

/// A call that is to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Started(usize);

impl Started {
    /// Its number, which nobody else has: what it writes bears it.
    #[must_use]
    pub fn number(self) -> usize {
        self.0
    }
}

impl Default for Recorder {
    fn default() -> Self {
        Self {
            origin: Instant::now(),
            calls: Mutex::default(),
            stalls: Mutex::default(),
        }
    }
}

impl Recorder {
    fn calls(&self) -> MutexGuard<'_, Vec<Option<Call>>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Micros {
        u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Reserves a number.
    #[must_use]
    pub fn begin(&self) -> Started {
        let mut calls = self.calls();
        calls.push(None);
        Started(calls.len() - 1)
    }

    /// Notes what came of a call.
    pub fn end(&self, started: Started, call: Call) {
        if let Some(place) = self.calls().get_mut(started.0) {
            *place = Some(call);
        }
    }

    fn stalls_so_far(&self) -> MutexGuard<'_, Vec<(Micros, Micros)>> {
        self.stalls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the machine stood still.
    pub fn note_stall(&self, from: Micros, to: Micros) {
        self.stalls_so_far().push((from, to));
    }

    /// When the machine stood still.
    #[must_use]
    pub fn stalls(&self) -> Vec<(Micros, Micros)> {
        self.stalls_so_far().clone()
    }

    /// Everything so far. What was begun and has not ended has not been sent.
    #[must_use]
    pub fn take(&self) -> Vec<Call> {
        let calls = std::mem::take(&mut *self.calls());
        calls.into_iter().map(Option::unwrap_or_default).collect()
    }
}
