//! Values as JSON text: what bindings of other languages call does what the typed methods of the same names do.

use arvel_session::{ErrorKind, Result, SessionData};
use serde_json::json;

fn text(session: &SessionData, key: &str) -> Option<String> {
    let text = session.get_text(key)?;
    Some(String::from_utf8(text).unwrap())
}

#[test]
fn a_text_is_the_value_that_it_says() {
    let session = SessionData::fake().with("typed", ["a"]);
    session.put_text("text", " [1, 2] ").unwrap();
    assert_eq!(session.get::<Vec<u8>>("text").unwrap(), Some(vec![1, 2]));
    assert_eq!(text(&session, "text").as_deref(), Some("[1, 2]"));
    assert_eq!(text(&session, "typed").as_deref(), Some(r#"["a"]"#));
    assert_eq!(text(&session, "absent"), None);

    session.push_text("text", "3").unwrap();
    session.push_text("new", "\"b\"").unwrap();
    assert_eq!(session.get::<Vec<u8>>("text").unwrap(), Some(vec![1, 2, 3]));
    assert_eq!(text(&session, "new").as_deref(), Some(r#"["b"]"#));
}

#[test]
fn all_texts_are_what_can_be_read_sorted_by_key() {
    let session = SessionData::fake()
        .with("b", 1)
        .with("a", 2)
        .with("shadowed", "data")
        .with_flash("shadowed", "flash");
    session.now_text("b", "3").unwrap();
    let all = session.all_texts().into_iter();
    let all: Vec<_> = all
        .map(|(key, text)| (key, String::from_utf8(text).unwrap()))
        .collect();
    let pair = |key: &str, text: &str| (key.to_owned(), text.to_owned());
    let expected = [
        pair("a", "2"),
        pair("b", "3"),
        pair("shadowed", "\"flash\""),
    ];
    assert_eq!(all, expected);
}

#[test]
fn pulling_a_text_takes_it_away() {
    let session = SessionData::fake().with("k", 7);
    assert_eq!(session.pull_text("k").as_deref(), Some(&b"7"[..]));
    assert_eq!(session.pull_text("k"), None);
    assert!(session.missing("k"));
}

#[test]
fn a_text_to_be_remembered_changes_nothing_that_is_there() {
    let session = SessionData::fake().with("there", 1);
    session.remember_text("there", "2").unwrap();
    session.remember_text("absent", "3").unwrap();
    assert_eq!(
        session.changes(),
        *json!({"absent": 3}).as_object().unwrap()
    );
}

#[test]
fn a_text_for_the_next_request_is_not_for_this_one_and_the_other_way_round() {
    let session = SessionData::fake();
    session.flash_text("next", "1").unwrap();
    session.now_text("this", "2").unwrap();
    assert_eq!(text(&session, "next"), None);
    assert_eq!(text(&session, "this").as_deref(), Some("2"));
    assert_eq!(session.flashed(), *json!({"next": 1}).as_object().unwrap());
    assert!(session.changes().is_empty());
}

#[test]
fn an_update_sees_the_present_text_and_its_error_is_handed_on() {
    let session = SessionData::fake().with("k", 1);
    let longer = |before: Option<&[u8]>| {
        let before = String::from_utf8_lossy(before.unwrap_or(b"none"));
        Ok(format!("[{before}]"))
    };
    assert_eq!(&*session.update_text("k", longer).unwrap(), "[1]");
    assert_eq!(text(&session, "k").as_deref(), Some("[1]"));
    assert_eq!(
        session.update_text("absent", longer).unwrap_err().kind(),
        ErrorKind::Value,
        "[none] is no JSON"
    );

    let refuse = |_: Option<&[u8]>| -> Result<String> {
        Err(SessionData::fake().put_text("inner", "[").unwrap_err())
    };
    let error = session.update_text("k", refuse).unwrap_err();
    assert!(error.to_string().contains("inner"), "{error}");
    assert_eq!(text(&session, "k").as_deref(), Some("[1]"));
}

#[test]
fn what_is_no_json_or_too_deep_is_refused_and_changes_nothing() {
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let session = SessionData::fake();
    session.put_text("deep", &nested(127)).unwrap();
    session.push_text("deeper", &nested(126)).unwrap();
    session.discard();

    let refused = |result: Result<()>| {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Value);
    };
    for bad in ["", "[", "nil", "1 2", "NaN", &nested(128)] {
        refused(session.put_text("k", bad));
        refused(session.push_text("k", bad));
        refused(session.remember_text("k", bad));
        refused(session.flash_text("k", bad));
        refused(session.now_text("k", bad));
    }
    refused(session.push_text("k", &nested(127)));
    assert!(session.all_texts().is_empty());
    assert!(session.changes().is_empty() && session.flashed().is_empty());
}
