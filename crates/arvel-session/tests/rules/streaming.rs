//! Bodies that stream on with the session in hand, and handles that outlive their request (DESIGN §2.6, §2.7).

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use arvel_session::{ErrorKind, SessionData};
use axum::{
    body::{Body, Bytes},
    http::Method,
    response::IntoResponse,
};
use futures_util::stream;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;

use crate::support::{
    App, Browser, Gate, config,
    events::Events,
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

/// A body of three chunks that counts them in the session. Like most streams, it may not be asked again after its end.
fn counting(session: SessionData) -> Body {
    Body::from_stream(stream::unfold(0, move |chunk| {
        let session = session.clone();
        async move {
            if chunk == 3 {
                return None;
            }
            session.increment("chunks", 1).unwrap();
            Some((Ok::<_, std::io::Error>(Bytes::from("x")), chunk + 1))
        }
    }))
}

#[tokio::test]
async fn what_a_streaming_body_changes_is_committed_before_its_end() {
    let (app, store, mut browser) = begun().await;
    let request = browser.request_for(|session| async { counting(session).into_response() });
    let mut body = app.send(request).await.into_body();
    for _ in 0..3 {
        let frame = body.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "x", "and nothing is held back");
    }
    assert_eq!(store.take_calls(), [Call::Load]);
    assert!(body.frame().await.is_none());
    assert_eq!(store.take_calls(), [Call::Save]);
    assert_eq!(browser.all(&app).await, r#"{"chunks":3,"k":1}"#);
    browser.change(&app, |_| Ok(())).await.is_silent();
}

/// A body of known size: whoever sends it may stop asking after the last byte.
struct Sized {
    session: SessionData,
    chunks: u64,
}

impl http_body::Body for Sized {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        assert!(self.chunks > 0, "asked again after its end");
        self.chunks -= 1;
        self.session.increment("chunks", 1).unwrap();
        Poll::Ready(Some(Ok(Frame::data(Bytes::from("x")))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.chunks)
    }
}

#[tokio::test]
async fn a_body_of_known_size_commits_before_its_last_frame() {
    let (app, store, browser) = begun().await;
    let request = browser
        .request_for(|session| async { Body::new(Sized { session, chunks: 2 }).into_response() });
    let mut body = app.send(request).await.into_body();
    body.frame().await.unwrap().unwrap();
    assert_eq!(store.take_calls(), [Call::Load]);
    body.frame().await.unwrap().unwrap();
    assert_eq!(store.take_calls(), [Call::Save], "before the last frame");
    drop(body);
    assert_eq!(browser.all(&app).await, r#"{"chunks":2,"k":1}"#);
}

#[tokio::test]
async fn a_client_that_leaves_early_has_what_it_saw_committed() {
    let (app, _, browser) = begun().await;
    let request = browser.request_for(|session| async { counting(session).into_response() });
    let mut body = app.send(request).await.into_body();
    body.frame().await.unwrap().unwrap();
    drop(body);
    settle().await;
    assert_eq!(browser.all(&app).await, r#"{"chunks":1,"k":1}"#);
}

#[tokio::test]
async fn a_client_that_leaves_during_the_bodys_commit_has_it_finished() {
    let (app, store, browser) = begun().await;
    let gate = Gate::default();
    store.script(Call::Save, [Fault::NONE.late().held(&gate)]);
    let request = browser.request_for(|session| async { counting(session).into_response() });
    let body = app.send(request).await.into_body();
    let reading = tokio::spawn(body.collect());
    gate.entered().await;
    reading.abort();
    settle().await;
    gate.open();
    settle().await;
    assert_eq!(browser.all(&app).await, r#"{"chunks":3,"k":1}"#);
}

#[tokio::test]
async fn a_client_that_leaves_while_the_bodys_commit_waits_for_a_save_loses_nothing() {
    let (app, store, browser) = begun().await;
    let kept = Arc::new(Mutex::new(None));
    let keep = kept.clone();
    let request = browser.request_for(move |session| {
        *keep.lock().unwrap() = Some(session.clone());
        async { counting(session).into_response() }
    });
    let body = app.send(request).await.into_body();
    let session: SessionData = kept.lock().unwrap().take().unwrap();
    let gate = Gate::default();
    store.script(Call::Save, [Fault::NONE.late().held(&gate)]);
    session.put("early", 1).unwrap();
    let saving = tokio::spawn(async move { session.save().await });
    gate.entered().await;
    let reading = tokio::spawn(body.collect());
    settle().await;
    reading.abort();
    settle().await;
    gate.open();
    saving.await.unwrap().unwrap();
    settle().await;
    let all = browser.all(&app).await;
    assert_eq!(all, r#"{"chunks":3,"early":1,"k":1}"#);
}

#[tokio::test]
async fn what_a_body_streams_is_merged_with_what_others_store_meanwhile() {
    let (app, _, browser) = begun().await;
    let request = browser.request_for(|session| async { counting(session).into_response() });
    let mut body = app.send(request).await.into_body();
    body.frame().await.unwrap().unwrap();
    let mut other = browser.clone();
    other
        .change(&app, |session| session.increment("chunks", 10).map(|_| ()))
        .await
        .is_silent();
    body.collect().await.unwrap();
    assert_eq!(browser.all(&app).await, r#"{"chunks":13,"k":1}"#);
}

#[tokio::test]
async fn a_head_request_and_an_empty_body_belong_to_the_heads_commit() {
    for method in [Method::HEAD, Method::GET] {
        let (app, store, browser) = begun().await;
        let kept = Arc::new(Mutex::new(None));
        let keep = kept.clone();
        let is_head = method == Method::HEAD;
        let request = browser.using(method).request_for(move |session| {
            session.put("head", 1).unwrap();
            *keep.lock().unwrap() = Some(session.clone());
            let body = if is_head {
                counting(session)
            } else {
                Body::empty()
            };
            async { body.into_response() }
        });
        let response = app.send(request).await;
        assert_eq!(store.take_calls(), [Call::Load, Call::Save]);
        let session = kept.lock().unwrap().take().unwrap();
        assert!(session.is_detached());
        drop(response);
        drop(session);
        settle().await;
        assert_eq!(store.take_calls(), []);
    }
}

#[tokio::test]
async fn a_body_without_a_session_in_hand_is_not_watched() {
    let (app, store, browser) = begun().await;
    let request = browser.request_for(|session: SessionData| async move {
        session.put("k", 2).unwrap();
        drop(session);
        let chunks = ["a", "b"].map(|chunk| Ok::<_, std::io::Error>(Bytes::from(chunk)));
        Body::from_stream(stream::iter(chunks)).into_response()
    });
    let response = app.send(request).await;
    assert_eq!(store.take_calls(), [Call::Load, Call::Save]);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "ab");
    assert_eq!(store.take_calls(), []);
}

#[tokio::test]
async fn a_body_that_fails_hands_its_error_on() {
    let (app, _, browser) = begun().await;
    let request = browser.request_for(|session: SessionData| async move {
        let chunks = stream::unfold(Some(session), |session| async {
            session?.put("before", 1).unwrap();
            Some((Err::<Bytes, _>(std::io::Error::other("boom")), None))
        });
        Body::from_stream(chunks).into_response()
    });
    let body = app.send(request).await.into_body();
    let error = body.collect().await.unwrap_err();
    assert!(error.to_string().contains("boom"));
}

#[tokio::test]
async fn what_can_no_longer_be_done_in_a_body_is_logged_and_counted() {
    let late: [fn(&SessionData); 3] = [
        |session| session.regenerate(),
        |session| {
            session.invalidate();
            session.put("new", 1).unwrap();
        },
        |session| {
            session.put("x", 1).unwrap();
            session.regenerate();
        },
    ];
    for late in late {
        let (app, _, browser) = begun().await;
        let events = Events::capture();
        late_in_body(&app, &browser, late).await;
        assert_eq!(events.count("TooLate"), 1, "{}", events.text());
    }
    // A session that is not born yet, and the cookie driver.
    let (app, store, _) = begun().await;
    let events = Events::capture();
    late_in_body(&app, &Browser::default(), |session| {
        session.put("x", 1).unwrap()
    })
    .await;
    assert_eq!(events.count("TooLate"), 1, "{}", events.text());
    assert_eq!(store.live().len(), 1);

    let app = App::new(config().driver("cookie"));
    let mut browser = Browser::default();
    browser.change(&app, |session| session.put("k", 1)).await;
    late_in_body(&app, &browser, |session| session.put("x", 1).unwrap()).await;
    assert_eq!(events.count("TooLate"), 2, "{}", events.text());
}

/// A request that does this with its session when the head has left; the body arrives whole all the same.
async fn late_in_body(app: &App, browser: &Browser, late: fn(&SessionData)) {
    let request = browser.request_for(move |session: SessionData| async move {
        let chunks = stream::unfold(Some(session), move |session| async move {
            late(&session?);
            Some((Ok::<_, std::io::Error>(Bytes::from("x")), None))
        });
        Body::from_stream(chunks).into_response()
    });
    let response = app.send(request).await;
    assert!(!response.headers().contains_key("set-cookie"));
    let body = response.into_body().collect().await.unwrap();
    assert_eq!(body.to_bytes(), "x");
}

#[tokio::test]
async fn a_bodys_commit_that_fails_is_logged_and_the_body_is_whole() {
    let (app, store, browser) = begun().await;
    store.script(Call::Save, [Fault::refused(), Fault::refused()]);
    let events = Events::capture();
    late_in_body(&app, &browser, |session| session.put("x", 1).unwrap()).await;
    assert!(events.count("failed") > 0);
    store.has_run();
}

/// A session whose request is over.
async fn detached(app: &App, browser: &Browser) -> SessionData {
    let kept = Arc::new(Mutex::new(None));
    let keep = kept.clone();
    let request = browser.request(move |session| {
        *keep.lock().unwrap() = Some(session);
        Ok(String::new())
    });
    app.send(request).await;
    let session: SessionData = kept.lock().unwrap().take().unwrap();
    assert!(session.is_detached());
    session
}

#[tokio::test]
async fn a_detached_handle_still_saves() {
    let (app, store, browser) = begun().await;
    let session = detached(&app, &browser).await;
    store.take_log();
    for round in 1..4 {
        session.increment("n", 1).unwrap();
        let mut other = browser.clone();
        other
            .change(&app, |session| session.increment("n", 10).map(|_| ()))
            .await
            .is_silent();
        session.save().await.unwrap();
        let all = browser.all(&app).await;
        assert_eq!(all, format!(r#"{{"k":1,"n":{}}}"#, 11 * round));
    }
    session.save().await.unwrap();
    let events = Events::capture();
    drop(session);
    assert_eq!(events.text(), "");
}

#[tokio::test]
async fn a_detached_handle_follows_a_login_and_ends_with_a_logout() {
    let (app, store, mut browser) = begun().await;
    let session = detached(&app, &browser).await;
    browser
        .change(&app, |session| {
            session.regenerate();
            Ok(())
        })
        .await
        .sets_one_cookie();
    session.put("late", 1).unwrap();
    session.save().await.unwrap();
    assert_eq!(browser.all(&app).await, r#"{"k":1,"late":1}"#);
    browser
        .change(&app, |session| {
            session.invalidate();
            Ok(())
        })
        .await
        .removes_the_cookie();
    session.put("later", 1).unwrap();
    session.save().await.unwrap();
    assert!(store.live().is_empty());
}

#[tokio::test]
async fn dropping_unsaved_changes_of_a_detached_handle_is_logged() {
    let (app, _, browser) = begun().await;
    let session = detached(&app, &browser).await;
    session.put("lost", 1).unwrap();
    let events = Events::capture();
    drop(session);
    assert_eq!(events.count("unsaved"), 1, "{}", events.text());
    assert_eq!(browser.all(&app).await, r#"{"k":1}"#);
}

#[tokio::test]
async fn a_detached_handle_says_what_it_can_no_longer_do() {
    let (app, store, browser) = begun().await;
    let session = detached(&app, &browser).await;
    session.regenerate();
    assert_eq!(session.save().await.unwrap_err().kind(), ErrorKind::TooLate);
    session.discard();
    session.put("k", 2).unwrap();
    session.save().await.unwrap();
    assert_eq!(browser.all(&app).await, r#"{"k":2}"#);

    let unborn = detached(&app, &Browser::default()).await;
    unborn.put("k", 1).unwrap();
    assert_eq!(unborn.save().await.unwrap_err().kind(), ErrorKind::TooLate);
    unborn.discard();
    assert_eq!(store.live().len(), 1);

    let app = App::new(config().driver("cookie"));
    let mut browser = Browser::default();
    browser.change(&app, |session| session.put("k", 1)).await;
    let session = detached(&app, &browser).await;
    session.put("k", 2).unwrap();
    assert_eq!(session.save().await.unwrap_err().kind(), ErrorKind::TooLate);
    session.discard();
}

#[tokio::test]
async fn a_save_that_fails_keeps_the_changes_for_the_next_one() {
    let (app, store, browser) = begun().await;
    let session = detached(&app, &browser).await;
    session.increment("n", 1).unwrap();
    store.script(Call::Save, [Fault::refused(), Fault::refused()]);
    let error = session.save().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store);
    session.increment("n", 1).unwrap();
    session.save().await.unwrap();
    assert_eq!(browser.all(&app).await, r#"{"k":1,"n":2}"#);
}

#[tokio::test]
async fn clones_share_one_session_and_saves_of_one_handle_wait_for_each_other() {
    let (app, store, browser) = begun().await;
    let session = detached(&app, &browser).await;
    let gate = Gate::default();
    store.script(Call::Save, [Fault::NONE.late().held(&gate)]);
    session.increment("n", 1).unwrap();
    let first = tokio::spawn({
        let session = session.clone();
        async move { session.save().await }
    });
    gate.entered().await;
    session.increment("n", 1).unwrap();
    let second = tokio::spawn({
        let session = session.clone();
        async move { session.save().await }
    });
    settle().await;
    assert!(!second.is_finished());
    gate.open();
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
    assert_eq!(session.get("n").unwrap(), Some(2));
    assert_eq!(browser.all(&app).await, r#"{"k":1,"n":2}"#);
}

/// Where a handler leaves its session for later.
#[derive(Clone, Default)]
struct Shelf(Arc<Mutex<Option<SessionData>>>);

impl Shelf {
    fn put(&self, session: SessionData) {
        *self.0.lock().unwrap() = Some(session);
    }

    fn take(&self) -> SessionData {
        self.0.lock().unwrap().take().unwrap()
    }
}

#[tokio::test]
async fn what_a_failed_commit_refused_is_not_slipped_in_by_a_later_save() {
    let (app, store, mut browser) = begun().await;
    store.script(Call::Save, [Fault::refused(), Fault::refused()]);
    let shelf = Shelf::default();
    let kept = shelf.clone();
    let answer = browser
        .change(&app, move |session| {
            session.put("refused", 1)?;
            kept.put(session);
            Ok(())
        })
        .await;
    answer.failed_with(503);
    store.has_run();
    let session = shelf.take();
    session.put("later", 1).unwrap();
    session.save().await.unwrap();
    assert_eq!(browser.all(&app).await, r#"{"k":1,"later":1}"#);
}

#[tokio::test]
async fn a_logout_while_a_save_is_under_way_keeps_nothing_of_what_it_stored() {
    let (app, store, mut browser) = begun().await;
    let gate = Gate::default();
    store.script(Call::Save, [Fault::NONE.held(&gate)]);
    let answer = browser
        .call(&app, move |session| {
            let gate = gate.clone();
            async move {
                session.put("more", 1).unwrap();
                let saving = session.clone();
                let saving = tokio::spawn(async move { saving.save().await });
                gate.entered().await;
                session.invalidate();
                gate.open();
                saving.await.unwrap().unwrap();
                assert_eq!(session.keys(), [""; 0]);
                Body::empty().into_response()
            }
        })
        .await;
    answer.removes_the_cookie();
    assert!(store.live().is_empty(), "{:?}", store.live());
}

#[tokio::test(start_paused = true)]
async fn an_update_that_panics_in_a_commit_does_not_hold_up_the_next_save() {
    let (app, _, browser) = begun().await;
    let shelf = Shelf::default();
    let kept = shelf.clone();
    let held = browser
        .hold(&app, move |session| {
            session.update("k", |k: Option<u32>| {
                assert_eq!(k, Some(1), "this panic is part of the test");
                2
            })?;
            kept.put(session);
            Ok(())
        })
        .await;
    let mut other = browser.clone();
    let overtaking = other.change(&app, |session| session.put("k", 5)).await;
    overtaking.is_silent();
    held.gate.open();
    assert!(held.task.await.unwrap_err().is_panic());
    let session = shelf.take();
    session.put("later", 1).unwrap();
    let saved = tokio::time::timeout(Duration::from_secs(60), session.save()).await;
    saved.unwrap().unwrap();
    assert_eq!(browser.all(&app).await, r#"{"k":5,"later":1}"#);
}
