//! The response's head: our cookie, and who may store the response.

use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, SET_COOKIE},
};

use super::{body::SessionBody, layer::Shared};
use crate::{Error, cookie, lifecycle::CookieChange, observe};

/// Says in the response what the browser and the caches have to know (R16).
pub(crate) fn finish(headers: &mut HeaderMap, shared: &Shared, change: &CookieChange, read: bool) {
    let line = shared.cookie.header(change);
    let sets = line.is_some();
    if let Some(line) = line {
        headers.append(SET_COOKIE, line);
    }
    if read {
        cookie::vary_by_cookie(headers);
    }
    if (read || sets) && cookie::mark_private(headers, sets) {
        observe::uncached(shared.engine.cx.capabilities.name);
    }
}

/// The status and the text that a client gets for an error: no details.
pub(crate) fn verdict(unavailable: StatusCode, error: &Error) -> (StatusCode, &'static str) {
    if error.is_unavailable() {
        let text = "The session store is not available. Try again.\n";
        return (unavailable, text);
    }
    (StatusCode::INTERNAL_SERVER_ERROR, "The session failed.\n")
}

/// The response in place of the handler's, when the session fails. Its reason is in the extensions, as an [`Error`].
pub(super) fn failure<B>(
    shared: Option<&Shared>,
    error: Error,
    change: &CookieChange,
) -> Response<SessionBody<B>> {
    let unavailable = shared.map_or(StatusCode::SERVICE_UNAVAILABLE, |shared| {
        shared.hooks.unavailable
    });
    let (status, text) = verdict(unavailable, &error);
    let mut response = Response::new(SessionBody::text(text));
    *response.status_mut() = status;
    response.extensions_mut().insert(error);
    let headers = response.headers_mut();
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    headers.insert(CONTENT_TYPE, text);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(line) = shared.and_then(|shared| shared.cookie.header(change)) {
        headers.append(SET_COOKIE, line);
    }
    response
}
