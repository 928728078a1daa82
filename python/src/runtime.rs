//! The tokio runtime behind the stores that have to be waited for, and what becomes of it when a process forks.
//!
//! A child that was made by `fork` has none of its parent's threads. So it gets a runtime, stores and random numbers of
//! its own; what it has inherited is neither used nor dropped, since its threads cannot be joined any more and its sockets
//! are the parent's. Python tells us of a fork through `os.register_at_fork`, as every server that forks workers does.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use arvel_session::ErrorKind;
use pyo3::{prelude::*, types::PyDict};
use tokio::runtime::{Builder, Runtime};

use crate::errors::raise;

/// How many forks lie between the process that loaded us and this one.
static FORKS: AtomicU64 = AtomicU64::new(0);

pub(crate) fn forks() -> u64 {
    FORKS.load(Ordering::Relaxed)
}

/// Called by Python in the child.
#[pyfunction]
fn after_fork() {
    arvel_session::after_fork();
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// Asks Python to tell us of forks.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let hooks = PyDict::new(py);
    hooks.set_item("after_in_child", wrap_pyfunction!(after_fork, module)?)?;
    py.import("os")?
        .call_method("register_at_fork", (), Some(&hooks))?;
    Ok(())
}

/// Something that a process makes when it first needs it, and that its forked children make anew.
pub(crate) struct PerProcess<T>(Mutex<Option<(u64, T)>>);

impl<T> Default for PerProcess<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone> PerProcess<T> {
    pub(crate) fn get(&self) -> Option<T> {
        let made = self.lock();
        let (forks_then, value) = made.as_ref()?;
        (*forks_then == forks()).then(|| value.clone())
    }

    /// Keeps the value, unless somebody was faster; answers the one that is kept.
    pub(crate) fn keep(&self, value: T) -> T {
        let mut made = self.lock();
        match &*made {
            Some((forks_then, there)) if *forks_then == forks() => return there.clone(),
            _ => {}
        }
        // The parent's is not ours to drop.
        std::mem::forget(made.replace((forks(), value.clone())));
        value
    }
}

impl<T> PerProcess<T> {
    fn lock(&self) -> MutexGuard<'_, Option<(u64, T)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Drop for PerProcess<T> {
    fn drop(&mut self) {
        let made = self.lock().take();
        if let Some((forks_then, value)) = made {
            if forks_then == forks() {
                drop(value);
            } else {
                std::mem::forget(value);
            }
        }
    }
}

/// This process's runtime. It is never shut down: a commit that is under way goes on as long as the process lives.
pub(crate) fn runtime(py: Python<'_>) -> PyResult<&'static Runtime> {
    static RUNTIME: PerProcess<&'static Runtime> = PerProcess(Mutex::new(None));
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    // One thread is enough: it moves bytes, and Python's code runs elsewhere.
    let built = Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("arvel-session")
        .enable_all()
        .build();
    let runtime = built.map_err(|error| {
        let message = format!("no thread for the session stores: {error}");
        raise(py, ErrorKind::Store, message)
    })?;
    Ok(RUNTIME.keep(Box::leak(Box::new(runtime))))
}
