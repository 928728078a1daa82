//! The native half of the Python package `arvel_session`: the library's core under ASGI.
//!
//! A request comes in by [`middleware`], and goes through as a [`passage`]; [`wake`] and [`runtime`] are the bridge to stores that have to be waited for;
//! [`values`] turns Python's data into the core's JSON text and back. What is written in Python is beside, in `package/`.

mod config;
mod copies;
mod errors;
mod foreign;
mod log;
mod manager;
mod middleware;
mod passage;
mod request;
mod response;
mod runtime;
mod session;
mod testing;
mod values;
mod visit;
mod wake;

use pyo3::prelude::*;

/// The native half of `arvel_session`.
#[pymodule(gil_used = true)]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::{
        config::SessionConfig,
        foreign::{Capabilities, Columns, Conflict, Key, Record, Write},
        manager::{SessionManager, Store},
        middleware::Sessions,
        passage::Passage,
        session::SessionData,
        testing::{checks, listen, run_check},
        visit::{Refusal, Visit},
    };

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::log::register();
        crate::runtime::register(module)
    }
}
