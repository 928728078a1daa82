//! Which session a cookie stands for.

use std::fmt;

use base64_simd::URL_SAFE_NO_PAD as BASE64;

/// The id inside a token (docs/format.md): the same one may be issued several times.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId([u8; Self::LEN]);

/// Where a token holds the id.
const PLACE: std::ops::Range<usize> = 5..31;
const TOKEN: usize = 63;

impl SessionId {
    const LEN: usize = 26;

    /// Reads a cookie's value; `None` for what is no token.
    #[must_use]
    pub fn of_cookie(value: &str) -> Option<Self> {
        let token = BASE64.decode_to_vec(value).ok()?;
        let id = token.get(PLACE).filter(|_| token.len() == TOKEN)?;
        Some(Self(id.try_into().ok()?))
    }

    /// A cookie of this id that nobody has signed.
    #[must_use]
    pub fn forged_cookie(&self) -> String {
        let mut token = [0; TOKEN];
        token[0] = 1;
        token[PLACE].copy_from_slice(&self.0);
        BASE64.encode_to_string(token)
    }

    /// An id that depends on this number alone; for histories that are made up.
    #[must_use]
    pub fn made_up(number: u64) -> Self {
        let mut bytes = [0; Self::LEN];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        Self(bytes)
    }

    /// The id itself, of which a store sees the SHA-256.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..8]
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_the_documents_token_is_found() {
        let token =
            "AWqxO4AAAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGXzy8cFZogqpkmudv66wWqn129kNDDjdnZL_NHEqjKpo";
        let id = SessionId::of_cookie(token).unwrap();
        assert_eq!(id.as_bytes(), (0..26).collect::<Vec<u8>>());
        assert_eq!(SessionId::of_cookie(&id.forged_cookie()), Some(id));
        assert_eq!(SessionId::of_cookie("AWqxO4AA"), None);
        assert_eq!(SessionId::of_cookie("?"), None);
    }
}
