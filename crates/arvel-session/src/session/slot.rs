//! The place where a session's state stands: empty, until there is something to know.

use std::{
    ops::{Deref, DerefMut},
    sync::LazyLock,
};

use super::state::State;

/// A state that is there when somebody changes it. A visitor without a session, on a page that does not ask for one, needs
/// none at all. Boxed, so that it is not moved about.
#[derive(Default)]
pub(crate) struct Slot(Option<Box<State>>);

impl Slot {
    /// Whether nobody has put anything there, so that all is as in the beginning.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

impl From<State> for Slot {
    fn from(state: State) -> Self {
        Self(Some(Box::new(state)))
    }
}

impl Deref for Slot {
    type Target = State;

    fn deref(&self) -> &State {
        static EMPTY: LazyLock<State> = LazyLock::new(State::default);
        self.0.as_deref().unwrap_or_else(|| &EMPTY)
    }
}

impl DerefMut for Slot {
    fn deref_mut(&mut self) -> &mut State {
        self.0.get_or_insert_default()
    }
}
