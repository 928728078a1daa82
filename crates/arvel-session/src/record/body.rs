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
//! Numbers are big endian, a varint is LEB128 in its shortest form. Opening one is a walk over the lengths; a value is parsed when it is asked for.

use std::sync::Arc;

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
    pub(crate) earlier: Earlier,
}

/// The last revisions before a record's own, newest first; what does not fit is forgotten.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Earlier([Option<Revision>; EARLIER]);

impl FromIterator<Revision> for Earlier {
    fn from_iter<I: IntoIterator<Item = Revision>>(revisions: I) -> Self {
        let mut earlier = Self::default();
        for (place, revision) in earlier.0.iter_mut().zip(revisions) {
            *place = Some(revision);
        }
        earlier
    }
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

/// The opened body of a record. Clones share it.
#[derive(Clone)]
pub(crate) struct Body(Arc<Parsed>);

struct Parsed {
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
            let entry = reader.entry()?;
            // Most keys are, and that is seen at a glance.
            if !entry.key.is_ascii() {
                std::str::from_utf8(entry.key).ok()?;
            }
            has_flash |= entry.birth.is_some();
        }
        Some(Self(Arc::new(Parsed {
            bytes,
            flags,
            entries,
            has_flash,
        })))
    }

    fn number(&self, at: usize) -> u64 {
        let mut eight = [0; 8];
        eight.copy_from_slice(&self.0.bytes[at..at + 8]);
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
        seed.copy_from_slice(&self.0.bytes[Self::SEED..Self::REVISIONS]);
        seed
    }

    /// The revisions before this record's own, newest first.
    pub(crate) fn earlier(&self) -> impl Iterator<Item = Revision> {
        (0..usize::from(self.0.flags & 3))
            .map(|index| Revision::from_u64(self.number(Self::REVISIONS + 8 * index)))
    }

    pub(crate) fn user(&self) -> Option<&str> {
        if self.0.flags & HAS_USER == 0 {
            return None;
        }
        let mut reader =
            Reader(&self.0.bytes[Self::REVISIONS + 8 * usize::from(self.0.flags & 3)..]);
        let length = reader.varint()?;
        std::str::from_utf8(reader.take(length)?).ok()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.bytes.len()
    }

    pub(crate) fn has_flash(&self) -> bool {
        self.0.has_flash
    }

    fn raw(&self) -> impl Iterator<Item = RawEntry<'_>> {
        let mut reader = Reader(&self.0.bytes[self.0.entries..]);
        std::iter::from_fn(move || reader.entry())
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.raw().filter_map(RawEntry::read)
    }

    /// The encoded entries that `keeps` keeps, in pieces as long as they come.
    pub(crate) fn pieces<'a>(
        &'a self,
        keeps: impl Fn(&RawEntry<'_>) -> bool + 'a,
    ) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = &self.0.bytes[self.0.entries..];
        std::iter::from_fn(move || {
            let mut piece = 0;
            loop {
                let mut reader = Reader(&rest[piece..]);
                let kept = reader.entry().map(|entry| keeps(&entry));
                let end = rest.len() - reader.0.len();
                match kept {
                    Some(true) => piece = end,
                    Some(false) if piece == 0 => rest = &rest[end..],
                    _ if piece == 0 => return None,
                    _ => {
                        let (kept, others) = rest.split_at(piece);
                        rest = others;
                        return Some(kept);
                    }
                }
            }
        })
    }

    /// The data under one key.
    pub(crate) fn get(&self, key: &str) -> Option<&[u8]> {
        self.raw()
            .find(|entry| entry.birth.is_none() && entry.key == key.as_bytes())
            .map(|entry| entry.value)
    }

    pub(crate) fn data(&self) -> impl Iterator<Item = Entry<'_>> {
        self.entries().filter(|entry| entry.birth.is_none())
    }

    pub(crate) fn flash(&self) -> impl Iterator<Item = Entry<'_>> {
        // Most sessions have none, and then nobody has to walk.
        self.0
            .has_flash
            .then(|| self.entries().filter(|entry| entry.birth.is_some()))
            .into_iter()
            .flatten()
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Body({} bytes)", self.0.bytes.len())
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
        let earlier = || meta.earlier.0.iter().flatten();
        let has_user = if user.is_some() { HAS_USER } else { 0 };
        bytes.push(u8::try_from(earlier().count()).unwrap_or(0) | has_user);
        bytes.extend_from_slice(&meta.created.as_millis().to_be_bytes());
        bytes.extend_from_slice(&meta.serial.to_be_bytes());
        bytes.extend_from_slice(&meta.seed);
        for revision in earlier() {
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

    /// Takes over what another body has, as it stands there.
    pub(crate) fn piece(&mut self, entries: &[u8]) {
        self.bytes.extend_from_slice(entries);
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

/// Walks over a body.
struct Reader<'a>(&'a [u8]);

/// An entry whose key need not be known to be text.
pub(crate) struct RawEntry<'a> {
    pub(crate) birth: Option<Revision>,
    pub(crate) key: &'a [u8],
    pub(crate) value: &'a [u8],
}

impl<'a> RawEntry<'a> {
    fn read(self) -> Option<Entry<'a>> {
        Some(Entry {
            birth: self.birth,
            key: std::str::from_utf8(self.key).ok()?,
            value: self.value,
        })
    }
}

impl<'a> Reader<'a> {
    #[inline]
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    #[inline]
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    #[inline]
    fn varint(&mut self) -> Option<usize> {
        // Most lengths take one byte.
        let byte = self.byte()?;
        if byte < 0x80 {
            return Some(usize::from(byte));
        }
        self.long_varint(byte)
    }

    fn long_varint(&mut self, first: u8) -> Option<usize> {
        let mut number = usize::from(first & 0x7f);
        for shift in [7, 14, 21, 28] {
            let byte = self.byte()?;
            number |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                // A zero in the last place would be a second form of the same number.
                return (byte > 0).then_some(number);
            }
        }
        None
    }

    #[inline]
    fn entry(&mut self) -> Option<RawEntry<'a>> {
        // Most entries are data with lengths of one byte each.
        if let [DATA, key @ ..0x80, value @ ..0x80, rest @ ..] = self.0 {
            let (key, rest) = rest.split_at_checked(usize::from(*key))?;
            let (value, rest) = rest.split_at_checked(usize::from(*value))?;
            self.0 = rest;
            return Some(RawEntry {
                birth: None,
                key,
                value,
            });
        }
        self.any_entry()
    }

    #[inline(never)]
    fn any_entry(&mut self) -> Option<RawEntry<'a>> {
        let birth = match self.byte()? {
            DATA => None,
            FLASH => {
                let eight = self.take(8)?.try_into().ok()?;
                Some(Revision::from_u64(u64::from_be_bytes(eight)))
            }
            _ => return None,
        };
        let (key, value) = (self.varint()?, self.varint()?);
        Some(RawEntry {
            birth,
            key: self.take(key)?,
            value: self.take(value)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta() -> Meta {
        Meta {
            created: Time::from_millis(1),
            serial: 2,
            seed: [3; 16],
            earlier: Earlier::default(),
        }
    }

    fn body(key: &str) -> Vec<u8> {
        let mut writer = BodyWriter::new(0, 0, &meta(), None);
        writer.entry(Entry {
            birth: None,
            key,
            value: b"1",
        });
        writer.finish()
    }

    #[test]
    fn a_key_that_is_no_text_is_damage() {
        let mut bytes = body("k\u{e9}y");
        assert!(Body::parse(bytes.clone()).is_some());
        let second_byte = bytes.len() - 3;
        bytes[second_byte] = b'x';
        assert!(Body::parse(bytes).is_none());
    }

    #[test]
    fn debug_shows_a_size() {
        let parsed = Body::parse(body("key")).unwrap();
        assert_eq!(format!("{parsed:?}"), "Body(40 bytes)");
        assert_eq!(parsed.len(), 40);
    }
}
