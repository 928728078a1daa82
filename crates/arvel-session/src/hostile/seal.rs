//! The seal, around a stored record and around a cookie's payload.

use bytes::Bytes;

use super::{COOKIE, Input, PREVIOUS, SECRET, context, token::decode};
use crate::{
    Time,
    lifecycle::Context,
    record::{Age, Body, BodyWriter, Entry, Key, Keyring, Kind, Meta, Record, Revision},
};

/// Opens what was sealed here and then spoiled, or what was never sealed: only what is as it was made is opened, at its own
/// place, under a key that is accepted.
///
/// The first byte says where (in a store that seals, in one that does not, in a browser) and what.
pub fn seal(data: &[u8]) {
    let mut input = Input(data);
    let choice = input.byte();
    let cx = match choice % 3 {
        0 => context(true, true),
        1 => context(true, false),
        _ => context(false, true),
    };
    match choice / 3 % 3 {
        0 => never_sealed(&cx, input.0),
        1 => sealed_and_spoiled(&cx, &mut input),
        _ => payload(input.0),
    }
}

/// Nobody who has not the key makes anything that is opened.
fn never_sealed(cx: &Context, bytes: &[u8]) {
    let Ok(record) = Record::decode(Bytes::copy_from_slice(bytes)) else {
        return;
    };
    let opened = cx.disclose(&Key::NONE, &record).is_some();
    let readable = record.kind == Kind::Plain && !cx.rules.seal;
    assert_eq!(opened, readable && Body::parse(record.body).is_some());
}

/// Whose key sealed a record, and as how old it counts.
fn signer(choice: u8) -> (Keyring, Option<Age>) {
    match choice % 5 {
        0 => (Keyring::new(&PREVIOUS, [], COOKIE), Some(Age::Previous)),
        1 => (Keyring::new(&[1; 32], [], COOKIE), None),
        2 => (Keyring::new(&SECRET, [], "another_cookie"), None),
        _ => (Keyring::new(&SECRET, [], COOKIE), Some(Age::Current)),
    }
}

fn sealed_and_spoiled(cx: &Context, input: &mut Input<'_>) {
    let (keys, age) = signer(input.byte());
    // What is stored is sealed, also by a process that has only just stopped sealing.
    let mut maker = context(cx.capabilities.server_side, true);
    maker.keys = keys;
    let key = Key::new(input.array(), input.array());
    let (revision, expires) = (Revision::from_u64(input.number()), input.number());
    let body = body(input);
    let mut room = vec![0; maker.room()];
    room.extend_from_slice(&body);
    let record = maker.enclose(&key, revision, Time::from_millis(expires), room);
    assert_eq!(record.kind, Kind::Sealed);

    let mut place = key.to_bytes();
    if input.byte() & 1 == 1 {
        place[usize::from(input.byte()) % Key::LEN] ^= input.byte();
    }
    let place = Key::from_bytes(&place).unwrap();
    let mut bytes = record.encode();
    input.spoil(&mut bytes);
    let Ok(found) = Record::decode(bytes.into()) else {
        return;
    };

    let here = place == key || !cx.capabilities.server_side;
    // In a store the expiry moves without the record being opened.
    let when = found.expires == record.expires || cx.capabilities.server_side;
    let whole =
        (found.kind, found.revision, &found.body) == (record.kind, record.revision, &record.body);
    let expected = age.filter(|_| here && when && whole).map(|age| (body, age));
    let opened = cx.disclose(&place, &found);
    if found.kind == Kind::Plain && !cx.rules.seal {
        assert_eq!(opened.is_some(), Body::parse(found.body).is_some());
        return;
    }
    let opened = opened.map(|(body, age)| (super::record::write(&body), age));
    assert_eq!(opened, expected);
}

/// Any body: the seal does not look into it.
fn body(input: &mut Input<'_>) -> Vec<u8> {
    let meta = Meta {
        created: Time::from_millis(input.number()),
        serial: 1,
        seed: [2; 16],
        earlier: [Revision::from_u64(3)].into_iter().collect(),
    };
    let mut writer = BodyWriter::new(0, 0, &meta, None);
    writer.entry(Entry {
        birth: None,
        key: "k",
        value: input.piece(),
    });
    writer.finish()
}

/// A payload's base64 has one form only, and one that no browser would keep is not looked at.
fn payload(value: &[u8]) {
    let cx = context(false, true);
    let fits = COOKIE.len() + value.len() <= 4096;
    let read = cx.read_payload(value);
    assert_eq!(read, decode(value).filter(|_| fits));
    if let Some(payload) = read {
        assert!(!cx.verifies(&payload), "nobody has sealed it");
    }
}
