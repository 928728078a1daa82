//! Why a command ended early.

use std::fmt::Display;

/// The result of everything in this tool.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a command ended early.
#[derive(Debug)]
pub enum Error {
    /// The user, or the system, asked us to stop.
    Interrupted,
    /// Something went wrong; the text is for the user.
    Failed(String),
}

impl Error {
    /// Something went wrong.
    pub fn new(why: impl Into<String>) -> Self {
        Self::Failed(why.into())
    }
}

/// Says what was being done when something failed.
pub trait Context<T> {
    /// Puts what was being done in front of the reason.
    ///
    /// # Errors
    /// That of the one that it is called on.
    fn context(self, doing: impl Display) -> Result<T>;
}

impl<T, E: Display> Context<T> for std::result::Result<T, E> {
    fn context(self, doing: impl Display) -> Result<T> {
        self.map_err(|error| Error::Failed(format!("{doing}: {error}")))
    }
}
