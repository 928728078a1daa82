//! A record on the wire: a clear header of fixed size, then the body.
//!
//! ```text
//! 0        1      2          10         18
//! version  kind   revision   expires    body …
//! u8       u8     u64        u64 (ms)   (big endian throughout)
//! ```

use std::fmt;

use bytes::{Buf, Bytes};

use super::{id::Key, random::random};
use crate::{Error, ErrorKind, Result, clock::Time};

/// The version of the format that this library writes, and the newest that it reads.
const VERSION: u8 = 1;
/// The last version that there can ever be. Whoever wrote a higher first byte, a text for one, wrote no record.
const LAST_VERSION: u8 = 15;

/// Which write this is: a random number, chosen by the writer for each commit.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Revision(u64);

impl Revision {
    pub(crate) fn random() -> Self {
        Self(u64::from_be_bytes(random()))
    }

    /// The revision with this number, as read back from a store's column.
    pub const fn from_u64(number: u64) -> Self {
        Self(number)
    }

    /// The number, for a store's column.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Revision({:016x})", self.0)
    }
}

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A session, its body readable.
    Plain,
    /// A session, its body sealed.
    Sealed,
    /// The marker of an id that was regenerated; this is its successor.
    Regenerated(Key),
    /// The marker of an id that was destroyed.
    Destroyed,
}

impl Kind {
    /// Whether this is a session, not a marker of a dead one.
    pub const fn is_live(&self) -> bool {
        matches!(self, Self::Plain | Self::Sealed)
    }
}

/// A session, or the marker of a dead one, as a store sees it.
///
/// # Examples
///
/// A store that keeps one blob under a key encodes the record whole. One with columns may keep `revision` and `expires`
/// beside the blob, to compare and to index them, and put the expiry back after loading.
///
/// ```
/// use arvel_session::{Time, store::{Kind, Record, Revision}};
///
/// let record = Record::new(Kind::Plain, Revision::from_u64(7), Time::from_millis(1_000), b"body".as_slice());
/// let blob = record.encode();
/// assert_eq!(Record::revision_of(&blob), Some(record.revision));
/// assert_eq!(Record::decode(blob.into()).unwrap(), record);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// A session or a marker.
    pub kind: Kind,
    /// Which write made it.
    pub revision: Revision,
    /// From when on it counts as gone.
    pub expires: Time,
    /// Opaque; empty for a marker.
    pub body: Bytes,
}

impl Record {
    /// Where the eight bytes of the revision stand in an encoded record, for a store that compares them in place.
    pub const REVISION_AT: usize = 2;
    /// Where the eight bytes of the expiry (milliseconds, big endian) stand, for a store that moves it in place.
    pub const EXPIRES_AT: usize = 10;
    /// Where the kind stands: below 16 it is a session, from there on a marker.
    pub const KIND_AT: usize = 1;
    /// The first of the marker kinds.
    pub const FIRST_MARKER: u8 = 16;
    /// How long the header is.
    pub const HEADER: usize = 18;

    const PLAIN: u8 = 1;
    const SEALED: u8 = 2;
    const REGENERATED: u8 = Self::FIRST_MARKER;
    const DESTROYED: u8 = 17;

    /// A record of these parts.
    pub fn new(kind: Kind, revision: Revision, expires: Time, body: impl Into<Bytes>) -> Self {
        Self {
            kind,
            revision,
            expires,
            body: body.into(),
        }
    }

    /// The length of [`encode`](Self::encode)'s answer.
    pub fn encoded_len(&self) -> usize {
        let tail = match self.kind {
            Kind::Regenerated(_) => Key::LEN,
            _ => self.body.len(),
        };
        Self::HEADER + tail
    }

    /// The header alone: what a seal vouches for beside the body.
    pub(crate) fn header(&self) -> [u8; Self::HEADER] {
        let kind = match self.kind {
            Kind::Plain => Self::PLAIN,
            Kind::Sealed => Self::SEALED,
            Kind::Regenerated(_) => Self::REGENERATED,
            Kind::Destroyed => Self::DESTROYED,
        };
        let mut header = [0; Self::HEADER];
        header[0] = VERSION;
        header[Self::KIND_AT] = kind;
        header[Self::REVISION_AT..Self::EXPIRES_AT]
            .copy_from_slice(&self.revision.as_u64().to_be_bytes());
        header[Self::EXPIRES_AT..].copy_from_slice(&self.expires.as_millis().to_be_bytes());
        header
    }

    /// The whole record as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.encoded_len());
        bytes.extend_from_slice(&self.header());
        match &self.kind {
            Kind::Regenerated(successor) => bytes.extend_from_slice(&successor.to_bytes()),
            _ => bytes.extend_from_slice(&self.body),
        }
        bytes
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// [`ErrorKind::NewerFormat`] for a version above ours (up to 15); [`ErrorKind::Corrupt`] for anything else that is not a record.
    pub fn decode(bytes: Bytes) -> Result<Self> {
        let corrupt = || Error::new(ErrorKind::Corrupt, "a stored session is damaged");
        let header = *bytes
            .first_chunk::<{ Self::HEADER }>()
            .ok_or_else(corrupt)?;
        match header[0] {
            VERSION => {}
            newer @ VERSION..=LAST_VERSION => {
                return Err(Error::new(
                    ErrorKind::NewerFormat,
                    format!("a stored session has format {newer}; this version reads {VERSION}"),
                ));
            }
            _ => return Err(corrupt()),
        }
        let number = |at: usize| {
            let mut eight = [0; 8];
            eight.copy_from_slice(&header[at..at + 8]);
            u64::from_be_bytes(eight)
        };
        let mut tail = bytes;
        tail.advance(Self::HEADER);
        let (kind, body) = match header[Self::KIND_AT] {
            Self::PLAIN => (Kind::Plain, tail),
            Self::SEALED => (Kind::Sealed, tail),
            Self::REGENERATED => {
                let successor = Key::from_bytes(&tail).ok_or_else(corrupt)?;
                (Kind::Regenerated(successor), Bytes::new())
            }
            Self::DESTROYED if tail.is_empty() => (Kind::Destroyed, tail),
            _ => return Err(corrupt()),
        };
        Ok(Self {
            kind,
            revision: Revision(number(Self::REVISION_AT)),
            expires: Time::from_millis(number(Self::EXPIRES_AT)),
            body,
        })
    }

    /// The revision of an encoded record, without decoding the rest; `None` when it is too short to be one.
    pub fn revision_of(encoded: &[u8]) -> Option<Revision> {
        let eight = encoded.get(Self::REVISION_AT..Self::EXPIRES_AT)?;
        Some(Revision(u64::from_be_bytes(eight.try_into().ok()?)))
    }

    /// Whether this is a session that `expected` names: live, and of that revision.
    pub fn matches(&self, expected: Revision) -> bool {
        self.kind.is_live() && self.revision == expected
    }

    /// Whether it counts as gone at `now`.
    pub fn is_expired(&self, now: Time) -> bool {
        self.expires <= now
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("kind", &self.kind)
            .field("revision", &self.revision)
            .field("expires", &self.expires)
            .field("body", &format_args!("{} bytes", self.body.len()))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_version_is_told_from_damage() {
        let record = Record::new(
            Kind::Sealed,
            Revision::random(),
            Time::default(),
            vec![7; 80],
        );
        for first in 0..=u8::MAX {
            let mut bytes = record.encode();
            bytes[0] = first;
            let kind = Record::decode(bytes.into()).err().map(|error| error.kind());
            let expected = match first {
                1 => None,
                2..=15 => Some(ErrorKind::NewerFormat),
                _ => Some(ErrorKind::Corrupt),
            };
            assert_eq!(kind, expected, "{first}");
        }
    }
}
