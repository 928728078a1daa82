//! The conformance suite, for stores that are written in Python.

use std::sync::Arc;

use arvel_session::{
    Error, ErrorKind,
    conformance::{CHECKS, Opener, Outcome},
};
use pyo3::{
    exceptions::{PyAssertionError, PyLookupError},
    prelude::*,
};
use tokio::sync::oneshot;

use crate::{
    foreign::{ForeignStore, Opened, open},
    runtime::runtime,
    wake::Mailbox,
};

/// The names of all checks.
#[pyfunction]
pub(crate) fn checks() -> Vec<&'static str> {
    CHECKS.iter().map(|check| check.name()).collect()
}

/// Lets the event loop of this thread be asked from others.
#[pyfunction]
pub(crate) fn listen(py: Python<'_>) -> PyResult<()> {
    Mailbox::of_running_loop(py).map(|_| ())
}

/// Runs one check on the stores that the coroutine function `opener` opens on `running`, an event loop of another thread.
///
/// Answers why the check does not apply, or `None` when the store passed.
#[pyfunction]
pub(crate) fn run_check(
    py: Python<'_>,
    name: &str,
    opener: Py<PyAny>,
    running: &Bound<'_, PyAny>,
    private: bool,
) -> PyResult<Option<String>> {
    let Some(check) = CHECKS.iter().find(|check| check.name() == name) else {
        let message = format!("the conformance suite has no check {name:?}");
        return Err(PyLookupError::new_err(message));
    };
    let mailbox = Mailbox::of(running)?;
    let opener = Arc::new(opener);
    let open = move || open_on(mailbox.clone(), opener.clone());
    let opener = if private {
        Opener::private(open)
    } else {
        Opener::crowded(open)
    };
    let runtime = runtime(py)?;
    match py.detach(|| runtime.block_on(check.run(&opener))) {
        Ok(Outcome::Passed) => Ok(None),
        Ok(Outcome::NotApplicable(why)) => Ok(Some(why)),
        Err(failure) => Err(PyAssertionError::new_err(format!("{name}: {failure}"))),
    }
}

async fn open_on(mailbox: Mailbox, opener: Arc<Py<PyAny>>) -> Result<ForeignStore, Error> {
    let (sender, receiver) = oneshot::channel::<Opened>();
    let home = mailbox.clone();
    mailbox.post(Box::new(move |py| open(py, &opener, home, sender)));
    let ended = |_| Err(Error::new(ErrorKind::Store, "the event loop has ended"));
    receiver.await.unwrap_or_else(ended)
}
