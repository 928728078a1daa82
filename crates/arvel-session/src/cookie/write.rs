//! Writing our one `Set-Cookie` line.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;

use crate::lifecycle::CookieChange;

/// When a browser sends the cookie along with requests that come from other sites.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SameSite {
    /// Never, not even when the user follows a link.
    Strict,
    /// When the user follows a link (a top-level `GET`).
    #[default]
    Lax,
    /// Always; browsers demand `Secure` with it.
    None,
}

impl SameSite {
    /// The attribute's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "Strict",
            Self::Lax => "Lax",
            Self::None => "None",
        }
    }
}

/// The name and the attributes, as they stand in every line.
#[derive(Clone, Debug)]
pub(crate) struct CookieSettings {
    name: String,
    attributes: String,
}

impl CookieSettings {
    /// The settings must have been checked: no part may hold what does not belong into a header.
    pub(crate) fn new(name: &str, attributes: &[(&str, Option<&str>)]) -> Self {
        let attributes = attributes
            .iter()
            .map(|(attribute, value)| match value {
                Some(value) => format!("; {attribute}={value}"),
                None => format!("; {attribute}"),
            })
            .collect();
        Self {
            name: name.to_owned(),
            attributes,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The header line for a change; `None` where there is nothing to say.
    pub(crate) fn header(&self, change: &CookieChange) -> Option<HeaderValue> {
        let line = match change {
            CookieChange::Nothing => return None,
            CookieChange::Set { value, max_age } => self.set(value, *max_age),
            // Old clients know only `Expires`.
            CookieChange::Remove => format!(
                "{}={}; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
                self.name, self.attributes
            ),
        };
        HeaderValue::from_maybe_shared(Bytes::from(line)).ok()
    }

    fn set(&self, value: &str, max_age: Option<Duration>) -> String {
        let mut line =
            String::with_capacity(self.name.len() + value.len() + self.attributes.len() + 24);
        line.push_str(&self.name);
        line.push('=');
        line.push_str(value);
        line.push_str(&self.attributes);
        if let Some(max_age) = max_age {
            // A part of a second is a whole one: zero would remove the cookie.
            let seconds = max_age.as_millis().div_ceil(1000).max(1);
            line.push_str("; Max-Age=");
            line.push_str(&seconds.to_string());
        }
        line
    }
}
