//! The routes, the same for every contender that runs on axum.

use std::{
    fmt::Display,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use axum::{
    Router,
    body::Body,
    extract::{FromRequestParts, State},
    http::{
        HeaderValue, Request, Response, StatusCode, Uri,
        header::{COOKIE, SET_COOKIE},
    },
    response::IntoResponse,
    routing::get,
};
use http_body_util::BodyExt;
use tower::ServiceExt;

use super::{Application, Cookies, Local, Reply};
use crate::content::Content;

/// What the handlers do with a session, each library in its own way.
pub trait Visit: FromRequestParts<Arc<Content>> + Send + 'static {
    /// Reads one key.
    fn user(&self) -> impl Future<Output = Result<u64, Failure>> + Send;
    /// Reads the counter, writes one more, and answers that.
    fn count(&self) -> impl Future<Output = Result<i64, Failure>> + Send;
    /// Writes all of it.
    fn fill(&self, content: &Content) -> impl Future<Output = Result<(), Failure>> + Send;
    /// A new id.
    fn regenerate(&self) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// What a session refused: status 500, so that it cannot go unnoticed.
pub struct Failure(String);

impl<E: Display> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> axum::response::Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.0).into_response()
    }
}

/// The routes; a layer goes around them.
pub fn routes<V: Visit>(content: Arc<Content>) -> Router {
    Router::new()
        .route("/read", get(read::<V>))
        .route("/count", get(count::<V>))
        .route("/untouched", get(untouched))
        .route("/new", get(fill::<V>))
        .route("/regenerate", get(regenerate::<V>))
        .with_state(content)
}

async fn read<V: Visit>(session: V) -> Result<String, Failure> {
    Ok(session.user().await?.to_string())
}

async fn count<V: Visit>(session: V) -> Result<String, Failure> {
    Ok(session.count().await?.to_string())
}

async fn untouched() -> &'static str {
    "untouched"
}

async fn fill<V: Visit>(
    session: V,
    State(content): State<Arc<Content>>,
) -> Result<String, Failure> {
    session.fill(&content).await?;
    Ok(content.user.to_string())
}

async fn regenerate<V: Visit>(session: V) -> Result<&'static str, Failure> {
    session.regenerate().await?;
    Ok("regenerated")
}

impl Application for Router {
    fn send<'a>(&'a self, path: &'static str, cookie: Option<&'a str>) -> Local<'a, Result<Reply>> {
        Box::pin(async move {
            let cookie = cookie.map(HeaderValue::from_str).transpose()?;
            send(self, path, cookie).await
        })
    }

    fn prepare(
        &self,
        path: &'static str,
        cookies: &Cookies,
    ) -> Result<Local<'_, Result<Duration>>> {
        let uri = Uri::from_static(path);
        let cookies = cookies.values(|cookie| Ok(HeaderValue::from_str(cookie)?))?;
        Ok(Box::pin(async move {
            let mut failed = 0;
            let start = Instant::now();
            for cookie in cookies {
                failed += usize::from(!request(self, uri.clone(), cookie).await?);
            }
            let took = start.elapsed();
            ensure!(failed == 0, "{failed} requests of {path} failed");
            Ok(took)
        }))
    }
}

/// Sends one request and hands back what a browser sees.
///
/// # Errors
/// The response is none that a browser understands.
pub async fn send(
    router: &Router,
    path: &'static str,
    cookie: Option<HeaderValue>,
) -> Result<Reply> {
    let response = exchange(router, Uri::from_static(path), cookie).await;
    let (parts, body) = response.into_parts();
    let cookies = parts.headers.get_all(SET_COOKIE).iter();
    Ok(Reply {
        status: parts.status.as_u16(),
        cookies: cookies
            .map(|line| Ok(line.to_str()?.to_owned()))
            .collect::<Result<_>>()?,
        body: String::from_utf8(body.collect().await?.to_bytes().to_vec())?,
    })
}

/// Sends one request, lets go of the body, and says whether the status was 200.
///
/// # Errors
/// The body broke off.
pub async fn request(router: &Router, uri: Uri, cookie: Option<HeaderValue>) -> Result<bool> {
    let response = exchange(router, uri, cookie).await;
    let fine = response.status() == StatusCode::OK;
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        frame.context("the body")?;
    }
    Ok(fine)
}

async fn exchange(router: &Router, uri: Uri, cookie: Option<HeaderValue>) -> Response<Body> {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = uri;
    if let Some(cookie) = cookie {
        request.headers_mut().insert(COOKIE, cookie);
    }
    match router.clone().oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}
