//! The signed token that the browser holds in place of a record (R14).
//!
//! ```text
//! 0        1      5      31             63
//! version  issued id     HMAC-SHA256    base64url, 84 characters, no padding and no spare bits
//! ```

use base64_simd::{AsOut, URL_SAFE_NO_PAD as BASE64};

use super::{
    id::Id,
    keyring::{Age, Keyring},
};
use crate::Time;

const VERSION: u8 = 1;
const ID: usize = 5;
const SIGNATURE: usize = ID + Id::LEN;
const LEN: usize = SIGNATURE + 32;
const ENCODED: usize = LEN / 3 * 4;
const _: () = assert!(
    LEN.is_multiple_of(3),
    "base64 without spare bits has one form only"
);

/// A session's id and when the browser was told it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    pub(crate) id: Id,
    /// Whole seconds; the browser's `Max-Age` runs from here.
    pub(crate) issued: u32,
    /// Whether the current key signed it.
    pub(crate) age: Age,
}

impl Token {
    /// A token that is issued at `now`.
    pub(crate) fn issue(id: Id, now: Time) -> Self {
        Self {
            id,
            issued: u32::try_from(now.as_secs()).unwrap_or(u32::MAX),
            age: Age::Current,
        }
    }

    pub(crate) fn issued(&self) -> Time {
        Time::from_millis(u64::from(self.issued) * 1000)
    }

    /// The cookie's value.
    pub(crate) fn encode(&self, keys: &Keyring) -> String {
        let mut bytes = [0; LEN];
        bytes[0] = VERSION;
        bytes[1..ID].copy_from_slice(&self.issued.to_be_bytes());
        bytes[ID..SIGNATURE].copy_from_slice(self.id.as_bytes());
        let signature = keys.sign(&bytes[..SIGNATURE]);
        bytes[SIGNATURE..].copy_from_slice(&signature);
        BASE64.encode_to_string(bytes)
    }

    /// Reads a cookie's value; `None` for whatever we did not sign.
    pub(crate) fn decode(value: &[u8], keys: &Keyring) -> Option<Self> {
        if value.len() != ENCODED {
            return None;
        }
        let mut bytes = [0; LEN];
        BASE64.decode(value, bytes.as_mut_slice().as_out()).ok()?;
        let (message, signature) = bytes.split_at(SIGNATURE);
        let age = keys.verify(message, signature)?;
        if message[0] != VERSION {
            return None;
        }
        let (issued, id) = message[1..].split_first_chunk()?;
        Some(Self {
            id: Id::from_bytes(id.try_into().ok()?),
            issued: u32::from_be_bytes(*issued),
            age,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_we_signed_for_this_cookie_is_read() {
        let keys = Keyring::new(&[1; 32], [], "one");
        let token = Token::issue(Id::random(), Time::from_millis(1_790_000_000_999));
        let value = token.encode(&keys);
        assert_eq!(value.len(), 84);
        let read = Token::decode(value.as_bytes(), &keys).unwrap();
        assert_eq!(read.id.as_bytes(), token.id.as_bytes());
        assert_eq!((read.issued, read.age), (1_790_000_000, Age::Current));

        let other_cookie = Keyring::new(&[1; 32], [], "two");
        assert!(Token::decode(value.as_bytes(), &other_cookie).is_none());
        let rotated = Keyring::new(&[2; 32], [[1; 32].as_slice()], "one");
        let read = Token::decode(value.as_bytes(), &rotated).unwrap();
        assert_eq!(read.age, Age::Previous);
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let keys = Keyring::new(&[1; 32], [], "one");
        let value = Token::issue(Id::random(), Time::from_millis(0)).encode(&keys);
        for bit in 0..value.len() * 8 {
            let mut flipped = value.clone().into_bytes();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Token::decode(&flipped, &keys).is_none(), "bit {bit}");
        }
        for length in 0..value.len() {
            assert!(Token::decode(&value.as_bytes()[..length], &keys).is_none());
        }
    }
}
