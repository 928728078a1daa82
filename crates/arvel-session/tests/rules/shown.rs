//! What `Debug` shows: what a thing is, and nothing that lets anybody in (R19).

use arvel_session::{
    Key as Named, Secret, SessionConfig, SessionData, Time,
    store::{Key, Kind, Record, Revision},
};

#[test]
fn debug_says_what_it_is_and_shows_no_secret() {
    let secret = "a secret that is long enough for this";
    let config = SessionConfig::new()
        .secret_key(secret.parse::<Secret>().unwrap())
        .redis_url("redis://:hunter2@cache");
    for (shown, part) in [
        (format!("{config:?}"), "cookie_name"),
        (format!("{:?}", config.settings()), "cookie_name"),
        (
            format!("{:?}", secret.parse::<Secret>().unwrap()),
            "Secret(***)",
        ),
    ] {
        assert!(shown.contains(part), "{shown}");
        assert!(
            !shown.contains(secret) && !shown.contains("hunter2"),
            "{shown}"
        );
    }
}

#[test]
fn debug_of_a_session_and_its_record_shows_no_content() {
    let session = SessionData::fake().with("card", "4111 1111");
    assert_eq!(format!("{session:?}"), "SessionData(…)");
    assert_eq!(
        format!("{:?}", Named::<u8>::new("visits")),
        "Key(\"visits\")"
    );

    let revision = Revision::from_u64(0xab);
    assert_eq!(format!("{revision:?}"), "Revision(00000000000000ab)");
    assert_eq!(format!("{:?}", Key::new([0; 2], [0xcd; 32])), "Key(cdcd…)");
    let record = Record::new(Kind::Plain, revision, Time::from_millis(5), "4111 1111");
    let shown = format!("{record:?}");
    assert!(
        shown.contains("Plain") && shown.contains("9 bytes"),
        "{shown}"
    );
    assert!(!shown.contains("4111"), "{shown}");
}
