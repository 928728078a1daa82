//! The built-in drivers by name, as far as they are compiled in.

use std::sync::Arc;

use crate::{
    Result, SessionConfig,
    store::{CookieStore, DatabaseStore, MemoryStore, SessionStore},
};

/// The driver that the configuration names.
pub(super) fn built_in(config: &SessionConfig) -> Result<Arc<dyn SessionStore>> {
    match config.settings().driver.as_str() {
        "cookie" => Ok(Arc::new(CookieStore)),
        "memory" | "array" => Ok(Arc::new(MemoryStore::new())),
        "file" => file(config),
        "redis" => redis(config),
        "database" => database(config),
        _ => Err(config.refuse(
            "driver",
            "is no driver: cookie, memory, array, file, redis, database, or one that was registered with extend",
        )),
    }
}

#[cfg(all(feature = "file", unix))]
fn file(config: &SessionConfig) -> Result<Arc<dyn SessionStore>> {
    let path = &config.settings().files_path;
    Ok(Arc::new(crate::store::FileStore::open(path)?))
}

#[cfg(not(all(feature = "file", unix)))]
fn file(config: &SessionConfig) -> Result<Arc<dyn SessionStore>> {
    Err(config.refuse(
        "driver",
        "needs Unix and the Cargo feature `file`, which is not compiled in",
    ))
}

#[cfg(feature = "redis")]
fn redis(config: &SessionConfig) -> Result<Arc<dyn SessionStore>> {
    let settings = config.settings();
    let store = crate::store::RedisStore::new(settings.redis_url.as_str(), &settings.redis_prefix)?;
    Ok(Arc::new(store))
}

#[cfg(not(feature = "redis"))]
fn redis(config: &SessionConfig) -> Result<Arc<dyn SessionStore>> {
    Err(config.refuse(
        "driver",
        "needs the Cargo feature `redis`, which is not compiled in",
    ))
}

/// Which databases are compiled in is for the URL to find out.
fn database(config: &SessionConfig) -> Result<Arc<dyn SessionStore>> {
    Ok(Arc::new(DatabaseStore::from_config(config)?))
}
