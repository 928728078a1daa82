//! A browser and an application for tests of the whole middleware, in process.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "in a test it is the assertion")]

use std::{collections::BTreeMap, sync::Arc};

use arvel_session::{
    ManualClock, Result, Secret, SessionConfig, SessionData, SessionManager, StartSession,
    store::SessionStore,
};
use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, Response, StatusCode, header::SET_COOKIE},
    routing::any,
};
use tower::ServiceExt;

/// What a request does with its session.
pub(crate) type Handler = Arc<dyn Fn(SessionData) -> Result<String> + Send + Sync>;

/// An application whose only handler does what the request asks for.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) manager: SessionManager,
    pub(crate) clock: ManualClock,
    router: Router,
}

pub(crate) fn config() -> SessionConfig {
    SessionConfig::new()
        .driver("memory")
        .secret_key(Secret::generate())
}

impl App {
    pub(crate) fn new(config: SessionConfig) -> Self {
        Self::configured(config, |layer| layer)
    }

    pub(crate) fn on(store: impl SessionStore + Clone, config: SessionConfig) -> Self {
        Self::build(config.driver("test"), |layer| layer, Some(store))
    }

    pub(crate) fn configured(
        config: SessionConfig,
        change: impl FnOnce(StartSession) -> StartSession,
    ) -> Self {
        Self::build(config, change, None::<arvel_session::store::CookieStore>)
    }

    fn build(
        config: SessionConfig,
        change: impl FnOnce(StartSession) -> StartSession,
        own: Option<impl SessionStore + Clone>,
    ) -> Self {
        let clock = ManualClock::default();
        let manager = SessionManager::with_clock(config, clock.clone()).unwrap();
        if let Some(own) = own {
            manager.extend("test", move |_| Ok(own.clone())).unwrap();
        }
        let layer = change(StartSession::new(manager.store().unwrap()));
        let router = Router::new()
            .route("/", any(handle))
            .layer(layer.try_build().unwrap());
        Self {
            manager,
            clock,
            router,
        }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }
}

async fn handle(
    axum::Extension(handler): axum::Extension<Handler>,
    gate: Option<axum::Extension<Gate>>,
    session: SessionData,
) -> Result<String> {
    if let Some(axum::Extension(gate)) = gate {
        gate.pass().await;
    }
    handler(session)
}

/// Holds a request back inside its handler, until it is told to go on.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(tokio::sync::Notify, tokio::sync::Notify)>);

impl Gate {
    async fn pass(&self) {
        self.0.0.notify_one();
        self.0.1.notified().await;
    }

    /// Waits until the request is in its handler.
    pub(crate) async fn entered(&self) {
        self.0.0.notified().await;
    }

    pub(crate) fn open(&self) {
        self.0.1.notify_one();
    }
}

/// A browser with a cookie jar.
#[derive(Clone, Default)]
pub(crate) struct Browser {
    pub(crate) jar: BTreeMap<String, String>,
    pub(crate) headers: HeaderMap,
}

/// An answer, taken apart.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn set_cookies(&self) -> Vec<&str> {
        let lines = self.headers.get_all(SET_COOKIE).iter();
        lines.map(|line| line.to_str().unwrap()).collect()
    }
}

impl Browser {
    pub(crate) fn request(
        &self,
        handler: impl Fn(SessionData) -> Result<String> + Send + Sync + 'static,
    ) -> Request<Body> {
        let mut request = Request::new(Body::empty());
        *request.headers_mut() = self.headers.clone();
        if !self.jar.is_empty() {
            let pairs: Vec<String> = self
                .jar
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            request
                .headers_mut()
                .insert("cookie", pairs.join("; ").parse().unwrap());
        }
        let handler: Handler = Arc::new(handler);
        request.extensions_mut().insert(handler);
        request
    }

    /// Takes an answer in, cookies and all.
    pub(crate) async fn receive(&mut self, response: Response<Body>) -> Answer {
        let (parts, body) = response.into_parts();
        for line in parts.headers.get_all(SET_COOKIE) {
            let line = line.to_str().unwrap();
            let (pair, attributes) = line.split_once(';').unwrap_or((line, ""));
            let (name, value) = pair.split_once('=').unwrap();
            if attributes.contains("Max-Age=0") {
                self.jar.remove(name);
            } else {
                self.jar.insert(name.to_owned(), value.to_owned());
            }
        }
        let body = axum::body::to_bytes(Body::new(body), usize::MAX)
            .await
            .unwrap();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    pub(crate) async fn visit(
        &mut self,
        app: &App,
        handler: impl Fn(SessionData) -> Result<String> + Send + Sync + 'static,
    ) -> Answer {
        let response = app.send(self.request(handler)).await;
        self.receive(response).await
    }
}
