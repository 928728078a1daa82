//! The middleware among others: errors, panics, clients that leave, other layers (DESIGN §2 R3 to R6, §10).

use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use arvel_session::{Error, ErrorKind, SessionData, StartSession};
use axum::{
    Router,
    body::Body,
    http::{Request, Response, StatusCode},
    response::{AppendHeaders, IntoResponse},
    routing::{any, get},
};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::support::{
    App, Browser, Gate, config,
    events::Events,
    handle,
    script::{Call, Fault, Script},
    settle,
};

async fn begun() -> (App, Script, Browser) {
    let store = Script::new();
    let app = App::on(store.clone(), config());
    let mut browser = Browser::default();
    browser.change(&app, |session| session.put("k", 1)).await;
    store.take_log();
    (app, store, browser)
}

fn layer(app: &App) -> StartSession {
    StartSession::new(app.manager.store().unwrap())
}

#[tokio::test]
async fn r03_a_commit_that_fails_is_an_error_and_the_handlers_cookies_go_with_it() {
    let (app, store, mut browser) = begun().await;
    store.script(Call::Save, [Fault::refused(), Fault::refused()]);
    let events = Events::capture();
    let answer = browser
        .call(&app, |session: SessionData| async move {
            session.put("k", 2).unwrap();
            (AppendHeaders([("set-cookie", "welcome=1")]), "success").into_response()
        })
        .await;
    answer.failed_with(503);
    assert!(!answer.body.contains("success"));
    assert_eq!(answer.lines("cache-control"), ["no-store"]);
    assert!(events.count("failed") > 0);
    assert_eq!(browser.all(&app).await, r#"{"k":1}"#);
}

#[tokio::test]
async fn the_log_says_why_the_store_failed() {
    let (app, store, mut browser) = begun().await;
    let why = std::io::Error::other("connection reset by peer");
    store.script(Call::Load, [Fault::error(Error::store("mine: load", why))]);
    let events = Events::capture();
    browser.change(&app, |_| Ok(())).await.failed_with(503);
    assert_eq!(
        events.count("connection reset by peer"),
        1,
        "{}",
        events.text()
    );
}

#[tokio::test]
async fn r03_a_session_that_cannot_be_kept_is_a_500() {
    let store = Script::new().at_most(100);
    let app = App::on(store, config());
    let answer = Browser::default()
        .change(&app, |session| session.put("k", "x".repeat(200)))
        .await;
    answer.failed_with(500);
}

#[tokio::test]
async fn any_status_commits() {
    for status in [302, 404, 422, 500, 503] {
        let (app, _, mut browser) = begun().await;
        let status = StatusCode::from_u16(status).unwrap();
        let answer = browser
            .call(&app, move |session: SessionData| async move {
                session.put("k", 2).unwrap();
                status.into_response()
            })
            .await;
        assert_eq!(answer.status, status);
        assert_eq!(browser.all(&app).await, r#"{"k":2}"#);
    }
}

#[tokio::test]
async fn r04_an_inner_error_is_handed_on_unchanged_and_commits_nothing() {
    let (app, store, browser) = begun().await;
    let inner = service_fn(|request: Request<Body>| async move {
        let session = request.extensions().get::<SessionData>().unwrap();
        session.put("k", 2).unwrap();
        session.regenerate();
        Err::<Response<Body>, &'static str>("boom")
    });
    let service = layer(&app).layer(inner);
    let error: &'static str = service.oneshot(browser.plain_request()).await.unwrap_err();
    assert_eq!(error, "boom");
    assert_eq!(store.take_calls(), [Call::Load]);
    assert_eq!(browser.all(&app).await, r#"{"k":1}"#);
}

#[tokio::test]
async fn r04_a_panic_commits_nothing() {
    let (app, store, browser) = begun().await;
    let held = browser
        .hold(&app, |session| {
            session.put("k", 2)?;
            std::panic::resume_unwind(Box::new("boom"));
        })
        .await;
    held.gate.open();
    assert!(held.task.await.unwrap_err().is_panic());
    settle().await;
    assert_eq!(store.take_calls(), [Call::Load]);
    assert_eq!(browser.all(&app).await, r#"{"k":1}"#);
}

#[tokio::test]
async fn r04_a_client_that_leaves_before_the_commit_commits_nothing() {
    let (app, store, browser) = begun().await;
    let held = browser.hold(&app, |session| session.put("k", 2)).await;
    held.task.abort();
    settle().await;
    held.gate.open();
    settle().await;
    assert_eq!(store.take_calls(), [Call::Load]);
    // While the session is being loaded, too.
    let gate = Gate::default();
    store.script(Call::Load, [Fault::NONE.held(&gate)]);
    let request = browser.request(|_| panic!("not to run"));
    let task = tokio::spawn({
        let app = app.clone();
        async move { app.send(request).await }
    });
    gate.entered().await;
    task.abort();
    gate.open();
    settle().await;
    assert_eq!(browser.all(&app).await, r#"{"k":1}"#);
}

#[tokio::test]
async fn r04_a_commit_that_has_begun_is_finished_in_the_background() {
    for (call, fault) in [
        (Call::Save, Fault::refused()),
        (Call::Save, Fault::NONE.late()),
        (Call::Save, Fault::lost()),
        (Call::Replace, Fault::NONE.late()),
    ] {
        let (app, store, browser) = begun().await;
        let gate = Gate::default();
        store.script(call, [fault.held(&gate)]);
        let held = browser
            .hold(&app, move |session| {
                if call == Call::Replace {
                    session.regenerate();
                }
                session.increment("k", 1).map(|_| ())
            })
            .await;
        held.gate.open();
        gate.entered().await;
        held.task.abort();
        settle().await;
        gate.open();
        settle().await;
        let (_, record) = store.only_live();
        assert!(record.body.windows(2).any(|bytes| bytes == b"k2"));
    }
}

#[tokio::test(start_paused = true)]
async fn r04_a_commit_in_the_background_keeps_to_its_deadline() {
    let (app, store, browser) = begun().await;
    store.script(Call::Save, [Fault::SILENT]);
    let held = browser.hold(&app, |session| session.put("k", 2)).await;
    held.gate.open();
    settle().await;
    held.task.abort();
    let events = Events::capture();
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(events.count("did not answer"), 1, "{}", events.text());
    assert_eq!(browser.all(&app).await, r#"{"k":1}"#, "nothing is stuck");
    let mut browser = browser;
    browser
        .change(&app, |session| session.put("k", 3))
        .await
        .is_silent();
}

/// A service that insists on being polled ready before it is called.
#[derive(Debug)]
struct Strict {
    ready: bool,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self { ready: false }
    }
}

impl Service<Request<Body>> for Strict {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        assert!(
            self.ready,
            "the one that was polled ready is the one to call"
        );
        self.ready = false;
        std::future::ready(Ok(Response::new(Body::empty())))
    }
}

#[tokio::test]
async fn r04_the_service_that_was_polled_ready_is_the_one_that_is_called() {
    let (app, _, browser) = begun().await;
    let mut service = layer(&app).layer(Strict { ready: false });
    for _ in 0..3 {
        let service = service.ready().await.unwrap();
        service.call(browser.plain_request()).await.unwrap();
    }
}

fn routed(layers: impl IntoIterator<Item = StartSession>) -> Router {
    let router = Router::new().route("/", any(handle));
    layers
        .into_iter()
        .fold(router, |router, layer| router.layer(layer))
}

#[tokio::test]
async fn r05_the_same_layer_twice_is_one() {
    let (app, store, mut browser) = begun().await;
    let one = layer(&app);
    for layers in [[one.clone(), one], [layer(&app), layer(&app)]] {
        store.take_log();
        let router = routed(layers);
        let request = browser.request(|session| {
            session.increment("k", 1)?;
            session.regenerate();
            Ok(String::new())
        });
        let response = router.oneshot(request).await.unwrap();
        browser.receive(response).await.sets_one_cookie();
        assert_eq!(store.take_calls(), [Call::Load, Call::Replace]);
    }
    assert_eq!(browser.all(&app).await, r#"{"k":3}"#);
}

#[tokio::test]
async fn r05_another_layer_in_the_same_place_is_an_error_that_says_so() {
    let (app, store, mut browser) = begun().await;
    let elsewhere = App::new(config());
    let others = [layer(&app).cookie_name("other"), layer(&elsewhere)];
    for other in others {
        let events = Events::capture();
        let router = routed([layer(&app), other]);
        let request = browser.request(|_| panic!("not to run"));
        let response = router.oneshot(request).await.unwrap();
        let answer = browser.receive(response).await;
        answer.failed_with(500);
        let error = answer.error.unwrap();
        assert_eq!(error.kind(), ErrorKind::Layer);
        assert!(error.to_string().contains("twice"), "{error}");
        assert_eq!(events.count("twice"), 1, "logged: {}", events.text());
    }
    assert!(!store.take_calls().contains(&Call::Save));
}

#[tokio::test]
async fn r06_other_peoples_set_cookie_and_vary_survive() {
    let (app, _, mut browser) = begun().await;
    let answer = browser
        .call(&app, |session: SessionData| async move {
            session.regenerate();
            let headers = [
                ("set-cookie", "theme=dark"),
                ("set-cookie", "lang=en"),
                ("vary", "accept-encoding"),
                ("vary", "origin"),
            ];
            (AppendHeaders(headers), "").into_response()
        })
        .await;
    let cookies = answer.set_cookies();
    assert_eq!(cookies.len(), 3, "{answer:?}");
    assert_eq!(cookies[..2], ["theme=dark", "lang=en"]);
    assert!(cookies[2].starts_with("arvel_session="));
    assert_eq!(
        answer.lines("vary"),
        ["accept-encoding", "origin", "Cookie"]
    );
}

async fn show(session: SessionData) -> String {
    session.has("k").to_string()
}

async fn show_if_any(session: Option<SessionData>) -> String {
    session.is_some().to_string()
}

async fn fail() -> arvel_session::Result<String> {
    SessionData::fake().with("k", "text").increment("k", 1)?;
    Ok(String::new())
}

#[tokio::test]
async fn the_session_is_an_extractor_and_says_when_the_layer_is_missing() {
    let (app, _, browser) = begun().await;
    let router: Router = Router::new()
        .route("/", get(show))
        .route("/option", get(show_if_any))
        .route("/fail", get(fail));
    let at = |path: &str| {
        let mut request = browser.plain_request();
        *request.uri_mut() = path.parse().unwrap();
        request
    };
    let layered = router.clone().layer(layer(&app));
    for (router, path, status, body) in [
        (&layered, "/", 200, "true"),
        (&layered, "/option", 200, "true"),
        (&router, "/option", 200, "false"),
    ] {
        let response = router.clone().oneshot(at(path)).await.unwrap();
        let answer = Browser::default().receive(response).await;
        assert_eq!((answer.status.as_u16(), &*answer.body), (status, body));
    }
    let events = Events::capture();
    let response = router.clone().oneshot(at("/")).await.unwrap();
    let answer = Browser::default().receive(response).await;
    answer.failed_with(500);
    assert!(events.text().contains(".layer(arvel_session::layer()?)"));
    let response = layered.oneshot(at("/fail")).await.unwrap();
    let answer = Browser::default().receive(response).await;
    answer.failed_with(500);
    assert!(!answer.body.contains("text\""), "no details");
}

#[tokio::test]
async fn a_layer_that_was_never_checked_answers_500_to_every_request() {
    let (app, _, browser) = begun().await;
    let router = routed([layer(&app).cookie_name("a b")]);
    for _ in 0..2 {
        let request = browser.request(|_| panic!("not to run"));
        let response = router.clone().oneshot(request).await.unwrap();
        let answer = Browser::default().receive(response).await;
        answer.failed_with(500);
        let error: Error = answer.error.unwrap();
        assert_eq!(error.kind(), ErrorKind::Config);
    }
}

#[tokio::test]
async fn two_layers_of_two_managers_on_two_routes_share_nothing() {
    let (app, _, mut browser) = begun().await;
    let other = App::new(config().cookie_name("admin"));
    browser.change(&other, |session| session.put("k", 2)).await;
    assert_eq!(browser.jar.len(), 2);
    assert_eq!(browser.all(&app).await, r#"{"k":1}"#);
    assert_eq!(browser.all(&other).await, r#"{"k":2}"#);
}
