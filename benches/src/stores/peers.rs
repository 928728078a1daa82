//! tower-sessions on its Redis and SQL stores, set up as their documentation does it.

use std::sync::Arc;

use anyhow::Result;
use tower_sessions_0_14::{Session, SessionManagerLayer, SessionStore};
use tower_sessions_redis_store::{
    RedisStore,
    fred::prelude::{ClientLike, Config, Pool},
};
use tower_sessions_sqlx_store::{
    MySqlStore, PostgresStore,
    sqlx::{MySqlPool, PgPool},
};

use crate::{
    apps::router::routes,
    content::Content,
    load::{App, Make, Subject},
};

/// The size of the pool in its documentation.
const CONNECTIONS: usize = 6;

/// On the Redis at this URL.
pub(super) fn redis(url: String) -> Make {
    Arc::new(move |content| {
        let url = url.clone();
        Box::pin(async move {
            let pool = Pool::new(Config::from_url(&url)?, None, None, None, CONNECTIONS)?;
            pool.connect();
            pool.wait_for_connect().await?;
            app(content, RedisStore::new(pool))
        })
    })
}

/// On the PostgreSQL at this URL; sqlx's pool has ten connections unless told otherwise.
pub(super) fn postgres(url: String) -> Make {
    Arc::new(move |content| {
        let url = url.clone();
        Box::pin(async move {
            let store = PostgresStore::new(PgPool::connect(&url).await?);
            store.migrate().await?;
            app(content, store)
        })
    })
}

/// On the MariaDB at this URL.
pub(super) fn mysql(url: String) -> Make {
    Arc::new(move |content| {
        let url = url.clone();
        Box::pin(async move {
            let store = MySqlStore::new(MySqlPool::connect(&url).await?);
            store.migrate().await?;
            app(content, store)
        })
    })
}

fn app(content: Arc<Content>, store: impl SessionStore + Clone) -> Result<Box<dyn Subject>> {
    let layer = SessionManagerLayer::new(store);
    Ok(Box::new(App(routes::<Session>(content).layer(layer))))
}
