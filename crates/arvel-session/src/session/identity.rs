//! Who the session is: its id, its CSRF token, its user.

use std::{fmt::Display, sync::Arc};

use super::{SessionData, journal::Op, state::Phase};
use crate::record::random;

/// # Identity
impl SessionData {
    /// Gives the session a new id and keeps its data: at login, and whenever someone gains rights.
    ///
    /// Nothing happens in the store before the commit, which then replaces the old id by the new in one step. The old id
    /// is dead from then on; what a request that was in flight writes is applied to the new session. The CSRF token
    /// changes.
    ///
    /// # Security
    /// Without it, whoever planted an id in a browser before the login is logged in afterwards (session fixation).
    ///
    /// ```
    /// # use arvel_session::SessionData;
    /// let session = SessionData::fake().with("cart", ["book"]);
    /// let before = (session.id(), session.token());
    /// session.regenerate();
    /// assert_ne!(session.id(), before.0);
    /// assert_ne!(session.token(), before.1);
    /// assert!(session.has("cart"));
    /// ```
    pub fn regenerate(&self) {
        self.access().regenerate();
    }

    /// Ends the session: at logout, and whenever the user changes.
    ///
    /// Everything is removed and the id is dead, whatever is in flight. What is put afterwards begins a new session with
    /// an id of its own; otherwise the cookie is removed.
    ///
    /// ```
    /// # use arvel_session::SessionData;
    /// let session = SessionData::fake().with("user", 7);
    /// session.invalidate();
    /// assert!(session.missing("user"));
    /// session.flash("status", "Goodbye")?;
    /// # Ok::<(), arvel_session::Error>(())
    /// ```
    pub fn invalidate(&self) {
        self.access().invalidate();
    }

    /// The token to put into forms and to compare with what comes back, against cross-site request forgery.
    ///
    /// It stays the same until [`regenerate_token`](Self::regenerate_token), [`regenerate`](Self::regenerate) or
    /// [`invalidate`](Self::invalidate). Reading it writes nothing to a session that exists; a new one is kept from then
    /// on.
    ///
    /// # Security
    /// Compare it with [`verify_token`](Self::verify_token).
    pub fn token(&self) -> String {
        let mut state = self.access();
        state.keep |= state.draft.base().is_none();
        let seed = state.seed();
        drop(state);
        self.shared.home.csrf_token(&seed)
    }

    /// Whether this is the session's CSRF token, compared in constant time.
    ///
    /// Tokens under the previous keys are good too, so that changing the key breaks no form. A session that has given out
    /// no token accepts none.
    ///
    /// ```
    /// # use arvel_session::SessionData;
    /// let session = SessionData::fake();
    /// assert!(!session.verify_token(""));
    /// let token = session.token();
    /// assert!(session.verify_token(&token));
    /// session.regenerate_token();
    /// assert!(!session.verify_token(&token));
    /// ```
    pub fn verify_token(&self, token: &str) -> bool {
        let seed = self.access().draft.seed();
        seed.is_some_and(|seed| self.shared.home.is_csrf_token(&seed, token))
    }

    /// Draws a new CSRF token and answers it.
    pub fn regenerate_token(&self) -> String {
        let mut state = self.access();
        state.keep |= state.draft.base().is_none();
        let seed = random();
        state.always(Op::Seed(seed));
        drop(state);
        self.shared.home.csrf_token(&seed)
    }

    /// Notes whose session this is, for stores with a table (the column `user_id`); `None` takes it back.
    ///
    /// It is for people who look at the table. Who is logged in, put under a key of your own.
    pub fn set_user<U: Display>(&self, user: Option<U>) {
        let user: Option<Arc<str>> = user.map(|user| user.to_string().into());
        self.access().always(Op::User(user));
    }

    /// Whether this handle has outlived the response's head, so that only [`save`](Self::save) stores.
    pub fn is_detached(&self) -> bool {
        self.state().phase == Phase::Body
    }
}
