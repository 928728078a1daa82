//! The manager: makes the store that the configuration names, and sweeps it.

mod drivers;
mod probe;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use tokio::time::timeout;

use crate::{
    Clock, Error, ErrorKind, Result, SessionConfig, SystemClock,
    clock::Monotonic,
    record::Id,
    store::{At, Capabilities, Reply, SessionStore},
    sweeper::Sweeper,
};

/// Makes drivers by name; clones are the same manager.
///
/// # Examples
///
/// ```
/// use arvel_session::{Secret, SessionConfig, SessionManager, StartSession};
///
/// let config = SessionConfig::new().driver("memory").secret_key(Secret::generate());
/// let manager = SessionManager::new(config)?;
/// let layer = StartSession::new(manager.store()?).try_build()?;
/// # Ok::<(), arvel_session::Error>(())
/// ```
#[derive(Clone)]
pub struct SessionManager {
    /// `None` where the facade was asked before a provider had bound it.
    inner: Option<Arc<Inner>>,
}

type Factory = Box<dyn Fn(&SessionConfig) -> Result<Arc<dyn SessionStore>> + Send + Sync>;

struct Inner {
    config: SessionConfig,
    clock: Arc<Monotonic>,
    own: Mutex<HashMap<String, Factory>>,
    opened: OnceLock<Store>,
    /// One caller makes the store, the others wait for it.
    opening: Mutex<()>,
}

/// The store that a manager has made, with the configuration under which it is used. Clones are the same store.
///
/// As long as one is held (a layer holds one), what has expired is swept in the background.
#[derive(Clone)]
pub struct Store {
    pub(crate) driver: Arc<dyn SessionStore>,
    pub(crate) config: SessionConfig,
    pub(crate) clock: Arc<Monotonic>,
    pub(crate) sweeper: Arc<Sweeper>,
}

impl SessionManager {
    /// A manager with this configuration.
    ///
    /// # Errors
    /// [`ErrorKind::Config`]: a setting is impossible, or there is no secret key.
    pub fn new(config: SessionConfig) -> Result<Self> {
        Self::with_clock(config, SystemClock)
    }

    /// A manager with this configuration and this clock, for tests that turn it.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_clock(config: SessionConfig, clock: impl Clock) -> Result<Self> {
        config.check()?;
        config.settings().secret_key()?;
        Ok(Self {
            inner: Some(Arc::new(Inner {
                config,
                clock: Arc::new(Monotonic::new(clock)),
                own: Mutex::default(),
                opened: OnceLock::new(),
                opening: Mutex::default(),
            })),
        })
    }

    pub(crate) const fn unbound() -> Self {
        Self { inner: None }
    }

    fn inner(&self) -> Result<&Arc<Inner>> {
        self.inner.as_ref().ok_or_else(|| {
            Error::new(
                ErrorKind::Config,
                "the Session facade is not bound: call SessionServiceProvider::new().register() first",
            )
        })
    }

    /// Makes `name` a driver, to be chosen by the setting `driver` as the built-in ones are.
    ///
    /// It must be registered before the store is first asked for, and hides a built-in driver of the same name.
    ///
    /// # Errors
    /// The facade is not bound.
    ///
    /// ```
    /// use arvel_session::{Secret, SessionConfig, SessionManager, store::MemoryStore};
    ///
    /// let config = SessionConfig::new().driver("mine").secret_key(Secret::generate());
    /// let manager = SessionManager::new(config)?;
    /// manager.extend("mine", |_config| Ok(MemoryStore::new()))?;
    /// assert_eq!(manager.store()?.capabilities().name, "memory");
    /// # Ok::<(), arvel_session::Error>(())
    /// ```
    pub fn extend<S: SessionStore>(
        &self,
        name: &str,
        make: impl Fn(&SessionConfig) -> Result<S> + Send + Sync + 'static,
    ) -> Result<()> {
        let factory: Factory = Box::new(move |config| Ok(Arc::new(make(config)?)));
        self.inner()?.own().insert(name.to_owned(), factory);
        Ok(())
    }

    /// The store of the configured driver, made at the first call.
    ///
    /// A driver connects when it is first used, so a server that is down does not keep the application from starting.
    ///
    /// # Errors
    /// [`ErrorKind::Config`]: the driver is unknown or not compiled in, or one of its settings is impossible.
    pub fn store(&self) -> Result<Store> {
        let inner = self.inner()?;
        if let Some(store) = inner.opened.get() {
            return Ok(store.clone());
        }
        let _alone = inner.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = inner.opened.get() {
            return Ok(store.clone());
        }
        let store = inner.open()?;
        Ok(inner.opened.get_or_init(|| store).clone())
    }

    /// The configuration.
    ///
    /// # Errors
    /// The facade is not bound.
    pub fn config(&self) -> Result<&SessionConfig> {
        Ok(&self.inner()?.config)
    }

    /// Removes what has expired, now, and says how many records that were.
    ///
    /// # Errors
    /// The store failed.
    pub async fn sweep(&self) -> Result<usize> {
        self.store()?.sweeper.sweep().await
    }

    /// Stops sweeping in the background and waits until it has stopped. Sessions go on working.
    pub async fn shutdown(&self) {
        if let Some(store) = self.inner.as_ref().and_then(|inner| inner.opened.get()) {
            store.sweeper.shutdown().await;
        }
    }
}

impl Inner {
    fn own(&self) -> MutexGuard<'_, HashMap<String, Factory>> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> Result<Store> {
        let settings = self.config.settings();
        let driver = match self.own().get(&settings.driver) {
            Some(make) => make(&self.config)?,
            None => drivers::built_in(&self.config)?,
        };
        let sweeper = Sweeper::new(
            driver.clone(),
            self.clock.clone(),
            settings.timeout,
            settings.sweep_interval,
        );
        Ok(Store {
            driver,
            config: self.config.clone(),
            clock: self.clock.clone(),
            sweeper: Arc::new(sweeper),
        })
    }
}

impl Store {
    /// What the driver promises.
    pub fn capabilities(&self) -> Capabilities {
        self.driver.capabilities()
    }

    /// Asks the store for a session that is not there: for a health check.
    ///
    /// # Errors
    /// The store failed, or did not answer within the setting `timeout`.
    pub async fn ping(&self) -> Result<()> {
        let key = Id::random().key();
        self.in_time(self.driver.load(At::Key(&key)))
            .await
            .map(|_| ())
    }

    /// The store's answer, or an error when the setting `timeout` has passed.
    async fn in_time<T>(&self, answer: Reply<T>) -> Result<T> {
        let limit = self.config.settings().timeout;
        timeout(limit, answer).await.unwrap_or_else(|_| {
            Err(Error::new(
                ErrorKind::Timeout,
                format!(
                    "the {} session store did not answer within {limit:?}",
                    self.capabilities().name
                ),
            ))
        })
    }
}

impl fmt::Debug for SessionManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = self.inner.as_ref().map(|inner| &inner.config);
        f.debug_struct("SessionManager")
            .field("config", &config)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("driver", &self.capabilities().name)
            .finish_non_exhaustive()
    }
}
