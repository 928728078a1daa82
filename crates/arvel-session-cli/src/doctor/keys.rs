//! Whether the keys can be guessed.

use std::collections::HashSet;

use arvel_session::{Secret, SessionConfig};
use base64_simd::STANDARD;

use super::Finding;
use crate::config::setting;

pub(super) fn findings(config: &SessionConfig) -> Vec<Finding> {
    let settings = config.settings();
    let current = match settings.secret_key() {
        Ok(key) => finding(config, "secret_key", key),
        Err(error) => Finding::failure(error.to_string()),
    };
    let previous = settings
        .previous_keys
        .iter()
        .filter(|key| weakness(&bytes(key)).is_some())
        .map(|key| finding(config, "previous_keys", key));
    [current].into_iter().chain(previous).collect()
}

fn finding(config: &SessionConfig, name: &str, key: &Secret) -> Finding {
    let found = weakness(&bytes(key));
    let advice = "`arvel-session key` makes a better one";
    let why = format!("{}; {advice}", found.unwrap_or_default());
    Finding::safe_or(found.is_none(), setting(config, name), &why)
}

/// The key itself, of which the library shows nothing but the form for a file.
fn bytes(key: &Secret) -> Vec<u8> {
    let setting = key.to_setting();
    let encoded = setting.strip_prefix("base64:").unwrap_or(&setting);
    STANDARD.decode_to_vec(encoded).unwrap_or_default()
}

/// Why this key may be guessed; `None` for one that looks random, as all but one or two in a billion random ones do.
fn weakness(key: &[u8]) -> Option<&'static str> {
    let text = std::str::from_utf8(key).ok();
    let text = text.filter(|text| !text.chars().any(char::is_control));
    let is_hex = text.is_some_and(is_hex);
    let is_made_up = text.is_some_and(|text| !is_hex && !is_base64(text));
    let least = match (is_hex, is_made_up) {
        (true, _) => 10,
        (_, true) => 8,
        _ => 16,
    };
    if is_monotonous(key, least) {
        return Some("easy to guess, since its bytes follow a pattern");
    }
    is_made_up.then_some("a text, and texts are easier to guess than random bytes")
}

/// Whether its bytes, or the steps from each to the next, are few: one byte many times, `0 1 2 3 …`, a word repeated.
fn is_monotonous(key: &[u8], least: usize) -> bool {
    let bytes: HashSet<u8> = key.iter().copied().collect();
    let steps: HashSet<u8> = key
        .windows(2)
        .map(|pair| pair[1].wrapping_sub(pair[0]))
        .collect();
    bytes.len() < least || steps.len() < least
}

/// Whether it looks like 32 bytes in hexadecimal, as `openssl rand -hex 32` prints them.
fn is_hex(text: &str) -> bool {
    text.len() >= 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether it looks like 32 bytes in base64, as `openssl rand -base64 32` prints them.
fn is_base64(text: &str) -> bool {
    let has = |kind: fn(&u8) -> bool| text.as_bytes().iter().any(kind);
    text.len() >= 43
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+/-_=".contains(&byte))
        && has(u8::is_ascii_uppercase)
        && has(u8::is_ascii_lowercase)
        && has(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weakness_of(setting: &str) -> Option<&'static str> {
        weakness(&bytes(&setting.parse().unwrap()))
    }

    #[test]
    fn random_keys_look_random() {
        for _ in 0..10_000 {
            let key = bytes(&Secret::generate());
            assert_eq!(key.len(), 32);
            assert_eq!(weakness(&key), None, "{key:?}");
            let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(weakness_of(&hex), None, "{hex}");
        }
    }

    #[test]
    fn random_bytes_in_base64_without_the_prefix_are_no_text() {
        for key in [
            "fgq5oHhHNG0n8yy52fB/yRqQfjv1tKfAfoz4SXXjxEw=",
            "fgq5oHhHNG0n8yy52fB_yRqQfjv1tKfAfoz4SXXjxEw",
        ] {
            assert_eq!(weakness_of(key), None);
        }
    }

    #[test]
    fn a_pattern_is_recognised_in_any_form() {
        let counted: Vec<u8> = (0..64).collect();
        for key in [
            vec![0; 32],
            vec![b'x'; 32],
            counted,
            b"secret".repeat(6),
            b"0123456789abcdef".repeat(4),
        ] {
            let found = weakness(&key).unwrap();
            assert!(found.contains("pattern"), "{key:?}: {found}");
        }
    }

    #[test]
    fn a_text_is_recognised() {
        for key in [
            "correct horse battery staple, and more of them",
            "The-Quick-Brown-Fox-Jumps-Over-13-Lazy-Dogs!",
            "größer als zweiunddreißig Zeichen",
        ] {
            let found = weakness_of(key).unwrap();
            assert!(found.contains("text"), "{key}: {found}");
            let encoded = format!("base64:{}", STANDARD.encode_to_string(key));
            assert_eq!(weakness_of(&encoded), Some(found));
        }
    }
}
