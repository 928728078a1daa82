//! The kinds of value that a setting can have: how each is read, and how it is shown.

use std::{borrow::Cow, fmt, path::PathBuf, time::Duration};

use toml::Value;

use super::secret::{Secret, read_secret};

/// A value as it was found, before anyone knows what it means.
#[derive(Clone, Debug)]
pub(super) enum Raw {
    /// From an environment variable or a `.env` file, where everything is text.
    Variable(String),
    /// From the file, where a value has a type of its own.
    File(Value),
}

/// A value, or what it would have to be.
pub(super) type Read<T> = Result<T, Cow<'static, str>>;

/// A kind of value.
pub(super) trait Kind: Sized {
    /// Whether an error must not quote what was found.
    const SECRET: bool = false;

    fn read(raw: &Raw) -> Read<Self>;
    fn show(&self) -> String;
}

impl Raw {
    fn text(&self) -> Read<&str> {
        match self {
            Self::Variable(text) | Self::File(Value::String(text)) => Ok(text),
            Self::File(_) => Err("must be a text in quotes".into()),
        }
    }

    /// For an error's message.
    pub(super) fn show(&self) -> String {
        match self {
            Self::Variable(text) | Self::File(Value::String(text)) => shown(text),
            Self::File(Value::Integer(number)) => number.to_string(),
            Self::File(Value::Float(number)) => number.to_string(),
            Self::File(Value::Boolean(yes)) => yes.to_string(),
            Self::File(Value::Datetime(_)) => "a date".to_owned(),
            Self::File(Value::Array(_)) => "a list".to_owned(),
            Self::File(Value::Table(_)) => "a table".to_owned(),
        }
    }
}

impl Kind for String {
    fn read(raw: &Raw) -> Read<Self> {
        raw.text().map(str::to_owned)
    }

    fn show(&self) -> String {
        shown(self)
    }
}

impl Kind for Option<String> {
    fn read(raw: &Raw) -> Read<Self> {
        String::read(raw).map(Some)
    }

    fn show(&self) -> String {
        self.as_deref().map_or_else(none, shown)
    }
}

impl Kind for PathBuf {
    fn read(raw: &Raw) -> Read<Self> {
        raw.text().map(Self::from)
    }

    fn show(&self) -> String {
        shown(&self.to_string_lossy())
    }
}

impl Kind for bool {
    fn read(raw: &Raw) -> Read<Self> {
        match raw {
            Raw::File(Value::Boolean(yes)) => Ok(*yes),
            Raw::File(_) => Err("must be true or false, without quotes".into()),
            Raw::Variable(text) => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" | "on" => Ok(true),
                "false" | "0" | "no" | "off" => Ok(false),
                _ => Err("must be true or false".into()),
            },
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Kind for Duration {
    fn read(raw: &Raw) -> Read<Self> {
        let seconds = match raw {
            Raw::File(Value::Integer(whole)) => u64::try_from(*whole).ok().map(Self::from_secs),
            Raw::File(Value::Float(decimal)) => Self::try_from_secs_f64(*decimal).ok(),
            Raw::File(_) => None,
            Raw::Variable(text) => seconds(text.trim()),
        };
        seconds
            .ok_or_else(|| "must be a number of seconds, whole or decimal, and not negative".into())
    }

    fn show(&self) -> String {
        match self.subsec_nanos() {
            0 => self.as_secs().to_string(),
            _ => self.as_secs_f64().to_string(),
        }
    }
}

fn seconds(text: &str) -> Option<Duration> {
    // Digits and a point alone: Rust would also read "inf", "nan" and "1e9".
    if !text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.')
    {
        return None;
    }
    match text.parse() {
        Ok(whole) => Some(Duration::from_secs(whole)),
        Err(_) => Duration::try_from_secs_f64(text.parse().ok()?).ok(),
    }
}

/// A time that can be switched off.
impl Kind for Option<Duration> {
    fn read(raw: &Raw) -> Read<Self> {
        Ok(Some(Duration::read(raw)?).filter(|time| !time.is_zero()))
    }

    fn show(&self) -> String {
        self.map_or_else(|| "0 (off)".to_owned(), |time| time.show())
    }
}

/// Which requests from other sites bring the cookie along.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SameSite {
    /// Only a person who follows a link to us.
    #[default]
    Lax,
    /// None at all.
    Strict,
    /// All of them. Browsers then want `Secure`, which it brings along.
    None,
}

impl SameSite {
    /// The word that stands in the `Set-Cookie` header.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lax => "Lax",
            Self::Strict => "Strict",
            Self::None => "None",
        }
    }
}

impl Kind for SameSite {
    fn read(raw: &Raw) -> Read<Self> {
        let text = raw.text()?.trim();
        [Self::Lax, Self::Strict, Self::None]
            .into_iter()
            .find(|word| word.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| "must be lax, strict or none".into())
    }

    fn show(&self) -> String {
        self.as_str().to_ascii_lowercase()
    }
}

/// Where a server is. Its `Debug` hides the password.
///
/// # Examples
///
/// ```
/// use arvel_session::SessionConfig;
///
/// let config = SessionConfig::new().redis_url("redis://app:hunter2@cache:6379/1");
/// let url = &config.settings().redis_url;
/// assert_eq!(url.as_str(), "redis://app:hunter2@cache:6379/1");
/// assert_eq!(format!("{url:?}"), "redis://app:***@cache:6379/1");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Url(pub(super) String);

impl Url {
    /// The whole of it, with the password: for the client that connects, not for a log.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.show())
    }
}

impl Kind for Url {
    const SECRET: bool = true;

    fn read(raw: &Raw) -> Read<Self> {
        String::read(raw).map(Self)
    }

    fn show(&self) -> String {
        // `user:password@host` and `host=… password=…` are no URLs, but people write them.
        if !self.0.contains("://") && self.0.contains(['@', '=']) {
            return HIDDEN.to_owned();
        }
        shown(&self.0)
    }
}

impl Kind for Option<Url> {
    const SECRET: bool = true;

    fn read(raw: &Raw) -> Read<Self> {
        Ok(Some(Url::read(raw)?).filter(|url| !url.0.is_empty()))
    }

    fn show(&self) -> String {
        self.as_ref().map_or_else(none, Kind::show)
    }
}

impl Kind for Option<Secret> {
    const SECRET: bool = true;

    fn read(raw: &Raw) -> Read<Self> {
        read_secret(raw.text()?).map(Some)
    }

    fn show(&self) -> String {
        self.as_ref().map_or_else(none, |_| HIDDEN.to_owned())
    }
}

impl Kind for Vec<Secret> {
    const SECRET: bool = true;

    fn read(raw: &Raw) -> Read<Self> {
        let keys: Vec<&str> = match raw {
            Raw::File(Value::Array(list)) => list
                .iter()
                .map(|key| key.as_str().ok_or("must be a list of texts in quotes"))
                .collect::<Result<_, _>>()?,
            _ => match raw.text()?.trim() {
                "" => Vec::new(),
                text => text.split(',').collect(),
            },
        };
        let numbered = keys.into_iter().zip(1..);
        numbered
            .map(|(key, number)| read_secret(key).map_err(|must| format!("key {number} {must}")))
            .collect::<Result<_, _>>()
            .map_err(Cow::Owned)
    }

    fn show(&self) -> String {
        match self.len() {
            0 => none(),
            count => format!("{HIDDEN} ({count})"),
        }
    }
}

const HIDDEN: &str = "***";

fn none() -> String {
    "none".to_owned()
}

/// A text without control characters, and without the password if it is a URL: people also put one where none belongs.
fn shown(text: &str) -> String {
    if text.is_empty() {
        return r#""""#.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    for character in without_password(text).chars() {
        if character.is_control() {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    out
}

/// Hides more where it is in doubt: a password may hold any of the characters that a URL is cut at.
fn without_password(text: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.into();
    };
    let mut rest = Cow::Borrowed(rest);
    if let Some((login, host)) = rest.rsplit_once('@')
        && let Some((user, _)) = login.split_once(':')
    {
        rest = format!("{user}:{HIDDEN}@{host}").into();
    }
    // `?password=…`, `?pass=…`, `?sslpassword=…`
    if let Some(query) = rest.find('?')
        && let Some(name) = rest[query..].to_ascii_lowercase().find("pass")
        && let Some(value) = rest[query + name..].find('=')
    {
        let visible = &rest[..=query + name + value];
        rest = format!("{visible}{HIDDEN}").into();
    }
    format!("{scheme}://{rest}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable<T: Kind>(text: &str) -> Read<T> {
        T::read(&Raw::Variable(text.to_owned()))
    }

    #[test]
    fn seconds_are_whole_or_decimal_and_never_negative() {
        for (text, millis) in [
            ("0", 0),
            ("7200", 7_200_000),
            (" 7200 ", 7_200_000),
            ("0.5", 500),
            ("1.", 1000),
        ] {
            let time: Duration = variable(text).unwrap();
            assert_eq!(time, Duration::from_millis(millis), "{text}");
        }
        for text in [
            "",
            ".",
            "-1",
            "-0",
            "+1",
            "1e9",
            "inf",
            "nan",
            "1,5",
            "1.2.3",
            "2h",
            "0x10",
            "99999999999999999999999",
        ] {
            assert!(variable::<Duration>(text).is_err(), "{text}");
        }
        for number in [-1.0, f64::NAN, f64::INFINITY, 1e300] {
            assert!(Duration::read(&Raw::File(Value::Float(number))).is_err());
        }
        assert!(Duration::read(&Raw::File(Value::Integer(-1))).is_err());
    }

    #[test]
    fn a_time_reads_back_as_it_is_shown() {
        for text in ["0", "1", "7200", "0.5", "0.000000001", "3155760000"] {
            let time: Duration = variable(text).unwrap();
            assert_eq!(time.show(), text);
        }
    }

    #[test]
    fn a_yes_is_a_yes_in_any_case_and_nothing_else_is() {
        for text in ["true", "TRUE", "1", "yes", "on", " on "] {
            assert_eq!(variable(text), Ok(true), "{text}");
        }
        for text in ["false", "False", "0", "no", "off"] {
            assert_eq!(variable(text), Ok(false), "{text}");
        }
        for text in ["", "2", "y", "truee", "null"] {
            assert!(variable::<bool>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn no_password_is_shown() {
        for (url, hidden) in [
            ("redis://127.0.0.1:6379", "redis://127.0.0.1:6379"),
            ("redis://:pw@h:6379/0", "redis://:***@h:6379/0"),
            ("postgres://u:pw@h/db", "postgres://u:***@h/db"),
            ("postgres://u:p@w/p?w#w@h/db", "postgres://u:***@h/db"),
            ("mysql://u@h/db", "mysql://u@h/db"),
            (
                "redis+sentinel://u:pw@a:1,u:pw@b:2/m",
                "redis+sentinel://u:***@b:2/m",
            ),
            (
                "redis+unix:///s.sock?db=1&PASS=pw&x=pw",
                "redis+unix:///s.sock?db=1&PASS=***",
            ),
            (
                "postgres://h/db?sslpassword=pw",
                "postgres://h/db?sslpassword=***",
            ),
            ("sqlite:sessions.sqlite", "sqlite:sessions.sqlite"),
            ("u:pw@h/db", "***"),
            ("host=h password=pw", "***"),
            ("redis://h/\u{7}", "redis://h/\\u{7}"),
        ] {
            assert_eq!(format!("{:?}", Url(url.to_owned())), hidden);
            assert!(!hidden.contains("pw"));
        }
    }
}
