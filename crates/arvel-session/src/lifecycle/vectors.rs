//! The test vectors of `docs/format.md`, read from there.

use std::collections::BTreeMap;

use crate::{
    Time,
    hostile::context,
    record::{Body, BodyWriter, Entry, Id, Kind, Meta, Record, Revision, Token, to_hex},
};

fn vectors() -> BTreeMap<&'static str, &'static str> {
    let document = include_str!("../../../../docs/format.md");
    let (_, vectors) = document.split_once("```text\n").unwrap();
    let lines = vectors.lines().take_while(|line| !line.starts_with("```"));
    lines.map(|line| line.split_once(" = ").unwrap()).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = (0..hex.len()).step_by(2);
    digits
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

fn body() -> Vec<u8> {
    let meta = Meta {
        created: Time::from_millis(1_790_000_000_000),
        serial: 2,
        seed: [7; 16],
        earlier: [Revision::from_u64(3)].into_iter().collect(),
    };
    let mut writer = BodyWriter::new(0, 64, &meta, Some("ada"));
    for (birth, key, value) in [
        (None, "n", "1"),
        (Some(Revision::from_u64(1)), "status", "\"hi\""),
    ] {
        let value = value.as_bytes();
        writer.entry(Entry { birth, key, value });
    }
    writer.finish()
}

/// Another language reads and writes what the document says, so we must too.
#[test]
fn the_documents_vectors() {
    let vectors = vectors();
    let cx = context(true, true);
    let id = Id::from_bytes(std::array::from_fn(|at| u8::try_from(at).unwrap()));
    let token = Token::issue(id, Time::from_millis(1_790_000_000_000));
    assert_eq!(vectors["token"], token.encode(&cx.keys));
    assert_eq!(vectors["key"], id.key().hex());
    assert_eq!(vectors["csrf token"], cx.keys.csrf_token(&[7; 16]));
    assert_eq!(vectors["body"], to_hex(&body()));

    let (revision, expires) = (Revision::from_u64(1), Time::from_millis(1_790_007_200_000));
    let plain = Record::new(Kind::Plain, revision, expires, body());
    assert_eq!(vectors["plain record"], to_hex(&plain.encode()));
    let marker = Record::new(Kind::Regenerated(id.key()), revision, expires, Vec::new());
    assert_eq!(vectors["regenerated marker"], to_hex(&marker.encode()));
    let marker = Record::new(Kind::Destroyed, revision, expires, Vec::new());
    assert_eq!(vectors["destroyed marker"], to_hex(&marker.encode()));

    for (name, server_side) in [("sealed record", true), ("sealed cookie", false)] {
        let sealed = Record::decode(bytes(vectors[name]).into()).unwrap();
        assert_eq!((sealed.revision, sealed.expires), (revision, expires));
        let (opened, _) = context(server_side, true)
            .disclose(&id.key(), &sealed)
            .unwrap();
        assert_eq!(opened.user(), Some("ada"));
        assert_eq!(opened.serial(), 2);
        let entries: Vec<_> = opened
            .entries()
            .map(|entry| (entry.key, entry.value))
            .collect();
        assert_eq!(entries, [("n", &b"1"[..]), ("status", b"\"hi\"")]);
        assert!(
            context(!server_side, true)
                .disclose(&id.key(), &sealed)
                .is_none()
        );
    }
    assert!(Body::parse(bytes(vectors["body"])).is_some());
}
