//! Flash data: values that live for exactly one request.

use serde::Serialize;

use super::{
    SessionData,
    journal::Op,
    json::to_json,
    key::{AsKey, KeyName},
};
use crate::Result;

/// # Flash data
///
/// For messages that survive a redirect. Every request that passes the middleware ages it, except those that no person
/// sees: `HEAD`, prefetches, answers with status 304 or 101, and what the application names. It is shown once at best,
/// so it is no authorisation.
impl SessionData {
    /// Stores a value for the next request, and for that one only. This request does not see it.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    ///
    /// ```
    /// # use arvel_session::SessionData;
    /// let session = SessionData::fake();
    /// session.flash("status", "Profile updated!")?;
    /// assert!(session.missing("status"));
    /// assert_eq!(session.flashed()["status"], "Profile updated!");
    /// # Ok::<(), arvel_session::Error>(())
    /// ```
    pub fn flash<T: Serialize>(&self, key: impl AsKey<T>, value: T) -> Result<()> {
        let name = key.name();
        let value = to_json(name, &value, 0)?;
        self.access().change(Op::Flash {
            key: name.into(),
            value,
        })
    }

    /// Shows a value to this request only; nothing is stored.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    ///
    /// ```
    /// # use arvel_session::SessionData;
    /// let session = SessionData::fake();
    /// session.now("alert", "Heads up")?;
    /// assert_eq!(session.get::<String>("alert")?.as_deref(), Some("Heads up"));
    /// assert!(session.flashed().is_empty());
    /// # Ok::<(), arvel_session::Error>(())
    /// ```
    pub fn now<T: Serialize>(&self, key: impl AsKey<T>, value: T) -> Result<()> {
        let name = key.name();
        let value = to_json(name, &value, 0)?;
        self.access().set_now(name.into(), value);
        Ok(())
    }

    /// Keeps all flash that this request can read, [`now`](Self::now) included, for one more request.
    ///
    /// A newer [`flash`](Self::flash) of the same key wins, here or in a parallel request.
    ///
    /// ```
    /// # use arvel_session::SessionData;
    /// let session = SessionData::fake().with_flash("status", "Saved");
    /// session.reflash();
    /// assert_eq!(session.flashed()["status"], "Saved");
    /// ```
    pub fn reflash(&self) {
        self.keep_where(|_| true);
    }

    /// [`reflash`](Self::reflash), but these keys only.
    pub fn keep<K: KeyName>(&self, keys: impl IntoIterator<Item = K>) {
        let keys: Vec<K> = keys.into_iter().collect();
        self.keep_where(|name| keys.iter().any(|key| key.name() == name));
    }

    fn keep_where(&self, wanted: impl Fn(&str) -> bool) {
        let mut state = self.access();
        let kept: Vec<Op> = state
            .current_flash()
            .filter(|(key, _)| wanted(key))
            .map(|(key, json)| Op::Keep {
                key: key.into(),
                value: String::from_utf8_lossy(json).into(),
            })
            .collect();
        for op in kept {
            state.always(op);
        }
    }
}
