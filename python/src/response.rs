//! The response's head: our cookie, and who may store the response.

use arvel_session::visit::Head;
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CACHE_CONTROL, SET_COOKIE, VARY},
};
use pyo3::{
    intern,
    prelude::*,
    sync::PyOnceLock,
    types::{PyBytes, PyDict, PyList, PyTuple},
};

use crate::request::{name_of, value_of};

/// What our head may be about, beside the cookie.
const OURS: [HeaderName; 4] = [
    VARY,
    CACHE_CONTROL,
    HeaderName::from_static("cdn-cache-control"),
    HeaderName::from_static("surrogate-control"),
];

/// The message that starts a response, with what the session has to say in its headers.
///
/// The application's own message and list stay as they are: it may use them again for somebody else.
pub(crate) fn with_head<'py>(
    message: &Bound<'py, PyDict>,
    head: &Head,
) -> PyResult<Bound<'py, PyDict>> {
    let cookie = head.set_cookie();
    if cookie.is_none() && !head.is_read() {
        return Ok(message.clone());
    }
    let py = message.py();
    let mut headers = headers_of(message)?;
    if says_something_of_ours(&headers)? {
        headers = merged(&headers, head)?;
    } else {
        for line in usual(py, head)? {
            headers.append(line)?;
        }
    }
    if let Some(line) = cookie {
        headers.append(pair(py, b"set-cookie", line.as_bytes())?)?;
    }
    with_headers(message, headers)
}

/// The application's headers, in a list of ours.
fn headers_of<'py>(message: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyList>> {
    let py = message.py();
    let Some(theirs) = message.get_item(intern!(py, "headers"))? else {
        return Ok(PyList::empty(py));
    };
    if let Ok(list) = theirs.cast_exact::<PyList>() {
        return Ok(list.get_slice(0, list.len()));
    }
    let headers = PyList::empty(py);
    for header in theirs.try_iter()? {
        headers.append(header?)?;
    }
    Ok(headers)
}

fn with_headers<'py>(
    message: &Bound<'py, PyDict>,
    headers: Bound<'py, PyList>,
) -> PyResult<Bound<'py, PyDict>> {
    let message = message.copy()?;
    message.set_item(intern!(message.py(), "headers"), headers)?;
    Ok(message)
}

fn says_something_of_ours(headers: &Bound<'_, PyList>) -> PyResult<bool> {
    for header in headers {
        if of_ours(name_of(&header)?.as_bytes()).is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn of_ours(name: &[u8]) -> Option<HeaderName> {
    OURS.into_iter()
        .find(|ours| ours.as_str().as_bytes().eq_ignore_ascii_case(name))
}

/// What is said where the application has said nothing about it: always the same.
fn usual<'py>(py: Python<'py>, head: &Head) -> PyResult<&'static [Py<PyTuple>]> {
    static READ: PyOnceLock<Vec<Py<PyTuple>>> = PyOnceLock::new();
    static SET: PyOnceLock<Vec<Py<PyTuple>>> = PyOnceLock::new();
    let place = if head.is_read() { &READ } else { &SET };
    let lines = place.get_or_try_init(py, || {
        let lines = said(py, HeaderMap::new(), head)?;
        PyResult::Ok(lines.into_iter().map(Bound::unbind).collect())
    })?;
    Ok(lines)
}

/// The application's headers, with what they say about caches and what the session says about it in one.
fn merged<'py>(theirs: &Bound<'py, PyList>, head: &Head) -> PyResult<Bound<'py, PyList>> {
    let py = theirs.py();
    let headers = PyList::empty(py);
    let mut ours = HeaderMap::new();
    for header in theirs {
        let Some(name) = of_ours(name_of(&header)?.as_bytes()) else {
            headers.append(header)?;
            continue;
        };
        match HeaderValue::from_bytes(value_of(&header)?.as_bytes()) {
            Ok(value) => {
                ours.append(name, value);
            }
            // For the server to refuse.
            Err(_) => headers.append(header)?,
        }
    }
    for line in said(py, ours, head)? {
        headers.append(line)?;
    }
    Ok(headers)
}

/// What stands in these headers about caches once the session has had its say; its cookie aside.
fn said<'py>(
    py: Python<'py>,
    mut headers: HeaderMap,
    head: &Head,
) -> PyResult<Vec<Bound<'py, PyTuple>>> {
    head.finish(&mut headers);
    headers.remove(SET_COOKIE);
    let lines = headers.iter();
    lines
        .map(|(name, value)| pair(py, name.as_str().as_bytes(), value.as_bytes()))
        .collect()
}

/// The message that accepts a websocket, with our cookie.
pub(crate) fn with_cookie<'py>(
    message: &Bound<'py, PyDict>,
    head: &Head,
) -> PyResult<Bound<'py, PyDict>> {
    let Some(line) = head.set_cookie() else {
        return Ok(message.clone());
    };
    let headers = headers_of(message)?;
    headers.append(pair(message.py(), b"set-cookie", line.as_bytes())?)?;
    with_headers(message, headers)
}

fn pair<'py>(py: Python<'py>, name: &[u8], value: &[u8]) -> PyResult<Bound<'py, PyTuple>> {
    PyTuple::new(py, [PyBytes::new(py, name), PyBytes::new(py, value)])
}
