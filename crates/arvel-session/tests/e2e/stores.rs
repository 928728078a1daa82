//! A store for a test alone, on each driver, and a look at what it keeps behind the driver's back.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use tempfile::TempDir;

use crate::{
    place::{self, Place},
    playground::Playground,
    servers,
};

/// The key of all playgrounds, so that what one signs another one takes.
pub(crate) const KEY: (&str, &str) = ("SESSION_SECRET_KEY", "0123456789abcdef0123456789abcdef");

/// A driver's settings, and what goes when the test ends.
pub(crate) struct Store {
    settings: Vec<(&'static str, String)>,
    kept: Kept,
}

enum Kept {
    Nowhere,
    Folder(TempDir),
    Redis { url: String, prefix: String },
    Table(Place),
}

fn with(driver: &str, more: &[(&'static str, &str)], kept: Kept) -> Store {
    let mut settings = vec![
        (KEY.0, KEY.1.to_owned()),
        ("SESSION_DRIVER", driver.to_owned()),
    ];
    let more = more.iter();
    settings.extend(more.map(|(name, value)| (*name, (*value).to_owned())));
    Store { settings, kept }
}

pub(crate) async fn cookie() -> Option<Store> {
    Some(with("cookie", &[], Kept::Nowhere))
}

pub(crate) async fn memory() -> Option<Store> {
    Some(with("memory", &[], Kept::Nowhere))
}

pub(crate) async fn file() -> Option<Store> {
    let folder = TempDir::new().unwrap();
    let sessions = folder.path().join("sessions");
    let path = sessions.to_str().unwrap().to_owned();
    let settings = [("SESSION_FILES_PATH", path.as_str())];
    Some(with("file", &settings, Kept::Folder(folder)))
}

pub(crate) async fn redis() -> Option<Store> {
    on_redis("ARVEL_TEST_REDIS")
}

pub(crate) async fn redis_tls() -> Option<Store> {
    on_redis("ARVEL_TEST_REDIS_TLS")
}

pub(crate) async fn redis_unix() -> Option<Store> {
    on_redis("ARVEL_TEST_REDIS_UNIX")
}

pub(crate) async fn redis_sentinel() -> Option<Store> {
    on_redis("ARVEL_TEST_REDIS_SENTINEL")
}

pub(crate) async fn redis_cluster() -> Option<Store> {
    on_redis("ARVEL_TEST_REDIS_CLUSTER")
}

fn on_redis(variable: &str) -> Option<Store> {
    Some(redis_at(&servers::from_environment(variable)?))
}

/// A prefix of its own on the servers of this URL.
pub(crate) fn redis_at(url: &str) -> Store {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let prefix = format!("e2e-{}-{count}:", std::process::id());
    let settings = [
        ("SESSION_REDIS_URL", url),
        ("SESSION_REDIS_PREFIX", prefix.as_str()),
    ];
    let url = url.to_owned();
    with(
        "redis",
        &settings,
        Kept::Redis {
            url,
            prefix: prefix.clone(),
        },
    )
    .trusting_the_test_authority()
}

pub(crate) async fn sqlite() -> Option<Store> {
    Some(in_table(place::sqlite()).await)
}

pub(crate) async fn postgres() -> Option<Store> {
    Some(in_table(place::postgres()?).await)
}

pub(crate) async fn mariadb() -> Option<Store> {
    Some(in_table(place::mysql()?).await)
}

async fn in_table(place: Place) -> Store {
    place.store().await;
    let settings = [
        ("SESSION_DATABASE_URL", place.url.as_str()),
        ("SESSION_DATABASE_TABLE", place.table.as_str()),
    ];
    with("database", &settings, Kept::Nowhere).keeping(Kept::Table(place))
}

impl Store {
    fn keeping(mut self, kept: Kept) -> Self {
        self.kept = kept;
        self
    }

    /// Hands on the file of authorities, which the playgrounds' empty environment lacks.
    fn trusting_the_test_authority(mut self) -> Self {
        if let Some(file) = servers::variable("SSL_CERT_FILE") {
            self.settings.push(("SSL_CERT_FILE", file));
        }
        self
    }

    /// The same store under another setting.
    pub(crate) fn set(&mut self, name: &'static str, value: &str) {
        self.settings.retain(|(other, _)| *other != name);
        self.settings.push((name, value.to_owned()));
    }

    pub(crate) fn settings(&self) -> Vec<(&str, &str)> {
        let settings = self.settings.iter();
        settings
            .map(|(name, value)| (*name, value.as_str()))
            .collect()
    }

    pub(crate) fn setting(&self, name: &str) -> &str {
        let found = self.settings.iter().find(|(other, _)| *other == name);
        &found.unwrap().1
    }

    /// A process on this store.
    pub(crate) fn start(&self) -> Playground {
        Playground::start(&self.settings())
    }

    /// Whether the browser holds nothing but an id.
    pub(crate) fn is_server_side(&self) -> bool {
        self.setting("SESSION_DRIVER") != "cookie"
    }

    pub(crate) fn folder(&self) -> PathBuf {
        match &self.kept {
            Kept::Folder(folder) => folder.path().join("sessions"),
            _ => panic!("this store has no folder"),
        }
    }

    pub(crate) fn table(&self) -> &Place {
        match &self.kept {
            Kept::Table(place) => place,
            _ => panic!("this store has no table"),
        }
    }

    /// All that is stored, in no order: records, or files with some. Where the tests' own client cannot look, nothing.
    pub(crate) async fn records(&self) -> Vec<Vec<u8>> {
        match &self.kept {
            Kept::Nowhere => Vec::new(),
            Kept::Folder(_) => {
                let files = files_under(&self.folder()).into_iter();
                files.map(|file| fs::read(file).unwrap()).collect()
            }
            // The client of these tests speaks plain TCP to one server.
            Kept::Redis { url, .. } if !url.starts_with("redis://") => Vec::new(),
            Kept::Redis { url, prefix } => {
                let mut client = client(url);
                let names = names(&mut client, prefix).into_iter();
                let get = |name| redis::cmd("GET").arg(name).query(&mut client).unwrap();
                names.map(get).collect()
            }
            Kept::Table(place) => {
                let all = format!("SELECT {} FROM {}", all_in_hex(place), place.table);
                let all = place.value(&all).await.unwrap_or_default();
                let records = all.split(',').filter(|record| !record.is_empty());
                records.map(from_hex).collect()
            }
        }
    }

    /// Puts these bytes in the place of the only record.
    pub(crate) async fn overwrite(&self, bytes: &[u8]) {
        match &self.kept {
            Kept::Nowhere => panic!("nothing is kept outside of the process"),
            Kept::Folder(_) => fs::write(&files_under(&self.folder())[0], bytes).unwrap(),
            Kept::Redis { url, prefix } => {
                let mut client = client(url);
                let name = names(&mut client, prefix).remove(0);
                let set = redis::cmd("SET")
                    .arg(name)
                    .arg(bytes)
                    .arg("KEEPTTL")
                    .clone();
                set.exec(&mut client).unwrap();
            }
            Kept::Table(place) => {
                let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                let value = if place.url.starts_with("postgres:") {
                    format!("decode('{hex}', 'hex')")
                } else {
                    format!("x'{hex}'")
                };
                let update = format!("UPDATE {} SET payload = {value}", place.table);
                place.execute(&update).await;
            }
        }
    }
}

fn files_under(folder: &Path) -> Vec<PathBuf> {
    let sub_folders = fs::read_dir(folder).unwrap();
    let files =
        sub_folders.flat_map(|sub_folder| fs::read_dir(sub_folder.unwrap().path()).unwrap());
    files.map(|file| file.unwrap().path()).collect()
}

fn client(url: &str) -> redis::Connection {
    let client = redis::Client::open(url).unwrap();
    client.get_connection().unwrap()
}

fn names(client: &mut redis::Connection, prefix: &str) -> Vec<String> {
    let pattern = format!("{prefix}*");
    redis::cmd("KEYS").arg(pattern).query(client).unwrap()
}

/// All payloads as one text.
fn all_in_hex(place: &Place) -> &'static str {
    if place.url.starts_with("postgres:") {
        "STRING_AGG(ENCODE(payload, 'hex'), ',')"
    } else {
        "GROUP_CONCAT(HEX(payload))"
    }
}

fn from_hex(text: &str) -> Vec<u8> {
    let pairs = (0..text.len()).step_by(2);
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    pairs.map(byte).collect()
}
