//! No sessions: what everybody else's overhead is over.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use anyhow::Result;
use axum::{
    Router,
    extract::{FromRequestParts, Request},
    http::request::Parts,
};
use tower::{Layer, Service};

use super::{
    Application, Local,
    router::{Failure, Visit, routes},
};
use crate::content::Content;

/// Answers from the application's state what the others answer from a session.
struct Nobody(Arc<Content>);

impl FromRequestParts<Arc<Content>> for Nobody {
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut Parts, state: &Arc<Content>) -> Result<Self, Infallible> {
        Ok(Self(state.clone()))
    }
}

impl Visit for Nobody {
    async fn user(&self) -> Result<u64, Failure> {
        Ok(self.0.user)
    }

    async fn count(&self) -> Result<i64, Failure> {
        Ok(1)
    }

    async fn fill(&self, _: &Content) -> Result<(), Failure> {
        Ok(())
    }

    async fn regenerate(&self) -> Result<(), Failure> {
        Ok(())
    }
}

/// The routes alone.
pub fn router(content: Arc<Content>) -> Router {
    routes::<Nobody>(content)
}

/// The routes alone.
pub(super) fn bare(content: Arc<Content>) -> Local<'static, Result<Box<dyn Application>>> {
    Box::pin(async { Ok(Box::new(router(content)) as Box<dyn Application>) })
}

/// The routes behind a layer that does nothing.
pub(super) fn no_op(content: Arc<Content>) -> Local<'static, Result<Box<dyn Application>>> {
    Box::pin(async {
        let router = router(content).layer(NoOp);
        Ok(Box::new(router) as Box<dyn Application>)
    })
}

#[derive(Clone)]
struct NoOp;

impl<S> Layer<S> for NoOp {
    type Service = PassOn<S>;

    fn layer(&self, inner: S) -> PassOn<S> {
        PassOn(inner)
    }
}

#[derive(Clone)]
struct PassOn<S>(S);

impl<S: Service<Request>> Service<Request> for PassOn<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> S::Future {
        self.0.call(request)
    }
}
