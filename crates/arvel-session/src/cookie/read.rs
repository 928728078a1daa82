//! Finding the cookies of our name, by scanning (RFC 6265, section 5.4, in reverse).

use http::{HeaderMap, HeaderValue, header::COOKIE};
use memchr::memchr;

/// The values of all cookies named `name`, in all `Cookie` lines, in the order in which they were sent.
///
/// Nothing is decoded: what a browser did not get from us, such as quotes, does not verify.
pub(crate) fn values<'a>(
    headers: &'a HeaderMap,
    name: &'a str,
) -> Values<'a, 'a, impl Iterator<Item = &'a [u8]>> {
    let lines = headers.get_all(COOKIE).into_iter();
    values_in(lines.map(HeaderValue::as_bytes), name)
}

/// [`values`] of `Cookie` lines that stand in no map.
pub(crate) fn values_in<'a, 'n, L>(lines: L, name: &'n str) -> Values<'a, 'n, L> {
    Values {
        lines,
        rest: &[],
        name: name.as_bytes(),
    }
}

/// The iterator of [`values`].
pub(crate) struct Values<'a, 'n, L> {
    lines: L,
    /// What is left of the present line.
    rest: &'a [u8],
    name: &'n [u8],
}

impl<'a, L: Iterator<Item = &'a [u8]>> Iterator for Values<'a, '_, L> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            while !self.rest.is_empty() {
                let pair = self.next_pair();
                let value = pair.trim_ascii_start().strip_prefix(self.name);
                if let Some(value) = value.and_then(|value| value.strip_prefix(b"=")) {
                    return Some(value.trim_ascii_end());
                }
            }
            self.rest = self.lines.next()?;
        }
    }
}

impl<'a, L> Values<'a, '_, L> {
    /// What stands before the next semicolon.
    fn next_pair(&mut self) -> &'a [u8] {
        let end = memchr(b';', self.rest).unwrap_or(self.rest.len());
        let (pair, rest) = self.rest.split_at(end);
        self.rest = rest.get(1..).unwrap_or_default();
        pair
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn found(lines: &[&'static str]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(COOKIE, HeaderValue::from_static(line));
        }
        values(&headers, "id")
            .map(|value| String::from_utf8_lossy(value).into_owned())
            .collect()
    }

    #[test]
    fn every_cookie_of_the_name_is_found_in_every_line() {
        assert_eq!(found(&["id=1"]), ["1"]);
        assert_eq!(found(&["a=b; id=1;id=2 ; c", "id=3"]), ["1", "2", "3"]);
        assert_eq!(found(&["id="]), [""]);
        assert_eq!(found(&["id=a=b"]), ["a=b"]);
        assert_eq!(
            found(&["ids=1; xid=2; ID=3; id =4; id"]),
            Vec::<String>::new()
        );
    }
}
