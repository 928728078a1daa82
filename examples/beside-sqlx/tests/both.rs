//! Both clients in one program, on one file.

use axum::{
    body::{Body, to_bytes},
    http::{Request, header},
};
use sqlx::SqlitePool;
use tower::ServiceExt;

#[tokio::test]
async fn sqlx_sees_the_sessions() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("app.sqlite");
    let pool = SqlitePool::connect_lazy(&format!("sqlite:{}", file.display())).unwrap();
    let app = beside_sqlx::app(file.to_str().unwrap(), pool)
        .await
        .unwrap();

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
    assert_eq!(body, "visit 2, 1 sessions");
}
