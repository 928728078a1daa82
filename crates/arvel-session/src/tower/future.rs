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

use super::{body::SessionBody, facts::Facts, head, layer::Shared};
use crate::{
    Clock, Error, Result, SessionData,
    engine::{CommitRun, Run},
    lifecycle::{CookieChange, Moment, Open},
    observe,
    session::State,
    store::Columns,
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
            entry: Option<Entry<S, B>>,
            open: Run<Open>,
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
            error: Option<Error>,
        },
    }
}

/// A request on its way in.
struct Entry<S, B> {
    shared: Arc<Shared>,
    facts: Facts,
    columns: Columns,
    request: Request<B>,
    inner: S,
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

impl<S: Service<Request<B>>, B, R> ResponseFuture<S, B, R> {
    pub(super) fn open(
        shared: Arc<Shared>,
        open: Run<Open>,
        facts: Facts,
        columns: Columns,
        request: Request<B>,
        inner: S,
    ) -> Self {
        let entry = Some(Entry {
            shared,
            facts,
            columns,
            request,
            inner,
        });
        Self {
            stage: Stage::Opening { entry, open },
        }
    }

    pub(super) fn pass(handler: S::Future) -> Self {
        Self {
            stage: Stage::Passing { handler },
        }
    }

    pub(super) fn refuse(error: Error) -> Self {
        Self {
            stage: Stage::Refused { error: Some(error) },
        }
    }
}

impl<S: Service<Request<B>>, B> Entry<S, B> {
    /// Gives the request its session and hands it on.
    fn enter(mut self, opened: crate::lifecycle::Opened) -> (S::Future, Visit) {
        let now = self.shared.engine.clock.now();
        let mut state = State::new(opened, now);
        state.columns = self.columns;
        let session = SessionData::new(state, self.shared.home.clone());
        self.request.extensions_mut().insert(session.clone());
        let visit = Visit {
            exit: Exit {
                shared: self.shared,
                facts: self.facts,
            },
            session,
        };
        (self.inner.call(self.request), visit)
    }
}

impl Exit {
    fn commit<R>(&self, session: SessionData, response: &Response<R>) -> CommitRun {
        let moment = Moment::Head {
            age: self.facts.ages(response.status()),
            navigation: self.facts.navigation,
        };
        CommitRun::new(self.shared.engine.clone(), session, moment)
    }

    fn finish<R: Body<Data = Bytes>>(
        &self,
        session: SessionData,
        response: Response<R>,
        committed: Result<CookieChange>,
    ) -> Response<SessionBody<R>> {
        // We hold one; whoever else does may still read and write.
        let shared = session.is_shared();
        let mut state = session.state();
        let read = state.accessed || shared;
        let before = std::mem::take(&mut state.cookie);
        drop(state);
        let change = match committed {
            Ok(CookieChange::Nothing) => before,
            Ok(change) => change,
            // What `save` has stored is stored, so its id is sent all the same.
            Err(error) => return head::failure(Some(&self.shared), error, &before),
        };
        let (mut parts, body) = response.into_parts();
        head::finish(&mut parts.headers, &self.shared, &change, read);
        let body = if shared && !self.facts.is_head && !body.is_end_stream() {
            SessionBody::watched(body, self.shared.engine.clone(), session)
        } else {
            SessionBody::plain(body)
        };
        Response::from_parts(parts, body)
    }
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
                Project::Opening { entry, open } => {
                    let opened = ready!(Pin::new(open).poll(cx));
                    let Some(entry) = entry.take() else {
                        return Poll::Pending;
                    };
                    match opened {
                        Ok(opened) => {
                            let (handler, visit) = entry.enter(opened);
                            let visit = Some(visit);
                            Stage::Handling { handler, visit }
                        }
                        Err(error) => {
                            let shared = Some(&*entry.shared);
                            let response = head::failure(shared, error, &CookieChange::Nothing);
                            return Poll::Ready(Ok(response));
                        }
                    }
                }
                Project::Handling { handler, visit } => {
                    // An error of the handler's is not ours to answer: nothing is committed.
                    let response = ready!(handler.poll(cx))?;
                    let Some(Visit { exit, session }) = visit.take() else {
                        return Poll::Pending;
                    };
                    Stage::Committing {
                        commit: exit.commit(session, &response),
                        response: Some(response),
                        exit,
                    }
                }
                Project::Committing {
                    commit,
                    response,
                    exit,
                } => {
                    let committed = ready!(Pin::new(&mut *commit).poll(cx));
                    let (Some(response), Some(session)) = (response.take(), commit.take_session())
                    else {
                        return Poll::Pending;
                    };
                    return Poll::Ready(Ok(exit.finish(session, response, committed)));
                }
                Project::Passing { handler } => {
                    let response = ready!(handler.poll(cx))?;
                    return Poll::Ready(Ok(response.map(SessionBody::plain)));
                }
                Project::Refused { error } => {
                    let Some(error) = error.take() else {
                        return Poll::Pending;
                    };
                    observe::refused(&error);
                    let response = head::failure(None, error, &CookieChange::Nothing);
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
