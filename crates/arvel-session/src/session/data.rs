//! The handle: reading and writing data.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{
    journal::Op,
    json::{Json, from_json, to_json},
    key::{AsKey, KeyName},
    slot::Slot,
    state::{Home, Phase},
};
use crate::{
    Result,
    lifecycle::{Opened, Origin},
};

/// The session of one request.
///
/// A handle on data in memory: every method but [`save`](Self::save) is synchronous and takes no lock that another
/// request could hold. Clones share one session, also across tasks and threads. What is changed is committed before the
/// response's head leaves, and kept also where another request changed the session meanwhile: the changes are applied
/// again to what that one stored.
///
/// Keys are any text, or a typed [`Key`](crate::Key). Values are whatever `serde` turns into JSON. Numbers keep their
/// exact value; NaN, infinities and nesting beyond 127 levels are refused where they are put.
///
/// # Examples
///
/// ```
/// use arvel_session::SessionData;
///
/// let session = SessionData::fake();
/// session.put("name", "Ada")?;
/// session.push("cart", "book")?;
/// assert_eq!(session.increment("visits", 1)?, 1);
///
/// assert_eq!(session.get::<String>("name")?.as_deref(), Some("Ada"));
/// assert_eq!(session.get_or("locale", String::from("en"))?, "en");
/// assert_eq!(session.keys(), ["cart", "name", "visits"]);
/// # Ok::<(), arvel_session::Error>(())
/// ```
#[derive(Clone)]
pub struct SessionData {
    pub(super) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    state: Mutex<Slot>,
    pub(super) home: Arc<dyn Home>,
}

impl SessionData {
    pub(crate) fn new(state: impl Into<Slot>, home: Arc<dyn Home>) -> Self {
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(state.into()),
                home,
            }),
        }
    }

    /// The session that a request begins with.
    pub(crate) fn open(opened: &mut Opened, home: Arc<dyn Home>) -> Self {
        let session = Self::new(Slot::default(), home);
        if !matches!(opened.origin, Origin::None) {
            // Filled where it stays: it is large.
            session.state().open(opened);
        }
        session
    }

    /// The state, for the middleware: not an access of the handler's.
    pub(crate) fn state(&self) -> MutexGuard<'_, Slot> {
        // The state is whole between any two statements that can panic, so a poisoned lock is as good as any.
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, for the handler.
    pub(super) fn access(&self) -> MutexGuard<'_, Slot> {
        let mut state = self.state();
        state.accessed = true;
        state
    }

    /// Whether this session is one of that engine's.
    pub(crate) fn is_of(&self, engine: &crate::engine::Engine) -> bool {
        self.shared.home.is(engine)
    }

    /// Whether somebody besides the caller still holds this session.
    pub(crate) fn is_shared(&self) -> bool {
        Arc::strong_count(&self.shared) > 1
    }

    /// Reads a value; `None` when the key is not there.
    ///
    /// Readable flash of the same name comes first.
    ///
    /// # Errors
    /// [`ErrorKind::Type`](crate::ErrorKind::Type) when the value is no `T`; nothing is changed.
    ///
    /// ```
    /// # use arvel_session::{ErrorKind, SessionData};
    /// let session = SessionData::fake().with("age", 36);
    /// assert_eq!(session.get::<u8>("age")?, Some(36));
    /// assert_eq!(session.get::<u8>("height")?, None);
    /// let error = session.get::<String>("age").unwrap_err();
    /// assert_eq!(error.to_string(), r#"session key "age": expected alloc::string::String, found a number"#);
    /// # Ok::<(), arvel_session::Error>(())
    /// ```
    pub fn get<T: DeserializeOwned>(&self, key: impl AsKey<T>) -> Result<Option<T>> {
        let name = key.name();
        let state = self.access();
        state
            .read(name)
            .map(|json| from_json(name, json))
            .transpose()
    }

    /// Reads a value, or answers `default` when the key is not there.
    ///
    /// # Errors
    /// As [`get`](Self::get): a value of another type is an error, not the default.
    pub fn get_or<T: DeserializeOwned>(&self, key: impl AsKey<T>, default: T) -> Result<T> {
        Ok(self.get(key)?.unwrap_or(default))
    }

    /// Whether the key is there, as data or as readable flash; also where its value is `null`.
    pub fn has(&self, key: impl KeyName) -> bool {
        self.access().read(key.name()).is_some()
    }

    /// Whether the key is not there.
    pub fn missing(&self, key: impl KeyName) -> bool {
        !self.has(key)
    }

    /// Everything that [`get`](Self::get) can read.
    ///
    /// # Errors
    /// [`ErrorKind::Type`](crate::ErrorKind::Type) when a stored value is damaged.
    pub fn all(&self) -> Result<Map<String, Value>> {
        self.collect(|_| true)
    }

    /// The names of everything that [`get`](Self::get) can read, sorted.
    pub fn keys(&self) -> Vec<String> {
        let state = self.access();
        let mut keys: Vec<String> = state.read_all().map(|(key, _)| key.to_owned()).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// [`all`](Self::all), but these keys only.
    ///
    /// # Errors
    /// As [`all`](Self::all).
    pub fn only<K: KeyName>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Map<String, Value>> {
        let keys: Vec<K> = keys.into_iter().collect();
        self.collect(|name| keys.iter().any(|key| key.name() == name))
    }

    /// [`all`](Self::all), but not these keys.
    ///
    /// # Errors
    /// As [`all`](Self::all).
    pub fn except<K: KeyName>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Map<String, Value>> {
        let keys: Vec<K> = keys.into_iter().collect();
        self.collect(|name| !keys.iter().any(|key| key.name() == name))
    }

    fn collect(&self, wanted: impl Fn(&str) -> bool) -> Result<Map<String, Value>> {
        let state = self.access();
        // What shadows comes later, so that only what is seen gets parsed.
        let seen: BTreeMap<&str, &[u8]> = state.read_all().filter(|(key, _)| wanted(key)).collect();
        seen.into_iter()
            .map(|(key, json)| Ok((key.to_owned(), from_json(key, json)?)))
            .collect()
    }

    /// Stores a value.
    ///
    /// Of two requests that put one key at once, the later commit wins; puts of different keys both survive.
    ///
    /// # Errors
    /// [`ErrorKind::Value`](crate::ErrorKind::Value) for what JSON cannot say; nothing is changed.
    pub fn put<T: Serialize>(&self, key: impl AsKey<T>, value: T) -> Result<()> {
        let name = key.name();
        let value = to_json(name, &value, 0)?;
        self.access().change(Op::Put {
            key: name.into(),
            value,
        })
    }

    /// Removes a key: its data and its flash.
    pub fn forget(&self, key: impl KeyName) {
        self.access().forget(key.name().into());
    }

    /// Removes everything, and keeps the id.
    ///
    /// # Security
    /// To log out or to change the user, call [`invalidate`](Self::invalidate): after `flush` the old id stays good, also
    /// for whoever else knows it.
    pub fn flush(&self) {
        self.access().flush();
    }

    /// Reads a value and removes it.
    ///
    /// Two requests at once can both read it: this is no claim ticket.
    ///
    /// # Errors
    /// As [`get`](Self::get); then it is not removed.
    pub fn pull<T: DeserializeOwned>(&self, key: impl AsKey<T>) -> Result<Option<T>> {
        let name = key.name();
        self.take(name, |json| from_json(name, json))
    }

    pub(super) fn take<T>(
        &self,
        name: &str,
        read: impl FnOnce(&[u8]) -> Result<T>,
    ) -> Result<Option<T>> {
        let mut state = self.access();
        let value = state.read(name).map(read).transpose()?;
        if value.is_some() {
            state.forget(name.into());
        }
        Ok(value)
    }

    /// Appends to a list; where there is none, begins one. Concurrent pushes all survive.
    ///
    /// # Errors
    /// [`ErrorKind::Type`](crate::ErrorKind::Type) when the value is not a list, also where another request made it one
    /// meanwhile; [`ErrorKind::Value`](crate::ErrorKind::Value) as [`put`](Self::put). Nothing is changed.
    pub fn push<T: Serialize>(&self, key: impl KeyName, item: T) -> Result<()> {
        let name = key.name();
        let item = to_json(name, &item, 1)?;
        self.access().change(Op::Push {
            key: name.into(),
            item,
        })
    }

    /// Adds to a whole number, from zero where there is none, and answers the sum. Concurrent increments all count.
    ///
    /// # Errors
    /// [`ErrorKind::Type`](crate::ErrorKind::Type) when the value is not an `i64`;
    /// [`ErrorKind::Value`](crate::ErrorKind::Value) when the sum is none. Nothing is changed.
    pub fn increment(&self, key: impl KeyName, amount: i64) -> Result<i64> {
        self.access().add(key.name().into(), amount)
    }

    /// Subtracts from a whole number, as [`increment`](Self::increment) adds.
    ///
    /// # Errors
    /// As [`increment`](Self::increment).
    pub fn decrement(&self, key: impl KeyName, amount: i64) -> Result<i64> {
        let amount = amount.checked_neg().ok_or_else(|| {
            crate::Error::new(
                crate::ErrorKind::Value,
                format!(
                    "session key {:?}: the amount does not fit an i64",
                    key.name()
                ),
            )
        })?;
        self.increment(key, amount)
    }

    /// Reads a value, or stores what `make` answers where there is none.
    ///
    /// Where another request stored one meanwhile, that one stays.
    ///
    /// # Errors
    /// As [`get`](Self::get) and [`put`](Self::put).
    ///
    /// ```
    /// # use arvel_session::SessionData;
    /// let session = SessionData::fake();
    /// assert_eq!(session.remember("locale", || "en".to_owned())?, "en");
    /// assert_eq!(session.remember("locale", || "fr".to_owned())?, "en");
    /// # Ok::<(), arvel_session::Error>(())
    /// ```
    pub fn remember<T: Serialize + DeserializeOwned>(
        &self,
        key: impl AsKey<T>,
        make: impl FnOnce() -> T,
    ) -> Result<T> {
        if let Some(value) = self.get(&key)? {
            return Ok(value);
        }
        // Outside the lock: `make` may use the session.
        let value = make();
        let name = key.name();
        let json = to_json(name, &value, 0)?;
        self.access().change(Op::Remember {
            key: name.into(),
            value: json,
        })?;
        Ok(value)
    }

    /// Stores what `change` makes of the present value, and answers it.
    ///
    /// Where another request changed the value meanwhile, `change` is called again with that one: it may run several
    /// times, so it must do nothing but compute. It sees data only, no flash.
    ///
    /// # Errors
    /// As [`get`](Self::get) and [`put`](Self::put).
    ///
    /// ```
    /// # use arvel_session::SessionData;
    /// let session = SessionData::fake().with("best", 3);
    /// let best = session.update("best", |best: Option<u32>| best.unwrap_or(0).max(7))?;
    /// assert_eq!(best, 7);
    /// # Ok::<(), arvel_session::Error>(())
    /// ```
    pub fn update<T: Serialize + DeserializeOwned>(
        &self,
        key: impl AsKey<T>,
        change: impl Fn(Option<T>) -> T + Send + Sync + 'static,
    ) -> Result<T> {
        let name: Arc<str> = key.name().into();
        let named = name.clone();
        let json = self.compute(name, move |json| {
            let current = json.map(|json| from_json(&named, json)).transpose()?;
            to_json(&named, &change(current), 0)
        })?;
        from_json(key.name(), json.as_bytes())
    }

    pub(super) fn compute(
        &self,
        name: Arc<str>,
        change: impl Fn(Option<&[u8]>) -> Result<Json> + Send + Sync + 'static,
    ) -> Result<Json> {
        let change = Arc::new(change);
        loop {
            // Outside the lock: `change` may use the session.
            let before = self.access().draft.data(&name).map(<[u8]>::to_vec);
            let json = change(before.as_deref())?;
            let mut state = self.access();
            if state.draft.data(&name) == before.as_deref() {
                state.computed(name, json.clone(), change)?;
                return Ok(json);
            }
        }
    }

    /// Stores what was changed so far, now.
    ///
    /// The middleware commits before the response's head leaves and at the end of a streaming body, so this is for what
    /// comes after (a websocket, a spawned task), and for what must be stored even if the handler fails later.
    ///
    /// # Errors
    /// The store failed: the changes stay in the handle, and saving again may help. After the head has left, an id cannot
    /// be made or changed any more, and the cookie driver cannot store: [`ErrorKind::TooLate`](crate::ErrorKind::TooLate).
    pub async fn save(&self) -> Result<()> {
        self.shared.home.save(self.clone()).await
    }

    /// Drops what this request has changed since it began, or since the last [`save`](Self::save).
    pub fn discard(&self) {
        self.access().discard();
    }

    /// A fingerprint of the session for log lines: it changes with the id, says nothing about it, and lets nobody in.
    pub fn id(&self) -> String {
        format!("{:016x}", self.access().serial())
    }
}

impl fmt::Debug for SessionData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionData(…)")
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if state.phase == Phase::Body && state.is_dirty() {
            crate::observe::lost_changes();
        }
    }
}
