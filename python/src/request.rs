//! What the middleware has to know of a request, gathered in one walk over its headers.

use std::net::IpAddr;

use arvel_session::visit::Facts;
use pyo3::{
    intern,
    prelude::*,
    types::{PyBytes, PyDict, PyList, PyString, PyTuple},
};

/// A request's headers, as far as they are about sessions.
#[derive(Default)]
pub(crate) struct Request<'py> {
    cookies: Vec<Bound<'py, PyBytes>>,
    mode: Option<Bound<'py, PyBytes>>,
    purposes: Vec<Bound<'py, PyBytes>>,
    agent: Option<Bound<'py, PyBytes>>,
}

impl<'py> Request<'py> {
    pub(crate) fn of(scope: &Bound<'py, PyDict>) -> PyResult<Self> {
        let mut request = Self::default();
        let Some(headers) = scope.get_item(intern!(scope.py(), "headers"))? else {
            return Ok(request);
        };
        if let Ok(list) = headers.cast_exact::<PyList>() {
            for header in list {
                request.header(&header)?;
            }
        } else {
            for header in headers.try_iter()? {
                request.header(&header?)?;
            }
        }
        Ok(request)
    }

    fn header(&mut self, header: &Bound<'py, PyAny>) -> PyResult<()> {
        let name = name_of(header)?;
        let text = name.as_bytes();
        // By its length first: nearly all others are gone then.
        match text.len() {
            6 if text.eq_ignore_ascii_case(b"cookie") => self.cookies.push(value_of(header)?),
            10 if text.eq_ignore_ascii_case(b"user-agent") => self.agent = Some(value_of(header)?),
            11 if text.eq_ignore_ascii_case(b"sec-purpose") => {
                self.purposes.push(value_of(header)?)
            }
            14 if text.eq_ignore_ascii_case(b"sec-fetch-mode") => {
                self.mode = Some(value_of(header)?)
            }
            _ => {}
        }
        Ok(())
    }

    pub(crate) fn cookies(&self) -> impl Iterator<Item = &[u8]> {
        self.cookies.iter().map(|line| line.as_bytes())
    }

    /// Whether the response ages flash data, and whether the browser is going to a page.
    pub(crate) fn facts(&self, scope: &Bound<'py, PyDict>) -> PyResult<Facts> {
        let method = scope.get_item(intern!(scope.py(), "method"))?;
        let method = match &method {
            Some(method) => method.cast::<PyString>()?.to_str()?,
            // A websocket's opening.
            None => "GET",
        };
        let mode = self.mode.as_ref().map(|mode| mode.as_bytes());
        let purposes = self.purposes.iter().map(|line| line.as_bytes());
        Ok(Facts::new(method, mode, purposes))
    }

    pub(crate) fn agent(&self) -> Option<String> {
        let agent = self.agent.as_ref()?;
        Some(String::from_utf8_lossy(agent.as_bytes()).into_owned())
    }
}

/// The address of the other end of the connection.
pub(crate) fn peer(scope: &Bound<'_, PyDict>) -> Option<IpAddr> {
    let client = scope.get_item(intern!(scope.py(), "client")).ok()??;
    let host = client.get_item(0).ok()?;
    let address: IpAddr = host.extract::<String>().ok()?.parse().ok()?;
    Some(address.to_canonical())
}

/// A header is a pair of bytes, in a tuple or a list.
fn part<'py>(header: &Bound<'py, PyAny>, index: usize) -> PyResult<Bound<'py, PyBytes>> {
    let part = match header.cast_exact::<PyTuple>() {
        Ok(pair) => pair.get_item(index)?,
        Err(_) => header.get_item(index)?,
    };
    Ok(part.cast_into()?)
}

pub(crate) fn name_of<'py>(header: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    part(header, 0)
}

pub(crate) fn value_of<'py>(header: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    part(header, 1)
}
