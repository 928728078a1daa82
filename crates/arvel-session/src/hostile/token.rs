//! The signed token: a cookie's value in, an id out, or nothing.

use ring::hmac::{self, HMAC_SHA256};

use super::{COOKIE, Input, PREVIOUS, SECRET, keys, previous_keys};
use crate::{
    Time,
    record::{Age, Id, Token},
};

const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Reads a cookie's value, and compares with the naive reading: the same values are accepted, as the same session, and
/// each in the one form in which we write it.
///
/// The first byte says whether the value follows as it stands, or what was signed, and how it was spoiled afterwards.
pub fn token(data: &[u8]) {
    let mut input = Input(data);
    match input.byte() % 4 {
        0 => check(input.0),
        // Another version, another time, another id, well signed.
        1 => {
            let message: [u8; 31] = input.array();
            let signature = keys().sign(&message);
            check(encode(&[&message[..], &signature].concat()).as_bytes());
        }
        // Ours, spoiled on the way: in its base64, or before.
        2 => {
            let mut value = issue(&mut input).into_bytes();
            input.spoil(&mut value);
            check(&value);
        }
        _ => {
            let mut bytes = decode(issue(&mut input).as_bytes()).unwrap();
            input.spoil(&mut bytes);
            check(encode(&bytes).as_bytes());
        }
    }
}

/// A token of ours, under the current key or the previous one.
fn issue(input: &mut Input<'_>) -> String {
    let keys = if input.byte() & 1 == 0 {
        keys()
    } else {
        previous_keys()
    };
    let id = Id::from_bytes(input.array());
    Token::issue(id, Time::from_millis(input.number())).encode(&keys)
}

fn check(value: &[u8]) {
    let read = Token::decode(value, &keys());
    let fields = read.map(|token| (*token.id.as_bytes(), token.issued, token.age));
    assert_eq!(fields, naive(value));
    if let Some(token) = read {
        let signer = match token.age {
            Age::Current => keys(),
            Age::Previous => previous_keys(),
        };
        assert_eq!(token.encode(&signer).as_bytes(), value, "in one form only");
    }
}

/// What `docs/format.md` says, step by step.
fn naive(value: &[u8]) -> Option<([u8; 26], u32, Age)> {
    let bytes: [u8; 63] = decode(value)?.try_into().ok()?;
    let secrets = [(SECRET, Age::Current), (PREVIOUS, Age::Previous)];
    let signed =
        |(secret, _): &([u8; 32], Age)| hmac(&derive(secret, "token"), &bytes[..31]) == bytes[31..];
    let (_, age) = secrets.into_iter().find(signed)?;
    let issued = u32::from_be_bytes(bytes[1..5].try_into().unwrap());
    let id = bytes[5..31].try_into().unwrap();
    (bytes[0] == 1).then_some((id, issued, age))
}

/// HKDF-SHA256 (RFC 5869) by hand: no salt is 32 zeros, and 32 bytes are its first block.
fn derive(secret: &[u8], purpose: &str) -> [u8; 32] {
    let info = format!("arvel-session v1 {purpose} {COOKIE}\u{1}");
    hmac(&hmac(&[0; 32], secret), info.as_bytes())
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let tag = hmac::sign(&hmac::Key::new(HMAC_SHA256, key), message);
    tag.as_ref().try_into().unwrap()
}

fn encode(bytes: &[u8]) -> String {
    let digits = bytes.chunks(3).flat_map(|chunk| {
        let mut three = [0; 3];
        three[..chunk.len()].copy_from_slice(chunk);
        let bits = three
            .iter()
            .fold(0_usize, |bits, b| bits << 8 | usize::from(*b));
        let digits = [18, 12, 6, 0].map(|shift| ALPHABET[bits >> shift & 63]);
        digits.into_iter().take(chunk.len() + 1)
    });
    digits.map(char::from).collect()
}

/// RFC 4648, section 5, without padding, and without a bit that means nothing.
pub(super) fn decode(value: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let (mut bits, mut held) = (0_u32, 0);
    for digit in value {
        let six = ALPHABET.iter().position(|known| known == digit)?;
        bits = bits << 6 | u32::try_from(six).ok()?;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).ok()?);
            bits &= (1 << held) - 1;
        }
    }
    (bits == 0 && held < 6).then_some(bytes)
}
