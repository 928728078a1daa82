//! The service that stands in front of the handler.

use std::{
    mem,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::{body::SessionBody, facts::Facts, future::ResponseFuture, layer::Shared};
use crate::{Error, ErrorKind, Result, SessionData, cookie, store::Columns};

/// Applies sessions to the service inside; made by [`StartSession`](crate::StartSession).
#[derive(Clone)]
pub struct SessionService<S> {
    inner: S,
    shared: Result<Arc<Shared>>,
}

impl<S> SessionService<S> {
    pub(super) fn new(inner: S, shared: Result<Arc<Shared>>) -> Self {
        Self { inner, shared }
    }
}

impl<S, B, R> Service<Request<B>> for SessionService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    R: Body<Data = Bytes>,
{
    type Response = Response<SessionBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, B, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The service that was polled ready is the one to call; the clone takes its place.
        let clone = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, clone);
        let shared = match &self.shared {
            Ok(shared) => shared,
            Err(error) => return ResponseFuture::refuse(error.clone()),
        };
        if let Some(outer) = request.extensions().get::<SessionData>() {
            return match check_outer(outer, shared) {
                Ok(()) => ResponseFuture::pass(inner.call(request)),
                Err(error) => ResponseFuture::refuse(error),
            };
        }
        let (parts, body) = request.into_parts();
        if shared.hooks.skip.as_ref().is_some_and(|skip| skip(&parts)) {
            return ResponseFuture::pass(inner.call(Request::from_parts(parts, body)));
        }
        let facts = Facts::of(shared, &parts);
        let values = cookie::values(&parts.headers, shared.cookie.name());
        let open = shared.engine.open(values);
        let columns = columns(shared, &parts);
        let request = Request::from_parts(parts, body);
        ResponseFuture::open(shared.clone(), open, facts, columns, request, inner)
    }
}

/// The same layer twice is one (R5).
fn check_outer(outer: &SessionData, shared: &Shared) -> Result<()> {
    if outer.is_of(&shared.engine) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Layer,
        "StartSession stands twice in front of this handler, with different stores or cookie names",
    ))
}

/// What a table shows about the request, where the store has one.
fn columns(shared: &Shared, parts: &http::request::Parts) -> Columns {
    if !shared.engine.cx.capabilities.columns {
        return Columns::default();
    }
    let agent = parts.headers.get(http::header::USER_AGENT);
    Columns {
        user: None,
        ip: match &shared.hooks.client_ip {
            Some(client_ip) => client_ip(parts),
            None => peer(parts),
        },
        agent: agent.map(|agent| String::from_utf8_lossy(agent.as_bytes()).into()),
    }
}

#[cfg(feature = "axum")]
fn peer(parts: &http::request::Parts) -> Option<std::net::IpAddr> {
    use axum::extract::ConnectInfo;
    let peer = parts.extensions.get::<ConnectInfo<std::net::SocketAddr>>();
    peer.map(|ConnectInfo(address)| address.ip().to_canonical())
}

#[cfg(not(feature = "axum"))]
fn peer(_: &http::request::Parts) -> Option<std::net::IpAddr> {
    None
}

impl<S: std::fmt::Debug> std::fmt::Debug for SessionService<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionService")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
