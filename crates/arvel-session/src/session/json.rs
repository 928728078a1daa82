//! Values as JSON text: made at `put`, parsed at `get`, and copied in between.

use std::{any::type_name, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};

use super::finite::Finite;
use crate::{Error, ErrorKind, Result};

/// A value's JSON text. Clones share it: the journal and the view hold the same one.
pub(crate) type Json = Arc<str>;

/// How deep a value may be nested: one less than what JSON parsers commonly stop at.
const MAX_DEPTH: usize = 127;

/// The JSON of a value that stands `inside` so many lists already.
pub(crate) fn to_json<T: Serialize + ?Sized>(key: &str, value: &T, inside: usize) -> Result<Json> {
    let mut text = Vec::with_capacity(64);
    let mut serializer = serde_json::Serializer::new(&mut text);
    // The cause is not kept: it may quote the value.
    value.serialize(Finite(&mut serializer)).map_err(|_| {
        let expected = "NaN, infinities and maps without text keys cannot be kept";
        refused(key, type_name::<T>(), expected)
    })?;
    let text = String::from_utf8(text)
        .map_err(|_| refused(key, type_name::<T>(), "it is not UTF-8 text"))?;
    check_depth(key, type_name::<T>(), &text, inside)?;
    Ok(text.into())
}

/// The same of a value that is JSON text already.
pub(super) fn checked(key: &str, text: &str, inside: usize) -> Result<Json> {
    // Looks at everything and builds nothing. The cause is not kept: it may quote the value.
    serde_json::from_str::<serde::de::IgnoredAny>(text)
        .map_err(|_| refused(key, "text", "it is not JSON"))?;
    check_depth(key, "value", text, inside)?;
    Ok(text.trim_ascii().into())
}

fn check_depth(key: &str, type_name: &str, text: &str, inside: usize) -> Result<()> {
    if depth(text.as_bytes()) + inside > MAX_DEPTH {
        return Err(refused(
            key,
            type_name,
            "it is nested deeper than 127 levels",
        ));
    }
    Ok(())
}

fn refused(key: &str, type_name: &str, reason: &str) -> Error {
    Error::new(
        ErrorKind::Value,
        format!("session key {key:?}: a {type_name} cannot be kept: {reason}"),
    )
}

/// The value of a JSON text.
pub(crate) fn from_json<T: DeserializeOwned>(key: &str, json: &[u8]) -> Result<T> {
    // The cause is not kept: it may quote the value.
    serde_json::from_slice(json).map_err(|_| mismatch(key, type_name::<T>(), json))
}

/// The error for a value of another type.
pub(crate) fn mismatch(key: &str, expected: &str, json: &[u8]) -> Error {
    Error::new(
        ErrorKind::Type,
        format!(
            "session key {key:?}: expected {expected}, found {}",
            describe(json)
        ),
    )
}

/// The list `json` with `item` behind its last; `None` when it is not a list.
pub(crate) fn append(json: Option<&[u8]>, item: &str) -> Option<Json> {
    let Some(json) = json else {
        return Some(format!("[{item}]").into());
    };
    let list = std::str::from_utf8(json).ok()?.trim();
    let inner = list.strip_prefix('[')?.strip_suffix(']')?;
    let separator = if inner.trim().is_empty() { "" } else { "," };
    Some(format!("[{inner}{separator}{item}]").into())
}

/// What kind of value a text is, in words.
fn describe(json: &[u8]) -> &'static str {
    match json.first() {
        Some(b'{') => "a map",
        Some(b'[') => "a list",
        Some(b'"') => "a text",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        Some(b'-' | b'0'..=b'9') => "a number",
        _ => "a damaged value",
    }
}

/// How deep lists and maps are nested in a JSON text.
fn depth(json: &[u8]) -> usize {
    let openings = json
        .iter()
        .filter(|byte| matches!(byte, b'[' | b'{'))
        .count();
    // Nearly always few enough that where they stand does not matter.
    if openings < MAX_DEPTH {
        return openings;
    }
    let (mut depth, mut deepest, mut in_text, mut escaped) = (0_usize, 0, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_text,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => depth += 1,
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn nested(levels: usize) -> Value {
        (0..levels).fold(json!(1), |inner, _| json!([inner]))
    }

    #[test]
    fn numbers_keep_their_exact_value() {
        for value in [
            json!(u64::MAX),
            json!(i64::MIN),
            json!(1e308),
            json!(5e-324),
            json!(0.1 + 0.2),
            json!(-0.0),
        ] {
            let text = to_json("k", &value, 0).unwrap();
            let read: Value = from_json("k", text.as_bytes()).unwrap();
            assert_eq!(read, value);
        }
        assert_eq!(
            &*to_json("k", &u128::MAX, 0).unwrap(),
            u128::MAX.to_string()
        );
    }

    #[test]
    fn what_json_cannot_say_is_refused() {
        let refused =
            |result: Result<Json>| assert_eq!(result.unwrap_err().kind(), ErrorKind::Value);
        refused(to_json("k", &f64::NAN, 0));
        refused(to_json("k", &[1.0, f64::INFINITY], 0));
        refused(to_json("k", &Some(f32::NEG_INFINITY), 0));
        refused(to_json(
            "k",
            &std::collections::BTreeMap::from([("a", (1, f64::NAN))]),
            0,
        ));
        refused(to_json(
            "k",
            &std::collections::BTreeMap::from([((1, 2), 3)]),
            0,
        ));
    }

    #[test]
    fn nesting_ends_at_127() {
        assert!(to_json("k", &nested(127), 0).is_ok());
        assert!(to_json("k", &nested(128), 0).is_err());
        assert!(to_json("k", &nested(126), 1).is_ok());
        assert!(to_json("k", &nested(127), 1).is_err());
        let brackets_in_text = "[".repeat(1000) + "\\\"";
        assert!(to_json("k", &brackets_in_text, 0).is_ok());
        let an_escape_first = "\"".to_owned() + &"[".repeat(1000);
        assert!(to_json("k", &an_escape_first, 0).is_ok());
        let closed_in_text = json!(["]".repeat(200), nested(127)]);
        assert!(to_json("k", &closed_in_text, 0).is_err());
        let as_many_as_levels: Vec<[u8; 0]> = vec![[]; 126];
        assert!(to_json("k", &as_many_as_levels, 1).is_ok());
        let wide: Vec<[u8; 0]> = vec![[]; 1000];
        assert!(to_json("k", &wide, 0).is_ok());
    }

    #[test]
    fn append_makes_and_lengthens_a_list() {
        assert_eq!(append(None, "1").as_deref(), Some("[1]"));
        assert_eq!(append(Some(b"[]"), "1").as_deref(), Some("[1]"));
        assert_eq!(append(Some(b"[1]"), "[2]").as_deref(), Some("[1,[2]]"));
        assert_eq!(append(Some(b"\"[]\""), "1"), None);
    }

    #[test]
    fn an_error_shows_no_value() {
        let error = from_json::<u64>("card", b"\"4111 1111\"").unwrap_err();
        assert_eq!(
            error.to_string(),
            "session key \"card\": expected u64, found a text"
        );
        assert!(!format!("{error:?}").contains("4111"));
    }
}
