//! What a handler holds: the session's data, its flash, and the journal of what it changed.

mod data;
mod draft;
mod fake;
mod finite;
mod flash;
mod identity;
mod journal;
mod json;
mod key;
mod slot;
mod state;
mod text;

pub use data::SessionData;
pub(crate) use draft::{Draft, Seen};
pub(crate) use journal::Op;
pub use key::{AsKey, Key, KeyName};
pub(crate) use state::{Home, Intent, Phase, State};
