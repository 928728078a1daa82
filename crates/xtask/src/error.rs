//! Why a command ended early.

use std::fmt::Display;

/// The result of everything in this tool.
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// Why a command ended early.
#[derive(Debug)]
pub(crate) enum Error {
    /// The user, or the system, asked us to stop.
    Interrupted,
    /// Something went wrong; the text is for the user.
    Failed(String),
}

impl Error {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self::Failed(why.into())
    }
}

/// Says what was being done when something failed.
pub(crate) trait Context<T> {
    fn context(self, doing: impl Display) -> Result<T>;
}

impl<T, E: Display> Context<T> for std::result::Result<T, E> {
    fn context(self, doing: impl Display) -> Result<T> {
        self.map_err(|error| Error::Failed(format!("{doing}: {error}")))
    }
}
