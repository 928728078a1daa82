//! How far each request comes, seen from outside the library: where the clients were that have left, and whether a handler
//! had come to its end when the library answered in its place.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{Request, State},
    http::{HeaderValue, Method},
    middleware::Next,
    response::Response,
};
use http_body::{Frame, SizeHint};
use serde::{Deserialize, Serialize};

use crate::plan::RAN;

/// Where a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// Its session is being loaded.
    Load,
    /// Its handler is at work.
    Handler,
    /// Its session is being stored.
    Commit,
    /// Its body is on its way.
    Body,
}

/// How many requests were given up, by where they were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// Before the session was loaded.
    pub load: usize,
    /// In the handler.
    pub handler: usize,
    /// In the commit.
    pub commit: usize,
    /// In the body.
    pub body: usize,
}

/// The requests of a server. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Requests(Arc<[AtomicUsize; 4]>);

impl Requests {
    pub(super) fn left(&self) -> Left {
        let [load, handler, commit, body] = self.0.each_ref().map(|at| at.load(Ordering::Relaxed));
        Left {
            load,
            handler,
            commit,
            body,
        }
    }
}

/// One request; its handler says where it is. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Progress(Arc<AtomicU8>);

impl Progress {
    pub(super) fn in_handler(&self) {
        self.0.store(Stage::Handler as u8, Ordering::Relaxed);
    }

    pub(super) fn in_commit(&self) {
        self.0.store(Stage::Commit as u8, Ordering::Relaxed);
    }
}

/// Counts a request that is dropped before its end.
struct Watch {
    requests: Requests,
    progress: Progress,
    ended: bool,
}

impl Drop for Watch {
    fn drop(&mut self) {
        // A handler that panics is no client that leaves.
        if self.ended || std::thread::panicking() {
            return;
        }
        let stage = usize::from(self.progress.0.load(Ordering::Relaxed));
        if let Some(count) = self.requests.0.get(stage) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Follows a request; goes around the library's layer.
pub(super) async fn follow(
    State(requests): State<Requests>,
    mut request: Request,
    next: Next,
) -> Response {
    let progress = Progress(Arc::new(AtomicU8::new(Stage::Load as u8)));
    let mut watch = Watch {
        requests,
        progress: progress.clone(),
        ended: false,
    };
    let has_body = request.method() != Method::HEAD;
    request.extensions_mut().insert(progress.clone());
    let mut response = next.run(request).await;
    if progress.0.load(Ordering::Relaxed) == Stage::Commit as u8 {
        response
            .headers_mut()
            .insert(RAN, HeaderValue::from_static("yes"));
    }
    progress.0.store(Stage::Body as u8, Ordering::Relaxed);
    watch.ended = !has_body;
    response.map(|body| Body::new(Watched { body, watch }))
}

/// A body that is followed to its end.
struct Watched {
    body: Body,
    watch: Watch,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if matches!(polled, Poll::Ready(None)) || self.body.is_end_stream() {
            self.watch.ended = true;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
