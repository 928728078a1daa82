//! The response's head: our cookie, and who may store the response.

use arvel_session::visit::Head;
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CACHE_CONTROL, VARY},
};
use pyo3::{
    intern,
    prelude::*,
    types::{PyBytes, PyDict, PyList, PyTuple},
};

use crate::request::name_and_value;

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
    let set_cookie = head.set_cookie();
    if set_cookie.is_none() && !head.is_read() {
        return Ok(message.clone());
    }
    let py = message.py();
    let name = intern!(py, "headers");
    let headers = PyList::empty(py);
    let mut ours = HeaderMap::new();
    if let Some(theirs) = message.get_item(name)? {
        for header in theirs.try_iter()? {
            let header = header?;
            match about_caches(&header)? {
                Some((name, value)) => {
                    ours.append(name, value);
                }
                None => headers.append(header)?,
            }
        }
    }
    head.finish(&mut ours);
    for (name, value) in &ours {
        headers.append(pair(py, name.as_str().as_bytes(), value.as_bytes())?)?;
    }
    let message = message.copy()?;
    message.set_item(name, headers)?;
    Ok(message)
}

/// The message that accepts a websocket, with our cookie.
pub(crate) fn with_cookie<'py>(
    message: &Bound<'py, PyDict>,
    head: &Head,
) -> PyResult<Bound<'py, PyDict>> {
    let Some(line) = head.set_cookie() else {
        return Ok(message.clone());
    };
    let py = message.py();
    let name = intern!(py, "headers");
    let headers = PyList::empty(py);
    if let Some(theirs) = message.get_item(name)? {
        for header in theirs.try_iter()? {
            headers.append(header?)?;
        }
    }
    headers.append(pair(py, b"set-cookie", line.as_bytes())?)?;
    let message = message.copy()?;
    message.set_item(name, headers)?;
    Ok(message)
}

fn about_caches(header: &Bound<'_, PyAny>) -> PyResult<Option<(HeaderName, HeaderValue)>> {
    let (name, value) = name_and_value(header)?;
    let text = name.as_bytes();
    let ours = OURS
        .into_iter()
        .find(|ours| ours.as_str().as_bytes().eq_ignore_ascii_case(text));
    let Some(ours) = ours else {
        return Ok(None);
    };
    // One that is no header's value is for the server to refuse.
    let value = HeaderValue::from_bytes(value.as_bytes()).ok();
    Ok(value.map(|value| (ours, value)))
}

fn pair<'py>(py: Python<'py>, name: &[u8], value: &[u8]) -> PyResult<Bound<'py, PyTuple>> {
    PyTuple::new(py, [PyBytes::new(py, name), PyBytes::new(py, value)])
}
