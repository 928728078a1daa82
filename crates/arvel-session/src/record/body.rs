//! What is in a session: a few fields of ours, then keys and values as length-prefixed bytes.
//!
//! ```text
//! flags     u8        bits 0–1: how many earlier revisions; bit 2: there is a user
//! created   u64       milliseconds
//! serial    u64       the fingerprint
//! seed      [u8; 16]  of the CSRF token
//! earlier   u64 …     the revisions before this one, newest first
//! user      varint length, text
//! entry …   u8 (0 data, 1 flash), for flash the u64 revision of its birth,
//!           varint length of the key, varint length of the value, key, value (JSON)
//! ```
//!
//! Numbers are big endian, a varint is LEB128. Opening one is a walk over the lengths; a value is parsed when it is asked for.

use bytes::Bytes;

use super::format::Revision;
use crate::Time;

/// How many revisions before its own a record remembers.
const EARLIER: usize = 3;
const EARLIER_COUNT: u8 = 3;
const HAS_USER: u8 = 4;
const DATA: u8 = 0;
const FLASH: u8 = 1;

/// The fields of ours.
#[derive(Clone, Debug)]
pub(crate) struct Meta {
    pub(crate) created: Time,
    pub(crate) serial: u64,
    pub(crate) seed: [u8; 16],
    /// Newest first; what does not fit is forgotten.
    pub(crate) earlier: Vec<Revision>,
}

/// One key of a session.
#[derive(Clone, Copy)]
pub(crate) struct Entry<'a> {
    /// For flash, the revision of the commit that set it.
    pub(crate) birth: Option<Revision>,
    pub(crate) key: &'a str,
    /// JSON.
    pub(crate) value: &'a [u8],
}

/// The opened body of a record.
#[derive(Clone)]
pub(crate) struct Body {
    bytes: Bytes,
    flags: u8,
    entries: usize,
    has_flash: bool,
}

impl Body {
    const CREATED: usize = 1;
    const SERIAL: usize = 9;
    const SEED: usize = 17;
    const REVISIONS: usize = 33;

    /// Reads a body and checks its structure; `None` when it is damaged.
    pub(crate) fn parse(bytes: impl Into<Bytes>) -> Option<Self> {
        let bytes = bytes.into();
        let flags = *bytes.first()?;
        if flags & !(EARLIER_COUNT | HAS_USER) != 0 {
            // Of a format that does not exist yet.
            return None;
        }
        let mut reader = Reader(bytes.get(Self::REVISIONS..)?);
        reader.take(usize::from(flags & 3) * 8)?;
        if flags & HAS_USER != 0 {
            let length = reader.varint()?;
            std::str::from_utf8(reader.take(length)?).ok()?;
        }
        let entries = bytes.len() - reader.0.len();
        let mut has_flash = false;
        while !reader.0.is_empty() {
            has_flash |= reader.entry()?.birth.is_some();
        }
        Some(Self {
            bytes,
            flags,
            entries,
            has_flash,
        })
    }

    fn number(&self, at: usize) -> u64 {
        let mut eight = [0; 8];
        eight.copy_from_slice(&self.bytes[at..at + 8]);
        u64::from_be_bytes(eight)
    }

    pub(crate) fn created(&self) -> Time {
        Time::from_millis(self.number(Self::CREATED))
    }

    pub(crate) fn serial(&self) -> u64 {
        self.number(Self::SERIAL)
    }

    pub(crate) fn seed(&self) -> [u8; 16] {
        let mut seed = [0; 16];
        seed.copy_from_slice(&self.bytes[Self::SEED..Self::REVISIONS]);
        seed
    }

    /// The revisions before this record's own, newest first.
    pub(crate) fn earlier(&self) -> impl Iterator<Item = Revision> {
        (0..usize::from(self.flags & 3))
            .map(|index| Revision::from_u64(self.number(Self::REVISIONS + 8 * index)))
    }

    pub(crate) fn user(&self) -> Option<&str> {
        if self.flags & HAS_USER == 0 {
            return None;
        }
        let mut reader = Reader(&self.bytes[Self::REVISIONS + 8 * usize::from(self.flags & 3)..]);
        let length = reader.varint()?;
        std::str::from_utf8(reader.take(length)?).ok()
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn has_flash(&self) -> bool {
        self.has_flash
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        let mut reader = Reader(&self.bytes[self.entries..]);
        std::iter::from_fn(move || reader.entry())
    }

    pub(crate) fn data(&self) -> impl Iterator<Item = Entry<'_>> {
        self.entries().filter(|entry| entry.birth.is_none())
    }

    pub(crate) fn flash(&self) -> impl Iterator<Item = Entry<'_>> {
        // Most sessions have none, and then nobody has to walk.
        self.has_flash
            .then(|| self.entries().filter(|entry| entry.birth.is_some()))
            .into_iter()
            .flatten()
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Body({} bytes)", self.bytes.len())
    }
}

/// Writes a body.
pub(crate) struct BodyWriter {
    bytes: Vec<u8>,
}

impl BodyWriter {
    /// Begins a body behind `room` zero bytes.
    pub(crate) fn new(room: usize, capacity: usize, meta: &Meta, user: Option<&str>) -> Self {
        let mut bytes = Vec::with_capacity(room + capacity);
        bytes.resize(room, 0);
        let earlier = &meta.earlier[..meta.earlier.len().min(EARLIER)];
        let has_user = if user.is_some() { HAS_USER } else { 0 };
        bytes.push(u8::try_from(earlier.len()).unwrap_or(0) | has_user);
        bytes.extend_from_slice(&meta.created.as_millis().to_be_bytes());
        bytes.extend_from_slice(&meta.serial.to_be_bytes());
        bytes.extend_from_slice(&meta.seed);
        for revision in earlier {
            bytes.extend_from_slice(&revision.as_u64().to_be_bytes());
        }
        let mut writer = Self { bytes };
        if let Some(user) = user {
            writer.varint(user.len());
            writer.bytes.extend_from_slice(user.as_bytes());
        }
        writer
    }

    pub(crate) fn entry(&mut self, entry: Entry<'_>) {
        match entry.birth {
            None => self.bytes.push(DATA),
            Some(birth) => {
                self.bytes.push(FLASH);
                self.bytes.extend_from_slice(&birth.as_u64().to_be_bytes());
            }
        }
        self.varint(entry.key.len());
        self.varint(entry.value.len());
        self.bytes.extend_from_slice(entry.key.as_bytes());
        self.bytes.extend_from_slice(entry.value);
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.bytes
    }

    fn varint(&mut self, mut number: usize) {
        while number >= 0x80 {
            self.bytes.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn varint(&mut self) -> Option<usize> {
        let mut number = 0_usize;
        for shift in [0, 7, 14, 21, 28] {
            let byte = *self.take(1)?.first()?;
            number |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn entry(&mut self) -> Option<Entry<'a>> {
        let birth = match *self.take(1)?.first()? {
            DATA => None,
            FLASH => {
                let eight = self.take(8)?.try_into().ok()?;
                Some(Revision::from_u64(u64::from_be_bytes(eight)))
            }
            _ => return None,
        };
        let (key, value) = (self.varint()?, self.varint()?);
        Some(Entry {
            birth,
            key: std::str::from_utf8(self.take(key)?).ok()?,
            value: self.take(value)?,
        })
    }
}
