//! Values as JSON text, for bindings of other languages: their values have no types that `serde` knows.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    SessionData,
    journal::Op,
    json::{Json, checked},
};
use crate::Result;

/// # Values as JSON text
///
/// What the methods of the same names do, for values that are JSON text already: nothing is converted twice, and a number
/// keeps all of its digits. They are for bindings of other languages.
///
/// Text that is no JSON, or is nested beyond 127 levels, is an [`ErrorKind::Value`](crate::ErrorKind::Value).
///
/// ```
/// # use arvel_session::SessionData;
/// let session = SessionData::fake();
/// session.put_text("cart", r#"[{"book":1}]"#)?;
/// session.push_text("cart", "2")?;
/// assert_eq!(session.get_text("cart").as_deref(), Some(&br#"[{"book":1},2]"#[..]));
/// assert!(session.put_text("cart", "[").is_err());
/// # Ok::<(), arvel_session::Error>(())
/// ```
impl SessionData {
    /// [`get`](Self::get) as text.
    pub fn get_text(&self, key: &str) -> Option<Vec<u8>> {
        self.access().read(key).map(<[u8]>::to_vec)
    }

    /// [`all`](Self::all) as texts, sorted by key.
    pub fn all_texts(&self) -> Vec<(String, Vec<u8>)> {
        let state = self.access();
        // What shadows comes later.
        let seen: BTreeMap<&str, &[u8]> = state.read_all().collect();
        let owned = seen
            .into_iter()
            .map(|(key, json)| (key.to_owned(), json.to_vec()));
        owned.collect()
    }

    /// [`pull`](Self::pull) as text.
    pub fn pull_text(&self, key: &str) -> Option<Vec<u8>> {
        self.take(key, |json| Ok(json.to_vec())).unwrap_or_default()
    }

    /// [`put`](Self::put) as text.
    ///
    /// # Errors
    /// As `put`.
    pub fn put_text(&self, key: &str, json: &str) -> Result<()> {
        let value = checked(key, json, 0)?;
        self.access().change(Op::Put {
            key: key.into(),
            value,
        })
    }

    /// [`push`](Self::push) as text.
    ///
    /// # Errors
    /// As `push`.
    pub fn push_text(&self, key: &str, json: &str) -> Result<()> {
        let item = checked(key, json, 1)?;
        self.access().change(Op::Push {
            key: key.into(),
            item,
        })
    }

    /// [`remember`](Self::remember) as text: for a value that was made because the key was not there.
    ///
    /// # Errors
    /// As `remember`.
    pub fn remember_text(&self, key: &str, json: &str) -> Result<()> {
        let value = checked(key, json, 0)?;
        self.access().change(Op::Remember {
            key: key.into(),
            value,
        })
    }

    /// [`flash`](Self::flash) as text.
    ///
    /// # Errors
    /// As `flash`.
    pub fn flash_text(&self, key: &str, json: &str) -> Result<()> {
        let value = checked(key, json, 0)?;
        self.access().change(Op::Flash {
            key: key.into(),
            value,
        })
    }

    /// [`now`](Self::now) as text.
    ///
    /// # Errors
    /// As `now`.
    pub fn now_text(&self, key: &str, json: &str) -> Result<()> {
        let value = checked(key, json, 0)?;
        self.access().set_now(key.into(), value);
        Ok(())
    }

    /// [`update`](Self::update) as text. An error of `change`'s is handed on, and fails the commit where it happens there.
    ///
    /// # Errors
    /// As `update`, and whatever `change` answers.
    pub fn update_text(
        &self,
        key: &str,
        change: impl Fn(Option<&[u8]>) -> Result<String> + Send + Sync + 'static,
    ) -> Result<Arc<str>> {
        let name: Arc<str> = key.into();
        let named = name.clone();
        self.compute(name, move |before| -> Result<Json> {
            checked(&named, &change(before)?, 0)
        })
    }
}
