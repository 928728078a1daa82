//! The endpoints for programs: `/session`, `/plain`, `/stream` and `/health`.

use std::{convert::Infallible, time::Duration};

use arvel_session::SessionData;
use axum::{
    Json,
    body::{Body, Bytes},
    extract::{State, rejection::BytesRejection},
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use serde_json::{Value, json};

use crate::{protocol::Plan, site::Site};

/// How long `/stream` rests between two chunks.
const PAUSE: Duration = Duration::from_millis(250);

/// Runs operations on this request's session. What fails changes nothing.
pub(crate) async fn session(
    session: SessionData,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Refusal> {
    let body = body.map_err(|error| Refusal(error.status(), error.body_text()))?;
    let plan = Plan::parse(&body).map_err(|fault| Refusal(StatusCode::BAD_REQUEST, fault))?;
    let mut results = Vec::with_capacity(plan.operations.len());
    for operation in &plan.operations {
        let result = operation.run(&session).map_err(|error| {
            session.discard();
            Refusal(StatusCode::UNPROCESSABLE_ENTITY, error.to_string())
        })?;
        results.push(result);
    }
    tokio::time::sleep(plan.delay).await;
    Ok(Json(json!({ "results": results })))
}

/// Why operations were not run, as JSON.
pub(crate) struct Refusal(StatusCode, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

/// Never touches the session.
pub(crate) async fn plain() -> &'static str {
    "This handler never touched the session.\n"
}

/// Puts `streamed` while the body is on its way.
pub(crate) async fn stream(State(site): State<Site>, session: SessionData) -> Response {
    // A session whose cookie was not sent before the body began could be stored, but nobody would hold its id.
    session.token();
    let ending = if site.store.capabilities().server_side {
        "4 of 4: streamed = true is stored with the end of this body\n"
    } else {
        "4 of 4: nothing is stored, since the cookie driver's cookie has left with the head\n"
    };
    let chunks = stream::unfold(0_usize, move |step| {
        let session = session.clone();
        async move {
            if step > 0 {
                tokio::time::sleep(PAUSE).await;
            }
            let chunk = match step {
                0 => "1 of 4: the head and its cookie have left\n".to_owned(),
                1 => match session.put("streamed", true) {
                    Ok(()) => "2 of 4: put streamed = true\n".to_owned(),
                    Err(error) => format!("2 of 4: {error}\n"),
                },
                2 => "3 of 4: still streaming\n".to_owned(),
                3 => ending.to_owned(),
                _ => return None,
            };
            Some((Ok::<_, Infallible>(chunk), step + 1))
        }
    });
    let kind = (CONTENT_TYPE, "text/plain; charset=utf-8");
    ([kind], Body::from_stream(chunks)).into_response()
}

/// Whether the store answers.
pub(crate) async fn health(State(site): State<Site>) -> Response {
    let driver = site.store.capabilities().name;
    match site.store.ping().await {
        Ok(()) => Json(json!({ "status": "ok", "driver": driver })).into_response(),
        Err(error) => {
            let answer =
                json!({ "status": "unavailable", "driver": driver, "error": error.to_string() });
            (StatusCode::SERVICE_UNAVAILABLE, Json(answer)).into_response()
        }
    }
}
