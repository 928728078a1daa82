//! Faults around the application: of a proxy, of a framework, of an application that uses the library in a wrong way.

use std::time::Duration;

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{
        HeaderValue,
        header::{CONTENT_LENGTH, COOKIE, SET_COOKIE},
    },
    middleware::Next,
    response::Response,
};
use proof::plan::{Op, PLAN, Plan};
use serde_json::Value;

/// A proxy that drops what it does not know.
pub(crate) async fn without_purpose(mut request: Request, next: Next) -> Response {
    request.headers_mut().remove("sec-purpose");
    next.run(request).await
}

/// A new session gets the id that the client has sent.
pub(crate) async fn adopting(request: Request, next: Next) -> Response {
    let sent = request.headers().get(COOKIE).cloned();
    let mut response = next.run(request).await;
    if let (Some(sent), true) = (sent, response.headers().contains_key(SET_COOKIE)) {
        let line = format!("{}; Path=/", sent.to_str().unwrap());
        let line = HeaderValue::from_str(&line).unwrap();
        response.headers_mut().insert(SET_COOKIE, line);
    }
    response
}

pub(crate) async fn doubling(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if let Some(line) = response.headers().get(SET_COOKIE).cloned() {
        response.headers_mut().append(SET_COOKIE, line);
    }
    response
}

/// Asks for something else than what was asked for.
async fn replanning(mut request: Request, next: Next, change: fn(&mut Op)) -> Response {
    if let Some(plan) = request.headers().get(PLAN) {
        let mut plan: Plan = serde_json::from_slice(plan.as_bytes()).unwrap();
        plan.ops.iter_mut().chain(&mut plan.body).for_each(change);
        let plan = HeaderValue::from_str(&serde_json::to_string(&plan).unwrap()).unwrap();
        request.headers_mut().insert(PLAN, plan);
    }
    next.run(request).await
}

pub(crate) async fn without_discard(request: Request, next: Next) -> Response {
    let change = |op: &mut Op| {
        if *op == Op::Discard {
            *op = Op::Wait(0);
        }
    };
    replanning(request, next, change).await
}

pub(crate) async fn without_forget(request: Request, next: Next) -> Response {
    let change = |op: &mut Op| {
        if matches!(op, Op::Forget(_)) {
            *op = Op::Wait(0);
        }
    };
    replanning(request, next, change).await
}

pub(crate) async fn with_new_tokens(request: Request, next: Next) -> Response {
    let change = |op: &mut Op| {
        if *op == Op::Token {
            *op = Op::RegenerateToken;
        }
    };
    replanning(request, next, change).await
}

/// What was written last stands before what was written before it, as on a copy that catches up in any order.
pub(crate) async fn swapping(request: Request, next: Next) -> Response {
    let (mut head, body) = next.run(request).await.into_parts();
    let Ok(body) = to_bytes(body, usize::MAX).await else {
        return Response::from_parts(head, Body::empty());
    };
    let mut lines = body.splitn(2, |byte| *byte == b'\n');
    let first = lines.next().unwrap_or_default();
    let Ok(mut said) = serde_json::from_slice::<Value>(first) else {
        return Response::from_parts(head, Body::from(body));
    };
    if let Some(log) = said["results"][0]["log"].as_array_mut() {
        let length = log.len();
        log[length.saturating_sub(2)..].reverse();
    }
    let mut text = said.to_string();
    if let Some(rest) = lines.next() {
        text.push('\n');
        text.push_str(&String::from_utf8_lossy(rest));
    }
    head.headers.remove(CONTENT_LENGTH);
    Response::from_parts(head, Body::from(text))
}

/// Now and then somebody waits for a lock.
pub(crate) async fn dawdling(request: Request, next: Next) -> Response {
    if fastrand::u8(..100) == 0 {
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    next.run(request).await
}
