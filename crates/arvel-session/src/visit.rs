//! Sessions under any framework that is not on `tower`: the same life of a request, in calls instead of a service.
//!
//! The Python binding is made of this. What differs from one framework to the next (how headers are read and written,
//! who waits for a store) stays outside; what must not differ is here, and the layer for `tower` is built on the same
//! parts.

use std::{
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use http::{HeaderMap, HeaderValue, StatusCode};

pub use crate::tower::Facts;
use crate::{
    Error, Result, SessionData, StartSession,
    engine::{CommitRun, Opening, Pass, finish_late},
    lifecycle::{CookieChange, Moment, Opened},
    session::Phase,
    store::Reply,
    tower::{Shared, apply, settled, verdict},
};

/// The door to sessions for frameworks that are not on `tower`; made by [`StartSession::visits`]. Clones are cheap.
///
/// A request is a [`Visit`]: [`begin`](Self::begin) it with the request's cookies, hand its session to the handler, call
/// [`head`](Visit::head) when the response's head is ready to leave, and [`end`](Visit::end) before the last part of its
/// body leaves. Each call answers at once where the store does (`memory`, `cookie`), without a future, and with one
/// where it has to be waited for.
///
/// # Runtime
/// Call, poll and drop all of this within a tokio runtime (`Handle::enter` is enough): stores connect, deadlines are kept
/// and commits are finished there. A future that is dropped before its end is no harm to a commit, which goes on in the
/// background.
///
/// # Examples
///
/// ```
/// use arvel_session::{Secret, SessionConfig, SessionManager, StartSession, visit::Facts};
/// use http::HeaderMap;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> arvel_session::Result<()> {
/// let config = SessionConfig::new().driver("memory").secret_key(Secret::generate());
/// let visits = StartSession::new(SessionManager::new(config)?.store()?).visits()?;
///
/// let visit = visits.begin([]).await?;
/// visit.session().put("name", "Ada")?;
/// let mut headers = HeaderMap::new();
/// visit.head(200, Facts::new("GET", None, [])).await?.finish(&mut headers);
///
/// let cookie = headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
/// let visit = visits.begin([cookie.as_bytes()]).await?;
/// assert_eq!(visit.session().get::<String>("name")?.as_deref(), Some("Ada"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Visits {
    shared: Arc<Shared>,
}

impl StartSession {
    /// The same sessions for a framework that is not on `tower`. The hooks that look at a request
    /// ([`skip`](Self::skip), [`keep_flash`](Self::keep_flash), [`client_ip`](Self::client_ip)) are not asked: ask your
    /// own, and say it in the [`Facts`] and in [`Visit::set_client`].
    ///
    /// # Errors
    /// As [`try_build`](Self::try_build).
    pub fn visits(&self) -> Result<Visits> {
        Ok(Visits {
            shared: self.shared()?,
        })
    }
}

impl Visits {
    /// Finds the session that these `Cookie` lines belong to.
    ///
    /// # Errors
    /// The store failed: answer with [`refusal`](Self::refusal), and do not run the handler.
    pub fn begin<'a>(&self, cookies: impl IntoIterator<Item = &'a [u8]>) -> Reply<Visit> {
        let lines = cookies.into_iter();
        let values = crate::cookie::values_in(lines, self.shared.cookie.name());
        let mut opened = Opened::default();
        match self.shared.engine.open(values, &mut opened) {
            Opening::Done(result) => Reply::ready(result.map(|()| self.enter(&mut opened))),
            Opening::Waiting(mut open) => {
                let visits = self.clone();
                Reply::later(async move {
                    (&mut open).await?;
                    Ok(visits.enter(&mut open.machine.opened))
                })
            }
        }
    }

    fn enter(&self, opened: &mut Opened) -> Visit {
        Visit {
            session: SessionData::open(opened, self.shared.home.clone()),
            shared: self.shared.clone(),
        }
    }

    /// Whether a session that the request carries already is one of these: then this is the same middleware a second
    /// time, and has nothing to do.
    pub fn owns(&self, session: &SessionData) -> bool {
        session.is_of(&self.shared.engine)
    }

    /// Whether the store keeps the client's address and agent, so that [`Visit::set_client`] is worth calling.
    pub fn wants_client(&self) -> bool {
        self.shared.engine.cx.capabilities.columns
    }

    /// The status and the text of the response in place of the handler's, when the session fails. It is plain text, and
    /// nobody may cache it.
    pub fn refusal(&self, error: &Error) -> (StatusCode, &'static str) {
        verdict(self.shared.hooks.unavailable, error)
    }
}

/// One request, from its cookies to the end of its response.
///
/// Dropped before [`head`](Self::head), it commits nothing: the handler failed, or the client has left. Dropped later, it
/// commits in the background what was changed since.
pub struct Visit {
    shared: Arc<Shared>,
    session: SessionData,
}

impl Visit {
    /// What the handler gets. Any number of clones may outlive the visit.
    pub fn session(&self) -> &SessionData {
        &self.session
    }

    /// What a table shows about the request: the client's address and its `User-Agent`.
    pub fn set_client(&self, ip: Option<IpAddr>, agent: Option<&str>) {
        let mut state = self.session.state();
        state.columns.ip = ip;
        state.columns.agent = agent.map(Into::into);
    }

    /// Commits, before a head with this status leaves, and answers what the head has to say.
    ///
    /// # Errors
    /// Never: what failed is [`Head::failure`].
    pub fn head(&self, status: u16, facts: Facts) -> Reply<Head> {
        let moment = Moment::Head {
            age: facts.ages(status),
            navigation: facts.navigation,
        };
        let shared = self.shared.clone();
        if let Pass::Clean { change, read } = shared.engine.pass(&self.session, moment) {
            return Reply::ready(Ok(Head {
                shared,
                change,
                read,
                failure: None,
            }));
        }
        self.commit(moment, move |session, committed| {
            Ok(Head::new(&shared, session, committed))
        })
    }

    /// Commits what was changed since the head left; call it before the last part of the body leaves. Where nothing was,
    /// it costs nothing.
    ///
    /// # Errors
    /// It could not be stored: the store failed, or it is [too late](crate::ErrorKind::TooLate) for it, since the browser
    /// would have to learn something.
    pub fn end(&self) -> Reply<()> {
        let mut state = self.session.state();
        if !state.is_dirty() {
            return Reply::ready(Ok(()));
        }
        // Also where no head was ever asked for: a connection that was refused has none that could carry a cookie.
        state.phase = Phase::Body;
        drop(state);
        self.commit(Moment::Body, |_, committed| committed.map(|_| ()))
    }

    /// Whether something was changed that no commit has stored.
    pub fn is_changed(&self) -> bool {
        self.session.state().is_dirty()
    }

    fn commit<T: 'static>(
        &self,
        moment: Moment,
        conclude: impl FnOnce(&SessionData, Result<CookieChange>) -> Result<T> + Send + 'static,
    ) -> Reply<T> {
        let engine = self.shared.engine.clone();
        let mut commit = CommitRun::new(engine, self.session.clone(), moment);
        let mut idle = Context::from_waker(Waker::noop());
        match Pin::new(&mut commit).poll(&mut idle) {
            Poll::Ready(committed) => Reply::ready(conclude(&self.session, committed)),
            Poll::Pending => {
                let session = self.session.clone();
                Reply::later(async move {
                    let committed = commit.await;
                    conclude(&session, committed)
                })
            }
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if self.session.state().phase == Phase::Body {
            finish_late(&self.shared.engine, &self.session);
        }
    }
}

impl std::fmt::Debug for Visit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Visit").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Visits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let driver = self.shared.engine.cx.capabilities.name;
        f.debug_struct("Visits").field("driver", &driver).finish()
    }
}

/// What a response's head has to say about the session.
pub struct Head {
    shared: Arc<Shared>,
    change: CookieChange,
    read: bool,
    failure: Option<Error>,
}

impl Head {
    fn new(shared: &Arc<Shared>, session: &SessionData, committed: Result<CookieChange>) -> Self {
        let (read, settled) = settled(&mut session.state(), committed);
        let (change, failure) = match settled {
            Ok(change) => (change, None),
            Err((error, before)) => (before, Some(error)),
        };
        Self {
            shared: shared.clone(),
            change,
            read,
            failure,
        }
    }

    /// Why the commit failed. The client must then get [`refusal`](Visits::refusal) in place of the handler's response,
    /// with [`set_cookie`](Self::set_cookie) and none of the handler's headers.
    pub fn failure(&self) -> Option<&Error> {
        self.failure.as_ref()
    }

    /// Our one `Set-Cookie` line, where the browser has to learn something.
    pub fn set_cookie(&self) -> Option<HeaderValue> {
        self.shared.cookie.header(&self.change)
    }

    /// Whether the handler looked at the session, so that the response is for one visitor.
    pub fn is_read(&self) -> bool {
        self.read
    }

    /// Writes into the response's headers what the browser and the caches have to know: `Set-Cookie`, `Vary: Cookie`, and
    /// a `Cache-Control` that keeps shared caches away. What others have set there stays.
    ///
    /// The headers may be only those that this can be about: `Vary`, `Cache-Control`, `CDN-Cache-Control` and
    /// `Surrogate-Control`.
    pub fn finish(&self, headers: &mut HeaderMap) {
        apply(headers, &self.shared, &self.change, self.read);
    }
}

impl std::fmt::Debug for Head {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Head")
            .field("change", &self.change)
            .field("read", &self.read)
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}
