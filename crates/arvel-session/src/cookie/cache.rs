//! Keeping responses that belong to one session out of shared caches (R16; RFC 9111, RFC 9213).

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CACHE_CONTROL, Entry, VARY},
};

/// Headers that tell some shared caches something else than `Cache-Control` does.
const TARGETED: [HeaderName; 2] = [
    HeaderName::from_static("cdn-cache-control"),
    HeaderName::from_static("surrogate-control"),
];

/// Adds `Cookie` to `Vary`, once.
pub(crate) fn vary_by_cookie(headers: &mut HeaderMap) {
    let cookie = HeaderValue::from_static("Cookie");
    match headers.entry(VARY) {
        Entry::Vacant(vacant) => {
            vacant.insert(cookie);
        }
        Entry::Occupied(mut lines) => {
            if !lines.iter().any(names_cookie) {
                lines.append(cookie);
            }
        }
    }
}

fn names_cookie(line: &HeaderValue) -> bool {
    line.as_bytes()
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .any(|name| name == b"*" || name.eq_ignore_ascii_case(b"cookie"))
}

/// Says that the response is for one visitor, where nothing is said; where a shared cache would store a response that
/// `sets` a cookie, forbids it and answers true.
pub(crate) fn mark_private(headers: &mut HeaderMap, sets: bool) -> bool {
    let leaks = sets && leaks(headers);
    if leaks {
        for name in &TARGETED {
            headers.remove(name);
        }
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    } else if let Entry::Vacant(nothing_said) = headers.entry(CACHE_CONTROL) {
        nothing_said.insert(HeaderValue::from_static("private, no-cache"));
    }
    leaks
}

/// Whether a shared cache would store the response.
fn leaks(headers: &HeaderMap) -> bool {
    let leaks = |name| headers.contains_key(name) && !is_private(headers, name);
    leaks(&CACHE_CONTROL) || TARGETED.iter().any(leaks)
}

/// Whether a shared cache may not store the response. `private="…"` names single headers, so it does not count.
fn is_private(headers: &HeaderMap, name: &HeaderName) -> bool {
    headers
        .get_all(name)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .any(|directive| {
            directive.eq_ignore_ascii_case(b"private")
                || directive.eq_ignore_ascii_case(b"no-store")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(lines: &[(&'static str, &'static str)], sets: bool) -> (String, bool) {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let leaks = mark_private(&mut headers, sets);
        let targeted = TARGETED.iter().any(|name| headers.contains_key(name));
        let control = headers[CACHE_CONTROL].to_str().unwrap();
        (
            format!("{control}{}", if targeted { " +" } else { "" }),
            leaks,
        )
    }

    #[test]
    fn what_a_shared_cache_would_store_is_forbidden_beside_a_cookie() {
        let private = ("private, no-cache".to_owned(), false);
        assert_eq!(marked(&[], false), private);
        assert_eq!(marked(&[], true), private);
        for control in [
            "max-age=60",
            "public",
            "s-maxage=9",
            "no-cache",
            "private=\"set-cookie\"",
        ] {
            assert_eq!(
                marked(&[("cache-control", control)], true),
                ("no-store".into(), true)
            );
            assert_eq!(
                marked(&[("cache-control", control)], false),
                (control.into(), false)
            );
        }
        for control in ["private, max-age=60", "No-Store"] {
            assert_eq!(
                marked(&[("cache-control", control)], true),
                (control.into(), false)
            );
        }
        for name in ["cdn-cache-control", "surrogate-control"] {
            let lines = [("cache-control", "private"), (name, "max-age=60")];
            assert_eq!(marked(&lines, true), ("no-store".into(), true));
            let lines = [("cache-control", "private"), (name, "no-store")];
            assert_eq!(marked(&lines, true), ("private +".into(), false));
        }
    }

    #[test]
    fn vary_is_merged_and_not_doubled() {
        for (before, after) in [
            (&[][..], &["Cookie"][..]),
            (&["Accept"], &["Accept", "Cookie"]),
            (&["accept, cookie"], &["accept, cookie"]),
            (&["*"], &["*"]),
        ] {
            let mut headers = HeaderMap::new();
            for value in before {
                headers.append(VARY, HeaderValue::from_static(value));
            }
            vary_by_cookie(&mut headers);
            let lines: Vec<_> = headers.get_all(VARY).iter().collect();
            assert_eq!(lines, after);
        }
    }
}
