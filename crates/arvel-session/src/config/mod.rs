//! The configuration: one file, the environment, code; checked before anything starts.
//!
//! A setting is one row of the table in `settings.rs`, a setter in `setters.rs` and, where it needs them, rules in
//! `check.rs`. `values.rs` knows the kinds of value, `source.rs` and `environment.rs` where they come from.

mod check;
mod environment;
mod secret;
mod setters;
mod settings;
mod source;
mod values;

use std::{collections::BTreeMap, fmt, path::Path};

pub use secret::Secret;
pub use settings::Settings;
pub use source::Source;
pub use values::{SameSite, Url};

use crate::{Error, ErrorKind, Result};
use settings::{COOKIE, TABLE, THIRTY_DAYS};

/// How sessions are kept: every setting, and where its value came from.
///
/// [`load`](Self::load) reads it from, in this order:
///
/// 1. the file `config/session.toml` in the working folder;
/// 2. for what the file does not set, the variables of the environment: `SESSION_LIFETIME` for `lifetime`, and so on;
/// 3. below them, those in the file `.env` in the working folder;
/// 4. the defaults.
///
/// Setters come last and win. What is wrong is an error that names the setting, its source and its value, but never a
/// secret: an unknown key in the file, a wrong type, an impossible value, a combination that browsers refuse.
///
/// # Files and variables
///
/// The settings stand at the top of the file, in no table:
///
/// ```toml
/// driver = "redis"
/// lifetime = 1800
/// secure = true
/// previous_keys = ["base64:…"]
/// ```
///
/// * A time is in seconds, whole or decimal (`0.5`).
/// * In a variable, yes is `true`, `1`, `yes` or `on`, and no is `false`, `0`, `no` or `off`.
/// * An **empty variable is a value, not a gap** through which a lower layer shows. It means none for `domain`,
///   `previous_keys` and `database_url`, and no prefix for `redis_prefix`. For every other setting it is an error,
///   the key first of all.
/// * A `SESSION_*` variable that is no setting belongs to somebody else and is left alone, unless it is one slip away
///   from a setting that is set nowhere: `SESSION_LIFETIM` is an error.
/// * In `.env`, a `$` outside of single quotes begins the name of another variable, as in a shell. The same `SESSION_*`
///   variable twice is an error, and so is a line that is not `NAME=value`.
///
/// # Examples
///
/// ```
/// use arvel_session::{SameSite, Secret, SessionConfig};
/// use std::time::Duration;
///
/// let config = SessionConfig::new()
///     .driver("memory")
///     .lifetime(Duration::from_secs(1800))
///     .same_site(SameSite::Strict)
///     .secret_key(Secret::generate());
/// config.check()?;
/// assert_eq!(config.settings().lifetime, Duration::from_secs(1800));
/// assert_eq!(config.settings().cookie_name, "arvel_session");
/// # Ok::<(), arvel_session::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct SessionConfig {
    settings: Settings,
    /// Where each setting came from; one that is not here has its default.
    sources: BTreeMap<&'static str, Source>,
}

impl SessionConfig {
    /// The defaults. They lack one thing that has none: the [`secret_key`](Self::secret_key).
    pub fn new() -> Self {
        Self::default()
    }

    /// The configuration of this process and its working folder.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for what is wrong. That the key or the database's URL is missing shows when it is needed,
    /// since a setter may still bring it.
    pub fn load() -> Result<Self> {
        Self::load_from("", environment::process()?)
    }

    /// The configuration in this folder and this environment, for tests and tools.
    ///
    /// # Errors
    /// Those of [`load`](Self::load).
    ///
    /// ```
    /// use arvel_session::SessionConfig;
    ///
    /// let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    /// let folder = "a/folder/without/files";
    ///
    /// let config = SessionConfig::load_from(folder, [variable("SESSION_DRIVER", "redis")])?;
    /// assert_eq!(config.settings().driver, "redis");
    ///
    /// let error = SessionConfig::load_from(folder, [variable("SESSION_LIFETIME", "2h")]).unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "lifetime = 2h (SESSION_LIFETIME): must be a number of seconds, whole or decimal, and not negative"
    /// );
    /// # Ok::<(), arvel_session::Error>(())
    /// ```
    pub fn load_from(
        folder: impl AsRef<Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self> {
        Self::load_under(folder, environment, None)
    }

    /// [`load_from`](Self::load_from), under one more file: for languages whose applications are configured in their own.
    /// Its path is what errors call it; its settings are handed over as the text of a TOML file.
    ///
    /// # Errors
    /// Those of [`load`](Self::load).
    ///
    /// ```
    /// use arvel_session::SessionConfig;
    /// use std::path::Path;
    ///
    /// let file = (Path::new("config/session.py"), "lifetime = 60");
    /// let config = SessionConfig::load_under("a/folder/without/files", [], Some(file))?;
    /// assert_eq!(config.settings().lifetime.as_secs(), 60);
    /// # Ok::<(), arvel_session::Error>(())
    /// ```
    pub fn load_under(
        folder: impl AsRef<Path>,
        environment: impl IntoIterator<Item = (String, String)>,
        file: Option<(&Path, &str)>,
    ) -> Result<Self> {
        let mut config = Self::new();
        for found in source::cascade(folder.as_ref(), environment, file)? {
            let row = found.row;
            (row.read)(&mut config.settings, &found.raw).map_err(|must| {
                let value = (!row.secret).then(|| found.raw.show());
                refused(row.name, value.as_deref(), &found.source, &must)
            })?;
            config.sources.insert(row.name, found.source);
        }
        config.settle();
        config.check()?;
        Ok(config)
    }

    /// The values.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether all of it can work: no impossible value, no combination that browsers refuse.
    ///
    /// [`load`](Self::load) has asked already; what setters changed since then is looked at where a manager is built.
    ///
    /// # Errors
    /// [`ErrorKind::Config`], with the setting that is at fault.
    ///
    /// ```
    /// use arvel_session::SessionConfig;
    ///
    /// let config = SessionConfig::new().cookie_name("__Host-id").secure(true).domain("example.com");
    /// assert_eq!(
    ///     config.check().unwrap_err().to_string(),
    ///     "domain = example.com (set in code): must not be set for a cookie_name that begins with __Host-"
    /// );
    /// ```
    pub fn check(&self) -> Result<()> {
        check::check(self)
    }

    /// Every setting with its value, fit to be shown, and its source. Secrets and the passwords in URLs are masked.
    ///
    /// ```
    /// use arvel_session::{SessionConfig, Source};
    ///
    /// let config = SessionConfig::new().redis_url("redis://:hunter2@cache");
    /// for (name, value, source) in config.describe() {
    ///     assert_eq!(*source == Source::Code, name == "redis_url");
    ///     assert!(!value.contains("hunter2"));
    /// }
    /// ```
    pub fn describe(&self) -> impl Iterator<Item = (&'static str, String, &Source)> {
        TABLE
            .iter()
            .map(|row| (row.name, (row.show)(&self.settings), self.source(row.name)))
    }

    /// The error for a setting that turned out to be impossible where it was used; its value is shown, so no secret's.
    pub(crate) fn refuse(&self, name: &'static str, must: &str) -> Error {
        let shown = self.describe().find(|(setting, ..)| *setting == name);
        let value = shown.map(|(_, value, _)| value);
        refused(name, value.as_deref(), self.source(name), must)
    }

    fn source(&self, name: &str) -> &Source {
        self.sources.get(name).unwrap_or(&Source::Default)
    }

    fn set(mut self, name: &'static str, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self.sources.insert(name, Source::Code);
        self.settle();
        self
    }

    /// Brings in line what follows from other settings.
    fn settle(&mut self) {
        if *self.source("absolute_lifetime") == Source::Default {
            let needs_end = self.settings.driver == COOKIE;
            self.settings.absolute_lifetime = needs_end.then_some(THIRTY_DAYS);
        }
        let forced = self.settings.same_site == SameSite::None;
        if forced && !self.settings.secure {
            self.settings.secure = true;
            self.sources.insert("secure", Source::Forced);
        } else if !forced && *self.source("secure") == Source::Forced {
            self.settings.secure = false;
            self.sources.remove("secure");
        }
        let domain = self.settings.domain.take();
        self.settings.domain = domain.filter(|domain| !domain.is_empty()).map(without_dot);
    }
}

/// No secret, no password.
impl fmt::Debug for SessionConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionConfig")
            .field("settings", &self.settings)
            .field("sources", &self.sources)
            .finish()
    }
}

/// Browsers ignore a dot in front, which older ones needed. What is no domain all the same is left for the check.
fn without_dot(domain: String) -> String {
    match domain.strip_prefix('.') {
        Some(bare) if !bare.is_empty() && !bare.starts_with('.') => bare.to_owned(),
        _ => domain,
    }
}

fn refused(name: &str, value: Option<&str>, source: &Source, must: &str) -> Error {
    let message = match value {
        Some(value) => format!("{name} = {value} ({source}): {must}"),
        None => format!("{name} ({source}): {must}"),
    };
    Error::new(ErrorKind::Config, message)
}

#[cfg(test)]
mod tests;
