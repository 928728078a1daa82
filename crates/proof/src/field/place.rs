//! A store for one purpose alone: a folder, a prefix, a table.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use xtask::error::{Context, Error, Result};

use super::{Driver, Servers};

/// A store that nobody else uses, and the settings of the servers that do.
#[derive(Clone, Debug)]
pub struct Place {
    /// The driver.
    pub driver: Driver,
    /// The folder of the sessions, or of the database file.
    pub folder: PathBuf,
    /// The prefix of the keys, or the name of the table.
    pub name: String,
    lifetime: Duration,
    settings: Vec<(&'static str, String)>,
}

/// Long enough that nothing expires by itself, short enough that expiries are moved.
const LIFETIME: Duration = Duration::from_secs(120);

/// Any will do.
const SECRET: &str = "0123456789abcdef0123456789abcdef";

impl Place {
    /// A new one on the servers, or in this folder.
    ///
    /// # Errors
    /// The server is not there, or the folder cannot be made.
    pub fn new(driver: Driver, servers: &Servers, root: &Path, timeout: Duration) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("proof_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = root.join(&name);
        std::fs::create_dir_all(&folder).context(format!("making {}", folder.display()))?;
        let url = url(driver, servers, &folder)?;
        let mut place = Self {
            driver,
            folder,
            name,
            lifetime: LIFETIME,
            settings: vec![
                ("SESSION_SECRET_KEY", SECRET.to_owned()),
                ("SESSION_TIMEOUT", timeout.as_secs_f64().to_string()),
                ("SESSION_SWEEP_INTERVAL", "1".to_owned()),
            ],
        };
        place.live_for(LIFETIME);
        place.point_at(url);
        Ok(place)
    }

    fn point_at(&mut self, url: String) {
        let more = match self.driver {
            Driver::File => vec![
                ("SESSION_DRIVER", "file".to_owned()),
                ("SESSION_FILES_PATH", url),
            ],
            Driver::Redis | Driver::Sentinel | Driver::Cluster => vec![
                ("SESSION_DRIVER", "redis".to_owned()),
                ("SESSION_REDIS_URL", url),
                ("SESSION_REDIS_PREFIX", self.prefix()),
            ],
            Driver::Sqlite | Driver::Postgres | Driver::Mariadb => vec![
                ("SESSION_DRIVER", "database".to_owned()),
                ("SESSION_DATABASE_URL", url),
                ("SESSION_DATABASE_TABLE", self.name.clone()),
            ],
        };
        for (name, value) in more {
            self.set(name, value);
        }
    }

    /// What Redis' keys begin with.
    #[must_use]
    pub fn prefix(&self) -> String {
        format!("{}:", self.name)
    }

    /// The file of SQLite.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.folder.join("sessions.db")
    }

    /// How long a session lives that nobody uses.
    #[must_use]
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// Changes how long a session lives that nobody uses.
    pub fn live_for(&mut self, lifetime: Duration) {
        self.lifetime = lifetime;
        self.set("SESSION_LIFETIME", lifetime.as_secs().to_string());
    }

    fn set(&mut self, name: &'static str, value: String) {
        self.settings.retain(|(other, _)| *other != name);
        self.settings.push((name, value));
    }

    /// Leads to the server by way of this address.
    pub fn go_through(&mut self, port: u16, proxy: u16) {
        for (_, value) in &mut self.settings {
            *value = value.replace(&format!("127.0.0.1:{port}"), &format!("127.0.0.1:{proxy}"));
        }
    }

    /// The environment of a server on this store.
    #[must_use]
    pub fn settings(&self) -> &[(&'static str, String)] {
        &self.settings
    }
}

fn url(driver: Driver, servers: &Servers, folder: &Path) -> Result<String> {
    let url = match driver {
        Driver::File => Some(folder.display().to_string()),
        Driver::Sqlite => Some(format!("sqlite:{}", folder.join("sessions.db").display())),
        Driver::Redis => servers.redis.as_ref().map(|server| server.url()),
        Driver::Sentinel => servers.sentinel.as_ref().map(|servers| servers.url()),
        Driver::Cluster => servers.cluster.as_ref().map(|servers| servers.url()),
        Driver::Postgres => servers.postgres.as_ref().map(|server| server.url()),
        Driver::Mariadb => servers.mariadb.as_ref().map(|server| server.url()),
    };
    url.ok_or_else(|| Error::new(format!("{driver} has no server")))
}
