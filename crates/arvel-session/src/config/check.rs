//! What no setting may be, and which settings do not go together.

use std::time::Duration;

use super::{SessionConfig, settings::Settings};
use crate::{Error, Result};

/// Whether it holds, which setting is at fault if not, and what that must be.
type Rule = (bool, &'static str, &'static str);

pub(super) fn check(config: &SessionConfig) -> Result<()> {
    let settings = config.settings();
    let rules = times(settings)
        .into_iter()
        .chain(stores(settings))
        .chain(cookie(settings))
        .chain(prefixes(settings));
    for (holds, name, must) in rules {
        if !holds {
            return Err(fault(config, name, must));
        }
    }
    Ok(())
}

fn fault(config: &SessionConfig, name: &'static str, must: &'static str) -> Error {
    let value = config
        .describe()
        .find(|(other, ..)| *other == name)
        .map(|(_, value, _)| value);
    super::refused(name, value.as_deref(), config.source(name), must)
}

/// What a database's column, a cookie and a timer can all hold.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

fn times(settings: &Settings) -> [Rule; 6] {
    let short = |time: Duration| time <= LONGEST;
    let at_most = "must be at most 100 years";
    [
        (
            !settings.lifetime.is_zero(),
            "lifetime",
            "must be longer than 0 seconds",
        ),
        (
            !settings.timeout.is_zero(),
            "timeout",
            "must be longer than 0 seconds",
        ),
        (short(settings.lifetime), "lifetime", at_most),
        (
            settings.absolute_lifetime.is_none_or(short),
            "absolute_lifetime",
            at_most,
        ),
        (short(settings.timeout), "timeout", at_most),
        (
            settings.sweep_interval.is_none_or(short),
            "sweep_interval",
            at_most,
        ),
    ]
}

fn stores(settings: &Settings) -> [Rule; 4] {
    let filled = "must not be empty";
    [
        (!settings.driver.is_empty(), "driver", filled),
        (
            !settings.files_path.as_os_str().is_empty(),
            "files_path",
            filled,
        ),
        (!settings.redis_url.as_str().is_empty(), "redis_url", filled),
        (
            is_table(&settings.database_table),
            "database_table",
            "must be a table's name of letters, digits and _, or two of them with a dot between",
        ),
    ]
}

fn cookie(settings: &Settings) -> [Rule; 4] {
    [
        (
            is_token(&settings.cookie_name),
            "cookie_name",
            "must be 1 to 1024 letters, digits and !#$%&'*+-.^_`|~",
        ),
        (
            is_path(&settings.path),
            "path",
            "must begin with / and hold at most 1024 printable ASCII characters, without ; and without a space at the end",
        ),
        (
            settings.domain.as_deref().is_none_or(is_domain),
            "domain",
            "must be the name of a host, without scheme, port and path",
        ),
        (
            settings.secure || !settings.partitioned,
            "partitioned",
            "needs secure = true",
        ),
    ]
}

/// The names that browsers keep for cookies which nobody else could have set. They look at them in any case.
fn prefixes(settings: &Settings) -> [Rule; 4] {
    let name = settings.cookie_name.to_ascii_lowercase();
    let host = name.starts_with("__host-");
    let http = name.starts_with("__http-") || name.starts_with("__host-http-");
    let secure = host || http || name.starts_with("__secure-");
    [
        (
            settings.secure || !secure,
            "secure",
            "must be true for a cookie_name that begins with __Secure-, __Host- or __Http-",
        ),
        (
            settings.path == "/" || !host,
            "path",
            "must be / for a cookie_name that begins with __Host-",
        ),
        (
            settings.domain.is_none() || !host,
            "domain",
            "must not be set for a cookie_name that begins with __Host-",
        ),
        (
            settings.http_only || !http,
            "http_only",
            "must be true for a cookie_name that begins with __Http- or __Host-Http-",
        ),
    ]
}

/// A token as RFC 6265 has it. Of the 4,096 bytes that a browser keeps, something has to be left for the value.
fn is_token(name: &str) -> bool {
    matches!(name.len(), 1..=1024)
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// Browsers ignore an attribute of more than 1,024 bytes, and a space at its end.
fn is_path(path: &str) -> bool {
    path.starts_with('/')
        && !path.ends_with(' ')
        && path.len() <= 1024
        && path
            .bytes()
            .all(|byte| matches!(byte, b' '..=b'~') && byte != b';')
}

fn is_domain(domain: &str) -> bool {
    let is_label = |label: &str| {
        matches!(label.len(), 1..=63)
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    domain.len() <= 253 && domain.split('.').all(is_label)
}

fn is_table(name: &str) -> bool {
    let is_word = |word: &str| {
        matches!(word.len(), 1..=63)
            && !word.starts_with(|first: char| first.is_ascii_digit())
            && word
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    name.split('.').count() <= 2 && name.split('.').all(is_word)
}
