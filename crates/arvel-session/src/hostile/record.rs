//! Stored records, their bodies, and the values in them.

use bytes::Bytes;
use serde_json::Value;

use super::Input;
use crate::{
    ErrorKind, SessionData, Time,
    record::{Body, BodyWriter, Entry, Key, Kind, Meta, Record, Revision},
};

/// How many of its keys are asked for one by one: for each the whole body is read several times, and an input may be
/// nothing but keys, a thousand of them.
const ASKED: usize = 12;

/// Reads a record and a body, and compares with the naive reading. What is read is written again, to the same bytes; then
/// a handler works on it, and what is stored afterwards is read once more.
pub fn record(data: &[u8]) {
    check_record(data);
    check_body(data);
    if let Ok(record) = Record::decode(Bytes::copy_from_slice(data))
        && record.kind == Kind::Plain
    {
        check_body(&record.body);
    }
}

fn check_record(bytes: &[u8]) {
    let read = Record::decode(Bytes::copy_from_slice(bytes));
    let read = read.map_err(|error| error.kind());
    assert_eq!(read, naive_record(bytes));
    if let Ok(record) = read {
        assert_eq!(record.encode(), bytes);
        assert_eq!(record.encoded_len(), bytes.len());
        assert_eq!(Record::revision_of(bytes), Some(record.revision));
        assert_eq!(
            bytes[Record::KIND_AT] < Record::FIRST_MARKER,
            record.kind.is_live()
        );
    }
}

/// The table of `docs/format.md`.
fn naive_record(bytes: &[u8]) -> Result<Record, ErrorKind> {
    let [version, kind, rest @ ..] = bytes else {
        return Err(ErrorKind::Corrupt);
    };
    if rest.len() < 16 {
        return Err(ErrorKind::Corrupt);
    }
    let mut rest = Input(rest);
    let (revision, expires) = (rest.number(), rest.number());
    let tail = rest.0;
    let (kind, body) = match (version, kind) {
        (2..=15, _) => return Err(ErrorKind::NewerFormat),
        (1, 1) => (Kind::Plain, tail),
        (1, 2) => (Kind::Sealed, tail),
        (1, 16) if tail.len() == 34 => {
            let hash = tail[2..].try_into().unwrap();
            (
                Kind::Regenerated(Key::new([tail[0], tail[1]], hash)),
                &[][..],
            )
        }
        (1, 17) if tail.is_empty() => (Kind::Destroyed, tail),
        _ => return Err(ErrorKind::Corrupt),
    };
    let (revision, expires) = (Revision::from_u64(revision), Time::from_millis(expires));
    Ok(Record::new(kind, revision, expires, body.to_vec()))
}

/// A body, taken apart.
#[derive(Debug, PartialEq, Eq)]
struct Plain {
    created: u64,
    serial: u64,
    seed: [u8; 16],
    earlier: Vec<u64>,
    user: Option<String>,
    entries: Vec<(Option<u64>, String, Vec<u8>)>,
}

pub(super) fn check_body(bytes: &[u8]) {
    let body = Body::parse(bytes.to_vec());
    assert_eq!(body.as_ref().map(plain), naive_body(bytes));
    let Some(body) = body else { return };
    assert_eq!(write(&body), bytes, "in one form only");
    check_reading(&body);
    check_pieces(&body);
    check_session(&body);
}

fn plain(body: &Body) -> Plain {
    Plain {
        created: body.created().as_millis(),
        serial: body.serial(),
        seed: body.seed(),
        earlier: body.earlier().map(Revision::as_u64).collect(),
        user: body.user().map(str::to_owned),
        entries: body.entries().map(owned).collect(),
    }
}

fn owned(entry: Entry<'_>) -> (Option<u64>, String, Vec<u8>) {
    let birth = entry.birth.map(Revision::as_u64);
    (birth, entry.key.to_owned(), entry.value.to_vec())
}

/// The two tables of `docs/format.md`, read by an index.
fn naive_body(bytes: &[u8]) -> Option<Plain> {
    let mut at = 0;
    let mut next = |length: usize| {
        let piece = bytes.get(at..)?.get(..length)?;
        at += length;
        Some(piece)
    };
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    let number = |bytes: &[u8]| bytes.iter().fold(0, |sum, b| sum << 8 | u64::from(*b));
    let flags = next(1)?[0];
    if flags >= 8 {
        return None;
    }
    let (created, serial) = (number(next(8)?), number(next(8)?));
    let seed = next(16)?.try_into().ok()?;
    let mut earlier = Vec::new();
    for _ in 0..flags % 4 {
        earlier.push(number(next(8)?));
    }
    let mut user = None;
    if flags >= 4 {
        let length = varint(&mut next)?;
        user = Some(text(next(length)?)?);
    }
    let mut entries = Vec::new();
    while let Some(kind) = next(1) {
        let birth = match kind[0] {
            0 => None,
            1 => Some(number(next(8)?)),
            _ => return None,
        };
        let (key, value) = (varint(&mut next)?, varint(&mut next)?);
        entries.push((birth, text(next(key)?)?, next(value)?.to_vec()));
    }
    Some(Plain {
        created,
        serial,
        seed,
        earlier,
        user,
        entries,
    })
}

/// LEB128, in five bytes at most, and in no more of them than it needs.
fn varint<'a>(next: &mut impl FnMut(usize) -> Option<&'a [u8]>) -> Option<usize> {
    let mut number = 0;
    for place in 0..5 {
        let byte = next(1)?[0];
        number += usize::from(byte % 128) << (7 * place);
        if byte < 128 {
            return (byte > 0 || place == 0).then_some(number);
        }
    }
    None
}

pub(super) fn write(body: &Body) -> Vec<u8> {
    let meta = meta(body);
    let mut writer = BodyWriter::new(0, 0, &meta, body.user());
    body.entries().for_each(|entry| writer.entry(entry));
    writer.finish()
}

/// The several ways to look at the entries say the same.
fn check_reading(body: &Body) {
    let entries: Vec<_> = body.entries().map(owned).collect();
    let (flash, data): (Vec<_>, Vec<_>) = entries
        .iter()
        .cloned()
        .partition(|(birth, ..)| birth.is_some());
    assert_eq!(body.data().map(owned).collect::<Vec<_>>(), data);
    assert_eq!(body.flash().map(owned).collect::<Vec<_>>(), flash);
    assert_eq!(body.has_flash(), !flash.is_empty());
    for (_, key, _) in entries.iter().take(ASKED) {
        let first = data.iter().find(|(_, other, _)| other == key);
        assert_eq!(body.get(key), first.map(|(.., value)| &value[..]));
    }
}

/// Copying in pieces leaves out what was not to be kept, and nothing else.
fn check_pieces(body: &Body) {
    let keeps = |key: &[u8], value: &[u8]| (key.len() + value.len()).is_multiple_of(2);
    let meta = meta(body);
    let mut one_by_one = BodyWriter::new(0, 0, &meta, body.user());
    body.entries()
        .filter(|entry| keeps(entry.key.as_bytes(), entry.value))
        .for_each(|entry| one_by_one.entry(entry));
    let mut in_pieces = BodyWriter::new(0, 0, &meta, body.user());
    body.pieces(|entry| keeps(entry.key, entry.value))
        .for_each(|piece| in_pieces.piece(piece));
    assert_eq!(in_pieces.finish(), one_by_one.finish());
}

/// A handler on this body: whatever the values are, each call has an answer, and what is stored then is a body again.
fn check_session(body: &Body) {
    let session = SessionData::fake_of(Some(body.clone()));
    let entries = body.entries().take(ASKED);
    let keys: Vec<String> = entries.map(|entry| entry.key.to_owned()).collect();
    let all = session.all();
    for key in &keys {
        let value = session.get::<Value>(key.as_str());
        assert_eq!(session.has(key.as_str()), session.keys().contains(key));
        // We never write a key twice; of two, either may be shown.
        if let (Ok(all), Ok(value), true) = (&all, value, stands_once(body, key)) {
            assert_eq!(all.get(key), value.as_ref(), "{key:?}");
        }
    }
    for (number, key) in keys.iter().enumerate() {
        let key = key.as_str();
        let before = stored(&session);
        let failed = match number % 5 {
            0 => session.increment(key, 1).is_err(),
            1 => session.push(key, number).is_err(),
            2 => session
                .update(key, move |_: Option<Value>| number.into())
                .is_err(),
            3 => session.pull::<Value>(key).is_err(),
            _ => session.put(key, number).is_err(),
        };
        if failed {
            assert_eq!(stored(&session), before, "what fails changes nothing");
        }
    }
    session.reflash();
    assert!(naive_body(&stored(&session)).is_some());
    session.flush();
    let emptied = naive_body(&stored(&session)).unwrap();
    assert_eq!((emptied.entries, emptied.user), (Vec::new(), None));
}

fn stands_once(body: &Body, key: &str) -> bool {
    let data = body.data().filter(|entry| entry.key == key).count();
    let flash = body.flash().filter(|entry| entry.key == key).count();
    data <= 1 && flash <= 1
}

/// What a commit would store now.
fn stored(session: &SessionData) -> Vec<u8> {
    let state = session.state();
    let meta = meta(state.draft.base().unwrap());
    state.draft.encode(0, &meta, Revision::from_u64(7), true)
}

fn meta(body: &Body) -> Meta {
    Meta {
        created: body.created(),
        serial: body.serial(),
        seed: body.seed(),
        earlier: body.earlier().collect(),
    }
}
