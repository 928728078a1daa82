//! The file that both engines keep their cookies in: Netscape's, a line of seven fields for each.

use std::{fs, path::Path};

use arvel_session::{Clock, SystemClock};

#[derive(Debug, PartialEq)]
pub(super) struct Cookie {
    pub(super) name: String,
    value: String,
    pub(super) path: String,
    pub(super) secure: bool,
    /// Seconds since 1970; 0 where it goes with the program.
    expires: u64,
}

impl Cookie {
    /// How many bytes of it count against the limit.
    pub(super) fn size(&self) -> usize {
        self.name.len() + self.value.len()
    }

    /// How many seconds it is still kept.
    pub(super) fn left(&self) -> u64 {
        self.expires.saturating_sub(SystemClock.now().as_secs())
    }
}

/// The cookies in this file; none where there is no file.
pub(super) fn read(file: &Path) -> Vec<Cookie> {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines().filter_map(parse).collect()
}

fn parse(line: &str) -> Option<Cookie> {
    let line = line.strip_prefix("#HttpOnly_").unwrap_or(line);
    let fields: Vec<&str> = line.split('\t').collect();
    let [_domain, _beside, path, secure, expires, name, value] = fields[..] else {
        assert!(line.is_empty() || line.starts_with('#'), "{line}");
        return None;
    };
    Some(Cookie {
        name: name.to_owned(),
        value: value.to_owned(),
        path: path.to_owned(),
        secure: secure == "TRUE",
        expires: expires.parse().unwrap_or_default(),
    })
}
