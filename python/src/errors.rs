//! Errors: one exception class for each kind, all of them in the Python module `arvel_session.errors`.

use std::{error::Error as _, ffi::CString};

use arvel_session::{Error, ErrorKind};
use pyo3::{exceptions::PyRuntimeError, prelude::*, sync::PyOnceLock, types::PyType};

/// The name of the class of this kind.
fn class_name(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Config => "SessionConfigError",
        ErrorKind::Store => "SessionStoreError",
        ErrorKind::Timeout => "SessionTimeoutError",
        ErrorKind::Type => "SessionTypeError",
        ErrorKind::Value => "SessionValueError",
        ErrorKind::TooLarge => "SessionTooLargeError",
        ErrorKind::TooLate => "SessionTooLateError",
        ErrorKind::Corrupt => "SessionCorruptError",
        ErrorKind::NewerFormat => "SessionNewerFormatError",
        ErrorKind::Unsupported => "SessionUnsupportedError",
        ErrorKind::Layer => "SessionLayerError",
        _ => "SessionError",
    }
}

/// The class of this kind.
pub(crate) fn class(py: Python<'_>, kind: ErrorKind) -> PyResult<Bound<'_, PyType>> {
    named(py, class_name(kind))
}

fn named<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyType>> {
    static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let module = MODULE.get_or_try_init(py, || {
        PyResult::Ok(py.import("arvel_session.errors")?.unbind())
    })?;
    let class = module.bind(py).getattr(name)?;
    Ok(class.cast_into()?)
}

/// Warns the application, where it is being called from.
///
/// # Errors
/// Its warnings are errors.
pub(crate) fn warn(py: Python<'_>, message: String) -> PyResult<()> {
    let category = named(py, "SessionWarning")?;
    PyErr::warn(py, category.as_any(), &CString::new(message)?, 1)
}

/// The exception of this kind with this message.
pub(crate) fn raise(py: Python<'_>, kind: ErrorKind, message: String) -> PyErr {
    match class(py, kind) {
        Ok(class) => PyErr::from_type(class, message),
        Err(_) => PyRuntimeError::new_err(message),
    }
}

/// The core's error as an exception, with what caused it behind its message.
pub(crate) fn exception(py: Python<'_>, error: &Error) -> PyErr {
    let mut message = error.to_string();
    for cause in std::iter::successors(error.source(), |&cause| cause.source()) {
        message += &format!(": {cause}");
    }
    raise(py, error.kind(), message)
}

/// The core's kind of an exception: our own classes go back to where they come from, all others are a store's failure.
pub(crate) fn kind_of(py: Python<'_>, error: &PyErr) -> ErrorKind {
    let kinds = [
        ErrorKind::Config,
        ErrorKind::Timeout,
        ErrorKind::Type,
        ErrorKind::Value,
        ErrorKind::TooLarge,
        ErrorKind::TooLate,
        ErrorKind::Corrupt,
        ErrorKind::NewerFormat,
        ErrorKind::Unsupported,
        ErrorKind::Layer,
    ];
    let is = |kind: &ErrorKind| class(py, *kind).is_ok_and(|class| error.is_instance(py, &class));
    kinds.into_iter().find(is).unwrap_or(ErrorKind::Store)
}

/// A value, or a part of one, is of a type that a session does not keep.
pub(crate) fn type_refused(key: &str, value: &Bound<'_, PyAny>, place: &str) -> PyErr {
    let name = value.get_type().qualname();
    let name = name.map_or_else(|_| "value".to_owned(), |name| name.to_string());
    let message = format!(
        "session key {key:?}: {name} cannot be kept{place}; \
         a session keeps dict (with str keys), list, str, int, float, bool and None"
    );
    raise(value.py(), ErrorKind::Type, message)
}

/// A value is of a type that a session keeps, but not such a one.
pub(crate) fn value_refused(py: Python<'_>, key: &str, why: &str) -> PyErr {
    let message = format!("session key {key:?}: the value cannot be kept: {why}");
    raise(py, ErrorKind::Value, message)
}

/// A stored value is no JSON.
pub(crate) fn damaged(py: Python<'_>, key: &str) -> PyErr {
    let message = format!("session key {key:?}: the stored value is damaged");
    raise(py, ErrorKind::Type, message)
}
