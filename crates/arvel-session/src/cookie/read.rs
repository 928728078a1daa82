//! Finding the cookies of our name, by scanning (RFC 6265, section 5.4, in reverse).

use http::{HeaderMap, header::COOKIE};

/// The values of all cookies named `name`, in all `Cookie` lines, in the order in which they were sent.
///
/// Nothing is decoded: what a browser did not get from us, such as quotes, does not verify.
pub(crate) fn values<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    headers
        .get_all(COOKIE)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b';'))
        .filter_map(move |pair| {
            let value = pair.trim_ascii_start().strip_prefix(name.as_bytes())?;
            Some(value.strip_prefix(b"=")?.trim_ascii_end())
        })
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
