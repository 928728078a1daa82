//! What a handler holds: `SessionData`.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker},
};

use arvel_session::{Error, ErrorKind, store::Reply};
use pyo3::{
    exceptions::PyTypeError,
    prelude::*,
    types::{PyDict, PyString, PyTuple},
};
use serde_json::value::RawValue;

use crate::{
    copies::Copies,
    errors::{exception, value_refused},
    runtime::runtime,
    values::{read, write},
    wake::{Done, later},
};

type Native = arvel_session::SessionData;

/// The session of one request.
#[pyclass(frozen, module = "arvel_session", name = "SessionData")]
pub(crate) struct SessionData {
    pub(crate) native: Native,
    copies: Copies,
}

#[pymethods]
impl SessionData {
    #[pyo3(signature = (key, default = None))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        key: &str,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        match self.native.get_text(key) {
            Some(json) => self.give(py, key, json),
            None => Ok(default.unwrap_or_else(|| py.None().into_bound(py))),
        }
    }

    fn has(&self, key: &str) -> bool {
        self.native.has(key)
    }

    fn missing(&self, key: &str) -> bool {
        self.native.missing(key)
    }

    fn keys(&self) -> Vec<String> {
        self.native.keys()
    }

    fn all<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.collect(py, |_| true)
    }

    #[pyo3(signature = (*keys))]
    fn only<'py>(&self, keys: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyDict>> {
        let names = names(keys)?;
        self.collect(keys.py(), |key| names.iter().any(|name| name == key))
    }

    #[pyo3(signature = (*keys))]
    fn except_<'py>(&self, keys: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyDict>> {
        let names = names(keys)?;
        self.collect(keys.py(), |key| !names.iter().any(|name| name == key))
    }

    fn put(&self, py: Python<'_>, key: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        done(py, self.native.put_text(key, &write(key, value)?))
    }

    fn forget(&self, key: &str) {
        self.native.forget(key);
    }

    fn flush(&self) {
        self.native.flush();
    }

    #[pyo3(signature = (key, default = None))]
    fn pull<'py>(
        &self,
        py: Python<'py>,
        key: &str,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        match self.native.pull_text(key) {
            Some(json) => read(py, key, &json),
            None => Ok(default.unwrap_or_else(|| py.None().into_bound(py))),
        }
    }

    fn push(&self, py: Python<'_>, key: &str, item: &Bound<'_, PyAny>) -> PyResult<()> {
        done(py, self.native.push_text(key, &write(key, item)?))
    }

    #[pyo3(signature = (key, amount = 1))]
    fn increment(&self, py: Python<'_>, key: &str, amount: i64) -> PyResult<i64> {
        done(py, self.native.increment(key, amount))
    }

    #[pyo3(signature = (key, amount = 1))]
    fn decrement(&self, py: Python<'_>, key: &str, amount: i64) -> PyResult<i64> {
        done(py, self.native.decrement(key, amount))
    }

    fn remember<'py>(
        &self,
        py: Python<'py>,
        key: &str,
        make: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if let Some(json) = self.native.get_text(key) {
            return self.give(py, key, json);
        }
        let json = write(key, &make.call0()?)?;
        done(py, self.native.remember_text(key, &json))?;
        self.give(py, key, json.into_bytes())
    }

    fn update<'py>(
        &self,
        py: Python<'py>,
        key: &str,
        change: Py<PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let raised: Arc<Mutex<Option<PyErr>>> = Arc::default();
        let (name, ours) = (key.to_owned(), raised.clone());
        let compute = move |before: Option<&[u8]>| {
            let computed = Python::try_attach(|py| computed(py, &name, &change, before));
            let error = match computed {
                Some(Ok(json)) => return Ok(json),
                Some(Err(error)) => Some(error),
                None => None,
            };
            *ours.lock().unwrap_or_else(PoisonError::into_inner) = error;
            // What the exception says may quote the value.
            let message = format!("session key {name:?}: the function given to update failed");
            Err(Error::new(ErrorKind::Value, message))
        };
        match self.native.update_text(key, compute) {
            Ok(json) => self.give(py, key, json.as_bytes().to_vec()),
            Err(error) => {
                let raised = raised.lock().unwrap_or_else(PoisonError::into_inner).take();
                Err(raised.unwrap_or_else(|| exception(py, &error)))
            }
        }
    }

    fn flash(&self, py: Python<'_>, key: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        done(py, self.native.flash_text(key, &write(key, value)?))
    }

    fn now(&self, py: Python<'_>, key: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        done(py, self.native.now_text(key, &write(key, value)?))
    }

    fn reflash(&self) {
        self.native.reflash();
    }

    #[pyo3(signature = (*keys))]
    fn keep(&self, keys: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.native.keep(names(keys)?);
        Ok(())
    }

    fn token(&self) -> String {
        self.native.token()
    }

    fn verify_token(&self, token: &str) -> bool {
        self.native.verify_token(token)
    }

    fn regenerate_token(&self) -> String {
        self.native.regenerate_token()
    }

    fn regenerate(&self) {
        self.native.regenerate();
    }

    fn invalidate(&self) {
        self.native.invalidate();
    }

    fn discard(&self) {
        self.copies.forget();
        self.native.discard();
    }

    fn id(&self) -> String {
        self.native.id()
    }

    #[pyo3(signature = (user))]
    fn set_user(&self, user: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let user = user
            .map(|user| user.str()?.extract::<String>())
            .transpose()?;
        self.native.set_user(user);
        Ok(())
    }

    #[getter]
    fn is_detached(&self) -> bool {
        self.native.is_detached()
    }

    fn save<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.check_copies(py)?;
        let session = self.native.clone();
        let mut saving = Box::pin(async move { session.save().await });
        let _context = runtime(py)?.enter();
        let mut idle = Context::from_waker(Waker::noop());
        match Pin::new(&mut saving).poll(&mut idle) {
            Poll::Ready(saved) => {
                done(py, saved)?;
                Ok(Bound::new(py, Done)?.into_any())
            }
            Poll::Pending => later(py, Reply::later(saving), |py, saved| {
                done(py, saved)?;
                Ok(py.None())
            }),
        }
    }

    #[staticmethod]
    fn fake() -> Self {
        Self::new(Native::fake())
    }

    fn with_(&self, key: &str, value: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self::new(self.native.clone().with(key, raw(key, value)?)))
    }

    fn with_flash(&self, key: &str, value: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self::new(
            self.native.clone().with_flash(key, raw(key, value)?),
        ))
    }

    fn changes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        shown(py, &self.native.changes())
    }

    fn flashed<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        shown(py, &self.native.flashed())
    }

    fn __repr__(&self) -> &'static str {
        "SessionData(…)"
    }
}

impl SessionData {
    pub(crate) fn new(native: Native) -> Self {
        Self {
            native,
            copies: Copies::default(),
        }
    }

    /// Warns of lists and dicts that were changed and not put back.
    pub(crate) fn check_copies(&self, py: Python<'_>) -> PyResult<()> {
        self.copies.check(py, &self.native)
    }

    /// The request is over.
    pub(crate) fn forget_copies(&self) {
        self.copies.forget();
    }

    fn give<'py>(&self, py: Python<'py>, key: &str, json: Vec<u8>) -> PyResult<Bound<'py, PyAny>> {
        let value = read(py, key, &json)?;
        self.copies.note(key, json, &value);
        Ok(value)
    }

    fn collect<'py>(
        &self,
        py: Python<'py>,
        wanted: impl Fn(&str) -> bool,
    ) -> PyResult<Bound<'py, PyDict>> {
        let values = PyDict::new(py);
        for (key, json) in self.native.all_texts() {
            if wanted(&key) {
                values.set_item(&key, self.give(py, &key, json)?)?;
            }
        }
        Ok(values)
    }
}

/// The core's answer, or its error as an exception.
pub(crate) fn done<T>(py: Python<'_>, result: arvel_session::Result<T>) -> PyResult<T> {
    result.map_err(|error| exception(py, &error))
}

/// The JSON text of what a function given to `update` makes of the present value.
fn computed(
    py: Python<'_>,
    key: &str,
    change: &Py<PyAny>,
    before: Option<&[u8]>,
) -> PyResult<String> {
    let current = match before {
        Some(json) => read(py, key, json)?,
        None => py.None().into_bound(py),
    };
    write(key, change.bind(py).call1((current,))?.as_any())
}

/// Several keys, one by one or in lists.
fn names(keys: &Bound<'_, PyTuple>) -> PyResult<Vec<String>> {
    let mut names = Vec::new();
    for key in keys {
        if let Ok(name) = key.cast::<PyString>() {
            names.push(name.extract()?);
            continue;
        }
        for name in key.try_iter()? {
            let name = name?;
            let name = name.cast::<PyString>().map_err(|_| {
                PyTypeError::new_err("the keys of a session are texts: pass str, or lists of str")
            })?;
            names.push(name.extract()?);
        }
    }
    Ok(names)
}

fn raw(key: &str, value: &Bound<'_, PyAny>) -> PyResult<Box<RawValue>> {
    RawValue::from_string(write(key, value)?)
        .map_err(|_| value_refused(value.py(), key, "it is not JSON"))
}

fn shown<'py>(
    py: Python<'py>,
    values: &serde_json::Map<String, serde_json::Value>,
) -> PyResult<Bound<'py, PyAny>> {
    let json = serde_json::to_vec(values).map_err(|_| value_refused(py, "", "it is not JSON"))?;
    read(py, "", &json)
}
