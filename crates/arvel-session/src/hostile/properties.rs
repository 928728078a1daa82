//! Property tests: `Cookie` headers as browsers write them, and records of all that a session can hold.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header::COOKIE};
use proptest::{collection::vec, option, prelude::*, sample::select, test_runner::RngSeed};
use serde_json::{Map, Number, Value};

use super::{context, cookie::naive, record::check_body};
use crate::{
    Error, ErrorKind, SessionData, Time,
    cookie::values,
    record::{Age, Body, BodyWriter, Earlier, Key, Kind, Meta, Record, Revision},
    session::Draft,
};

/// A cookie as a browser keeps it (RFC 6265bis, 5.6): no control characters, no semicolon, nothing to trim, and a name that
/// has no equals sign and may be empty.
fn kept_cookie() -> impl Strategy<Value = (String, String)> {
    let name = prop_oneof![
        3 => Just("id".to_owned()),
        1 => Just("Id".to_owned()),
        1 => Just("ids".to_owned()),
        1 => Just(String::new()),
        2 => "[!-:<>-~]{1,6}",
        1 => "[!-:<>-~é€]([ -:<>-~é€]{0,6}[!-:<>-~é€])?",
    ];
    let value = prop_oneof![
        2 => Just(String::new()),
        2 => Just("id=1".to_owned()),
        3 => "[!-:<-~]{1,8}",
        2 => "[!-:<-~é€]([ -:<-~é€]{0,8}[!-:<-~é€])?",
    ];
    (name, value)
}

/// RFC 6265bis, 5.8.3: a name and an equals sign, where there is a name; the value; a semicolon and a space between two.
fn cookie_string(jar: &[(String, String)]) -> String {
    let pairs = jar.iter().map(|(name, value)| match &**name {
        "" => value.clone(),
        _ => format!("{name}={value}"),
    });
    pairs.collect::<Vec<_>>().join("; ")
}

/// What decides how a header is read.
const PARTS: [&str; 10] = ["id", "id=", "=", ";", "; ", " ", "\t", "\"", "x", "é"];

fn read(lines: &[String]) -> Vec<Vec<u8>> {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(COOKIE, HeaderValue::from_bytes(line.as_bytes()).unwrap());
    }
    values(&headers, "id").map(<[u8]>::to_vec).collect()
}

/// The same every time: it is the fuzzers that look for something new.
fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(1),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn every_cookie_that_a_browser_sends_is_found(jars in vec(vec(kept_cookie(), 0..6), 0..4)) {
        let lines: Vec<String> = jars.iter().map(|jar| cookie_string(jar)).collect();
        // A nameless cookie is sent as its value alone, which may look like ours: it is then one that does not verify.
        let ours = jars.iter().flatten().filter_map(|(name, value)| match &**name {
            "id" => Some(value.as_str()),
            "" => value.strip_prefix("id="),
            _ => None,
        });
        let ours: Vec<Vec<u8>> = ours.map(|value| value.as_bytes().to_vec()).collect();
        prop_assert_eq!(read(&lines), ours);
    }

    #[test]
    fn a_header_that_no_browser_sends_is_read_as_pairs_between_semicolons(
        lines in vec(vec(select(&PARTS[..]), 0..16), 0..4),
    ) {
        let lines: Vec<String> = lines.iter().map(|parts| parts.concat()).collect();
        let bytes: Vec<&[u8]> = lines.iter().map(String::as_bytes).collect();
        prop_assert_eq!(read(&lines), naive(&bytes, "id"));
    }
}

/// Any JSON that may be put, numbers of all kinds included.
fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        // NaN and the infinities are refused where they are put.
        any::<f64>().prop_filter_map("a number", |number| Number::from_f64(number)
            .map(Value::Number)),
        any::<String>().prop_map(Value::String),
    ];
    leaf.prop_recursive(6, 48, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::Array),
            vec((any::<String>(), inner), 0..6)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

/// What a session holds: data and flash by key, and a user.
#[derive(Clone, Debug)]
struct Content {
    data: Map<String, Value>,
    flash: Map<String, Value>,
    user: Option<String>,
    earlier: Vec<u64>,
}

fn content() -> impl Strategy<Value = Content> {
    let values = || vec((any::<String>(), json()), 0..5);
    let parts = (
        values(),
        values(),
        option::of(any::<String>()),
        vec(any::<u64>(), 0..4),
    );
    parts.prop_map(|(data, flash, user, earlier)| Content {
        data: data.into_iter().collect(),
        flash: flash.into_iter().collect(),
        user,
        earlier,
    })
}

/// The body that a commit stores of it.
fn stored(content: &Content, room: usize) -> Vec<u8> {
    let session = SessionData::fake();
    for (key, value) in &content.data {
        session.put(key.as_str(), value).unwrap();
    }
    for (key, value) in &content.flash {
        session.flash(key.as_str(), value).unwrap();
    }
    session.set_user(content.user.as_ref());
    let earlier: Earlier = content
        .earlier
        .iter()
        .copied()
        .map(Revision::from_u64)
        .collect();
    let meta = Meta {
        created: Time::from_millis(5),
        serial: 6,
        seed: [7; 16],
        earlier,
    };
    let state = session.state();
    state
        .draft
        .encode(room, &meta, Revision::from_u64(8), false)
}

/// What the next request's handler sees of a body, and what is not for its eyes.
fn shown(body: Body) -> Content {
    let parsed = |json: &[u8]| serde_json::from_slice(json).unwrap();
    let flash = body
        .flash()
        .map(|entry| (entry.key.to_owned(), parsed(entry.value)));
    let (flash, user) = (flash.collect(), body.user().map(str::to_owned));
    let earlier = body.earlier().map(Revision::as_u64).collect();
    let draft = Draft::new(Some(body), None);
    let data = draft
        .all_data()
        .map(|(key, json)| (key.to_owned(), parsed(json)));
    Content {
        data: data.collect(),
        flash,
        user,
        earlier,
    }
}

fn check_same(read: &Content, written: &Content) -> Result<(), TestCaseError> {
    prop_assert_eq!(&read.data, &written.data);
    prop_assert_eq!(&read.flash, &written.flash);
    prop_assert_eq!(&read.user, &written.user);
    let kept = written.earlier.len().min(3);
    prop_assert_eq!(&read.earlier, &written.earlier[..kept]);
    Ok(())
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn what_is_stored_is_read_again(
        content in content(),
        revision in any::<u64>(),
        expires in any::<u64>(),
        place in any::<([u8; 2], [u8; 32])>(),
    ) {
        let key = Key::new(place.0, place.1);
        for cx in [context(true, true), context(true, false), context(false, true)] {
            let (revision, expires) = (Revision::from_u64(revision), Time::from_millis(expires));
            let body = stored(&content, cx.room());
            let record = cx.enclose(&key, revision, expires, body);
            let encoded = record.encode();
            prop_assert_eq!(encoded.len(), record.encoded_len());
            let read = Record::decode(encoded.clone().into()).unwrap();
            prop_assert_eq!(&read, &record);
            let (body, age) = cx.disclose(&key, &read).unwrap();
            prop_assert_eq!(age, Age::Current);
            check_same(&shown(body), &content)?;
        }
    }

    #[test]
    fn a_body_that_ends_too_soon_is_shorter_by_whole_entries_or_is_none(content in content()) {
        let body = stored(&content, 0);
        for length in 0..=body.len() {
            check_body(&body[..length]);
        }
    }

    #[test]
    fn a_sealed_record_that_ends_too_soon_is_none(content in content()) {
        let cx = context(true, true);
        let (key, revision) = (Key::new([1; 2], [2; 32]), Revision::from_u64(3));
        let record = cx.enclose(&key, revision, Time::from_millis(4), stored(&content, cx.room()));
        let encoded = Bytes::from(record.encode());
        for length in 0..encoded.len() {
            match Record::decode(encoded.slice(..length)) {
                Ok(record) => prop_assert!(cx.disclose(&key, &record).is_none()),
                Err(error) => prop_assert_eq!(error.kind(), ErrorKind::Corrupt),
            }
        }
    }

    #[test]
    fn markers_are_read_as_they_were_written(
        successor in option::of(any::<([u8; 2], [u8; 32])>()),
        revision in any::<u64>(),
        expires in any::<u64>(),
    ) {
        let kind = successor.map_or(Kind::Destroyed, |(tag, hash)| {
            Kind::Regenerated(Key::new(tag, hash))
        });
        let (revision, expires) = (Revision::from_u64(revision), Time::from_millis(expires));
        let marker = Record::new(kind, revision, expires, Bytes::new());
        let encoded = Bytes::from(marker.encode());
        prop_assert_eq!(Record::decode(encoded.clone()).unwrap(), marker);
        // Neither kind is a part of the other, nor of itself.
        for length in 0..encoded.len() {
            let cut = Record::decode(encoded.slice(..length)).map_err(|error| error.kind());
            prop_assert_eq!(cut, Err(ErrorKind::Corrupt));
        }
    }

    #[test]
    fn a_newer_version_is_an_error_whatever_follows(
        version in 2..=u8::MAX,
        rest in vec(any::<u8>(), 0..80),
    ) {
        let bytes = [&[version][..], &rest].concat();
        let is_record = bytes.len() >= Record::HEADER;
        let kind = Record::decode(bytes.into()).map_err(|error: Error| error.kind());
        let expected = match version {
            2..=15 if is_record => ErrorKind::NewerFormat,
            _ => ErrorKind::Corrupt,
        };
        prop_assert_eq!(kind, Err(expected));
    }
}

/// Up to the limits: a value of 127 levels, a key and a value of a mebibyte, thousands of keys.
#[test]
fn the_largest_and_the_deepest_are_read_again() {
    let deep = (0..127).fold(Value::from(1), |inner, _| Value::Array(vec![inner]));
    let long = "€".repeat(350_000);
    let many = (0..5_000).map(|number| (number.to_string(), Value::from(number)));
    for data in [
        Map::from_iter([("deep".to_owned(), deep)]),
        Map::from_iter([(long.clone(), Value::from(long))]),
        many.collect(),
    ] {
        let content = Content {
            flash: data.clone(),
            data,
            user: Some("ü".repeat(100)),
            earlier: vec![u64::MAX, 0, 1],
        };
        let body = Body::parse(stored(&content, 0)).unwrap();
        check_same(&shown(body), &content).unwrap();
    }
}

/// Lengths of one byte, of two, and so on to the longest that can be written down.
#[test]
fn every_length_of_a_length_is_read_in_its_shortest_form_alone() {
    for (length, encoded) in [
        (0, &[0][..]),
        (127, &[0x7f]),
        (128, &[0x80, 1]),
        (16_383, &[0xff, 0x7f]),
        (16_384, &[0x80, 0x80, 1]),
        (2_097_152, &[0x80, 0x80, 0x80, 1]),
    ] {
        let meta = Meta {
            created: Time::from_millis(0),
            serial: 0,
            seed: [0; 16],
            earlier: Earlier::default(),
        };
        let user = "u".repeat(length);
        let body = BodyWriter::new(0, 0, &meta, Some(&user)).finish();
        assert_eq!(&body[33..33 + encoded.len()], encoded);
        assert_eq!(Body::parse(body.clone()).unwrap().user(), Some(&*user));
        // One byte more says the same, or would.
        let (last, others) = encoded.split_last().unwrap();
        let longer = [
            &body[..33],
            others,
            &[last | 0x80, 0],
            &body[33 + encoded.len()..],
        ];
        assert!(Body::parse(longer.concat()).is_none());
    }
}
