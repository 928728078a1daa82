//! The driver keeps the contract, and works under its name in an application.

use std::sync::Arc;

use arvel_session::{
    Result, Secret, SessionConfig, SessionData, SessionManager, StartSession, conformance::Opener,
    conformance_tests,
};
use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, header},
    routing::get,
};
use own_driver::RedbStore;
use tempfile::TempDir;
use tower::ServiceExt;

conformance_tests!({
    let folder = Arc::new(TempDir::new().unwrap());
    // A second handle on one file is what the driver denies, so each gets a file of its own.
    Opener::private(move || {
        let folder = folder.clone();
        async move { RedbStore::open(&folder.path().join("sessions.redb")) }
    })
});

async fn visits(session: SessionData) -> Result<String> {
    Ok(session.increment("visits", 1)?.to_string())
}

#[tokio::test]
async fn an_application_chooses_it_by_name() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("sessions.redb");
    let config = SessionConfig::new()
        .driver("redb")
        .secret_key(Secret::generate());
    let manager = SessionManager::new(config).unwrap();
    manager
        .extend("redb", move |_config| RedbStore::open(&path))
        .unwrap();
    let layer = StartSession::new(manager.store().unwrap())
        .try_build()
        .unwrap();
    let app = Router::new().route("/", get(visits)).layer(layer);

    let first = app
        .clone()
        .oneshot(Request::new(Body::empty()))
        .await
        .unwrap();
    let cookie = first.headers()[header::SET_COOKIE].to_str().unwrap();
    let (cookie, _) = cookie.split_once(';').unwrap();
    let request = Request::get("/").header(header::COOKIE, cookie);
    let second = app
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    let body = to_bytes(second.into_body(), 100).await.unwrap();
    assert_eq!(body, "2");
}
