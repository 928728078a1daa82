//! The keys of each purpose, derived from the secret.

use base64_simd::URL_SAFE_NO_PAD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use sha2::Sha256;

use super::seal::SealKey;

/// Under which key something was found to be in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Age {
    /// The current one.
    Current,
    /// A previous one: to be written anew under the current.
    Previous,
}

/// The keys of one cookie name: the current ones, which sign and seal, and the previous ones, which only verify and open.
///
/// The cookie's name takes part in the derivation, so nothing that was made for one cookie is good for another.
pub(crate) struct Keyring {
    current: Keys,
    previous: Box<[Keys]>,
}

struct Keys {
    sign: HmacKey,
    csrf: HmacKey,
    seal: SealKey,
}

impl Keyring {
    pub(crate) fn new<'a>(
        secret: &[u8],
        previous: impl IntoIterator<Item = &'a [u8]>,
        cookie_name: &str,
    ) -> Self {
        Self {
            current: Keys::derive(secret, cookie_name),
            previous: previous
                .into_iter()
                .map(|secret| Keys::derive(secret, cookie_name))
                .collect(),
        }
    }

    fn all(&self) -> impl Iterator<Item = (&Keys, Age)> {
        let previous = self.previous.iter().map(|keys| (keys, Age::Previous));
        std::iter::once((&self.current, Age::Current)).chain(previous)
    }

    /// Signs a token.
    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 32] {
        self.current.sign.sign(message)
    }

    /// Verifies a token's signature in constant time.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> Option<Age> {
        self.all()
            .find(|(keys, _)| keys.sign.verifies(message, signature))
            .map(|(_, age)| age)
    }

    /// Seals `buffer` as [`SealKey::seal`] does.
    pub(crate) fn seal(&self, associated: &[u8], buffer: &mut Vec<u8>) {
        self.current.seal.seal(associated, buffer);
    }

    /// Opens what [`seal`](Self::seal) made.
    pub(crate) fn open(&self, associated: &[u8], sealed: &[u8]) -> Option<(Vec<u8>, Age)> {
        self.all()
            .find_map(|(keys, age)| Some((keys.seal.open(associated, sealed)?, age)))
    }

    /// The CSRF token of a session with this seed.
    pub(crate) fn csrf_token(&self, seed: &[u8]) -> String {
        BASE64.encode_to_string(self.current.csrf.sign(seed))
    }

    /// Whether this is the CSRF token of a session with this seed, under any of the keys; in constant time.
    pub(crate) fn is_csrf_token(&self, seed: &[u8], token: &str) -> bool {
        let Ok(signature) = BASE64.decode_to_vec(token) else {
            return false;
        };
        self.all()
            .any(|(keys, _)| keys.csrf.verifies(seed, &signature))
    }
}

impl Keys {
    fn derive(secret: &[u8], cookie_name: &str) -> Self {
        let derive = |purpose| derive(secret, purpose, cookie_name);
        Self {
            sign: HmacKey::new(&derive("token")),
            csrf: HmacKey::new(&derive("csrf")),
            seal: SealKey::new(&derive("seal")),
        }
    }
}

/// A key of HMAC-SHA256 (RFC 2104), its two blocks hashed already.
struct HmacKey(Hmac<Sha256>);

impl HmacKey {
    fn new(key: &[u8; 32]) -> Self {
        // HMAC fills a short key up with zeros.
        let mut block = [0; 64];
        block[..32].copy_from_slice(key);
        Self(Hmac::new(&block.into()))
    }

    fn sign(&self, message: &[u8]) -> [u8; 32] {
        let mut mac = self.0.clone();
        mac.update(message);
        mac.finalize().into_bytes().into()
    }

    /// In constant time.
    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let mut mac = self.0.clone();
        mac.update(message);
        mac.verify_slice(signature).is_ok()
    }
}

/// HKDF-SHA256 (RFC 5869) without salt; the info is `arvel-session v1 <purpose> <cookie name>`.
fn derive(secret: &[u8], purpose: &str, cookie_name: &str) -> [u8; 32] {
    let info = format!("arvel-session v1 {purpose} {cookie_name}");
    let mut key = [0; 32];
    let derived = Salt::new(HKDF_SHA256, &[])
        .extract(secret)
        .expand(&[info.as_bytes()], Length32)
        .and_then(|output| output.fill(&mut key));
    // HKDF fails only when more than 255 blocks are asked for.
    assert!(derived.is_ok(), "32 bytes can be derived");
    key
}

struct Length32;

impl KeyType for Length32 {
    fn len(&self) -> usize {
        32
    }
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keyring(…, {} previous)", self.previous.len())
    }
}
