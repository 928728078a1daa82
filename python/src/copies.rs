//! The lists and dicts that a session has handed out. They are copies: who changes one and does not put it back hears of it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;

use crate::{
    errors::warn,
    values::{read, write},
};

type Native = arvel_session::SessionData;

/// So many are watched at once; then the older half of them, as far as nobody has changed them so far, is forgotten.
const MANY: usize = 256;

/// Those of one session, until its request ends.
#[derive(Default)]
pub(crate) struct Copies(Mutex<Vec<Copy>>);

struct Copy {
    key: Box<str>,
    /// What the value was made of.
    json: Vec<u8>,
    value: Py<PyAny>,
}

impl Copies {
    fn lock(&self) -> MutexGuard<'_, Vec<Copy>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a value that was handed out, if it is one that can be changed.
    pub(crate) fn note(&self, key: &str, json: Vec<u8>, value: &Bound<'_, PyAny>) {
        if !matches!(json.first(), Some(b'[' | b'{')) {
            return;
        }
        let mut copies = self.lock();
        // A websocket may ask for years.
        if copies.len() == copies.capacity() && copies.len() >= MANY {
            let mut place = 0..copies.len();
            copies.retain(|copy| place.next() >= Some(MANY / 2) || copy.is_changed(value.py()));
        }
        let (key, value) = (key.into(), value.clone().unbind());
        copies.push(Copy { key, json, value });
    }

    /// Forgets them all.
    pub(crate) fn forget(&self) {
        // They are dropped without the lock: that may run code of the application's.
        let copies = std::mem::take(&mut *self.lock());
        drop(copies);
    }

    /// Warns of each that was changed while the session still holds what it was made of.
    ///
    /// # Errors
    /// Warnings are errors.
    pub(crate) fn check(&self, py: Python<'_>, session: &Native) -> PyResult<()> {
        let mut copies = std::mem::take(&mut *self.lock());
        if copies.is_empty() {
            return Ok(());
        }
        let mut warned = Ok(());
        copies.retain(|copy| {
            let lost =
                copy.is_changed(py) && session.get_text(&copy.key) == Some(copy.json.clone());
            if lost && warned.is_ok() {
                warned = copy.warn(py);
            }
            !lost
        });
        self.lock().append(&mut copies);
        warned
    }
}

impl Copy {
    fn is_changed(&self, py: Python<'_>) -> bool {
        let Ok(now) = write(&self.key, self.value.bind(py)) else {
            return true;
        };
        if now.as_bytes() == self.json {
            return false;
        }
        // Another language may have written the same value in another way.
        let before = read(py, &self.key, &self.json).and_then(|value| write(&self.key, &value));
        before.map_or(true, |before| before != now)
    }

    fn warn(&self, py: Python<'_>) -> PyResult<()> {
        let key = &self.key;
        let message = format!(
            "session key {key:?}: a list or dict that the session gave out was changed, which stores nothing; \
             put it back with put, or use push or update"
        );
        warn(py, message)
    }
}
