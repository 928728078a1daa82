//! When an unchanged cookie is sent again (R13, R16).

use super::{Carrier, Context, CookieChange, Live};
use crate::{
    Time,
    record::{Age, Token},
};

/// Whether the browser has to learn something: its cookie would end too early, or an old key made it.
///
/// A background fetch does not renew a cookie that has time left: its response could overtake that of a login, and
/// overwrite the login's cookie.
pub(crate) fn due(cx: &Context, live: &Live, now: Time, navigation: bool) -> bool {
    let rules = &cx.rules;
    let (issued, age) = match live.carrier {
        Carrier::Id(token) => (token.issued(), token.age),
        Carrier::Payload(age) => {
            let idle = live.expires.since(now);
            return renewal(cx, rules.lifetime.saturating_sub(idle), age, navigation)
                && rules.expiry(now, live.body.created()) > live.expires
                || (age == Age::Previous && navigation);
        }
    };
    // How much longer the cookie would live: nothing, where the session's absolute end is what limits it.
    let created = live.body.created();
    let told = rules.cookie_expiry(issued, created);
    let gained = rules.cookie_expiry(now, created).since(told);
    renewal(cx, gained, age, navigation)
}

fn renewal(cx: &Context, held: std::time::Duration, age: Age, navigation: bool) -> bool {
    let lifetime = cx.rules.cookie_lifetime();
    // A cookie that ends with the browser does not run out, unless its expiry is inside.
    let runs_out = !cx.rules.expire_on_close || !cx.capabilities.server_side;
    let stale = age == Age::Previous || (runs_out && held > cx.rules.slack());
    stale && (navigation || (runs_out && held > lifetime / 2))
}

/// The same id, issued anew.
pub(crate) fn renewed(cx: &Context, live: &Live, now: Time) -> CookieChange {
    match live.carrier {
        Carrier::Id(token) => cx.id_cookie(&Token::issue(token.id, now), now, live.expires),
        Carrier::Payload(_) => CookieChange::Nothing,
    }
}
