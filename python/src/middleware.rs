//! `StartSession`: its settings, and how a request begins.
//!
//! A request is a [`Passage`], which is what the server awaits; the application gets a [`Visit`] as its `send`, through
//! which all messages of the response pass. Where the store answers at once, there is no task, future or thread.

use std::{net::IpAddr, sync::Arc, time::Duration};

use arvel_session::{
    ErrorKind, SameSite, StartSession,
    visit::{self, Facts, Visits},
};
use http::StatusCode;
use pyo3::{exceptions::PyValueError, intern, prelude::*, types::PyDict};
use tokio::runtime::Runtime;

use crate::{
    errors::raise,
    manager::{Home, Store},
    passage::Passage,
    request::{Request, peer},
    runtime::{PerProcess, runtime},
    session::{SessionData, done},
    visit::{Refusal, Visit},
    wake::later,
};

/// How the middleware marks a request that it has begun: this belongs to the request alone, other than its `state`.
const MARK: &str = "arvel_session";

/// What `StartSession` in Python is derived from.
#[pyclass(frozen, subclass, dict, module = "arvel_session._native")]
pub(crate) struct Sessions {
    #[pyo3(get)]
    app: Py<PyAny>,
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
pub(crate) struct Door {
    pub(crate) visits: Visits,
    pub(crate) runtime: &'static Runtime,
}

#[pymethods]
impl Sessions {
    #[new]
    #[pyo3(signature = (
        app, store, lifetime = None, cookie_name = None, *,
        secure = None, same_site = None, skip = None, keep_flash = None, client_ip = None, unavailable_status = 503
    ))]
    #[allow(
        clippy::too_many_arguments,
        reason = "the settings of StartSession, by name"
    )]
    fn new(
        py: Python<'_>,
        app: Py<PyAny>,
        store: &Store,
        lifetime: Option<Bound<'_, PyAny>>,
        cookie_name: Option<String>,
        secure: Option<bool>,
        same_site: Option<&str>,
        skip: Option<Py<PyAny>>,
        keep_flash: Option<Py<PyAny>>,
        client_ip: Option<Py<PyAny>>,
        unavailable_status: u16,
    ) -> PyResult<Self> {
        let refused = |message: String| raise(py, ErrorKind::Config, message);
        let lifetime = lifetime.as_ref().map(seconds).transpose()?;
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
            app,
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

    fn __call__(
        slf: Bound<'_, Self>,
        scope: Bound<'_, PyDict>,
        receive: Py<PyAny>,
        send: Py<PyAny>,
    ) -> Passage {
        Passage::new(slf.unbind(), scope.unbind(), receive, send)
    }
}

/// How a request has begun.
pub(crate) enum Begun<'py> {
    /// It has nothing to do with sessions, or has one already.
    Outside,
    Inside(Bound<'py, Visit>),
    Refused(Bound<'py, Refusal>),
    /// An awaitable of one of these two: the store has to be waited for.
    Later(Bound<'py, PyAny>),
}

impl Sessions {
    pub(crate) fn app(&self) -> &Py<PyAny> {
        &self.app
    }

    pub(crate) fn begin<'py>(
        &self,
        scope: &Bound<'py, PyDict>,
        send: &Bound<'py, PyAny>,
    ) -> PyResult<Begun<'py>> {
        let py = scope.py();
        let door = self.door(py)?;
        if let Some(mark) = scope.get_item(intern!(py, MARK))? {
            check_outer(&door, &mark)?;
            return Ok(Begun::Outside);
        }
        if asks(self.skip.as_ref(), scope)? {
            return Ok(Begun::Outside);
        }
        let request = Request::of(scope)?;
        let mut entry = Entry {
            facts: request.facts(scope)?,
            client: None,
            scope: scope.clone().unbind(),
            send: send.clone().unbind(),
            door,
        };
        if asks(self.keep_flash.as_ref(), scope)? {
            entry.facts = entry.facts.keep_flash();
        }
        if entry.door.visits.wants_client() {
            entry.client = Some((self.client(scope)?, request.agent()));
        }
        let context = entry.door.runtime.enter();
        let mut begun = entry.door.visits.begin(request.cookies());
        let ready = begun.take_ready();
        drop(context);
        match ready {
            Some(begun) => entry.enter(py, begun),
            None => later(py, begun, move |py, begun| {
                Ok(match entry.enter(py, begun)? {
                    Begun::Inside(visit) => visit.unbind().into_any(),
                    Begun::Refused(refusal) => refusal.unbind().into_any(),
                    Begun::Outside | Begun::Later(_) => py.None(),
                })
            })
            .map(Begun::Later),
        }
    }

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

/// A hook's answer for a request.
fn asks(hook: Option<&Py<PyAny>>, scope: &Bound<'_, PyDict>) -> PyResult<bool> {
    match hook {
        Some(hook) => hook.bind(scope.py()).call1((scope,))?.is_truthy(),
        None => Ok(false),
    }
}

/// A number of seconds, or a `timedelta`.
fn seconds(lifetime: &Bound<'_, PyAny>) -> PyResult<f64> {
    match lifetime.getattr_opt(intern!(lifetime.py(), "total_seconds"))? {
        Some(total) => total.call0()?.extract(),
        None => lifetime.extract(),
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
    if door.visits.owns(&outer.get().native) {
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
    ) -> PyResult<Begun<'_>> {
        let visit = match begun {
            Ok(visit) => visit,
            Err(error) => {
                let refusal = Refusal::new(py, &self.door, &error, None);
                return Ok(Begun::Refused(Bound::new(py, refusal)?));
            }
        };
        if let Some((ip, agent)) = &self.client {
            visit.set_client(*ip, agent.as_deref());
        }
        let session = Bound::new(py, SessionData::new(visit.session().clone()))?;
        let scope = self.scope.bind(py);
        scope.set_item(intern!(py, MARK), &session)?;
        let name = intern!(py, "state");
        match scope.get_item(name)? {
            Some(state) => state.set_item(intern!(py, "session"), &session)?,
            None => {
                let state = PyDict::new(py);
                state.set_item(intern!(py, "session"), &session)?;
                scope.set_item(name, state)?;
            }
        }
        let visit = Visit::new(visit, session.unbind(), self.facts, self.door, self.send);
        Ok(Begun::Inside(Bound::new(py, visit)?))
    }
}
