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

use super::{
    body::SessionBody,
    facts::show,
    future::{Opening as Waiting, ResponseFuture},
    layer::Shared,
};
use crate::{Error, ErrorKind, Result, SessionData, cookie, engine::Opening, lifecycle::Opened};

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

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let shared = match &self.shared {
            Ok(shared) => shared,
            Err(error) => return ResponseFuture::refuse(error.clone()),
        };
        if let Some(outer) = request.extensions().get::<SessionData>() {
            return match check_outer(outer, shared) {
                Ok(()) => ResponseFuture::pass(self.inner.call(request)),
                Err(error) => ResponseFuture::refuse(error),
            };
        }
        let skip = shared.hooks.skip.as_ref();
        if skip.is_some_and(|skip| show(&mut request, |head| skip(head))) {
            return ResponseFuture::pass(self.inner.call(request));
        }
        let values = cookie::values(request.headers(), shared.cookie.name());
        let mut opened = Opened::default();
        match shared.engine.open(values, &mut opened) {
            // Nothing to wait for: the service that was polled ready is called as it is.
            Opening::Done(Ok(())) => {
                ResponseFuture::enter(shared.clone(), &mut opened, request, &mut self.inner)
            }
            Opening::Done(Err(error)) => ResponseFuture::fail(error, Some(shared.clone())),
            Opening::Waiting(open) => {
                // The service that was polled ready is the one to call; the clone takes its place.
                let clone = self.inner.clone();
                let inner = mem::replace(&mut self.inner, clone);
                ResponseFuture::open(Waiting {
                    shared: shared.clone(),
                    request,
                    open,
                    inner,
                })
            }
        }
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

impl<S: std::fmt::Debug> std::fmt::Debug for SessionService<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionService")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
