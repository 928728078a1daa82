//! The bridge between an event loop and the runtime's thread: what is to be done there, and the answers, go in batches.
//!
//! Answers are collected, and one byte in a socket wakes the loop for all of them. In the other direction, whatever one turn
//! of the loop wants done is handed over at its end, and wakes the thread once.
//!
//! The runtime's thread takes no part in the struggle for the interpreter: it neither makes nor drops Python objects, nor
//! calls any. `loop.call_soon_threadsafe` would need the interpreter's lock for every answer; a socket that the loop
//! watches does not, and works with asyncio as with uvloop.

use std::{
    io::{Read, Write},
    mem::take,
    os::{fd::AsRawFd, unix::net::UnixStream},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use arvel_session::{Result, store::Reply};
use pyo3::{intern, prelude::*, sync::PyOnceLock, types::PyModule};

use crate::runtime::runtime;

/// What is to be done on the loop's own thread.
type Job = Box<dyn FnOnce(Python<'_>) + Send>;

/// What is to be done on the runtime's.
type Errand = Pin<Box<dyn Future<Output = ()> + Send>>;

/// So many errands are handed over before the turn has ended: the store can work on them while the loop goes on.
const ENOUGH: usize = 8;

/// The attribute of an event loop in which its mailbox lives.
const MAILBOX: &str = "_arvel_session_mailbox";

tokio::task_local! {
    /// The mailbox of the loop for which a task of the runtime works.
    static OWN: Mailbox;
}

/// The jobs for one event loop. Clones are the same.
#[derive(Clone)]
pub(crate) struct Mailbox(Arc<Inner>);

struct Inner {
    jobs: Mutex<Vec<Job>>,
    errands: Mutex<Vec<Errand>>,
    bell: UnixStream,
}

impl Mailbox {
    /// The mailbox of the event loop that is running in this thread.
    ///
    /// # Errors
    /// None is running, or none that is asyncio's (uvloop's is).
    pub(crate) fn of_running_loop(py: Python<'_>) -> PyResult<(Self, Bound<'_, PyAny>)> {
        static RUNNING: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let running = RUNNING.import(py, "asyncio", "get_running_loop")?;
        let running = running.call0()?;
        Ok((Self::of(&running)?, running))
    }

    /// The mailbox of the loop for which this task of the runtime works; outside of a task, of the loop in this thread.
    pub(crate) fn of_this_task() -> Option<Self> {
        if let Ok(own) = OWN.try_with(Self::clone) {
            return Some(own);
        }
        if tokio::task::try_id().is_some() {
            return None;
        }
        Python::try_attach(|py| Some(Self::of_running_loop(py).ok()?.0))?
    }

    /// The mailbox of this event loop, made when it is first asked for. It lives with the loop, as an attribute.
    pub(crate) fn of(running: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = running.py();
        let name = intern!(py, MAILBOX);
        if let Ok(known) = running.getattr(name) {
            return Ok(known.cast::<Reader>()?.get().mailbox.clone());
        }
        let (bell, ear) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        ear.set_nonblocking(true)?;
        let mailbox = Self(Arc::new(Inner {
            jobs: Mutex::default(),
            errands: Mutex::default(),
            bell,
        }));
        let descriptor = ear.as_raw_fd();
        let reader = Bound::new(
            py,
            Reader {
                mailbox: mailbox.clone(),
                ear,
            },
        )?;
        let callback = reader.getattr(intern!(py, "read"))?;
        running.call_method1(intern!(py, "add_reader"), (descriptor, callback))?;
        running.setattr(name, reader)?;
        Ok(mailbox)
    }

    /// Leaves a job there, from any thread.
    pub(crate) fn post(&self, job: Job) {
        let mut jobs = lock(&self.0.jobs);
        let rings = jobs.is_empty();
        jobs.push(job);
        drop(jobs);
        if rings {
            // Full means that it rings already; broken means that the loop is gone, and whoever waited with it.
            let _ = (&self.0.bell).write(&[1]);
        }
    }

    /// Sends the runtime on an errand, at the end of this turn of the loop (which is the mailbox's, and running) at the latest.
    fn send(&self, running: &Bound<'_, PyAny>, errand: Errand) -> PyResult<()> {
        let mut errands = lock(&self.0.errands);
        errands.push(errand);
        let waiting = errands.len();
        drop(errands);
        let py = running.py();
        if waiting == ENOUGH {
            return self.hand_over(py);
        }
        if waiting == 1 {
            let reader = running.getattr(intern!(py, MAILBOX))?;
            let leave = reader.getattr(intern!(py, "leave"))?;
            running.call_method1(intern!(py, "call_soon"), (leave,))?;
        }
        Ok(())
    }

    fn hand_over(&self, py: Python<'_>) -> PyResult<()> {
        let errands = take(&mut *lock(&self.0.errands));
        if errands.is_empty() {
            return Ok(());
        }
        runtime(py)?.spawn(async {
            for errand in errands {
                tokio::spawn(errand);
            }
        });
        Ok(())
    }
}

fn lock<T>(list: &Mutex<Vec<T>>) -> MutexGuard<'_, Vec<T>> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the event loop calls when the bell rings.
#[pyclass(frozen, module = "arvel_session._native")]
struct Reader {
    mailbox: Mailbox,
    ear: UnixStream,
}

#[pymethods]
impl Reader {
    fn read(&self, py: Python<'_>) {
        let mut rings = [0; 64];
        while matches!((&self.ear).read(&mut rings), Ok(64)) {}
        let jobs = take(&mut *lock(&self.mailbox.0.jobs));
        for job in jobs {
            job(py);
        }
    }

    /// Hands over what this turn of the loop wants done.
    fn leave(&self, py: Python<'_>) -> PyResult<()> {
        self.mailbox.hand_over(py)
    }
}

/// An awaitable of the store's answer, which `conclude` turns into Python's on the loop's thread.
///
/// The answer is waited for on the runtime: if nobody waits for it here any more, what was begun is finished all the same.
pub(crate) fn later<'py, T: Send + 'static>(
    py: Python<'py>,
    reply: Reply<T>,
    conclude: impl FnOnce(Python<'_>, Result<T>) -> PyResult<Py<PyAny>> + Send + 'static,
) -> PyResult<Bound<'py, PyAny>> {
    let (mailbox, running) = Mailbox::of_running_loop(py)?;
    let future = running.call_method0(intern!(py, "create_future"))?;
    let waiting = future.clone().unbind();
    let own = mailbox.clone();
    let errand = OWN.scope(own.clone(), async move {
        let answer = reply.await;
        own.post(Box::new(move |py| {
            // What is wrong with the loop, nobody but the loop can hear.
            let _ = settle(py, waiting.bind(py), |py| conclude(py, answer));
        }));
    });
    mailbox.send(&running, Box::pin(errand))?;
    Ok(future)
}

fn settle(
    py: Python<'_>,
    future: &Bound<'_, PyAny>,
    conclude: impl FnOnce(Python<'_>) -> PyResult<Py<PyAny>>,
) -> PyResult<()> {
    if future.call_method0(intern!(py, "done"))?.is_truthy()? {
        return Ok(());
    }
    match conclude(py) {
        Ok(value) => future.call_method1(intern!(py, "set_result"), (value,))?,
        Err(error) => future.call_method1(intern!(py, "set_exception"), (error,))?,
    };
    Ok(())
}

/// A function of the Python side, where what has to be awaited is written.
pub(crate) fn bridge<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let module = MODULE.get_or_try_init(py, || {
        PyResult::Ok(py.import("arvel_session._bridge")?.unbind())
    })?;
    module.bind(py).getattr(name)
}

/// What can be awaited and is done already.
#[pyclass(frozen, module = "arvel_session._native")]
pub(crate) struct Done;

#[pymethods]
impl Done {
    fn __await__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__(&self) -> Option<Py<PyAny>> {
        None
    }
}
