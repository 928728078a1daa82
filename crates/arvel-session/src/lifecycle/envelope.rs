//! Between a body and its record: sealing, opening, and the cookie that carries it.

use base64_simd::URL_SAFE_NO_PAD as BASE64;

use super::{Context, CookieChange};
use crate::{
    Error, ErrorKind, Result, Time,
    record::{Age, Body, Key, Kind, Record, Revision, SealKey, Token},
};

/// RFC 6265bis: a browser drops a cookie whose name and value are longer together.
const COOKIE_LIMIT: usize = 4096;

impl Context {
    /// How many bytes an encoder leaves free in front of a body, for the seal.
    pub(crate) fn room(&self) -> usize {
        if self.seals() { SealKey::NONCE } else { 0 }
    }

    fn seals(&self) -> bool {
        self.rules.seal || !self.capabilities.server_side
    }

    /// What the seal vouches for beside the body, so that it can be moved neither to another session nor to another
    /// purpose (nor, since the keys differ, to another cookie). In the browser it vouches for the expiry too; in a store
    /// the expiry is moved without opening the record.
    fn associated(&self, key: &Key, record: &Record) -> Associated {
        let header = record.header();
        let mut associated = Associated {
            bytes: [0; Associated::MAX],
            len: 0,
        };
        if self.capabilities.server_side {
            associated.push(b"r");
            associated.push(&header[..Record::EXPIRES_AT]);
            associated.push(&key.to_bytes());
        } else {
            associated.push(b"c");
            associated.push(&header);
        }
        associated
    }

    /// The record of an encoded body, sealed where that is asked for.
    pub(crate) fn enclose(
        &self,
        key: &Key,
        revision: Revision,
        expires: Time,
        mut body: Vec<u8>,
    ) -> Record {
        if !self.seals() {
            return Record::new(Kind::Plain, revision, expires, body);
        }
        let mut record = Record::new(Kind::Sealed, revision, expires, Vec::new());
        self.keys
            .seal(self.associated(key, &record).as_bytes(), &mut body);
        record.body = body.into();
        record
    }

    /// The body of a live record; `None` when it is damaged, sealed under a key that is gone, or not sealed though it
    /// should be.
    pub(crate) fn disclose(&self, key: &Key, record: &Record) -> Option<(Body, Age)> {
        match record.kind {
            Kind::Sealed => {
                let associated = self.associated(key, record);
                let (body, age) = self.keys.open(associated.as_bytes(), &record.body)?;
                Some((Body::parse(body)?, age))
            }
            Kind::Plain if !self.seals() => Some((Body::parse(record.body.clone())?, Age::Current)),
            _ => None,
        }
    }

    /// The cookie that carries this id.
    pub(super) fn id_cookie(&self, token: &Token, now: Time, expires: Time) -> CookieChange {
        CookieChange::Set {
            value: token.encode(&self.keys),
            max_age: self.rules.max_age(now, expires),
        }
    }

    /// The cookie that carries a record itself.
    pub(super) fn payload_cookie(&self, record: &[u8], now: Time, expires: Time) -> CookieChange {
        CookieChange::Set {
            value: BASE64.encode_to_string(record),
            max_age: self.rules.max_age(now, expires),
        }
    }

    /// Whether the store, or the browser in its place, keeps a record of this size (R17).
    pub(super) fn check_size(&self, record: &Record) -> Result<()> {
        if self.capabilities.server_side {
            return self.capabilities.check_size(record);
        }
        let name = &self.rules.cookie_name;
        let size = name.len() + BASE64.encoded_length(record.encoded_len());
        if size <= COOKIE_LIMIT {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::TooLarge,
            format!(
                "the sealed session does not fit into the cookie {name}: name and value take {size} bytes, browsers keep {COOKIE_LIMIT}"
            ),
        ))
    }

    /// Reads what [`payload_cookie`](Self::payload_cookie) wrote.
    pub(crate) fn read_payload(&self, value: &[u8]) -> Option<Vec<u8>> {
        if self.rules.cookie_name.len() + value.len() > COOKIE_LIMIT {
            return None;
        }
        BASE64.decode_to_vec(value).ok()
    }

    /// Whether we have sealed this payload.
    pub(crate) fn verifies(&self, payload: &[u8]) -> bool {
        let record = Record::decode(payload.to_vec().into());
        record.is_ok_and(|record| self.disclose(&Key::NONE, &record).is_some())
    }
}

/// What a seal vouches for beside the body: short, so that it needs no heap.
struct Associated {
    bytes: [u8; Self::MAX],
    len: usize,
}

impl Associated {
    const MAX: usize = 1 + Record::EXPIRES_AT + Key::LEN;
    const _FITS: () = assert!(Record::HEADER < Self::MAX);

    fn push(&mut self, part: &[u8]) {
        self.bytes[self.len..self.len + part.len()].copy_from_slice(part);
        self.len += part.len();
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}
