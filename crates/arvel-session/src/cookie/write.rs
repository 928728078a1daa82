//! Writing our one `Set-Cookie` line.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;

use crate::{Settings, lifecycle::CookieChange};

/// The name and the attributes, as they stand in every line.
#[derive(Clone, Debug)]
pub(crate) struct CookieSettings {
    name: String,
    attributes: String,
}

impl CookieSettings {
    /// The attributes that these settings ask for. They must have been checked: nothing here looks for control characters.
    pub(crate) fn new(settings: &Settings) -> Self {
        let mut attributes = format!("; Path={}", settings.path);
        if let Some(domain) = &settings.domain {
            attributes.push_str("; Domain=");
            attributes.push_str(domain);
        }
        attributes.push_str("; SameSite=");
        attributes.push_str(settings.same_site.as_str());
        for (attribute, on) in [
            ("; HttpOnly", settings.http_only),
            ("; Secure", settings.secure),
            ("; Partitioned", settings.partitioned),
        ] {
            attributes.push_str(if on { attribute } else { "" });
        }
        Self {
            name: settings.cookie_name.clone(),
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
