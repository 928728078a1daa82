//! The layer, and what can be set on it.

use std::{
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use http::{StatusCode, request::Parts as RequestParts};
use tower_layer::Layer;

use super::service::SessionService;
use crate::{
    Error, Result, SameSite, SessionConfig, Store,
    cookie::CookieSettings,
    engine::{Engine, EngineHome},
    session::Home,
};

/// The middleware: loads the session at the start of a request, hands it to the handler, and stores what was changed
/// before the response leaves.
///
/// The handler finds the session in the request's extensions as a [`SessionData`](crate::SessionData), or takes it as an
/// argument in axum. Wire it on the application as a whole; it is no route's alias.
///
/// * A visitor without a session costs no I/O and no cookie, as long as nothing is put.
/// * If the store fails, the client gets a 503 and nothing is overwritten.
/// * The same layer twice on one request is one; another one in the same place is an error.
///
/// Its settings are those of the store's configuration; the setters here change them for this layer alone.
///
/// # Examples
///
/// ```
/// use arvel_session::{Secret, SessionConfig, SessionData, SessionManager, StartSession};
/// use axum::{Router, routing::get};
/// use std::time::Duration;
///
/// async fn home(session: SessionData) -> arvel_session::Result<String> {
///     Ok(format!("visit {}", session.increment("visits", 1)?))
/// }
///
/// let config = SessionConfig::new().driver("memory").secret_key(Secret::generate());
/// let store = SessionManager::new(config)?.store()?;
/// let sessions = StartSession::new(store).lifetime(Duration::from_secs(1800)).try_build()?;
/// let app: Router = Router::new().route("/", get(home)).layer(sessions);
/// # Ok::<(), arvel_session::Error>(())
/// ```
#[derive(Clone)]
pub struct StartSession(Arc<Parts>);

/// Behind an `Arc`, since routers clone their layers for each request.
struct Parts {
    store: Store,
    config: SessionConfig,
    hooks: Hooks,
    /// Built once for all clones, so that all routes of an application share one.
    built: OnceLock<Result<Arc<Shared>>>,
}

type Predicate = Arc<dyn Fn(&RequestParts) -> bool + Send + Sync>;
type ClientIp = Arc<dyn Fn(&RequestParts) -> Option<IpAddr> + Send + Sync>;

/// What an application may decide for each request.
#[derive(Clone)]
pub(crate) struct Hooks {
    pub(super) skip: Option<Predicate>,
    pub(super) keep_flash: Option<Predicate>,
    pub(super) client_ip: Option<ClientIp>,
    pub(crate) unavailable: StatusCode,
}

/// What all requests of a layer share.
pub(crate) struct Shared {
    pub(crate) engine: Arc<Engine>,
    pub(crate) home: Arc<dyn Home>,
    pub(crate) cookie: CookieSettings,
    pub(crate) hooks: Hooks,
}

impl StartSession {
    /// The middleware on this store, from [`SessionManager::store`](crate::SessionManager::store).
    pub fn new(store: Store) -> Self {
        let hooks = Hooks {
            skip: None,
            keep_flash: None,
            client_ip: None,
            unavailable: StatusCode::SERVICE_UNAVAILABLE,
        };
        Self(Arc::new(Parts {
            config: store.config.clone(),
            store,
            hooks,
            built: OnceLock::new(),
        }))
    }

    fn configure(self, change: impl FnOnce(SessionConfig) -> SessionConfig) -> Self {
        Self(Arc::new(Parts {
            store: self.0.store.clone(),
            config: change(self.0.config.clone()),
            hooks: self.0.hooks.clone(),
            built: OnceLock::new(),
        }))
    }

    fn hook(self, change: impl FnOnce(&mut Hooks)) -> Self {
        let mut hooks = self.0.hooks.clone();
        change(&mut hooks);
        Self(Arc::new(Parts {
            store: self.0.store.clone(),
            config: self.0.config.clone(),
            hooks,
            built: OnceLock::new(),
        }))
    }

    /// How long a session lives without a request; see [`SessionConfig::lifetime`].
    #[must_use]
    pub fn lifetime(self, lifetime: Duration) -> Self {
        self.configure(|config| config.lifetime(lifetime))
    }

    /// The cookie's name; see [`SessionConfig::cookie_name`].
    #[must_use]
    pub fn cookie_name(self, name: impl Into<String>) -> Self {
        self.configure(|config| config.cookie_name(name))
    }

    /// Whether the cookie is for HTTPS only; see [`SessionConfig::secure`].
    #[must_use]
    pub fn secure(self, secure: bool) -> Self {
        self.configure(|config| config.secure(secure))
    }

    /// When the cookie comes along from other sites; see [`SessionConfig::same_site`].
    #[must_use]
    pub fn same_site(self, same_site: SameSite) -> Self {
        self.configure(|config| config.same_site(same_site))
    }

    /// Lets requests pass without a session: nothing is loaded, no flash ages. For assets.
    ///
    /// A handler behind it that asks for the session gets an error, as without the layer.
    #[must_use]
    pub fn skip(self, predicate: impl Fn(&RequestParts) -> bool + Send + Sync + 'static) -> Self {
        self.hook(|hooks| hooks.skip = Some(Arc::new(predicate)))
    }

    /// Names requests that see flash data and do not use it up: a page that polls, for example.
    ///
    /// `HEAD`, prefetches and responses with status 304 or 101 never use it up.
    #[must_use]
    pub fn keep_flash(
        self,
        predicate: impl Fn(&RequestParts) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.hook(|hooks| hooks.keep_flash = Some(Arc::new(predicate)))
    }

    /// Where the client's address comes from, for the column `ip_address` of the database driver. By default it is the
    /// peer's, where axum's `ConnectInfo<SocketAddr>` is there.
    ///
    /// # Security
    /// Read `X-Forwarded-For` only behind a proxy of yours that overwrites it: anyone can send one.
    #[must_use]
    pub fn client_ip(
        self,
        address: impl Fn(&RequestParts) -> Option<IpAddr> + Send + Sync + 'static,
    ) -> Self {
        self.hook(|hooks| hooks.client_ip = Some(Arc::new(address)))
    }

    /// The status of the response when the store fails; 503 by default.
    #[must_use]
    pub fn unavailable_status(self, status: StatusCode) -> Self {
        self.hook(|hooks| hooks.unavailable = status)
    }

    /// Checks all settings, so that an application with a wrong one does not start.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config), with the first setting that is at fault. Without this call, every
    /// request is answered with status 500 then.
    pub fn try_build(self) -> Result<Self> {
        self.shared().map(|_| self)
    }

    pub(crate) fn shared(&self) -> Result<Arc<Shared>, Error> {
        self.0.built.get_or_init(|| self.0.build()).clone()
    }
}

impl Parts {
    fn build(&self) -> Result<Arc<Shared>> {
        self.config.check()?;
        let settings = self.config.settings();
        let store = &self.store;
        let engine = Arc::new(Engine::new(
            store.driver.clone(),
            settings,
            store.clock.clone(),
            store.sweeper.clone(),
        )?);
        Ok(Arc::new(Shared {
            home: Arc::new(EngineHome(engine.clone())),
            engine,
            cookie: CookieSettings::new(settings),
            hooks: self.hooks.clone(),
        }))
    }
}

impl<S> Layer<S> for StartSession {
    type Service = SessionService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        SessionService::new(inner, self.shared())
    }
}

impl std::fmt::Debug for StartSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StartSession")
            .field("store", &self.0.store)
            .finish_non_exhaustive()
    }
}
