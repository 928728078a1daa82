//! A session's id, which only the browser holds, and the key that the store sees instead.

use std::fmt;

use sha2::{Digest, Sha256};

use super::random::random;

/// A session's id: 192 random bits behind two random bytes that regenerating keeps.
///
/// Those two, the tag, decide where in a Redis Cluster the session lives, so that the old and the new id of a
/// regeneration live on one node.
#[derive(Clone, Copy)]
pub(crate) struct Id([u8; Id::LEN]);

impl Id {
    pub(crate) const LEN: usize = 26;

    /// A new id, anywhere.
    pub(crate) fn random() -> Self {
        Self(random())
    }

    /// A new id beside the session under `key`.
    pub(crate) fn random_beside(key: &Key) -> Self {
        let mut id = Self::random();
        id.0[..2].copy_from_slice(&key.tag);
        id
    }

    pub(crate) fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// What the store sees: SHA-256 of the id, which depends on no secret (R18).
    pub(crate) fn key(&self) -> Key {
        Key {
            tag: [self.0[0], self.0[1]],
            hash: Sha256::digest(self.0).into(),
        }
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Id(…)")
    }
}

/// Under what a store keeps a session: the SHA-256 of its id. Nobody gets in with it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    tag: [u8; 2],
    hash: [u8; 32],
}

impl Key {
    /// The length of [`to_bytes`](Self::to_bytes)'s answer.
    pub const LEN: usize = 34;

    /// What the cookie driver is given, which needs none.
    pub(crate) const NONE: Self = Self::new([0; 2], [0; 32]);

    /// A key of these parts; for tests of a store.
    pub const fn new(tag: [u8; 2], hash: [u8; 32]) -> Self {
        Self { tag, hash }
    }

    /// Two bytes that a session keeps through every regeneration; a sharded store may place it by them.
    pub const fn tag(&self) -> [u8; 2] {
        self.tag
    }

    /// The hash: unique, evenly spread.
    pub const fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// The hash as 64 lower-case hexadecimal digits: a name for a row or a file.
    pub fn hex(&self) -> String {
        to_hex(&self.hash)
    }

    /// Tag and hash.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..2].copy_from_slice(&self.tag);
        bytes[2..].copy_from_slice(&self.hash);
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote; `None` for any other length.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (tag, hash) = bytes.split_first_chunk::<2>()?;
        Some(Self {
            tag: *tag,
            hash: hash.try_into().ok()?,
        })
    }
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Enough to tell two keys of a test apart, too little to look one up.
        write!(f, "Key({:02x}{:02x}…)", self.hash[0], self.hash[1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing_of_an_id() {
        assert_eq!(format!("{:?}", Id::from_bytes([7; Id::LEN])), "Id(…)");
    }
}
