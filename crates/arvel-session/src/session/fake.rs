//! Sessions for tests of handlers, without a layer or a store.

use std::sync::{Arc, OnceLock};

use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    SessionData,
    json::{from_json, to_json},
    state::{Home, Phase, State},
};
use crate::{
    Result, Time,
    engine::Engine,
    record::{Body, BodyWriter, Earlier, Entry, Keyring, Meta, Revision},
    store::Reply,
};

fn keys() -> &'static Keyring {
    static KEYS: OnceLock<Keyring> = OnceLock::new();
    KEYS.get_or_init(|| Keyring::new(&[0; 32], [], "fake"))
}

/// Saves nothing, anywhere.
struct Nowhere;

impl Home for Nowhere {
    fn csrf_token(&self, seed: &[u8; 16]) -> String {
        keys().csrf_token(seed)
    }

    fn is_csrf_token(&self, seed: &[u8; 16], token: &str) -> bool {
        keys().is_csrf_token(seed, token)
    }

    fn is(&self, _: &Engine) -> bool {
        false
    }

    fn save(&self, _: SessionData) -> Reply<()> {
        Reply::ready(Ok(()))
    }
}

/// # Testing handlers
impl SessionData {
    /// A session that exists, without a layer or a store: for tests of handlers.
    ///
    /// ```
    /// use arvel_session::{Result, SessionData};
    ///
    /// fn login(session: &SessionData) -> Result<()> {
    ///     session.regenerate();
    ///     session.put("user", 7)?;
    ///     session.flash("status", "Welcome back!")
    /// }
    ///
    /// let session = SessionData::fake().with("cart", ["book"]).with_flash("status", "Please log in");
    /// login(&session)?;
    /// assert_eq!(session.changes()["user"], 7);
    /// assert!(!session.changes().contains_key("cart"));
    /// assert_eq!(session.flashed()["status"], "Welcome back!");
    /// # Ok::<(), arvel_session::Error>(())
    /// ```
    pub fn fake() -> Self {
        fake(&[])
    }

    /// A fake session with this value, as if an earlier request had put it. What was changed since then is dropped.
    ///
    /// # Panics
    /// If JSON cannot say the value; this is for tests.
    #[must_use]
    pub fn with<T: Serialize>(self, key: &str, value: T) -> Self {
        self.with_entry(key, &value, false)
    }

    /// A fake session with this readable flash, as if the request before had set it. What was changed since then is
    /// dropped.
    ///
    /// # Panics
    /// If JSON cannot say the value; this is for tests.
    #[must_use]
    pub fn with_flash<T: Serialize>(self, key: &str, value: T) -> Self {
        self.with_entry(key, &value, true)
    }

    /// A fake session with all that a record holds.
    pub(crate) fn fake_of(body: Option<Body>) -> Self {
        let mut state = State::default();
        if let Some(body) = body {
            state.begin(body);
        }
        state.phase = Phase::Fake;
        Self::new(state, Arc::new(Nowhere))
    }

    #[allow(clippy::panic, reason = "a test's own mistake")]
    fn with_entry<T: Serialize>(self, key: &str, value: &T, flash: bool) -> Self {
        let value = match to_json(key, value, 0) {
            Ok(value) => value,
            Err(error) => panic!("{error}"),
        };
        let birth = flash.then_some(Revision::from_u64(0));
        let state = self.state();
        let base = state.draft.base().into_iter().flat_map(Body::entries);
        let mut entries: Vec<Entry<'_>> = base
            .filter(|entry| entry.key != key || entry.birth != birth)
            .collect();
        entries.push(Entry {
            birth,
            key,
            value: value.as_bytes(),
        });
        fake(&entries)
    }

    /// What was changed in the data since the request began, or since the last save: each key with its new value, a
    /// removed one with `null`. Flash is not in it.
    pub fn changes(&self) -> Map<String, Value> {
        let state = self.state();
        let before = state.draft.base().into_iter().flat_map(Body::data);
        let removed = before
            .filter(|entry| state.draft.data(entry.key).is_none())
            .map(|entry| (entry.key.to_owned(), Value::Null));
        let changed = state.draft.all_data().filter(|(key, json)| {
            let mut before = state.draft.base().into_iter().flat_map(Body::data);
            !before.any(|entry| entry.key == *key && entry.value == *json)
        });
        removed
            .chain(changed.map(|(key, json)| (key.to_owned(), parsed(key, json))))
            .collect()
    }

    /// What the next request will be able to read as flash.
    pub fn flashed(&self) -> Map<String, Value> {
        let state = self.state();
        let flashed = state.draft.next_flash();
        flashed
            .map(|(key, json)| (key.to_owned(), parsed(key, json)))
            .collect()
    }
}

/// A value of ours, which is whole.
fn parsed(key: &str, json: &[u8]) -> Value {
    let value: Result<Value> = from_json(key, json);
    value.unwrap_or_default()
}

fn fake(entries: &[Entry<'_>]) -> SessionData {
    let meta = Meta {
        created: Time::from_millis(0),
        serial: 0,
        seed: [0; 16],
        earlier: Earlier::default(),
    };
    let mut writer = BodyWriter::new(0, 64, &meta, None);
    for entry in entries {
        writer.entry(*entry);
    }
    SessionData::fake_of(Body::parse(writer.finish()))
}
