//! An application that uses `sqlx` on SQLite, beside sessions in the same file.

use arvel_session::{
    Result, Secret, SessionConfig, SessionData, SessionManager, StartSession, store::DatabaseStore,
};
use axum::{Router, extract::State, routing::get};
use sqlx::SqlitePool;

/// The application on this file, its tables made.
///
/// # Errors
/// The configuration or the database failed.
pub async fn app(file: &str, pool: SqlitePool) -> Result<Router> {
    let config = SessionConfig::new()
        .driver("database")
        .database_url(format!("sqlite:{file}"))
        .secret_key(Secret::generate());
    DatabaseStore::from_config(&config)?.migrate().await?;
    let store = SessionManager::new(config)?.store()?;
    Ok(Router::new()
        .route("/", get(home))
        .layer(StartSession::new(store).try_build()?)
        .with_state(pool))
}

async fn home(State(pool): State<SqlitePool>, session: SessionData) -> Result<String> {
    let visits = session.increment("visits", 1)?;
    let sessions: Result<i64, _> = sqlx::query_scalar("SELECT count(*) FROM sessions")
        .fetch_one(&pool)
        .await;
    Ok(format!(
        "visit {visits}, {} sessions",
        sessions.unwrap_or(-1)
    ))
}
