//! One request under ASGI: what `StartSession` in Python is wrapped around.
//!
//! The Python side is a coroutine and nothing more. It calls in here at the beginning, and hands the application a
//! [`Visit`] as its `send`, through which all messages of the response pass. Where the store answers at once, both return
//! without a task, a future or a thread.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use arvel_session::{
    Error, ErrorKind, SameSite, StartSession,
    visit::{self, Facts, Head, Visits},
};
use http::StatusCode;
use pyo3::{
    exceptions::PyValueError,
    intern,
    prelude::*,
    types::{PyBytes, PyDict, PyString},
};
use tokio::runtime::Runtime;

use crate::{
    errors::{exception, raise},
    manager::{Home, Store},
    request::{Request, peer},
    response::{with_cookie, with_head},
    runtime::{PerProcess, runtime},
    session::{SessionData, done},
    wake::{Done, bridge, later},
};

/// How the middleware marks a request that it has begun: this belongs to the request alone, other than its `state`.
const MARK: &str = "arvel_session";

/// The sessions of one `StartSession`.
#[pyclass(frozen, module = "arvel_session._native")]
pub(crate) struct Sessions {
    home: Arc<Home>,
    settings: Settings,
    skip: Option<Py<PyAny>>,
    keep_flash: Option<Py<PyAny>>,
    client_ip: Option<Py<PyAny>>,
    door: PerProcess<Arc<Door>>,
}

struct Settings {
    lifetime: Option<Duration>,
    cookie_name: Option<String>,
    secure: Option<bool>,
    same_site: Option<SameSite>,
    unavailable: StatusCode,
}

/// What all requests of a process share.
struct Door {
    visits: Visits,
    runtime: &'static Runtime,
}

#[pymethods]
impl Sessions {
    #[new]
    #[pyo3(signature = (store, lifetime, cookie_name, secure, same_site, skip, keep_flash, client_ip, unavailable_status))]
    #[allow(
        clippy::too_many_arguments,
        reason = "the settings of StartSession, by name"
    )]
    fn new(
        py: Python<'_>,
        store: &Store,
        lifetime: Option<f64>,
        cookie_name: Option<String>,
        secure: Option<bool>,
        same_site: Option<&str>,
        skip: Option<Py<PyAny>>,
        keep_flash: Option<Py<PyAny>>,
        client_ip: Option<Py<PyAny>>,
        unavailable_status: u16,
    ) -> PyResult<Self> {
        let refused = |message: String| raise(py, ErrorKind::Config, message);
        let lifetime = lifetime.map(Duration::try_from_secs_f64).transpose();
        let unavailable = StatusCode::from_u16(unavailable_status);
        let settings = Settings {
            lifetime: lifetime.map_err(|error| refused(format!("lifetime: {error}")))?,
            cookie_name,
            secure,
            same_site: same_site.map(|word| same_site_of(py, word)).transpose()?,
            unavailable: unavailable
                .map_err(|error| refused(format!("unavailable_status: {error}")))?,
        };
        let sessions = Self {
            home: store.0.clone(),
            settings,
            skip,
            keep_flash,
            client_ip,
            door: PerProcess::default(),
        };
        sessions.door(py)?;
        Ok(sessions)
    }

    /// Begins a request: its `Visit`, or the `Refusal` that answers it; an awaitable of one of them where the store has to
    /// be waited for; `None` where there is nothing to do.
    fn begin<'py>(
        slf: &Bound<'py, Self>,
        scope: &Bound<'py, PyDict>,
        send: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = slf.py();
        let sessions = slf.get();
        let door = sessions.door(py)?;
        if let Some(mark) = scope.get_item(intern!(py, MARK))? {
            check_outer(&door, &mark)?;
            return Ok(None);
        }
        if let Some(skip) = &sessions.skip
            && skip.bind(py).call1((scope,))?.is_truthy()?
        {
            return Ok(None);
        }
        let request = Request::of(scope)?;
        let mut entry = Entry {
            facts: request.facts(scope)?,
            client: None,
            scope: scope.clone().unbind(),
            send: send.clone().unbind(),
            door,
        };
        if let Some(keeps) = &sessions.keep_flash
            && keeps.bind(py).call1((scope,))?.is_truthy()?
        {
            entry.facts = entry.facts.keep_flash();
        }
        if entry.door.visits.wants_client() {
            entry.client = Some((sessions.client(scope)?, request.agent()));
        }
        let context = entry.door.runtime.enter();
        let mut begun = entry.door.visits.begin(request.cookies());
        let ready = begun.take_ready();
        drop(context);
        match ready {
            Some(begun) => Ok(Some(entry.enter(py, begun)?)),
            None => later(py, begun, move |py, begun| {
                Ok(entry.enter(py, begun)?.unbind())
            })
            .map(Some),
        }
    }
}

impl Sessions {
    fn door(&self, py: Python<'_>) -> PyResult<Arc<Door>> {
        if let Some(door) = self.door.get() {
            return Ok(door);
        }
        let store = self.home.store(py)?;
        let door = Door {
            visits: done(py, self.settings.layer(store).visits())?,
            runtime: runtime(py)?,
        };
        Ok(self.door.keep(Arc::new(door)))
    }

    fn client(&self, scope: &Bound<'_, PyDict>) -> PyResult<Option<IpAddr>> {
        let Some(hook) = &self.client_ip else {
            return Ok(peer(scope));
        };
        let address: Option<String> = hook.bind(scope.py()).call1((scope,))?.extract()?;
        let parsed = address.map(|address| address.parse());
        parsed
            .transpose()
            .map_err(|_| PyValueError::new_err("client_ip must return an IP address, or None"))
    }
}

fn same_site_of(py: Python<'_>, word: &str) -> PyResult<SameSite> {
    [SameSite::Lax, SameSite::Strict, SameSite::None]
        .into_iter()
        .find(|known| known.as_str().eq_ignore_ascii_case(word))
        .ok_or_else(|| {
            let message = format!("same_site = {word} (set in code): must be lax, strict or none");
            raise(py, ErrorKind::Config, message)
        })
}

impl Settings {
    fn layer(&self, store: arvel_session::Store) -> StartSession {
        let mut layer = StartSession::new(store).unavailable_status(self.unavailable);
        if let Some(lifetime) = self.lifetime {
            layer = layer.lifetime(lifetime);
        }
        if let Some(name) = &self.cookie_name {
            layer = layer.cookie_name(name);
        }
        if let Some(secure) = self.secure {
            layer = layer.secure(secure);
        }
        if let Some(same_site) = self.same_site {
            layer = layer.same_site(same_site);
        }
        layer
    }
}

/// The same middleware twice is one (R5).
fn check_outer(door: &Door, mark: &Bound<'_, PyAny>) -> PyResult<()> {
    let outer = mark.cast::<SessionData>()?;
    if door.visits.owns(&outer.get().0) {
        return Ok(());
    }
    let message = "StartSession stands twice in front of this application, with different stores or cookie names";
    Err(raise(mark.py(), ErrorKind::Layer, message.to_owned()))
}

/// A request whose session is being looked for.
struct Entry {
    facts: Facts,
    client: Option<(Option<IpAddr>, Option<String>)>,
    scope: Py<PyDict>,
    send: Py<PyAny>,
    door: Arc<Door>,
}

impl Entry {
    /// The store has answered.
    fn enter(
        self,
        py: Python<'_>,
        begun: arvel_session::Result<visit::Visit>,
    ) -> PyResult<Bound<'_, PyAny>> {
        let visit = match begun {
            Ok(visit) => visit,
            Err(error) => {
                let refusal = Refusal::new(py, &self.door, &error, None);
                return Ok(Bound::new(py, refusal)?.into_any());
            }
        };
        if let Some((ip, agent)) = &self.client {
            visit.set_client(*ip, agent.as_deref());
        }
        let session = Bound::new(py, SessionData(visit.session().clone()))?;
        let scope = self.scope.bind(py);
        scope.set_item(intern!(py, MARK), &session)?;
        let name = intern!(py, "state");
        match scope.get_item(name)? {
            Some(state) => state.set_item(intern!(py, "session"), session)?,
            None => {
                let state = PyDict::new(py);
                state.set_item(intern!(py, "session"), session)?;
                scope.set_item(name, state)?;
            }
        }
        let visit = Visit {
            visit: Some(visit),
            facts: self.facts,
            door: self.door,
            send: self.send,
            stage: AtomicU8::new(OPEN),
        };
        Ok(Bound::new(py, visit)?.into_any())
    }
}

/// Hands a message on, with what the session has to say in it.
type Conclude =
    for<'a> fn(&Bound<'a, Visit>, &Bound<'a, PyDict>, &Head) -> PyResult<Bound<'a, PyAny>>;

/// Nothing has left yet.
const OPEN: u8 = 0;
/// The head has left.
const STARTED: u8 = 1;
/// The head was replaced by an error's: what the application still sends goes nowhere.
const REFUSED: u8 = 2;

/// A request that has its session; also the `send` that the application gets.
#[pyclass(frozen, module = "arvel_session._native")]
pub(crate) struct Visit {
    /// Until it is dropped.
    visit: Option<visit::Visit>,
    facts: Facts,
    door: Arc<Door>,
    send: Py<PyAny>,
    stage: AtomicU8,
}

#[pymethods]
impl Visit {
    /// Hands a message of the application's on, once what it announces is committed.
    fn __call__<'py>(
        slf: &Bound<'py, Self>,
        message: &Bound<'py, PyDict>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let visit = slf.get();
        if visit.stage.load(Ordering::Relaxed) == REFUSED {
            return Ok(Bound::new(py, Done)?.into_any());
        }
        let kind = message.get_item(intern!(py, "type"))?;
        let kind = kind.as_ref().and_then(|kind| kind.cast::<PyString>().ok());
        match kind.map(|kind| kind.to_str()).transpose()? {
            Some("http.response.start" | "websocket.http.response.start") => {
                Self::start(slf, message)
            }
            Some("websocket.accept") => Self::accept(slf, message),
            Some("http.response.body" | "websocket.http.response.body") if is_last(message)? => {
                Self::end(slf, message)
            }
            Some("http.response.pathsend") => Self::end(slf, message),
            _ => visit.forward(py, message),
        }
    }

    /// After the application: stores what was changed since the head left. `None` where that is nothing.
    fn finish<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        // Without a response nothing is committed, but a websocket may close without one.
        let Some(visit) = self.visit.as_ref().filter(|visit| visit.is_changed()) else {
            return Ok(None);
        };
        let context = self.door.runtime.enter();
        let mut ended = visit.end();
        let ready = ended.take_ready();
        drop(context);
        match ready {
            Some(ended) => done(py, ended).map(|()| None),
            None => later(py, ended, |py, ended| {
                done(py, ended)?;
                Ok(py.None())
            })
            .map(Some),
        }
    }

    /// Whether the response has begun.
    #[getter]
    fn started(&self) -> bool {
        self.stage.load(Ordering::Relaxed) == STARTED
    }
}

impl Visit {
    fn start<'py>(
        slf: &Bound<'py, Self>,
        message: &Bound<'py, PyDict>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let status = message.get_item(intern!(slf.py(), "status"))?;
        let status = status.map_or(Ok(200), |status| status.extract::<u16>())?;
        Self::commit(slf, message, status, Self::started_with)
    }

    fn accept<'py>(
        slf: &Bound<'py, Self>,
        message: &Bound<'py, PyDict>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let switching = StatusCode::SWITCHING_PROTOCOLS.as_u16();
        Self::commit(slf, message, switching, Self::accepted_with)
    }

    /// Commits, and hands the message on as `conclude` makes it.
    fn commit<'py>(
        slf: &Bound<'py, Self>,
        message: &Bound<'py, PyDict>,
        status: u16,
        conclude: Conclude,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let this = slf.get();
        this.stage.store(STARTED, Ordering::Relaxed);
        let Some(visit) = &this.visit else {
            return this.forward(py, message);
        };
        let context = this.door.runtime.enter();
        let mut head = visit.head(status, this.facts);
        let ready = head.take_ready();
        drop(context);
        if let Some(head) = ready {
            return conclude(slf, message, &done(py, head)?);
        }
        let (slf, message) = (slf.clone().unbind(), message.clone().unbind());
        let head = later(py, head, move |py, head| {
            let head = done(py, head)?;
            Ok(conclude(slf.bind(py), message.bind(py), &head)?.unbind())
        })?;
        bridge(py, "after")?.call1((head,))
    }

    fn started_with<'py>(
        slf: &Bound<'py, Self>,
        message: &Bound<'py, PyDict>,
        head: &Head,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let visit = slf.get();
        let Some(error) = head.failure() else {
            return visit.forward(py, &with_head(message, head)?);
        };
        visit.stage.store(REFUSED, Ordering::Relaxed);
        let cookie = head.set_cookie();
        let cookie = cookie.as_ref().map(|line| line.as_bytes());
        let refusal = Refusal::new(py, &visit.door, error, cookie);
        bridge(py, "refuse")?.call1((&visit.send, refusal))
    }

    fn accepted_with<'py>(
        slf: &Bound<'py, Self>,
        message: &Bound<'py, PyDict>,
        head: &Head,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        match head.failure() {
            // The server answers the handshake with an error then.
            Some(error) => Err(exception(py, error)),
            None => slf.get().forward(py, &with_cookie(message, head)?),
        }
    }

    /// The last part of the body: what was changed while it streamed is committed before that leaves.
    fn end<'py>(
        slf: &Bound<'py, Self>,
        message: &Bound<'py, PyDict>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let this = slf.get();
        let Some(visit) = this.visit.as_ref().filter(|visit| visit.is_changed()) else {
            return this.forward(py, message);
        };
        let context = this.door.runtime.enter();
        let mut ended = visit.end();
        let ready = ended.take_ready();
        drop(context);
        // A failure is logged where it happens; the head has left, so nobody can be told.
        if ready.is_some() {
            return this.forward(py, message);
        }
        let (slf, message) = (slf.clone().unbind(), message.clone().unbind());
        let ended = later(py, ended, move |py, _| {
            Ok(slf.get().forward(py, message.bind(py))?.unbind())
        })?;
        bridge(py, "after")?.call1((ended,))
    }

    fn forward<'py>(
        &self,
        py: Python<'py>,
        message: &Bound<'py, PyDict>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.send.bind(py).call1((message,))
    }
}

/// A client that has left: what was changed meanwhile is committed in the background.
impl Drop for Visit {
    fn drop(&mut self) {
        let _context = self.door.runtime.enter();
        self.visit = None;
    }
}

fn is_last(message: &Bound<'_, PyDict>) -> PyResult<bool> {
    match message.get_item(intern!(message.py(), "more_body"))? {
        Some(more) => Ok(!more.is_truthy()?),
        None => Ok(true),
    }
}

/// The response in place of the application's.
#[pyclass(frozen, get_all, module = "arvel_session._native")]
pub(crate) struct Refusal {
    status: u16,
    text: &'static str,
    cookie: Option<Py<PyBytes>>,
}

impl Refusal {
    fn new(py: Python<'_>, door: &Door, error: &Error, cookie: Option<&[u8]>) -> Self {
        let (status, text) = door.visits.refusal(error);
        Self {
            status: status.as_u16(),
            text,
            cookie: cookie.map(|line| PyBytes::new(py, line).unbind()),
        }
    }
}
