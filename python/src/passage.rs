//! A request on its way through `StartSession`: what the server awaits.
//!
//! It is a coroutine, written by hand. In Python it would be a frame of its own between two calls into Rust, and cost as much
//! as either.

use std::mem::replace;

use pyo3::{
    exceptions::{PyRuntimeError, PyStopIteration, PyTypeError},
    intern,
    prelude::*,
    types::{PyDict, PyIterator, PyTuple, iterator::PySendResult},
};

use crate::{
    middleware::{Begun, Sessions},
    visit::{Refusal, Visit},
    wake::bridge,
};

/// One call of the middleware.
#[pyclass(module = "arvel_session._native")]
pub(crate) struct Passage(Stage);

enum Stage {
    New(Request),
    /// The session is being looked for.
    Opening(Py<PyIterator>, Request),
    /// The application is at work.
    Inside(Py<PyIterator>, Option<Py<Visit>>, Request),
    /// The last thing that is waited for.
    Ending(Py<PyIterator>),
    Over,
}

/// What the server has called the middleware with.
struct Request {
    sessions: Py<Sessions>,
    scope: Py<PyDict>,
    receive: Py<PyAny>,
    send: Py<PyAny>,
}

/// How a coroutine is woken.
enum Input<'a, 'py> {
    Send(&'a Bound<'py, PyAny>),
    Throw(&'a Bound<'py, PyTuple>),
}

/// What it answers: something that it waits for, or its result.
type Output<'py> = PySendResult<'py>;

impl Passage {
    pub(crate) fn new(
        sessions: Py<Sessions>,
        scope: Py<PyDict>,
        receive: Py<PyAny>,
        send: Py<PyAny>,
    ) -> Self {
        Self(Stage::New(Request {
            sessions,
            scope,
            receive,
            send,
        }))
    }

    fn go_on<'py>(
        &mut self,
        py: Python<'py>,
        input: &Input<'_, 'py>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let mut stage = replace(&mut self.0, Stage::Over);
        let mut input = Some(input);
        if stage.iterator().is_none() {
            stage = stage.begin(py, input.take())?;
        }
        while let Some(iterator) = stage.iterator() {
            let iterator = iterator.bind(py);
            let output = match input.take() {
                Some(input) => input.give(iterator),
                // What is waited for only now hears of nothing but that it has begun.
                None => iterator.send(&py.None().into_bound(py)),
            };
            match output.inspect_err(|_| stage.leave())? {
                Output::Next(awaited) => {
                    self.0 = stage;
                    return Ok(Some(awaited));
                }
                Output::Return(result) => stage = stage.next(&result)?,
            }
        }
        Ok(None)
    }
}

impl<'py> Input<'_, 'py> {
    fn give(&self, iterator: &Bound<'py, PyIterator>) -> PyResult<Output<'py>> {
        let py = iterator.py();
        let error = match self {
            Self::Send(value) => return iterator.send(value),
            Self::Throw(error) => *error,
        };
        match iterator.call_method1(intern!(py, "throw"), error.clone()) {
            Ok(awaited) => Ok(Output::Next(awaited)),
            Err(error) if error.is_instance_of::<PyStopIteration>(py) => {
                let value = error.value(py).getattr(intern!(py, "value"))?;
                Ok(Output::Return(value))
            }
            Err(error) => Err(error),
        }
    }
}

impl Stage {
    fn iterator(&self) -> Option<&Py<PyIterator>> {
        match self {
            Self::Opening(iterator, _) | Self::Inside(iterator, _, _) | Self::Ending(iterator) => {
                Some(iterator)
            }
            Self::New(_) | Self::Over => None,
        }
    }

    /// It ends here, and not by itself.
    fn leave(&self) {
        if let Self::Inside(_, Some(visit), _) = self {
            visit.get().leave();
        }
    }

    fn begin(self, py: Python<'_>, input: Option<&Input<'_, '_>>) -> PyResult<Self> {
        let Self::New(request) = self else {
            let message = "cannot reuse a request of StartSession that was awaited already";
            return Err(PyRuntimeError::new_err(message));
        };
        match input {
            Some(Input::Throw(error)) => Err(raised(error)?),
            Some(Input::Send(value)) if !value.is_none() => {
                let message = "can't send non-None value to a just-started coroutine";
                Err(PyTypeError::new_err(message))
            }
            Some(Input::Send(_)) | None => request.begin(py),
        }
    }

    /// What was waited for has come.
    fn next(self, result: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = result.py();
        match self {
            Self::Opening(_, request) => match result.cast::<Visit>() {
                Ok(visit) => request.inside(visit),
                Err(_) => request.refuse(result.cast()?),
            },
            Self::Inside(_, visit, request) => request.end(py, visit.as_ref()),
            Self::New(_) | Self::Ending(_) | Self::Over => Ok(Self::Over),
        }
    }
}

impl Request {
    fn begin(self, py: Python<'_>) -> PyResult<Stage> {
        let scope = self.scope.bind(py);
        if !is_one_of(scope, &["http", "websocket"])? {
            return self.outside(py);
        }
        match self.sessions.get().begin(scope, self.send.bind(py))? {
            Begun::Outside => self.outside(py),
            Begun::Inside(visit) => self.inside(&visit),
            Begun::Refused(refusal) => self.refuse(&refusal),
            Begun::Later(begun) => Ok(Stage::Opening(awaited(&begun)?, self)),
        }
    }

    /// Calls the application as if nobody stood between.
    fn outside(self, py: Python<'_>) -> PyResult<Stage> {
        let app = self.sessions.get().app().bind(py);
        let work = app.call1((&self.scope, &self.receive, &self.send))?;
        Ok(Stage::Inside(awaited(&work)?, None, self))
    }

    fn inside(self, visit: &Bound<'_, Visit>) -> PyResult<Stage> {
        let app = self.sessions.get().app().bind(visit.py());
        let work = app.call1((&self.scope, &self.receive, visit))?;
        Ok(Stage::Inside(
            awaited(&work)?,
            Some(visit.clone().unbind()),
            self,
        ))
    }

    fn refuse(self, refusal: &Bound<'_, Refusal>) -> PyResult<Stage> {
        let py = refusal.py();
        let is_http = is_one_of(self.scope.bind(py), &["http"])?;
        let how = if is_http {
            "refuse"
        } else {
            "refuse_websocket"
        };
        let answer = bridge(py, how)?.call1((&self.send, refusal))?;
        Ok(Stage::Ending(awaited(&answer)?))
    }

    /// What background tasks and websockets have changed; before a response begins, nothing is committed.
    fn end(self, py: Python<'_>, visit: Option<&Py<Visit>>) -> PyResult<Stage> {
        let Some(visit) = visit.map(Py::get) else {
            return Ok(Stage::Over);
        };
        if !visit.has_started() && is_one_of(self.scope.bind(py), &["http"])? {
            return Ok(Stage::Over);
        }
        match visit.finish(py)? {
            Some(late) => Ok(Stage::Ending(awaited(&late)?)),
            None => Ok(Stage::Over),
        }
    }
}

fn is_one_of(scope: &Bound<'_, PyDict>, kinds: &[&str]) -> PyResult<bool> {
    let kind = scope.get_item(intern!(scope.py(), "type"))?;
    let kind = kind
        .as_ref()
        .map(|kind| kind.extract::<&str>())
        .transpose()?;
    Ok(kind.is_some_and(|kind| kinds.contains(&kind)))
}

/// What is behind an `await`.
fn awaited(awaitable: &Bound<'_, PyAny>) -> PyResult<Py<PyIterator>> {
    let iterator = awaitable.call_method0(intern!(awaitable.py(), "__await__"))?;
    Ok(iterator.cast_into::<PyIterator>()?.unbind())
}

/// The exception that the arguments of `throw` stand for.
fn raised(arguments: &Bound<'_, PyTuple>) -> PyResult<PyErr> {
    let error = arguments.get_item(0)?;
    let value = arguments.get_item(1).ok().filter(|value| !value.is_none());
    Ok(PyErr::from_value(match value {
        Some(value) => value,
        None if error.is_callable() => error.call0()?,
        None => error,
    }))
}

#[pymethods]
impl Passage {
    fn __await__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.go_on(py, &Input::Send(&py.None().into_bound(py)))
    }

    fn send<'py>(&mut self, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let awaited = self.go_on(value.py(), &Input::Send(value))?;
        awaited.ok_or_else(over)
    }

    #[pyo3(signature = (*error))]
    fn throw<'py>(&mut self, error: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyAny>> {
        let awaited = self.go_on(error.py(), &Input::Throw(error))?;
        awaited.ok_or_else(over)
    }

    fn close(&mut self, py: Python<'_>) -> PyResult<()> {
        let stage = replace(&mut self.0, Stage::Over);
        if let Some(iterator) = stage.iterator()
            && let Some(close) = iterator.bind(py).getattr_opt(intern!(py, "close"))?
        {
            close.call0()?;
        }
        stage.leave();
        Ok(())
    }
}

fn over() -> PyErr {
    PyStopIteration::new_err(())
}
