//! What the middleware remembers of a request while the handler has it.

use std::mem::swap;

use http::{
    Extensions, HeaderName, HeaderValue, Method, Request, StatusCode, header::USER_AGENT,
    request::Parts,
};

use super::layer::Shared;
use crate::{
    lifecycle::{Opened, Origin},
    store::Columns,
};

/// The header fields of Fetch Metadata that tell a page from what is fetched for one.
const MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const PURPOSE: HeaderName = HeaderName::from_static("sec-purpose");

/// What of a request decides whether its response uses up flash data, and whether it may send an unchanged cookie again.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    pub(crate) is_head: bool,
    /// The browser is going to a page (or does not say).
    pub(crate) navigation: bool,
    /// Nobody sees the response, or not as a page of its own.
    unseen: bool,
}

impl Facts {
    /// Only what the session that was opened can be about is looked for.
    pub(super) fn of<B>(shared: &Shared, request: &mut Request<B>, opened: &Opened) -> Self {
        let is_head = *request.method() == Method::HEAD;
        let mut facts = Self {
            is_head,
            navigation: false,
            unseen: is_head,
        };
        let Origin::Live(live) = &opened.origin else {
            return facts;
        };
        if shared.engine.cx.is_due(live, opened.at, true) {
            let mode = request.headers().get(&MODE);
            facts.navigation = is_navigation(mode.map(HeaderValue::as_bytes));
        }
        if live.body.has_flash() && !is_head {
            facts.unseen = keeps_flash(shared, request);
        }
        facts
    }

    /// By the request's method, its field `Sec-Fetch-Mode` and the lines of its `Sec-Purpose`. What only a session that
    /// exists can be about needs not be looked up for a visitor who has none.
    pub fn new<'a>(
        method: &str,
        fetch_mode: Option<&[u8]>,
        purposes: impl IntoIterator<Item = &'a [u8]>,
    ) -> Self {
        let is_head = method == "HEAD";
        Self {
            is_head,
            navigation: is_navigation(fetch_mode),
            unseen: is_head || (method == "GET" && is_prefetch(purposes)),
        }
    }

    /// The same for a request that sees flash data and does not use it up: a page that polls, for example.
    #[must_use]
    pub fn keep_flash(self) -> Self {
        Self {
            unseen: true,
            ..self
        }
    }

    /// Whether a response with this status uses up the flash that its request saw.
    pub(crate) fn ages(&self, status: u16) -> bool {
        let bodyless = [StatusCode::NOT_MODIFIED, StatusCode::SWITCHING_PROTOCOLS];
        !self.unseen && !bodyless.iter().any(|none| none.as_u16() == status)
    }
}

/// Browsers that do not say are going to a page.
fn is_navigation(fetch_mode: Option<&[u8]>) -> bool {
    fetch_mode.is_none_or(|mode| mode.eq_ignore_ascii_case(b"navigate"))
}

/// Whether the request sees flash data and does not use it up.
fn keeps_flash<B>(shared: &Shared, request: &mut Request<B>) -> bool {
    let purposes = request.headers().get_all(&PURPOSE).into_iter();
    let purposes = purposes.map(HeaderValue::as_bytes);
    if *request.method() == Method::GET && is_prefetch(purposes) {
        return true;
    }
    let keeps = shared.hooks.keep_flash.as_ref();
    keeps.is_some_and(|keeps| show(request, |head| keeps(head)))
}

/// `Sec-Purpose` is a list whose items may have parameters: `prefetch;prerender`.
fn is_prefetch<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> bool {
    lines
        .into_iter()
        .flat_map(|line| line.split(|byte| *byte == b','))
        .filter_map(|item| item.split(|byte| *byte == b';').next())
        .any(|item| item.trim_ascii().eq_ignore_ascii_case(b"prefetch"))
}

/// Shows a request's head to a hook of the application's.
pub(super) fn show<B, T>(request: &mut Request<B>, hook: impl FnOnce(&Parts) -> T) -> T {
    // Swapped out and in again: to move a whole request would cost all those that have no hook.
    let mut head = Request::new(());
    swap_heads(request, &mut head);
    let (parts, ()) = head.into_parts();
    let answer = hook(&parts);
    swap_heads(request, &mut Request::from_parts(parts, ()));
    answer
}

fn swap_heads<A, B>(one: &mut Request<A>, other: &mut Request<B>) {
    swap(one.method_mut(), other.method_mut());
    swap(one.uri_mut(), other.uri_mut());
    swap(one.version_mut(), other.version_mut());
    swap(one.headers_mut(), other.headers_mut());
    swap(one.extensions_mut(), other.extensions_mut());
}

/// What a table shows about the request.
pub(super) fn columns<B>(shared: &Shared, request: &mut Request<B>) -> Columns {
    let agent = request.headers().get(USER_AGENT);
    let agent = agent.map(|agent| String::from_utf8_lossy(agent.as_bytes()).into());
    Columns {
        user: None,
        ip: match &shared.hooks.client_ip {
            Some(client_ip) => show(request, |head| client_ip(head)),
            None => peer(request.extensions()),
        },
        agent,
    }
}

#[cfg(feature = "axum")]
fn peer(extensions: &Extensions) -> Option<std::net::IpAddr> {
    use axum::extract::ConnectInfo;
    let peer = extensions.get::<ConnectInfo<std::net::SocketAddr>>();
    peer.map(|ConnectInfo(address)| address.ip().to_canonical())
}

#[cfg(not(feature = "axum"))]
fn peer(_: &Extensions) -> Option<std::net::IpAddr> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefetch_is_known_in_every_form() {
        for (purpose, expected) in [
            ("prefetch", true),
            ("prefetch;prerender", true),
            ("prefetch;anonymous-client-ip", true),
            ("other, prefetch ; prerender", true),
            ("prerender", false),
            ("prefetching", false),
        ] {
            assert_eq!(is_prefetch([purpose.as_bytes()]), expected, "{purpose}");
        }
        assert!(!is_prefetch([]));
    }
}
