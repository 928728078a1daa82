//! A handle without a layer: what is read of several keys, and what a test of a handler can ask.

use arvel_session::{ErrorKind, Secret, SessionConfig, SessionData};
use serde_json::{Value, json};

#[test]
fn only_and_except_part_everything_in_two() {
    let session = SessionData::fake().with("a", 1).with("b", 2).with("c", 3);
    let only = session.only(["a", "c", "absent"]).unwrap();
    assert_eq!(Value::Object(only), json!({"a": 1, "c": 3}));
    let except = session.except(["a", "c", "absent"]).unwrap();
    assert_eq!(Value::Object(except), json!({"b": 2}));
}

#[test]
fn a_fake_holds_one_value_and_one_flash_of_a_name() {
    let session = SessionData::fake()
        .with("k", "old")
        .with_flash("k", "flash")
        .with("k", "new");
    assert_eq!(
        session.get::<String>("k").unwrap().as_deref(),
        Some("flash")
    );
    session.forget("k");
    assert_eq!(session.keys(), Vec::<String>::new());

    let session = SessionData::fake().with("k", "old").with("k", "new");
    assert_eq!(session.get::<String>("k").unwrap().as_deref(), Some("new"));
}

#[test]
fn a_fake_that_discards_is_as_it_was_made() {
    let session = SessionData::fake().with("k", 1).with_flash("f", 1);
    session.put("k", 2).unwrap();
    session.put("n", 2).unwrap();
    session.discard();
    let all = Value::Object(session.all().unwrap());
    assert_eq!(all, json!({"k": 1, "f": 1}));
}

#[test]
fn what_another_key_held_before_is_a_change_all_the_same() {
    let session = SessionData::fake().with("a", 1).with("b", 2);
    session.put("a", 2).unwrap();
    session.put("b", 2).unwrap();
    assert_eq!(Value::Object(session.changes()), json!({"a": 2}));
}

#[test]
fn a_fakes_token_is_like_any_other() {
    let session = SessionData::fake();
    let token = session.token();
    assert_eq!(token.len(), 43);
    assert_eq!(session.token(), token);
    assert!(session.verify_token(&token));
    assert!(!session.verify_token("another"));
    let next = session.regenerate_token();
    assert_ne!(next, token);
    assert!(session.verify_token(&next) && !session.verify_token(&token));
    assert!(!session.is_detached());
}

#[test]
fn a_value_of_another_type_is_named_by_its_kind() {
    for (value, kind) in [
        (json!({"a": 1}), "a map"),
        (json!([1]), "a list"),
        (json!("text"), "a text"),
        (json!(true), "a boolean"),
        (json!(false), "a boolean"),
        (json!(null), "null"),
        (json!(-1), "a number"),
        (json!(7), "a number"),
    ] {
        let session = SessionData::fake().with("k", value);
        let error = session.get::<std::net::IpAddr>("k").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Type);
        assert!(
            error.to_string().ends_with(&format!("found {kind}")),
            "{error}"
        );
    }
}

#[test]
fn each_place_of_a_driver_is_set_by_its_setter() {
    let config = SessionConfig::new()
        .driver("redis")
        .redis_url("redis://cache")
        .redis_prefix("shop:")
        .database_url("sqlite://sessions.sqlite")
        .database_table("web.sessions");
    let settings = config.settings();
    assert_eq!(settings.driver, "redis");
    assert_eq!(settings.redis_url.as_str(), "redis://cache");
    assert_eq!(settings.redis_prefix, "shop:");
    assert_eq!(settings.database_table, "web.sessions");
    assert_eq!(
        settings.database_url().unwrap().as_str(),
        "sqlite://sessions.sqlite"
    );
    let none = config.database_url("");
    assert_eq!(
        none.settings().database_url().unwrap_err().kind(),
        ErrorKind::Config
    );

    let secret = Secret::generate().to_setting();
    assert!(secret.starts_with("base64:"));
    assert_eq!(secret.parse::<Secret>().unwrap().to_setting(), secret);
}
