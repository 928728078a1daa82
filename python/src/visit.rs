//! A request that has its session: the `send` of the application, and what is committed when.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use arvel_session::{
    Error,
    visit::{self, Facts, Head},
};
use http::StatusCode;
use pyo3::{
    intern,
    prelude::*,
    types::{PyBytes, PyDict, PyString},
};

use crate::{
    errors::exception,
    middleware::Door,
    response::{with_cookie, with_head},
    session::{SessionData, done},
    wake::{Done, bridge, later},
};

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
    /// What the application has of it.
    session: Py<SessionData>,
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
}

impl Visit {
    pub(crate) fn new(
        visit: visit::Visit,
        session: Py<SessionData>,
        facts: Facts,
        door: Arc<Door>,
        send: Py<PyAny>,
    ) -> Self {
        Self {
            visit: Some(visit),
            session,
            facts,
            door,
            send,
            stage: AtomicU8::new(OPEN),
        }
    }

    /// The application has failed, or its client has left: what was changed since the head left is stored in the background.
    ///
    /// Dropping it does that too, but a traceback can keep it for as long as it likes.
    pub(crate) fn leave(&self) {
        let changed = |visit: &&visit::Visit| self.has_started() && visit.is_changed();
        let Some(visit) = self.visit.as_ref().filter(changed) else {
            return;
        };
        let _context = self.door.runtime.enter();
        let mut ended = visit.end();
        if ended.take_ready().is_none() {
            self.door.runtime.spawn(async { drop(ended.await) });
        }
    }

    /// Whether the response has begun.
    pub(crate) fn has_started(&self) -> bool {
        self.stage.load(Ordering::Relaxed) == STARTED
    }

    /// After the application: stores what was changed since the head left. `None` where that is nothing.
    pub(crate) fn finish<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let session = self.session.get();
        session.check_copies(py)?;
        session.forget_copies();
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
        this.session.get().check_copies(py)?;
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
        self.session.get().forget_copies();
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
    pub(crate) fn new(py: Python<'_>, door: &Door, error: &Error, cookie: Option<&[u8]>) -> Self {
        let (status, text) = door.visits.refusal(error);
        Self {
            status: status.as_u16(),
            text,
            cookie: cookie.map(|line| PyBytes::new(py, line).unbind()),
        }
    }
}
