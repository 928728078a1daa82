//! One request: open, handle, commit.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{
    body::SessionBody,
    facts::{Facts, columns},
    head,
    layer::Shared,
};
use crate::{
    Error, Result, SessionData,
    engine::{CommitRun, Pass, Run},
    lifecycle::{CookieChange, Moment, Open, Opened},
    observe,
    session::State,
};

pin_project! {
    /// The response of [`SessionService`](crate::SessionService).
    pub struct ResponseFuture<S, B, R>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        stage: Stage<S, B, R, S::Future>,
    }
}

pin_project! {
    #[project = Project]
    enum Stage<S, B, R, F> {
        Opening {
            opening: Option<Box<Opening<S, B>>>,
        },
        Handling {
            #[pin]
            handler: F,
            visit: Option<Visit>,
        },
        Committing {
            commit: CommitRun,
            response: Option<Response<R>>,
            exit: Exit,
        },
        /// A session that another layer takes care of, or none.
        Passing {
            #[pin]
            handler: F,
        },
        Refused {
            error: Option<Refusal>,
        },
    }
}

/// A request whose session the store keeps waiting for. Boxed, so that the others are small.
pub(super) struct Opening<S, B> {
    pub(super) shared: Arc<Shared>,
    pub(super) request: Request<B>,
    pub(super) open: Box<Run<Open>>,
    pub(super) inner: S,
}

/// A request that has its session.
struct Visit {
    exit: Exit,
    session: SessionData,
}

/// What a response needs on its way out.
struct Exit {
    shared: Arc<Shared>,
    facts: Facts,
}

/// A response on its way out, or one that has to wait for the store.
#[allow(clippy::large_enum_variant, reason = "it lives for one statement")]
enum Handled<R> {
    Done(Response<SessionBody<R>>),
    Committing(CommitRun, Response<R>),
}

/// Why there is no session, and where one failed, its layer.
struct Refusal {
    error: Error,
    shared: Option<Arc<Shared>>,
}

impl<S: Service<Request<B>>, B, R> ResponseFuture<S, B, R> {
    pub(super) fn open(opening: Opening<S, B>) -> Self {
        Self {
            stage: Stage::Opening {
                opening: Some(Box::new(opening)),
            },
        }
    }

    pub(super) fn pass(handler: S::Future) -> Self {
        Self {
            stage: Stage::Passing { handler },
        }
    }

    /// The layer is at fault.
    pub(super) fn refuse(error: Error) -> Self {
        observe::refused(&error);
        Self::fail(error, None)
    }

    /// The store is at fault: the handler does not run (R2).
    pub(super) fn fail(error: Error, shared: Option<Arc<Shared>>) -> Self {
        Self {
            stage: Stage::Refused {
                error: Some(Refusal { error, shared }),
            },
        }
    }

    /// Gives the request its session and hands it on.
    #[inline]
    pub(super) fn enter(
        shared: Arc<Shared>,
        opened: &mut Opened,
        mut request: Request<B>,
        inner: &mut S,
    ) -> Self {
        let facts = Facts::of(&shared, &mut request, opened);
        let session = SessionData::open(opened, shared.home.clone());
        if shared.engine.cx.capabilities.columns {
            session.state().columns = columns(&shared, &mut request);
        }
        request.extensions_mut().insert(session.clone());
        let visit = Visit {
            exit: Exit { shared, facts },
            session,
        };
        Self {
            stage: Stage::Handling {
                handler: inner.call(request),
                visit: Some(visit),
            },
        }
    }
}

impl<S: Service<Request<B>>, B> Opening<S, B> {
    /// The store has answered.
    fn enter<R>(mut self, opened: Result<()>) -> ResponseFuture<S, B, R> {
        match opened {
            Ok(()) => {
                let opened = &mut self.open.machine.opened;
                ResponseFuture::enter(self.shared, opened, self.request, &mut self.inner)
            }
            Err(error) => ResponseFuture::fail(error, Some(self.shared)),
        }
    }
}

impl Exit {
    fn moment<R>(&self, response: &Response<R>) -> Moment {
        Moment::Head {
            age: self.facts.ages(response.status().as_u16()),
            navigation: self.facts.navigation,
        }
    }

    /// The handler has answered.
    fn handled<R: Body<Data = Bytes>>(
        &self,
        session: SessionData,
        response: Response<R>,
        cx: &mut Context<'_>,
    ) -> Handled<R> {
        let moment = self.moment(&response);
        match self.shared.engine.pass(&session, moment) {
            Pass::Untouched => Handled::Done(response.map(SessionBody::plain)),
            Pass::Clean { change, read } => {
                Handled::Done(self.conclude(session, response, &change, read))
            }
            Pass::Changed => {
                let mut commit = CommitRun::new(self.shared.engine.clone(), session, moment);
                match self.poll_commit(&mut commit, cx) {
                    Poll::Ready((session, committed)) => {
                        Handled::Done(self.finish(session, response, committed))
                    }
                    Poll::Pending => Handled::Committing(commit, response),
                }
            }
        }
    }

    /// The session, and what the commit has to say about its cookie.
    fn poll_commit(
        &self,
        commit: &mut CommitRun,
        cx: &mut Context<'_>,
    ) -> Poll<(SessionData, Result<CookieChange>)> {
        let committed = ready!(Pin::new(&mut *commit).poll(cx));
        match commit.take_session() {
            Some(session) => Poll::Ready((session, committed)),
            None => Poll::Pending,
        }
    }

    fn finish<R: Body<Data = Bytes>>(
        &self,
        session: SessionData,
        response: Response<R>,
        committed: Result<CookieChange>,
    ) -> Response<SessionBody<R>> {
        let (read, settled) = settled(&mut session.state(), committed);
        match settled {
            Ok(change) => self.conclude(session, response, &change, read),
            Err((error, before)) => head::failure(Some(&self.shared), error, &before),
        }
    }

    /// The response of a session that has nothing to commit, or has committed it.
    fn conclude<R: Body<Data = Bytes>>(
        &self,
        session: SessionData,
        mut response: Response<R>,
        change: &CookieChange,
        read: bool,
    ) -> Response<SessionBody<R>> {
        // We hold one; whoever else does may still read and write.
        let shared = session.is_shared();
        let read = read || shared;
        head::finish(response.headers_mut(), &self.shared, change, read);
        response.map(|body| {
            if shared && !self.facts.is_head && !body.is_end_stream() {
                SessionBody::watched(body, self.shared.engine.clone(), session)
            } else {
                SessionBody::plain(body)
            }
        })
    }
}

/// Whether the handler looked at the session, and what the response says about the cookie; beside an error, what `save` has
/// left to say: what that has stored is stored, so its id is sent all the same.
pub(crate) fn settled(
    state: &mut State,
    committed: Result<CookieChange>,
) -> (bool, Result<CookieChange, (Error, CookieChange)>) {
    let before = std::mem::take(&mut state.cookie);
    let settled = match committed {
        Ok(CookieChange::Nothing) => Ok(before),
        Ok(change) => Ok(change),
        Err(error) => Err((error, before)),
    };
    (state.accessed, settled)
}

impl<S, B, R> Future for ResponseFuture<S, B, R>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Body<Data = Bytes>,
{
    type Output = Result<Response<SessionBody<R>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut stage = self.project().stage;
        loop {
            let next = match stage.as_mut().project() {
                Project::Opening { opening } => {
                    let Some(waiting) = opening else {
                        return Poll::Pending;
                    };
                    let opened = ready!(Pin::new(&mut waiting.open).poll(cx));
                    let Some(waiting) = opening.take() else {
                        return Poll::Pending;
                    };
                    waiting.enter(opened).stage
                }
                Project::Handling { handler, visit } => {
                    // An error of the handler's is not ours to answer: nothing is committed.
                    let response = ready!(handler.poll(cx))?;
                    let Some(Visit { exit, session }) = visit.take() else {
                        return Poll::Pending;
                    };
                    match exit.handled(session, response, cx) {
                        Handled::Done(response) => return Poll::Ready(Ok(response)),
                        Handled::Committing(commit, response) => Stage::Committing {
                            commit,
                            response: Some(response),
                            exit,
                        },
                    }
                }
                Project::Committing {
                    commit,
                    response,
                    exit,
                } => {
                    let (session, committed) = ready!(exit.poll_commit(commit, cx));
                    let Some(response) = response.take() else {
                        return Poll::Pending;
                    };
                    return Poll::Ready(Ok(exit.finish(session, response, committed)));
                }
                Project::Passing { handler } => {
                    let response = ready!(handler.poll(cx))?;
                    return Poll::Ready(Ok(response.map(SessionBody::plain)));
                }
                Project::Refused { error } => {
                    let Some(Refusal { error, shared }) = error.take() else {
                        return Poll::Pending;
                    };
                    let shared = shared.as_deref();
                    let response = head::failure(shared, error, &CookieChange::Nothing);
                    return Poll::Ready(Ok(response));
                }
            };
            stage.set(next);
        }
    }
}

impl<S: Service<Request<B>>, B, R> std::fmt::Debug for ResponseFuture<S, B, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
