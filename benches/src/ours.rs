//! arvel-session on each of its server-side drivers, with everything on that is on by default.

use std::{path::PathBuf, sync::Arc};

use anyhow::Result;
use arvel_session::{
    Secret, SessionConfig, SessionData, SessionManager, StartSession, store::DatabaseStore,
};

use crate::{
    apps::router::routes,
    content::Content,
    load::{App, Make, Subject},
};

/// The defaults, with a key and this driver.
pub fn config(driver: &str) -> SessionConfig {
    SessionConfig::new()
        .driver(driver)
        .secret_key(Secret::generate())
}

/// In this process's memory.
pub fn memory() -> Make {
    on(config("memory"))
}

/// In the browser.
pub fn cookie() -> Make {
    on(config("cookie"))
}

/// On the Redis at this URL.
pub fn redis(url: &str) -> Make {
    on(config("redis").redis_url(url))
}

/// In this folder.
pub fn file(folder: PathBuf) -> Make {
    on(config("file").files_path(folder))
}

/// In the database at this URL.
pub fn database(url: &str) -> Make {
    on(config("database").database_url(url))
}

fn on(config: SessionConfig) -> Make {
    Arc::new(move |content| Box::pin(start(config.clone(), content)))
}

async fn start(config: SessionConfig, content: Arc<Content>) -> Result<Box<dyn Subject>> {
    if config.settings().driver == "database" {
        DatabaseStore::from_config(&config)?.migrate().await?;
    }
    let routes = routes::<SessionData>(content);
    Ok(Box::new(App(routes.layer(layer(config)?))))
}

/// The layer.
///
/// # Errors
/// The configuration is wrong.
pub fn layer(config: SessionConfig) -> Result<StartSession> {
    let store = SessionManager::new(config)?.store()?;
    Ok(StartSession::new(store).try_build()?)
}
