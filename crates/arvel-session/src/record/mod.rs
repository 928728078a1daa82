//! What is stored: the record's format, ids and keys, and the seal.

mod format;
mod id;
mod random;

pub use format::{Kind, Record, Revision};
pub(crate) use id::Id;
pub use id::Key;
pub(crate) use random::random;
