//! The settings: their values, their defaults, and the table of their names.

use std::{fmt, path::PathBuf, time::Duration};

use super::{
    secret::Secret,
    values::{Kind, Raw, Read, SameSite, Url},
};
use crate::{Error, ErrorKind, Result};

/// The values of a [`SessionConfig`](super::SessionConfig); what each does is said at the setter of the same name.
#[derive(Clone)]
#[non_exhaustive]
pub struct Settings {
    /// The driver's name.
    pub driver: String,
    /// How long an idle session lives.
    pub lifetime: Duration,
    /// How long any session lives; `None` is without end.
    pub absolute_lifetime: Option<Duration>,
    /// Whether the cookie goes when the browser closes.
    pub expire_on_close: bool,
    /// The cookie's name.
    pub cookie_name: String,
    /// The cookie's `Path`.
    pub path: String,
    /// The cookie's `Domain`, without a dot in front.
    pub domain: Option<String>,
    /// The cookie's `Secure`.
    pub secure: bool,
    /// The cookie's `HttpOnly`.
    pub http_only: bool,
    /// The cookie's `SameSite`.
    pub same_site: SameSite,
    /// The cookie's `Partitioned`.
    pub partitioned: bool,
    /// Whether what is stored on a server is sealed.
    pub encrypt: bool,
    /// The key; [`secret_key`](Self::secret_key) makes a missing one an error.
    pub secret_key: Option<Secret>,
    /// Keys that are still accepted.
    pub previous_keys: Vec<Secret>,
    /// The `file` driver's folder.
    pub files_path: PathBuf,
    /// The `redis` driver's server.
    pub redis_url: Url,
    /// What the `redis` driver's keys begin with.
    pub redis_prefix: String,
    /// The `database` driver's database; [`database_url`](Self::database_url) makes a missing one an error.
    pub database_url: Option<Url>,
    /// The `database` driver's table.
    pub database_table: String,
    /// How long a store may take to answer.
    pub timeout: Duration,
    /// How often expired sessions are removed; `None` is never.
    pub sweep_interval: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            driver: COOKIE.to_owned(),
            lifetime: Duration::from_secs(7200),
            absolute_lifetime: Some(THIRTY_DAYS),
            expire_on_close: false,
            cookie_name: "arvel_session".to_owned(),
            path: "/".to_owned(),
            domain: None,
            secure: false,
            http_only: true,
            same_site: SameSite::Lax,
            partitioned: false,
            encrypt: true,
            secret_key: None,
            previous_keys: Vec::new(),
            files_path: PathBuf::from("storage/framework/sessions"),
            redis_url: Url("redis://127.0.0.1:6379".to_owned()),
            redis_prefix: "arvel_session:".to_owned(),
            database_url: None,
            database_table: "sessions".to_owned(),
            timeout: Duration::from_secs(2),
            sweep_interval: Some(Duration::from_secs(60)),
        }
    }
}

/// The driver that needs an end: nothing else can revoke what a browser holds.
pub(super) const COOKIE: &str = "cookie";
pub(super) const THIRTY_DAYS: Duration = Duration::from_secs(30 * 24 * 3600);

impl Settings {
    /// The key, which nothing works without.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when none is set.
    ///
    /// ```
    /// use arvel_session::{Secret, SessionConfig};
    ///
    /// let config = SessionConfig::new();
    /// assert!(config.settings().secret_key().is_err());
    /// assert!(config.secret_key(Secret::generate()).settings().secret_key().is_ok());
    /// ```
    pub fn secret_key(&self) -> Result<&Secret> {
        self.secret_key.as_ref().ok_or_else(|| {
            missing("secret_key: no SESSION_SECRET_KEY; make one with `arvel-session key`")
        })
    }

    /// The database, which the `database` driver does not work without.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when none is set.
    ///
    /// ```
    /// use arvel_session::SessionConfig;
    ///
    /// let config = SessionConfig::new().driver("database");
    /// let error = config.settings().database_url().unwrap_err();
    /// assert!(error.to_string().contains("SESSION_DATABASE_URL"));
    /// ```
    pub fn database_url(&self) -> Result<&Url> {
        self.database_url.as_ref().ok_or_else(|| {
            missing(
                "database_url: no SESSION_DATABASE_URL, and the database driver needs it; \
                 for example sqlite://sessions.sqlite or postgres://user:password@host/database",
            )
        })
    }
}

fn missing(message: &'static str) -> Error {
    Error::new(ErrorKind::Config, message)
}

/// No secret, no password.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Settings");
        for row in TABLE {
            out.field(row.name, &format_args!("{}", (row.show)(self)));
        }
        out.finish()
    }
}

/// A setting's name, and how its kind is read and shown.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) secret: bool,
    pub(super) read: fn(&mut Settings, &Raw) -> Read<()>,
    pub(super) show: fn(&Settings) -> String,
}

impl Row {
    /// The setting's name in the environment.
    pub(super) fn variable(&self) -> String {
        format!("{VARIABLE}{}", self.name.to_ascii_uppercase())
    }
}

/// What the variables begin with.
pub(super) const VARIABLE: &str = "SESSION_";

macro_rules! table {
    ($($name:ident: $kind:ty,)*) => {
        &[$(Row {
            name: stringify!($name),
            secret: <$kind as Kind>::SECRET,
            read: |settings, raw| Kind::read(raw).map(|value| settings.$name = value),
            show: |settings| settings.$name.show(),
        }),*]
    };
}

/// Every setting.
pub(super) const TABLE: &[Row] = table![
    driver: String,
    lifetime: Duration,
    absolute_lifetime: Option<Duration>,
    expire_on_close: bool,
    cookie_name: String,
    path: String,
    domain: Option<String>,
    secure: bool,
    http_only: bool,
    same_site: SameSite,
    partitioned: bool,
    encrypt: bool,
    secret_key: Option<Secret>,
    previous_keys: Vec<Secret>,
    files_path: PathBuf,
    redis_url: Url,
    redis_prefix: String,
    database_url: Option<Url>,
    database_table: String,
    timeout: Duration,
    sweep_interval: Option<Duration>,
];

/// The setting of this name.
pub(super) fn named(name: &str) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.name == name)
}

/// The setting that this unknown name was probably meant to be: one slip away, or two in a long name.
pub(super) fn resembling(unknown: &str) -> Option<&'static Row> {
    let unknown = unknown.to_ascii_lowercase();
    TABLE
        .iter()
        .map(|row| (slips(unknown.as_bytes(), row.name.as_bytes()), row))
        .filter(|(slips, row)| *slips <= (row.name.len() / 4).min(2))
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, row)| row)
}

/// How many letters have to be added, left out, replaced or swapped with their neighbour to turn `a` into `b`.
fn slips(a: &[u8], b: &[u8]) -> usize {
    let mut table = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            table[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let same = a[i - 1] == b[j - 1];
                let mut fewest = (table[i - 1][j - 1] + usize::from(!same))
                    .min(table[i - 1][j] + 1)
                    .min(table[i][j - 1] + 1);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    fewest = fewest.min(table[i - 2][j - 2] + 1);
                }
                fewest
            };
        }
    }
    table[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_have_the_names_that_were_agreed() {
        let names: Vec<_> = TABLE.iter().map(|row| row.name).collect();
        assert_eq!(
            names.join(" "),
            "driver lifetime absolute_lifetime expire_on_close cookie_name path domain secure \
             http_only same_site partitioned encrypt secret_key previous_keys files_path redis_url \
             redis_prefix database_url database_table timeout sweep_interval"
        );
    }

    #[test]
    fn a_slip_of_the_hand_is_recognised() {
        for (unknown, meant) in [
            ("lifetim", "lifetime"),
            ("liftime", "lifetime"),
            ("LIFETIME", "lifetime"),
            ("lfietime", "lifetime"),
            ("cookiename", "cookie_name"),
            ("samesite", "same_site"),
            ("httponly", "http_only"),
            ("secret_kye", "secret_key"),
            ("previous_key", "previous_keys"),
            ("drivre", "driver"),
            ("databse_url", "database_url"),
            ("paths", "path"),
        ] {
            let row = resembling(unknown).unwrap_or_else(|| panic!("{unknown}"));
            assert_eq!(row.name, meant);
        }
        for unknown in [
            "",
            "absolutlifetim3",
            "manager",
            "id",
            "hash",
            "store",
            "type",
            "token",
            "host",
        ] {
            assert!(resembling(unknown).is_none(), "{unknown}");
        }
    }
}
