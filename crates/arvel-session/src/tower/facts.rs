//! What the middleware remembers of a request while the handler has it.

use http::{HeaderMap, Method, StatusCode, request::Parts};

use super::layer::Shared;

/// The header fields of Fetch Metadata that tell a page from what is fetched for one.
const MODE: &str = "sec-fetch-mode";
const PURPOSE: &str = "sec-purpose";

#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    pub(super) is_head: bool,
    /// The browser is going to a page (or does not say).
    pub(super) navigation: bool,
    /// Nobody sees the response, or not as a page of its own.
    unseen: bool,
}

impl Facts {
    pub(super) fn of(shared: &Shared, parts: &Parts) -> Self {
        let is_head = parts.method == Method::HEAD;
        let keeps = shared.hooks.keep_flash.as_ref();
        Self {
            is_head,
            navigation: match parts.headers.get(MODE) {
                None => true,
                Some(mode) => mode.as_bytes().eq_ignore_ascii_case(b"navigate"),
            },
            unseen: is_head
                || (parts.method == Method::GET && is_prefetch(&parts.headers))
                || keeps.is_some_and(|keeps| keeps(parts)),
        }
    }

    /// Whether this response uses up the flash that its request saw.
    pub(super) fn ages(&self, status: StatusCode) -> bool {
        let bodyless = [StatusCode::NOT_MODIFIED, StatusCode::SWITCHING_PROTOCOLS];
        !self.unseen && !bodyless.contains(&status)
    }
}

/// `Sec-Purpose` is a list whose items may have parameters: `prefetch;prerender`.
fn is_prefetch(headers: &HeaderMap) -> bool {
    headers
        .get_all(PURPOSE)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .filter_map(|item| item.split(|byte| *byte == b';').next())
        .any(|item| item.trim_ascii().eq_ignore_ascii_case(b"prefetch"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_prefetch_is_known_in_every_form() {
        for (purpose, expected) in [
            ("prefetch", true),
            ("prefetch;prerender", true),
            ("prefetch;anonymous-client-ip", true),
            ("other, prefetch ; prerender", true),
            ("prerender", false),
            ("prefetching", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(PURPOSE, HeaderValue::from_static(purpose));
            assert_eq!(is_prefetch(&headers), expected, "{purpose}");
        }
        assert!(!is_prefetch(&HeaderMap::new()));
    }
}
