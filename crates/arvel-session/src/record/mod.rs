//! What is stored: the record's format, ids and keys, and the seal.

mod body;
mod format;
mod id;
mod keyring;
mod random;
mod seal;
mod token;

pub(crate) use body::{Body, BodyWriter, Earlier, Entry, Meta, RawEntry};
pub use format::{Kind, Record, Revision};
pub(crate) use id::Id;
pub use id::Key;
#[cfg(test)]
pub(crate) use id::to_hex;
pub(crate) use keyring::{Age, Keyring};
pub use random::after_fork;
pub(crate) use random::random;
#[cfg(test)]
pub(crate) use random::scripted;
pub(crate) use seal::SealKey;
pub(crate) use token::Token;
