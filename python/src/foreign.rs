//! A store that is written in Python: a class whose coroutines are the driver's calls.
//!
//! They run on the application's event loop. Asked from the runtime's thread, the call is left in the loop's mailbox.

use std::sync::{Arc, Mutex, PoisonError};

use arvel_session::{
    Error, ErrorKind, Result, Time,
    store::{self, At, Expect, Reply, Revision, Saved, SessionStore},
};
use pyo3::{
    exceptions::PyTypeError,
    prelude::*,
    types::{PyBytes, PyTuple},
};
use tokio::sync::oneshot;

use crate::{
    config::SessionConfig,
    errors::kind_of,
    session::done,
    wake::{Mailbox, bridge},
};

/// What a store promises.
#[pyclass(frozen, module = "arvel_session.store")]
pub(crate) struct Capabilities(store::Capabilities);

#[pymethods]
impl Capabilities {
    #[new]
    #[pyo3(signature = (name, *, shared = true, persistent = true, atomic_replace = true, sweeps = true, columns = false, max_bytes = 16_777_216))]
    fn new(
        name: String,
        shared: bool,
        persistent: bool,
        atomic_replace: bool,
        sweeps: bool,
        columns: bool,
        max_bytes: usize,
    ) -> Self {
        // A name is for ever, as those of the built-in drivers are; a process has few.
        let mut capabilities = store::Capabilities::new(Box::leak(name.into_boxed_str()));
        capabilities.shared = shared;
        capabilities.persistent = persistent;
        capabilities.atomic_replace = atomic_replace;
        capabilities.sweeps = sweeps;
        capabilities.columns = columns;
        capabilities.max_bytes = max_bytes;
        Self(capabilities)
    }

    #[getter]
    fn name(&self) -> &'static str {
        self.0.name
    }
}

/// Under what a store keeps a session.
#[pyclass(frozen, eq, hash, module = "arvel_session.store")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Key(store::Key);

#[pymethods]
impl Key {
    #[getter]
    fn hex(&self) -> String {
        self.0.hex()
    }

    #[getter]
    fn tag<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.tag())
    }

    fn __bytes__<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.to_bytes())
    }

    fn __repr__(&self) -> String {
        format!("{:?}", self.0)
    }
}

/// A session, or the marker of a dead one, as a store sees it.
#[pyclass(frozen, eq, module = "arvel_session.store")]
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Record(store::Record);

#[pymethods]
impl Record {
    #[staticmethod]
    fn decode(py: Python<'_>, encoded: &[u8]) -> PyResult<Self> {
        Ok(Self(done(
            py,
            store::Record::decode(encoded.to_vec().into()),
        )?))
    }

    fn encode<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.encode())
    }

    #[getter]
    fn revision(&self) -> u64 {
        self.0.revision.as_u64()
    }

    #[getter]
    fn expires(&self) -> u64 {
        self.0.expires.as_millis()
    }

    #[getter]
    fn is_live(&self) -> bool {
        self.0.kind.is_live()
    }

    #[getter]
    fn size(&self) -> usize {
        self.0.encoded_len()
    }

    fn matches(&self, revision: u64) -> bool {
        self.0.matches(Revision::from_u64(revision))
    }

    fn with_expires(&self, expires: u64) -> Self {
        let mut record = self.0.clone();
        record.expires = Time::from_millis(expires);
        Self(record)
    }

    fn __repr__(&self) -> String {
        format!("{:?}", self.0)
    }
}

/// Who and what a session's last request was.
#[pyclass(frozen, get_all, module = "arvel_session.store")]
pub(crate) struct Columns {
    user: Option<String>,
    ip: Option<String>,
    agent: Option<String>,
}

/// A record to store, and what goes with it.
#[pyclass(frozen, get_all, module = "arvel_session.store")]
pub(crate) struct Write {
    record: Py<Record>,
    columns: Py<Columns>,
    now: u64,
    durable: bool,
}

impl Write {
    fn new(py: Python<'_>, write: store::Write) -> PyResult<Self> {
        let columns = Columns {
            user: write.columns.user.as_deref().map(str::to_owned),
            ip: write.columns.ip.map(|ip| ip.to_string()),
            agent: write.columns.agent.as_deref().map(str::to_owned),
        };
        Ok(Self {
            record: Py::new(py, Record(write.record))?,
            columns: Py::new(py, columns)?,
            now: write.now.as_millis(),
            durable: write.durable,
        })
    }
}

/// Nothing was changed, since this is what is there.
#[pyclass(frozen, get_all, module = "arvel_session.store")]
pub(crate) struct Conflict {
    there: Option<Py<Record>>,
}

#[pymethods]
impl Conflict {
    #[new]
    fn new(there: Option<Py<Record>>) -> Self {
        Self { there }
    }
}

/// A store in Python, as the core sees it.
pub(crate) struct ForeignStore {
    /// Shared, so that the runtime's thread needs no interpreter to hand it on.
    object: Arc<Py<PyAny>>,
    capabilities: store::Capabilities,
    /// The loop on which it was last asked: for what no request asks, such as the sweep.
    last: Mutex<Option<Mailbox>>,
}

impl ForeignStore {
    /// The store that a driver's factory makes of a configuration.
    pub(crate) fn made_by(factory: &Py<PyAny>, config: SessionConfig) -> Result<Self> {
        attached(|py| {
            let store = factory.bind(py).call1((config,))?;
            Self::new(&store, None)
        })
    }

    pub(crate) fn new(store: &Bound<'_, PyAny>, mailbox: Option<Mailbox>) -> PyResult<Self> {
        let capabilities = store.getattr("capabilities")?;
        let capabilities = capabilities.cast::<Capabilities>().map_err(|_| {
            PyTypeError::new_err(
                "a session store's attribute `capabilities` must be Capabilities(…)",
            )
        })?;
        Ok(Self {
            object: Arc::new(store.clone().unbind()),
            capabilities: capabilities.get().0,
            last: Mutex::new(mailbox),
        })
    }

    fn mailbox(&self) -> Option<Mailbox> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ours) = Mailbox::of_this_task() {
            *last = Some(ours);
        }
        last.clone()
    }

    /// Calls a coroutine of the store's.
    fn call<T: Send + 'static>(
        &self,
        method: &'static str,
        arguments: impl FnOnce(Python<'_>) -> PyResult<Py<PyTuple>> + Send + 'static,
        answer: fn(&Bound<'_, PyAny>) -> PyResult<T>,
    ) -> Reply<T> {
        let name = self.capabilities.name;
        let Some(mailbox) = self.mailbox() else {
            let message = format!("the {name} session store was asked outside of an event loop");
            return Reply::ready(Err(Error::new(ErrorKind::Store, message)));
        };
        let (sender, receiver) = oneshot::channel();
        let object = self.object.clone();
        let conclude = move |py: Python<'_>, result: PyResult<Bound<'_, PyAny>>| {
            let result = result.and_then(|value| answer(&value));
            // Whoever asked may be gone.
            let _ = sender.send(result.map_err(|error| failed(py, name, method, &error)));
        };
        mailbox.post(Box::new(move |py| {
            let conclude = Answer(Mutex::new(Some(Box::new(conclude))));
            if let Err(error) = start(py, &object, method, arguments, conclude) {
                error.write_unraisable(py, Some(object.bind(py)));
            }
        }));
        Reply::later(async move {
            receiver.await.unwrap_or_else(|_| {
                let message = format!("the {name} session store's event loop has ended");
                Err(Error::new(ErrorKind::Store, message))
            })
        })
    }
}

type Conclude = Box<dyn FnOnce(Python<'_>, PyResult<Bound<'_, PyAny>>) + Send>;

/// What the Python side calls with a coroutine's result.
#[pyclass(frozen, module = "arvel_session._native")]
struct Answer(Mutex<Option<Conclude>>);

#[pymethods]
impl Answer {
    fn __call__(&self, py: Python<'_>, result: Bound<'_, PyAny>, error: Option<Bound<'_, PyAny>>) {
        let conclude = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(conclude) = conclude {
            match error {
                None => conclude(py, Ok(result)),
                Some(error) => conclude(py, Err(PyErr::from_value(error))),
            }
        }
    }
}

fn start(
    py: Python<'_>,
    object: &Py<PyAny>,
    method: &str,
    arguments: impl FnOnce(Python<'_>) -> PyResult<Py<PyTuple>>,
    answer: Answer,
) -> PyResult<()> {
    let method = object.bind(py).getattr(method)?;
    bridge(py, "start")?.call1((method, arguments(py)?, answer))?;
    Ok(())
}

/// A store's exception as the core's error.
fn failed(py: Python<'_>, name: &str, method: &str, error: &PyErr) -> Error {
    Error::new(kind_of(py, error), format!("{name}: {method}")).with_source(error.to_string())
}

/// Runs in Python, and turns its exception into the core's error.
fn attached<T>(run: impl FnOnce(Python<'_>) -> PyResult<T>) -> Result<T> {
    let result = Python::try_attach(|py| {
        run(py).map_err(|error| {
            Error::new(kind_of(py, &error), "the session store could not be made")
                .with_source(error.to_string())
        })
    });
    result.unwrap_or_else(|| Err(Error::new(ErrorKind::Store, "Python is about to end")))
}

fn record(value: &Bound<'_, PyAny>) -> PyResult<Option<store::Record>> {
    if value.is_none() {
        return Ok(None);
    }
    let record = value.cast::<Record>().map_err(|_| {
        PyTypeError::new_err("a session store's load must return a Record, or None")
    })?;
    Ok(Some(record.get().0.clone()))
}

fn saved(value: &Bound<'_, PyAny>) -> PyResult<Saved> {
    if value.is_none() {
        return Ok(Saved::Done);
    }
    let conflict = value.cast::<Conflict>().map_err(|_| {
        PyTypeError::new_err("a session store's save must return None, or a Conflict")
    })?;
    let there = conflict.get().there.as_ref();
    Ok(Saved::Conflict(there.map(|there| there.get().0.clone())))
}

fn arguments<'py>(
    py: Python<'py>,
    arguments: impl IntoPyObject<'py, Target = PyTuple, Output = Bound<'py, PyTuple>, Error = PyErr>,
) -> PyResult<Py<PyTuple>> {
    Ok(arguments.into_pyobject(py)?.unbind())
}

impl SessionStore for ForeignStore {
    fn capabilities(&self) -> store::Capabilities {
        self.capabilities
    }

    fn load(&self, at: At<'_>) -> Reply<Option<store::Record>> {
        let At::Key(key) = at else {
            return Reply::ready(Ok(None));
        };
        let key = Key(*key);
        self.call("load", |py| arguments(py, (key,)), record)
    }

    fn save(&self, key: &store::Key, expect: Expect, write: store::Write) -> Reply<Saved> {
        if let Err(error) = self.capabilities.check_size(&write.record) {
            return Reply::ready(Err(error));
        }
        let key = Key(*key);
        let expect = match expect {
            Expect::Absent => None,
            Expect::Revision(revision) => Some(revision.as_u64()),
        };
        let make = move |py: Python<'_>| arguments(py, (key, expect, Write::new(py, write)?));
        self.call("save", make, saved)
    }

    fn replace(
        &self,
        old: &store::Key,
        expect: Revision,
        marker: store::Record,
        new: &store::Key,
        write: store::Write,
    ) -> Reply<Saved> {
        if let Err(error) = self.capabilities.check_size(&write.record) {
            return Reply::ready(Err(error));
        }
        let (old, new, expect) = (Key(*old), Key(*new), expect.as_u64());
        let make = move |py: Python<'_>| {
            let write = Write::new(py, write)?;
            arguments(py, (old, expect, Record(marker), new, write))
        };
        self.call("replace", make, saved)
    }

    fn touch(&self, key: &store::Key, expires: Time, now: Time) -> Reply<()> {
        let (key, expires, now) = (Key(*key), expires.as_millis(), now.as_millis());
        self.call(
            "touch",
            move |py| arguments(py, (key, expires, now)),
            |_| Ok(()),
        )
    }

    fn sweep(&self, now: Time, max: usize) -> Reply<usize> {
        let now = now.as_millis();
        self.call(
            "sweep",
            move |py| arguments(py, (now, max)),
            |removed| removed.extract(),
        )
    }
}

/// What became of opening a store for the conformance suite.
pub(crate) type Opened = Result<ForeignStore>;

/// Calls the coroutine function `opener` for a store that lives on `mailbox`'s loop, which is this thread's.
pub(crate) fn open(
    py: Python<'_>,
    opener: &Py<PyAny>,
    mailbox: Mailbox,
    sender: oneshot::Sender<Opened>,
) {
    let conclude = move |py: Python<'_>, result: PyResult<Bound<'_, PyAny>>| {
        let store = result.and_then(|store| ForeignStore::new(&store, Some(mailbox)));
        // Whoever asked may be gone.
        let _ = sender.send(store.map_err(|error| failed(py, "the opener", "open", &error)));
    };
    let answer = Answer(Mutex::new(Some(Box::new(conclude))));
    let started = bridge(py, "start").and_then(|start| start.call1((opener, (), answer)));
    if let Err(error) = started {
        error.write_unraisable(py, Some(opener.bind(py)));
    }
}
