//! The seal: XAES-256-GCM, whose 192-bit random nonces are safe for any number of messages under one key.
//!
//! It is AES-256-GCM under a key derived for each message from the first half of the nonce. The construction and its
//! test vectors are C2SP's `XAES-256-GCM`. The cipher is `ring`'s; the two blocks of the derivation are `aes`'s, since
//! `ring` has no bare block.

use aes::{
    Aes256,
    cipher::{Array, BlockCipherEncrypt, KeyInit},
};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, Tag, UnboundKey};

use super::random::random;

/// A key that seals and opens.
pub(crate) struct SealKey {
    cipher: Aes256,
    /// The CMAC subkey of the derivation.
    subkey: [u8; 16],
}

impl SealKey {
    /// Where the plaintext begins in a buffer that is to be sealed.
    pub(crate) const NONCE: usize = 24;
    /// How long the tag behind the ciphertext is.
    pub(crate) const TAG: usize = 16;

    pub(crate) fn new(key: &[u8; 32]) -> Self {
        let cipher = Aes256::new(&Array::from(*key));
        let mut block = Array::from([0; 16]);
        cipher.encrypt_block(&mut block);
        let number = u128::from_be_bytes(block.into());
        // Doubling in GF(2^128).
        let carry = if number >> 127 == 1 { 0x87 } else { 0 };
        Self {
            cipher,
            subkey: ((number << 1) ^ carry).to_be_bytes(),
        }
    }

    /// Seals in place what stands in `buffer` behind [`NONCE`](Self::NONCE) bytes of room; the nonce is written there and
    /// the tag appended.
    pub(crate) fn seal(&self, associated: &[u8], buffer: &mut Vec<u8>) {
        let nonce: [u8; Self::NONCE] = random();
        buffer[..Self::NONCE].copy_from_slice(&nonce);
        let sealed = UnboundKey::new(&AES_256_GCM, &self.message_key(&nonce)).and_then(|key| {
            LessSafeKey::new(key).seal_in_place_separate_tag(
                message_nonce(&nonce),
                Aad::from(associated),
                &mut buffer[Self::NONCE..],
            )
        });
        // It fails for more than 64 GiB, which no store takes.
        let Ok(tag) = sealed else {
            unreachable!("the key's length is fixed, and no session is that long");
        };
        buffer.extend_from_slice(tag.as_ref());
    }

    /// What was sealed, or `None` when it was not sealed with this key and `associated`, or has been changed.
    pub(crate) fn open(&self, associated: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, ciphertext) = sealed.split_first_chunk::<{ Self::NONCE }>()?;
        let (ciphertext, tag) = ciphertext.split_last_chunk::<{ Self::TAG }>()?;
        // As long as it has to be, so that it becomes `Bytes` as it is.
        let mut buffer = ciphertext.to_vec();
        // The key is large: made where it is used, it is not moved about.
        let key = UnboundKey::new(&AES_256_GCM, &self.message_key(nonce)).ok()?;
        LessSafeKey::new(key)
            .open_in_place_separate_tag(
                message_nonce(nonce),
                Aad::from(associated),
                Tag::from(*tag),
                &mut buffer,
                0..,
            )
            .ok()?;
        Some(buffer)
    }

    /// The key of the message with this nonce.
    fn message_key(&self, nonce: &[u8; Self::NONCE]) -> [u8; 32] {
        let mut blocks = [1, 2].map(|counter| {
            let mut block = [0; 16];
            block[..4].copy_from_slice(&[0, counter, b'X', 0]);
            block[4..].copy_from_slice(&nonce[..12]);
            for (byte, mask) in block.iter_mut().zip(self.subkey) {
                *byte ^= mask;
            }
            Array::from(block)
        });
        // Both in one call: each call prepares the key for the widest registers that there are.
        self.cipher.encrypt_blocks(&mut blocks);
        let mut key = [0; 32];
        key[..16].copy_from_slice(&blocks[0]);
        key[16..].copy_from_slice(&blocks[1]);
        key
    }
}

/// What of a nonce the message's cipher sees.
fn message_nonce(nonce: &[u8; SealKey::NONCE]) -> Nonce {
    let mut half = [0; 12];
    half.copy_from_slice(&nonce[12..]);
    Nonce::assume_unique_for_key(half)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::id::to_hex;

    fn seal_with(key: u8, nonce: &[u8; 24], associated: &[u8], plaintext: &[u8]) -> String {
        let key = SealKey::new(&[key; 32]).message_key(nonce);
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).unwrap());
        let mut buffer = plaintext.to_vec();
        key.seal_in_place_append_tag(message_nonce(nonce), Aad::from(associated), &mut buffer)
            .unwrap();
        to_hex(&buffer)
    }

    /// The vectors of <https://c2sp.org/XAES-256-GCM>: one for each value of the subkey's carry.
    #[test]
    fn the_published_vectors() {
        let nonce = b"ABCDEFGHIJKLMNOPQRSTUVWX";
        assert_eq!(
            seal_with(1, nonce, b"", b"XAES-256-GCM"),
            "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"
        );
        assert_eq!(
            seal_with(3, nonce, b"c2sp.org/XAES-256-GCM", b"XAES-256-GCM"),
            "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"
        );
    }

    #[test]
    fn no_two_seals_have_the_same_nonce() {
        let key = SealKey::new(&[7; 32]);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..1000 {
            let mut sealed = vec![0; SealKey::NONCE];
            key.seal(b"here", &mut sealed);
            // Each half: the key of the message comes from the first, what its cipher sees is the second.
            assert!(seen.insert(sealed[..12].to_vec()));
            assert!(seen.insert(sealed[12..SealKey::NONCE].to_vec()));
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let key = SealKey::new(&[7; 32]);
        let mut sealed = vec![0; SealKey::NONCE];
        sealed.extend_from_slice(b"a cart with a book");
        key.seal(b"here", &mut sealed);
        assert_eq!(key.open(b"here", &sealed).unwrap(), b"a cart with a book");
        assert!(key.open(b"there", &sealed).is_none());
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(key.open(b"here", &flipped).is_none(), "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert!(key.open(b"here", &sealed[..length]).is_none());
        }
    }
}
