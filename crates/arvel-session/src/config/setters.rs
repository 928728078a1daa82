//! Every setting's setter: what it does, its default, and where a wrong value hurts.

use std::{path::PathBuf, time::Duration};

use super::{SameSite, Secret, SessionConfig, Url};

/// # Where sessions are kept
impl SessionConfig {
    /// The driver: `cookie`, `memory` (or `array`), `file`, `redis`, `database`, or the name of one of your own.
    ///
    /// **Default:** `cookie`. That a driver of this name exists is checked when it is needed.
    ///
    /// # Security
    /// The `cookie` driver keeps nothing on the server. So it cannot end a session: an old cookie works until it
    /// expires, and of two requests at once the last response wins.
    ///
    /// ```
    /// # use arvel_session::SessionConfig;
    /// let config = SessionConfig::new().driver("redis");
    /// assert_eq!(config.settings().driver, "redis");
    /// ```
    #[must_use]
    pub fn driver(self, name: impl Into<String>) -> Self {
        self.set("driver", |settings| settings.driver = name.into())
    }

    /// The folder of the `file` driver.
    ///
    /// **Default:** `storage/framework/sessions`, in the working folder.
    ///
    /// # Security
    /// A folder of its own, outside of what the web server hands out.
    ///
    /// ```
    /// # use arvel_session::SessionConfig;
    /// let config = SessionConfig::new().files_path("/var/lib/shop/sessions");
    /// assert!(config.settings().files_path.is_absolute());
    /// ```
    #[must_use]
    pub fn files_path(self, folder: impl Into<PathBuf>) -> Self {
        self.set("files_path", |settings| settings.files_path = folder.into())
    }

    /// The server of the `redis` driver.
    ///
    /// **Default:** `redis://127.0.0.1:6379`.
    ///
    /// # Security
    /// Over a network, `rediss://` (TLS) and a password: who can write to the store can delete sessions, and with
    /// [`encrypt`](Self::encrypt) off also read them.
    ///
    /// ```
    /// # use arvel_session::SessionConfig;
    /// let config = SessionConfig::new().redis_url("rediss://app:hunter2@cache:6380");
    /// assert_eq!(config.settings().redis_url.as_str(), "rediss://app:hunter2@cache:6380");
    /// assert!(!format!("{config:?}").contains("hunter2"));
    /// ```
    #[must_use]
    pub fn redis_url(self, url: impl Into<String>) -> Self {
        self.set("redis_url", |settings| settings.redis_url = Url(url.into()))
    }

    /// What the keys of the `redis` driver begin with.
    ///
    /// **Default:** `arvel_session:`. Applications that share a server each need one of their own. May be empty.
    ///
    /// ```
    /// # use arvel_session::SessionConfig;
    /// let config = SessionConfig::new().redis_prefix("shop:");
    /// assert_eq!(config.settings().redis_prefix, "shop:");
    /// ```
    #[must_use]
    pub fn redis_prefix(self, prefix: impl Into<String>) -> Self {
        self.set("redis_prefix", |settings| {
            settings.redis_prefix = prefix.into();
        })
    }

    /// The database of the `database` driver: SQLite, PostgreSQL, MySQL or MariaDB, by the URL's scheme.
    ///
    /// **Default:** none, and that is an error for this driver: a database that was made up by mistake would log
    /// everybody out. Empty is none.
    ///
    /// ```
    /// # use arvel_session::SessionConfig;
    /// let config = SessionConfig::new().driver("database").database_url("sqlite://sessions.sqlite");
    /// assert_eq!(config.settings().database_url()?.as_str(), "sqlite://sessions.sqlite");
    /// # Ok::<(), arvel_session::Error>(())
    /// ```
    #[must_use]
    pub fn database_url(self, url: impl Into<String>) -> Self {
        let url = Some(url.into()).filter(|url| !url.is_empty());
        self.set("database_url", |settings| {
            settings.database_url = url.map(Url);
        })
    }

    /// The table of the `database` driver, with its schema in front if need be (`web.sessions`).
    ///
    /// **Default:** `sessions`. Letters, digits and `_`.
    ///
    /// ```
    /// # use arvel_session::SessionConfig;
    /// assert!(SessionConfig::new().database_table("web.sessions").check().is_ok());
    /// assert!(SessionConfig::new().database_table("sessions; --").check().is_err());
    /// ```
    #[must_use]
    pub fn database_table(self, table: impl Into<String>) -> Self {
        self.set("database_table", |settings| {
            settings.database_table = table.into();
        })
    }

    /// How long the store may take to answer; after that the response is 503 and nothing is lost.
    ///
    /// **Default:** 2 s. **In files and variables:** seconds, more than 0.
    ///
    /// ```
    /// # use arvel_session::SessionConfig;
    /// # use std::time::Duration;
    /// let config = SessionConfig::new().timeout(Duration::from_millis(500));
    /// assert_eq!(config.settings().timeout.as_millis(), 500);
    /// assert!(config.timeout(Duration::ZERO).check().is_err());
    /// ```
    #[must_use]
    pub fn timeout(self, time: Duration) -> Self {
        self.set("timeout", |settings| settings.timeout = time)
    }

    /// How often the expired sessions are removed from the store.
    ///
    /// **Default:** 60 s. **In files and variables:** seconds. `None` or 0 is never: for one process of many, or
    /// where `arvel-session sweep` runs from cron. Expired sessions count as gone, swept or not.
    ///
    /// ```
    /// # use arvel_session::SessionConfig;
    /// # use std::time::Duration;
    /// let config = SessionConfig::new().sweep_interval(Duration::from_secs(600));
    /// assert_eq!(config.settings().sweep_interval, Some(Duration::from_secs(600)));
    /// assert_eq!(config.sweep_interval(None).settings().sweep_interval, None);
    /// ```
    #[must_use]
    pub fn sweep_interval(self, time: impl Into<Option<Duration>>) -> Self {
        self.set("sweep_interval", |settings| {
            settings.sweep_interval = unless_zero(time);
        })
    }
}

/// # How long they live
impl SessionConfig {
    /// How long a session lives that nobody uses; each use begins the time anew.
    ///
    /// **Default:** 2 hours. **In files and variables:** seconds, more than 0.
    ///
    /// # Security
    /// The longer, the longer a browser left open somewhere stays logged in.
    ///
    /// ```
    /// # use arvel_session::SessionConfig;
    /// # use std::time::Duration;
    /// let config = SessionConfig::new().lifetime(Duration::from_secs(1800));
    /// assert_eq!(config.settings().lifetime.as_secs(), 1800);
    /// assert!(config.lifetime(Duration::ZERO).check().is_err());
    /// ```
    #[must_use]
    pub fn lifetime(self, time: Duration) -> Self {
        self.set("lifetime", |settings| settings.lifetime = time)
    }

    /// How long after its creation a session ends, however much it is used.
    ///
    /// **Default:** 30 days for the `cookie` driver, off for the others. **In files and variables:** seconds.
    /// `None` or 0 is off.
    ///
    /// # Security
    /// It is the only end that a stolen cookie which is kept in use comes to. With the `cookie` driver, leave it on.
    ///
    /// ```
    /// # use arvel_session::SessionConfig;
    /// # use std::time::Duration;
    /// const DAY: Duration = Duration::from_secs(24 * 3600);
    /// let config = SessionConfig::new();
    /// assert_eq!(config.settings().absolute_lifetime, Some(30 * DAY));
    /// assert_eq!(config.clone().driver("redis").settings().absolute_lifetime, None);
    /// assert_eq!(config.clone().absolute_lifetime(DAY).settings().absolute_lifetime, Some(DAY));
    /// assert_eq!(config.absolute_lifetime(None).settings().absolute_lifetime, None);
    /// ```
    #[must_use]
    pub fn absolute_lifetime(self, time: impl Into<Option<Duration>>) -> Self {
        self.set("absolute_lifetime", |settings| {
            settings.absolute_lifetime = unless_zero(time);
        })
    }

    /// Whether the browser drops the cookie when it is closed. The session still ends after its
    /// [`lifetime`](Self::lifetime).
    ///
    /// **Default:** false.
    ///
    /// # Security
    /// No guarantee: browsers that reopen their tabs keep such cookies.
    ///
    /// ```
    /// # use arvel_session::SessionConfig;
    /// assert!(SessionConfig::new().expire_on_close(true).settings().expire_on_close);
    /// ```
    #[must_use]
    pub fn expire_on_close(self, yes: bool) -> Self {
        self.set("expire_on_close", |settings| settings.expire_on_close = yes)
    }
}

/// # The cookie
impl SessionConfig {
    /// The cookie's name: letters, digits and ``!#$%&'*+-.^_`|~``, 1,024 of them at most.
    ///
    /// **Default:** `arvel_session`. The name is part of what is signed: under a new name everybody starts anew.
    ///
    /// # Security
    /// `__Host-…` is the safest: no other host, not even a subdomain, can set such a cookie. It needs
    /// [`secure`](Self::secure), the path `/` and no [`domain`](Self::domain).
    ///
    /// ```
    /// # use arvel_session::SessionConfig;
    /// let config = SessionConfig::new().cookie_name("__Host-id");
    /// assert!(config.check().is_err());
    /// assert!(config.secure(true).check().is_ok());
    /// ```
    #[must_use]
    pub fn cookie_name(self, name: impl Into<String>) -> Self {
        self.set("cookie_name", |settings| settings.cookie_name = name.into())
    }

    /// Below which path the browser sends the cookie.
    ///
    /// **Default:** `/`. Begins with `/`; no `;`, no control characters, no space at the end.
    ///
    /// # Security
    /// It keeps nothing apart: a page under another path of the same host can get at the cookie all the same.
    ///
    /// ```
    /// # use arvel_session::SessionConfig;
    /// assert!(SessionConfig::new().path("/admin").check().is_ok());
    /// assert!(SessionConfig::new().path("admin").check().is_err());
    /// ```
    #[must_use]
    pub fn path(self, path: impl Into<String>) -> Self {
        self.set("path", |settings| settings.path = path.into())
    }

    /// The host that the cookie is for, with all of its subdomains. A dot in front is dropped, as browsers do.
    ///
    /// **Default:** none, which is the very host that set it. Empty is none.
    ///
    /// # Security
    /// With a domain, every subdomain gets the cookie, also the one that somebody else runs.
    ///
    /// ```
    /// # use arvel_session::SessionConfig;
    /// let config = SessionConfig::new().domain(".example.com");
    /// assert_eq!(config.settings().domain.as_deref(), Some("example.com"));
    /// assert!(config.domain("https://example.com").check().is_err());
    /// ```
    #[must_use]
    pub fn domain(self, domain: impl Into<String>) -> Self {
        self.set("domain", |settings| settings.domain = Some(domain.into()))
    }

    /// Whether the browser sends the cookie over HTTPS only.
    ///
    /// **Default:** false, so that it works on a developer's machine. [`SameSite::None`] makes it true.
    ///
    /// # Security
    /// Set it in production. Without it, one request over plain HTTP shows the session to everyone on the way.
    ///
    /// ```
    /// # use arvel_session::SessionConfig;
    /// assert!(SessionConfig::new().secure(true).settings().secure);
    /// ```
    #[must_use]
    pub fn secure(self, yes: bool) -> Self {
        self.set("secure", |settings| settings.secure = yes)
    }

    /// Whether the page's scripts are kept from the cookie.
    ///
    /// **Default:** true.
    ///
    /// # Security
    /// Leave it. With false, one injected script can carry the session away.
    ///
    /// ```
    /// # use arvel_session::SessionConfig;
    /// assert!(SessionConfig::new().settings().http_only);
    /// assert!(!SessionConfig::new().http_only(false).settings().http_only);
    /// ```
    #[must_use]
    pub fn http_only(self, yes: bool) -> Self {
        self.set("http_only", |settings| settings.http_only = yes)
    }

    /// Which requests from other sites bring the cookie along.
    ///
    /// **Default:** [`SameSite::Lax`]. **In files and variables:** `lax`, `strict` or `none`, in any case.
    ///
    /// # Security
    /// With [`SameSite::None`], which forces [`secure`](Self::secure), any site can send requests in the user's name:
    /// every form then needs the CSRF token.
    ///
    /// ```
    /// # use arvel_session::{SameSite, SessionConfig};
    /// assert!(SessionConfig::new().same_site(SameSite::None).settings().secure);
    /// ```
    #[must_use]
    pub fn same_site(self, same_site: SameSite) -> Self {
        self.set("same_site", |settings| settings.same_site = same_site)
    }

    /// Whether a page that is embedded in other sites gets a cookie of its own for each of them (CHIPS).
    ///
    /// **Default:** false. Needs [`secure`](Self::secure).
    ///
    /// ```
    /// # use arvel_session::{SameSite, SessionConfig};
    /// assert!(SessionConfig::new().partitioned(true).check().is_err());
    /// assert!(SessionConfig::new().partitioned(true).same_site(SameSite::None).check().is_ok());
    /// ```
    #[must_use]
    pub fn partitioned(self, yes: bool) -> Self {
        self.set("partitioned", |settings| settings.partitioned = yes)
    }
}

/// # Keys
impl SessionConfig {
    /// The key that everything is signed and sealed with. See [`Secret`] for how it is written.
    ///
    /// **Default:** none, and nothing works without one. All processes of an application share it.
    ///
    /// # Security
    /// Who has it can log in as anybody. Keep it out of the repository; change it with
    /// [`previous_keys`](Self::previous_keys).
    ///
    /// ```
    /// # use arvel_session::{Secret, SessionConfig};
    /// let config = SessionConfig::new().secret_key(Secret::generate());
    /// assert!(config.settings().secret_key().is_ok());
    /// ```
    #[must_use]
    pub fn secret_key(self, key: Secret) -> Self {
        self.set("secret_key", |settings| settings.secret_key = Some(key))
    }

    /// Keys that are still accepted, so that a change of the key logs nobody out. What they signed or sealed gets the
    /// current key at its next use.
    ///
    /// **Default:** none. **In files and variables:** separated by commas, in the file also a list. A key that holds a
    /// comma must be written in base64.
    ///
    /// # Security
    /// Each is as good as the current key. Drop it one [`lifetime`](Self::lifetime) after the change, and at once if
    /// it has leaked.
    ///
    /// ```
    /// # use arvel_session::{Secret, SessionConfig};
    /// let (old, new) = (Secret::generate(), Secret::generate());
    /// let config = SessionConfig::new().secret_key(new).previous_keys([old]);
    /// assert_eq!(config.settings().previous_keys.len(), 1);
    /// ```
    #[must_use]
    pub fn previous_keys(self, keys: impl IntoIterator<Item = Secret>) -> Self {
        self.set("previous_keys", |settings| {
            settings.previous_keys = keys.into_iter().collect();
        })
    }

    /// Whether what the store keeps is sealed, so that a copy of it shows nothing.
    ///
    /// **Default:** true. The `cookie` driver always seals, and the `memory` driver, which keeps nothing at rest,
    /// never does.
    ///
    /// # Security
    /// With false, who reads the database, the disk or the cache reads every session. Sessions stored before it was
    /// switched on count as gone from then on.
    ///
    /// ```
    /// # use arvel_session::SessionConfig;
    /// assert!(SessionConfig::new().settings().encrypt);
    /// assert!(!SessionConfig::new().encrypt(false).settings().encrypt);
    /// ```
    #[must_use]
    pub fn encrypt(self, yes: bool) -> Self {
        self.set("encrypt", |settings| settings.encrypt = yes)
    }
}

fn unless_zero(time: impl Into<Option<Duration>>) -> Option<Duration> {
    time.into().filter(|time| !time.is_zero())
}
