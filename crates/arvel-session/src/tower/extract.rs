//! axum: the session as a handler's argument, and errors as responses.

use std::convert::Infallible;

use axum::{
    extract::{FromRequestParts, OptionalFromRequestParts},
    response::{IntoResponse, Response},
};
use http::request::Parts;

use super::{SessionBody, head};
use crate::{Error, ErrorKind, SessionData, lifecycle::CookieChange, observe};

/// Takes the session that [`StartSession`](crate::StartSession) has put there.
impl<S: Sync> FromRequestParts<S> for SessionData {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| {
            Error::new(
                ErrorKind::Layer,
                "no session here: add `.layer(arvel_session::layer()?)` to the router, and do not skip this route",
            )
        })
    }
}

/// `None` without the layer.
impl<S: Sync> OptionalFromRequestParts<S> for SessionData {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned())
    }
}

/// Status 503 when the store is at fault, otherwise 500; no details. The error is in the response's extensions.
impl IntoResponse for Error {
    fn into_response(self) -> Response {
        if self.kind() == ErrorKind::Layer {
            observe::refused(&self);
        }
        let response = head::failure(None, self, &CookieChange::Nothing);
        response.map(|body: SessionBody<axum::body::Body>| axum::body::Body::new(body))
    }
}
