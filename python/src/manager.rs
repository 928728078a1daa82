//! The manager and its store, of which every process has its own.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arvel_session::store::{DatabaseStore, Reply};
use pyo3::prelude::*;

use crate::{
    config::SessionConfig,
    foreign::ForeignStore,
    runtime::{PerProcess, runtime},
    session::done,
    wake::later,
};

/// What a manager is made of, in whatever process.
pub(crate) struct Home {
    config: arvel_session::SessionConfig,
    drivers: Mutex<Vec<(String, Py<PyAny>)>>,
    manager: PerProcess<arvel_session::SessionManager>,
}

impl Home {
    fn drivers(&self) -> MutexGuard<'_, Vec<(String, Py<PyAny>)>> {
        self.drivers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn manager(&self, py: Python<'_>) -> PyResult<arvel_session::SessionManager> {
        if let Some(manager) = self.manager.get() {
            return Ok(manager);
        }
        let manager = done(py, arvel_session::SessionManager::new(self.config.clone()))?;
        for (name, factory) in self.drivers().iter() {
            done(py, extend(py, &manager, name, factory))?;
        }
        Ok(self.manager.keep(manager))
    }

    /// This process's store. A store of Python's is made by Python, so nobody may wait for it and hold the interpreter.
    pub(crate) fn store(&self, py: Python<'_>) -> PyResult<arvel_session::Store> {
        let manager = self.manager(py)?;
        let _context = runtime(py)?.enter();
        done(py, py.detach(|| manager.store()))
    }
}

fn extend(
    py: Python<'_>,
    manager: &arvel_session::SessionManager,
    name: &str,
    factory: &Py<PyAny>,
) -> arvel_session::Result<()> {
    let factory = factory.clone_ref(py);
    manager.extend(name, move |config| {
        let config = SessionConfig(config.clone());
        ForeignStore::made_by(&factory, config)
    })
}

/// Makes drivers by name.
#[pyclass(frozen, module = "arvel_session", name = "SessionManager")]
pub(crate) struct SessionManager(Arc<Home>);

#[pymethods]
impl SessionManager {
    #[new]
    fn new(py: Python<'_>, config: &SessionConfig) -> PyResult<Self> {
        let home = Home {
            config: config.0.clone(),
            drivers: Mutex::default(),
            manager: PerProcess::default(),
        };
        home.manager(py)?;
        Ok(Self(Arc::new(home)))
    }

    fn store(&self, py: Python<'_>) -> PyResult<Store> {
        self.0.store(py)?;
        Ok(Store(self.0.clone()))
    }

    fn config(&self) -> SessionConfig {
        SessionConfig(self.0.config.clone())
    }

    fn extend(&self, py: Python<'_>, name: &str, make: Py<PyAny>) -> PyResult<()> {
        let manager = self.0.manager(py)?;
        done(py, extend(py, &manager, name, &make))?;
        self.0.drivers().push((name.to_owned(), make));
        Ok(())
    }

    fn migrate<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let config = self.0.config.clone();
        let migrated = Reply::later(async move {
            if config.settings().driver == "database" {
                DatabaseStore::from_config(&config)?.migrate().await?;
            }
            Ok(())
        });
        later(py, migrated, |py, migrated| {
            done(py, migrated)?;
            Ok(py.None())
        })
    }

    fn sweep<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let manager = self.0.manager(py)?;
        let swept = Reply::later(async move { manager.sweep().await });
        later(py, swept, |py, swept| {
            Ok(done(py, swept)?.into_pyobject(py)?.into_any().unbind())
        })
    }

    fn shutdown<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let manager = self.0.manager(py)?;
        let stopped = Reply::later(async move {
            manager.shutdown().await;
            Ok(())
        });
        later(py, stopped, |py, _| Ok(py.None()))
    }
}

/// The store that a manager has made.
#[pyclass(frozen, module = "arvel_session", name = "Store")]
pub(crate) struct Store(pub(crate) Arc<Home>);

#[pymethods]
impl Store {
    #[getter]
    fn driver(&self, py: Python<'_>) -> PyResult<&'static str> {
        Ok(self.0.store(py)?.capabilities().name)
    }

    fn ping<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let store = self.0.store(py)?;
        let answer = Reply::later(async move { store.ping().await });
        later(py, answer, |py, answer| {
            done(py, answer)?;
            Ok(py.None())
        })
    }
}
