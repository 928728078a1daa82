//! When an unchanged cookie is sent again (R13, R16).

use std::time::Duration;

use super::{Carrier, Context, CookieChange, Live, rule};
use crate::{
    Time,
    record::{Age, Token},
};

impl Context {
    /// Whether the browser has to learn something: its cookie would end too early, or an old key made it.
    ///
    /// A background fetch does not renew a cookie that has time left: its response could overtake that of a login, and
    /// overwrite the login's cookie.
    pub(crate) fn is_due(&self, live: &Live, now: Time, navigation: bool) -> bool {
        let rules = &self.rules;
        let (issued, age) = match live.carrier {
            Carrier::Id(token) => (token.issued(), token.age),
            Carrier::Payload(age) => {
                let idle = live.expires.since(now);
                return self.renews(rules.lifetime.saturating_sub(idle), age, navigation)
                    && rules.expiry(now, live.body.created()) > live.expires
                    || (age == Age::Previous && navigation);
            }
        };
        // No cookie gains more than the time that has passed since.
        if age == Age::Current && now.since(issued) <= rules.slack() {
            return false;
        }
        // How much longer the cookie would live: nothing, where the session's absolute end is what limits it.
        let created = live.body.created();
        let told = rules.cookie_expiry(issued, created);
        let gained = rules.cookie_expiry(now, created).since(told);
        self.renews(gained, age, navigation)
    }

    fn renews(&self, held: Duration, age: Age, navigation: bool) -> bool {
        let lifetime = self.rules.cookie_lifetime();
        // A cookie that ends with the browser does not run out, unless its expiry is inside.
        let runs_out = !self.rules.expire_on_close || !self.capabilities.server_side;
        let stale = age == Age::Previous || (runs_out && held > self.rules.slack());
        stale && (navigation || !rule!(R13) || (runs_out && held > lifetime / 2))
    }
}

/// The same id, issued anew.
pub(crate) fn renewed(cx: &Context, live: &Live, now: Time) -> CookieChange {
    match live.carrier {
        Carrier::Id(token) => cx.id_cookie(&Token::issue(token.id, now), now, live.expires),
        Carrier::Payload(_) => CookieChange::Nothing,
    }
}
