//! A browser and an application for tests of the whole middleware, in process.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "in a test it is the assertion")]

pub(crate) mod events;
pub(crate) mod model;
pub(crate) mod script;

use std::{collections::BTreeMap, sync::Arc};

use arvel_session::{
    ManualClock, Result, Secret, SessionConfig, SessionData, SessionManager, StartSession,
    store::SessionStore,
};
use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Method, Request, Response, StatusCode, header::SET_COOKIE},
    response::IntoResponse,
    routing::any,
};
use futures_util::future::BoxFuture;
use tokio::task::JoinHandle;
use tower::ServiceExt;

/// What a request does with its session.
pub(crate) type Handler =
    Arc<dyn Fn(SessionData) -> BoxFuture<'static, Response<Body>> + Send + Sync>;

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

    pub(crate) fn configured(
        config: SessionConfig,
        change: impl FnOnce(StartSession) -> StartSession,
    ) -> Self {
        let clock = ManualClock::default();
        let manager = SessionManager::with_clock(config, clock.clone()).unwrap();
        Self::of(manager, clock, change)
    }

    pub(crate) fn on(store: impl SessionStore + Clone, config: SessionConfig) -> Self {
        Self::at(ManualClock::default(), store, config)
    }

    /// An application on this store with this clock: two of them are two processes.
    pub(crate) fn at(
        clock: ManualClock,
        store: impl SessionStore + Clone,
        config: SessionConfig,
    ) -> Self {
        Self::at_with(clock, store, config, |layer| layer)
    }

    /// The same with a layer of its own settings.
    pub(crate) fn at_with(
        clock: ManualClock,
        store: impl SessionStore + Clone,
        config: SessionConfig,
        change: impl FnOnce(StartSession) -> StartSession,
    ) -> Self {
        let config = config.driver("test");
        let manager = SessionManager::with_clock(config, clock.clone()).unwrap();
        manager.extend("test", move |_| Ok(store.clone())).unwrap();
        Self::of(manager, clock, change)
    }

    fn of(
        manager: SessionManager,
        clock: ManualClock,
        change: impl FnOnce(StartSession) -> StartSession,
    ) -> Self {
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

    /// Another process on the same store, with the same settings but for these.
    pub(crate) fn again(
        &self,
        store: &(impl SessionStore + Clone),
        change: impl FnOnce(SessionConfig) -> SessionConfig,
    ) -> Self {
        let config = change(self.manager.config().unwrap().clone());
        Self::at(self.clock.clone(), store.clone(), config)
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }
}

pub(crate) async fn handle(request: Request<Body>) -> Response<Body> {
    let extensions = request.extensions();
    let gate = extensions.get::<Gate>().cloned();
    let Some(handler) = extensions.get::<Handler>().cloned() else {
        return Body::empty().into_response();
    };
    let session = extensions.get::<SessionData>().unwrap().clone();
    drop(request);
    if let Some(gate) = gate {
        gate.pass().await;
    }
    handler(session).await
}

/// Holds a request back inside its handler, or a store back in its answer, until it is told to go on.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(tokio::sync::Notify, tokio::sync::Notify)>);

impl Gate {
    pub(crate) async fn pass(&self) {
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

/// A request that is held back inside its handler: its session is loaded, nothing else has happened.
pub(crate) struct Held {
    pub(crate) gate: Gate,
    pub(crate) task: JoinHandle<Response<Body>>,
}

impl Held {
    /// Lets the request go on to its end.
    pub(crate) async fn finish(self) -> Answer {
        self.gate.open();
        Browser::default().receive(self.task.await.unwrap()).await
    }
}

/// A browser with a cookie jar.
#[derive(Clone, Default)]
pub(crate) struct Browser {
    pub(crate) jar: BTreeMap<String, String>,
    pub(crate) headers: HeaderMap,
    pub(crate) method: Method,
}

/// An answer, taken apart.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    pub(crate) error: Option<arvel_session::Error>,
}

impl Answer {
    pub(crate) fn set_cookies(&self) -> Vec<&str> {
        self.lines("set-cookie")
    }

    /// All lines of a header.
    pub(crate) fn lines(&self, name: &str) -> Vec<&str> {
        let lines = self.headers.get_all(name).iter();
        lines.map(|line| line.to_str().unwrap()).collect()
    }

    /// The answer is a success that leaves the cookie alone.
    #[track_caller]
    pub(crate) fn is_silent(&self) {
        assert_eq!(self.status, StatusCode::OK, "{self:?}");
        assert!(self.set_cookies().is_empty(), "{self:?}");
    }

    /// The answer is a success that sets the cookie, once.
    #[track_caller]
    pub(crate) fn sets_one_cookie(&self) {
        assert_eq!(self.status, StatusCode::OK, "{self:?}");
        assert_eq!(self.set_cookies().len(), 1, "{self:?}");
        assert!(!self.set_cookies()[0].contains("Max-Age=0;"), "{self:?}");
    }

    /// The answer is a success that removes the cookie.
    #[track_caller]
    pub(crate) fn removes_the_cookie(&self) {
        assert_eq!(self.status, StatusCode::OK, "{self:?}");
        assert_eq!(self.set_cookies().len(), 1, "{self:?}");
        assert!(self.set_cookies()[0].contains("Max-Age=0;"), "{self:?}");
    }

    /// The session failed with this status, and the browser keeps what it has.
    #[track_caller]
    pub(crate) fn failed_with(&self, status: u16) {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert!(self.set_cookies().is_empty(), "{self:?}");
        assert!(self.error.is_some(), "{self:?}");
    }
}

impl Browser {
    /// The cookie of the default name.
    pub(crate) fn cookie(&self) -> &str {
        &self.jar["arvel_session"]
    }

    /// A browser that holds this cookie.
    pub(crate) fn with_cookie(value: impl Into<String>) -> Self {
        let mut browser = Self::default();
        browser.jar.insert("arvel_session".into(), value.into());
        browser
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.append(name, value.parse().unwrap());
        self
    }

    /// The same browser fetching something for a page, in the background.
    pub(crate) fn in_background(&self) -> Self {
        self.clone().header("sec-fetch-mode", "cors")
    }

    /// The same browser with another method.
    pub(crate) fn using(&self, method: Method) -> Self {
        let mut browser = self.clone();
        browser.method = method;
        browser
    }

    pub(crate) fn request(
        &self,
        handler: impl Fn(SessionData) -> Result<String> + Send + Sync + 'static,
    ) -> Request<Body> {
        self.request_for(move |session| {
            let response = handler(session).into_response();
            async { response }
        })
    }

    /// A request to a handler that does not know of sessions.
    pub(crate) fn plain_request(&self) -> Request<Body> {
        let mut request = Request::new(Body::empty());
        *request.method_mut() = self.method.clone();
        *request.headers_mut() = self.headers.clone();
        if !self.jar.is_empty() {
            let pairs = self.jar.iter();
            let pairs: Vec<_> = pairs
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            let cookies = pairs.join("; ").parse().unwrap();
            request.headers_mut().append("cookie", cookies);
        }
        request
    }

    /// A request whose handler may wait, and answer what it likes.
    pub(crate) fn request_for<F: Future<Output = Response<Body>> + Send + 'static>(
        &self,
        handler: impl Fn(SessionData) -> F + Send + Sync + 'static,
    ) -> Request<Body> {
        let mut request = self.plain_request();
        let handler: Handler = Arc::new(move |session| Box::pin(handler(session)));
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
            if attributes.contains("Max-Age=0;") {
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
            error: parts.extensions.get().cloned(),
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

    /// A visit whose handler may wait, and answer what it likes.
    pub(crate) async fn call<F: Future<Output = Response<Body>> + Send + 'static>(
        &mut self,
        app: &App,
        handler: impl Fn(SessionData) -> F + Send + Sync + 'static,
    ) -> Answer {
        let response = app.send(self.request_for(handler)).await;
        self.receive(response).await
    }

    /// A visit that changes the session and says nothing.
    pub(crate) async fn change(
        &mut self,
        app: &App,
        handler: impl Fn(SessionData) -> Result<()> + Send + Sync + 'static,
    ) -> Answer {
        self.visit(app, move |session| handler(session).map(|()| String::new()))
            .await
    }

    /// Everything that this browser's session shows, as JSON. It uses up no flash.
    pub(crate) async fn all(&self, app: &App) -> String {
        let request = self.request(|session| Ok(serde_json::to_string(&session.all()?).unwrap()));
        let mut request = request;
        request
            .headers_mut()
            .insert("sec-purpose", "prefetch".parse().unwrap());
        let answer = self.clone().receive(app.send(request).await).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer.body
    }

    /// Sends a request and holds it back inside its handler.
    pub(crate) async fn hold(
        &self,
        app: &App,
        handler: impl Fn(SessionData) -> Result<()> + Send + Sync + 'static,
    ) -> Held {
        let gate = Gate::default();
        let mut request = self.request(move |session| handler(session).map(|()| String::new()));
        request.extensions_mut().insert(gate.clone());
        let app = app.clone();
        let task = tokio::spawn(async move { app.send(request).await });
        gate.entered().await;
        Held { gate, task }
    }
}

/// Lets everything that can run do so, without the clock.
pub(crate) async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}
