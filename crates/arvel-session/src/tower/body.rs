//! A body that streams on while its handler still holds the session.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::{
    SessionData,
    engine::{CommitRun, Engine, finish_late},
    lifecycle::Moment,
};

pin_project! {
    /// The response's body: the handler's, handed through frame by frame and never buffered.
    ///
    /// Where the handler has kept the session to use it while the body streams, what it changes is committed before the
    /// last frame is handed on, or in the background when the client leaves early.
    #[derive(Debug)]
    pub struct SessionBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = Project]
    #[derive(Debug)]
    enum Kind<B> {
        Plain { #[pin] body: B },
        // Boxed, so that the others are no larger than the body that they carry.
        Watched { #[pin] body: B, watch: Box<Watch> },
        Text { text: Option<Bytes> },
    }
}

/// A session that may still be changed.
struct Watch {
    engine: Arc<Engine>,
    session: SessionData,
    /// Under way, in front of the frame that was held back.
    commit: Option<CommitRun>,
    held: Option<Frame<Bytes>>,
    /// The handler's body has said that it is over; many panic when asked again.
    ended: bool,
}

impl<B> SessionBody<B> {
    pub(super) fn plain(body: B) -> Self {
        Self {
            kind: Kind::Plain { body },
        }
    }

    pub(super) fn watched(body: B, engine: Arc<Engine>, session: SessionData) -> Self {
        let watch = Watch {
            engine,
            session,
            commit: None,
            held: None,
            ended: false,
        };
        Self {
            kind: Kind::Watched {
                body,
                watch: Box::new(watch),
            },
        }
    }

    pub(super) fn text(text: &'static str) -> Self {
        Self {
            kind: Kind::Text {
                text: Some(Bytes::from_static(text.as_bytes())),
            },
        }
    }
}

impl Watch {
    fn is_dirty(&self) -> bool {
        self.session.state().is_dirty()
    }

    fn commit(&self) -> CommitRun {
        CommitRun::new(self.engine.clone(), self.session.clone(), Moment::Body)
    }

    /// Polls the commit that is under way, if there is one, and then hands out what it held back.
    fn poll_commit(&mut self, cx: &mut Context<'_>) -> Poll<Option<Frame<Bytes>>> {
        if let Some(commit) = &mut self.commit {
            // A failure is logged and counted where it happens; the head has left, so nobody can be told.
            let _ = ready!(Pin::new(commit).poll(cx));
            self.commit = None;
        }
        Poll::Ready(self.held.take())
    }
}

/// The client has left early: what was changed is committed in the background.
impl Drop for Watch {
    fn drop(&mut self) {
        finish_late(&self.engine, &self.session);
    }
}

impl<B: Body<Data = Bytes>> Body for SessionBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().kind.project() {
            Project::Plain { body } => body.poll_frame(cx),
            Project::Text { text } => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Project::Watched { body, watch } => poll_watched(body, watch, cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Plain { body } => body.is_end_stream(),
            Kind::Text { text } => text.is_none(),
            Kind::Watched { body, watch } => {
                let ended = watch.ended || body.is_end_stream();
                ended && watch.commit.is_none() && !watch.is_dirty()
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Plain { body } | Kind::Watched { body, .. } => body.size_hint(),
            Kind::Text { text } => {
                SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64))
            }
        }
    }
}

fn poll_watched<B: Body<Data = Bytes>>(
    mut body: Pin<&mut B>,
    watch: &mut Watch,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
    loop {
        if let Some(frame) = ready!(watch.poll_commit(cx)) {
            return Poll::Ready(Some(Ok(frame)));
        }
        if watch.ended {
            return Poll::Ready(None);
        }
        let frame = match ready!(body.as_mut().poll_frame(cx)) {
            Some(Ok(frame)) => Some(frame),
            Some(Err(error)) => return Poll::Ready(Some(Err(error))),
            None => None,
        };
        watch.ended = frame.is_none();
        let last = watch.ended || body.is_end_stream() || body.size_hint().exact() == Some(0);
        if last && watch.is_dirty() {
            watch.commit = Some(watch.commit());
            watch.held = frame;
            continue;
        }
        return Poll::Ready(frame.map(Ok));
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}
