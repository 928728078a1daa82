//! `Cookie` headers.

use http::{HeaderMap, HeaderValue, header::COOKIE};

use crate::cookie::values;

/// Reads the cookies of one name as the middleware does, and as the naive reading does.
///
/// The first line is the name, each of the others a `Cookie` header.
pub fn cookie_header(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n');
    let name = lines.next().unwrap_or_default();
    // A configuration with another name does not start.
    let name = std::str::from_utf8(name).ok().filter(|name| is_name(name));
    let name = name.unwrap_or("id");
    let mut headers = HeaderMap::new();
    for line in lines.filter_map(|line| HeaderValue::from_bytes(line).ok()) {
        headers.append(COOKIE, line);
    }
    let sent: Vec<&[u8]> = headers
        .get_all(COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    let found: Vec<&[u8]> = values(&headers, name).collect();
    assert_eq!(found, naive(&sent, name), "{name} in {headers:?}");
}

/// A token, as RFC 6265bis has it for a cookie's name.
pub(super) fn is_name(name: &str) -> bool {
    let separators = r#"()<>@,;:\"/[]?={}"#;
    let is_token = |c: char| c.is_ascii_graphic() && !separators.contains(c);
    !name.is_empty() && name.chars().all(is_token)
}

/// RFC 6265bis, section 5.8.3, in reverse: pairs between semicolons, white space around a pair dropped, the name up to the
/// first equals sign, nothing unquoted, nothing decoded. White space within a pair belongs to it: no browser sends any.
pub(super) fn naive(lines: &[&[u8]], name: &str) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for line in lines {
        let mut pair = Vec::new();
        // One more semicolon, so that every pair ends with one.
        for byte in line.iter().chain(b";") {
            if *byte != b';' {
                pair.push(*byte);
                continue;
            }
            while pair.first().is_some_and(is_space) {
                pair.remove(0);
            }
            while pair.last().is_some_and(is_space) {
                pair.pop();
            }
            if let Some(equals) = pair.iter().position(|byte| *byte == b'=')
                && &pair[..equals] == name.as_bytes()
            {
                let mut value = pair.split_off(equals + 1);
                // Nothing but a name, an equals sign and white space.
                while value.last().is_some_and(is_space) {
                    value.pop();
                }
                found.push(value);
            }
            pair.clear();
        }
    }
    found
}

fn is_space(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}
