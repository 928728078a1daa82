//! The facade and its provider: an application's one manager, for those who want a global one.

use std::sync::{PoisonError, RwLock};

use crate::{Result, SessionConfig, SessionManager, StartSession};

static BOUND: RwLock<SessionManager> = RwLock::new(SessionManager::unbound());

/// The facade: it has the application's manager, and nothing else.
///
/// What a handler reads and writes is on [`SessionData`](crate::SessionData).
#[derive(Debug)]
#[non_exhaustive]
pub struct Session;

impl Session {
    /// The manager that [`SessionServiceProvider`] has bound. Where none is bound, whatever it is asked is an error that
    /// says so.
    ///
    /// ```
    /// use arvel_session::{Secret, Session, SessionConfig, SessionServiceProvider};
    ///
    /// let error = Session::manager().store().unwrap_err();
    /// assert!(error.to_string().contains("SessionServiceProvider::new().register()"));
    ///
    /// let config = SessionConfig::new().secret_key(Secret::generate());
    /// SessionServiceProvider::with_config(config).register()?;
    /// assert_eq!(Session::manager().store()?.capabilities().name, "cookie");
    /// # Ok::<(), arvel_session::Error>(())
    /// ```
    pub fn manager() -> SessionManager {
        BOUND.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Reads the configuration and binds the [`Session`] facade, and does nothing else: add
/// [`StartSession`] to the application yourself.
#[derive(Debug, Default)]
pub struct SessionServiceProvider {
    config: Option<SessionConfig>,
}

impl SessionServiceProvider {
    /// A provider that [loads](SessionConfig::load) the configuration.
    pub fn new() -> Self {
        Self::default()
    }

    /// A provider for this configuration.
    pub fn with_config(config: SessionConfig) -> Self {
        Self {
            config: Some(config),
        }
    }

    /// Binds the facade; what was bound before is replaced.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config): what is wrong with the configuration.
    pub fn register(self) -> Result<()> {
        let config = match self.config {
            Some(config) => config,
            None => SessionConfig::load()?,
        };
        let manager = SessionManager::new(config)?;
        *BOUND.write().unwrap_or_else(PoisonError::into_inner) = manager;
        Ok(())
    }
}

/// The layer of the configured store, in one call.
///
/// Binds the [`Session`] facade to the [loaded](SessionConfig::load) configuration, unless it is bound.
///
/// # Errors
/// [`ErrorKind::Config`](crate::ErrorKind::Config): what is wrong with the configuration, its file and its setting.
pub fn layer() -> Result<StartSession> {
    if Session::manager().config().is_err() {
        SessionServiceProvider::new().register()?;
    }
    StartSession::new(Session::manager().store()?).try_build()
}
