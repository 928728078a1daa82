//! The server under proof: an application whose one handler does what a [`Plan`] says.

mod clock;
mod perform;
mod process;
mod progress;
mod stats;

use std::convert::Infallible;

use arvel_session::{SessionData, StartSession, Store};
use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Extension, State},
    http::{HeaderMap, StatusCode, request::Parts},
    middleware,
    response::{IntoResponse, Response},
    routing::{any, get, post},
};
use futures_util::stream;
use serde_json::{Value, json};

pub use clock::Turned;
pub use process::{LISTENING, run};
pub use progress::Left;
pub use stats::Stats;

use progress::{Progress, Requests};

use crate::plan::{Ending, HANDLED, Op, PLAN, Plan};

/// Where plans are sent.
pub const ACT: &str = "/act";
/// The same, for scripts that ask again and again: flash is kept.
pub const POLL: &str = "/poll";
/// Whether the store answers.
pub const HEALTH: &str = "/health";
/// What the process holds.
pub const STATS: &str = "/stats";
/// Turns the clock of the process by the milliseconds in the body.
pub const CLOCK: &str = "/clock";

/// The layer as an application would set it.
#[must_use]
pub fn layer(store: Store) -> StartSession {
    StartSession::new(store).keep_flash(is_poll)
}

/// Whether a request is one of those that the application names, so that it keeps flash.
#[must_use]
pub fn is_poll(request: &Parts) -> bool {
    request.uri.path() == POLL
}

/// The application.
pub fn app(store: Store, sessions: StartSession, clock: Turned) -> Router {
    let requests = Requests::default();
    Router::new()
        .route(ACT, any(act))
        .route(POLL, any(act))
        .layer(sessions)
        .layer(middleware::from_fn_with_state(
            requests.clone(),
            progress::follow,
        ))
        .route(HEALTH, get(health))
        .route(STATS, get(stats::stats))
        .route(CLOCK, post(turn))
        .with_state(World {
            store,
            clock,
            requests,
        })
}

/// What the endpoints share that are not about a session.
#[derive(Clone)]
struct World {
    store: Store,
    clock: Turned,
    requests: Requests,
}

async fn health(State(world): State<World>) -> StatusCode {
    match world.store.ping().await {
        Ok(()) => StatusCode::OK,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

async fn turn(State(world): State<World>, by: String) -> StatusCode {
    let Ok(by) = by.trim().parse() else {
        return StatusCode::BAD_REQUEST;
    };
    world.clock.turn(by);
    StatusCode::OK
}

/// Says how far it is while it does what the plan says.
async fn act(
    session: SessionData,
    Extension(progress): Extension<Progress>,
    headers: HeaderMap,
) -> Response {
    progress.in_handler();
    let response = carry_out(session, &headers).await;
    progress.in_commit();
    response
}

async fn carry_out(session: SessionData, headers: &HeaderMap) -> Response {
    let plan = headers
        .get(PLAN)
        .and_then(|plan| serde_json::from_slice(plan.as_bytes()).ok());
    let Some(Plan { ops, ending, body }) = plan else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let mut results = Vec::with_capacity(ops.len());
    for op in &ops {
        match perform::perform(&session, op).await {
            Ok(result) => results.push(result),
            Err(error) => {
                session.discard();
                return (StatusCode::UNPROCESSABLE_ENTITY, error.to_string()).into_response();
            }
        }
    }
    let status = match ending {
        Ending::Well => StatusCode::OK,
        Ending::Status(status) => StatusCode::from_u16(status).unwrap_or(StatusCode::IM_A_TEAPOT),
        // Without the hook that prints it: it was asked for.
        Ending::Panic => std::panic::resume_unwind(Box::new("as the plan says")),
    };
    let results = json!({ "results": results });
    let handled = [(HANDLED, "yes")];
    if body.is_empty() {
        return (status, handled, Json(results)).into_response();
    }
    (status, handled, streaming(session, &results, body)).into_response()
}

/// The results, and then a line for each operation that is done while the body is on its way.
fn streaming(session: SessionData, results: &Value, ops: Vec<Op>) -> Body {
    let first = stream::iter([Ok::<_, Infallible>(Bytes::from(format!("{results}\n")))]);
    let rest = stream::unfold((session, ops.into_iter()), |(session, mut ops)| async {
        let op = ops.next()?;
        let done = perform::perform(&session, &op).await;
        let line = if done.is_ok() { "done\n" } else { "failed\n" };
        Some((Ok(Bytes::from_static(line.as_bytes())), (session, ops)))
    });
    Body::from_stream(stream::StreamExt::chain(first, rest))
}
