//! The keys that everything is signed and sealed with.

use std::{fmt, str::FromStr, sync::Arc};

use base64_simd::{STANDARD, STANDARD_NO_PAD};

use super::values::Read;
use crate::{Error, ErrorKind, Result, record::random};

/// A secret key: at least 32 bytes that nothing shows.
///
/// It is written as `base64:` and its bytes in base64 (the standard alphabet or the one for URLs), or as a text of at
/// least 32 bytes that is taken as it stands. White space around it does not count.
///
/// # Security
/// Who knows it can make sessions, and read those in cookies. Let [`generate`](Self::generate) or `arvel-session key`
/// make it: a sentence of 32 letters is far easier to guess than 32 random bytes.
///
/// # Examples
///
/// ```
/// use arvel_session::Secret;
///
/// let secret: Secret = "base64:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=".parse()?;
/// assert_eq!(format!("{secret:?}"), "Secret(***)");
/// assert!("too short".parse::<Secret>().is_err());
/// # Ok::<(), arvel_session::Error>(())
/// ```
#[derive(Clone)]
pub struct Secret(Arc<[u8]>);

impl Secret {
    /// How many bytes it must have.
    pub const MIN_LEN: usize = 32;

    /// A new one: 32 bytes from the operating system.
    pub fn generate() -> Self {
        Self(Arc::new(random::<{ Self::MIN_LEN }>()))
    }

    /// The secret in the form in which a file or a variable holds it. Mind who can see it.
    ///
    /// ```
    /// use arvel_session::Secret;
    ///
    /// let setting = Secret::generate().to_setting();
    /// assert!(setting.starts_with("base64:"));
    /// assert_eq!(setting.parse::<Secret>()?.to_setting(), setting);
    /// # Ok::<(), arvel_session::Error>(())
    /// ```
    pub fn to_setting(&self) -> String {
        format!("{BASE64}{}", STANDARD.encode_to_string(self.as_bytes()))
    }

    /// The bytes, for deriving keys from.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl FromStr for Secret {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        read_secret(text)
            .map_err(|must| Error::new(ErrorKind::Config, format!("a secret key {must}")))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

const BASE64: &str = "base64:";

pub(super) fn read_secret(text: &str) -> Read<Secret> {
    let text = text.trim();
    let bytes = match text.strip_prefix(BASE64) {
        Some(encoded) => decode(encoded)
            .ok_or("must be base64 after `base64:`; make one with `arvel-session key`")?,
        None => text.as_bytes().to_vec(),
    };
    match bytes.len() {
        0 => Err("must not be empty; make one with `arvel-session key`".into()),
        len if len < Secret::MIN_LEN => Err(format!(
            "must have at least {} bytes, not {len}; make one with `arvel-session key`",
            Secret::MIN_LEN
        )
        .into()),
        _ => Ok(Secret(bytes.into())),
    }
}

/// Either alphabet, with padding or without.
fn decode(encoded: &str) -> Option<Vec<u8>> {
    let standard = encoded
        .trim_end_matches('=')
        .replace('-', "+")
        .replace('_', "/");
    STANDARD_NO_PAD.decode_to_vec(standard).ok()
}

#[cfg(test)]
mod tests {
    use base64_simd::{URL_SAFE, URL_SAFE_NO_PAD};

    use super::*;

    #[test]
    fn every_form_gives_the_same_bytes() {
        let bytes = [0xfb; 33];
        for base64 in [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD] {
            for around in ["", " ", "\n"] {
                let text = format!("{around}base64:{}{around}", base64.encode_to_string(bytes));
                let secret: Secret = text.parse().unwrap();
                assert_eq!(secret.as_bytes(), bytes);
            }
        }
        let padded: Secret = format!("base64:{}", STANDARD.encode_to_string([7; 32]))
            .parse()
            .unwrap();
        assert_eq!(padded.as_bytes(), [7; 32]);
    }

    #[test]
    fn a_text_of_32_bytes_is_a_key_and_one_of_31_is_not() {
        let text = "ä".repeat(16);
        assert_eq!(
            text.parse::<Secret>().unwrap().as_bytes(),
            text.as_bytes(),
            "bytes count, not letters"
        );
        let error = "x".repeat(31).parse::<Secret>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("at least 32 bytes, not 31"));
    }

    #[test]
    fn what_is_no_key_is_refused_without_being_shown() {
        for text in [
            "",
            "   ",
            "base64:",
            "base64:c2hvcnQ=",
            "base64:not*base64*not*base64*not*base64*not*base64",
            "hunter2",
        ] {
            let error = text.parse::<Secret>().unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(
                !shown.contains("hunter2") && !shown.contains("c2hv") && !shown.contains("not*"),
                "{shown}"
            );
        }
    }

    #[test]
    fn generated_keys_differ() {
        assert_eq!(Secret::generate().as_bytes().len(), 32);
        assert_ne!(Secret::generate().as_bytes(), Secret::generate().as_bytes());
    }
}
