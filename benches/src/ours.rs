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

/// In this process's memory.
pub fn memory() -> Make {
    on(|config| config.driver("memory"))
}

/// On the Redis at this URL.
pub fn redis(url: String) -> Make {
    on(move |config| config.driver("redis").redis_url(&url))
}

/// In this folder.
pub fn file(folder: PathBuf) -> Make {
    on(move |config| config.driver("file").files_path(&folder))
}

/// In the database at this URL.
pub fn database(url: String) -> Make {
    on(move |config| config.driver("database").database_url(&url))
}

fn on(configure: impl Fn(SessionConfig) -> SessionConfig + Send + Sync + 'static) -> Make {
    let key = Secret::generate();
    Arc::new(move |content| {
        let config = configure(SessionConfig::new().secret_key(key.clone()));
        Box::pin(start(config, content))
    })
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
