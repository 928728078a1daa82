//! The settings that the lifecycle needs.

use std::time::Duration;

use crate::{Time, record::Keyring, store::Capabilities};

/// What a machine needs to know besides the request.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) capabilities: Capabilities,
    pub(crate) keys: Keyring,
    pub(crate) rules: Rules,
}

/// The settings of a session's life.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) cookie_name: String,
    pub(crate) lifetime: Duration,
    pub(crate) absolute_lifetime: Option<Duration>,
    pub(crate) expire_on_close: bool,
    /// Whether records are sealed; what the browser holds always is.
    pub(crate) seal: bool,
    /// How long a dead id leaves a marker.
    pub(crate) grace: Duration,
}

/// No browser keeps a cookie for longer (RFC 6265bis).
const MAX_AGE_LIMIT: Duration = Duration::from_secs(400 * 24 * 60 * 60);

impl Rules {
    /// When a session that is used at `now` expires.
    pub(crate) fn expiry(&self, now: Time, created: Time) -> Time {
        let idle = now.after(self.lifetime);
        match self.absolute_lifetime {
            Some(lifetime) => idle.min(created.after(lifetime)),
            None => idle,
        }
    }

    /// By how much an expiry or a cookie may lag behind: moving them on every request would cost a write each.
    pub(crate) fn slack(&self) -> Duration {
        (self.lifetime / 10).min(Duration::from_secs(60))
    }

    /// The `Max-Age` of a cookie whose session expires at `expires`.
    pub(crate) fn max_age(&self, now: Time, expires: Time) -> Option<Duration> {
        (!self.expire_on_close).then(|| expires.since(now).min(MAX_AGE_LIMIT))
    }

    /// Until when a browser keeps the cookie of this session that it gets at `now`.
    pub(crate) fn cookie_expiry(&self, now: Time, created: Time) -> Time {
        self.expiry(now, created).min(now.after(MAX_AGE_LIMIT))
    }

    /// How long a browser keeps a cookie that it gets today.
    pub(crate) fn cookie_lifetime(&self) -> Duration {
        self.lifetime.min(MAX_AGE_LIMIT)
    }
}
