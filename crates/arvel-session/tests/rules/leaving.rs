//! Ten thousand clients that leave at any moment, on the drivers that have no server (`cargo xtask prove --part cancel` is for
//! the others).

use std::{
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker},
};

use arvel_session::{ErrorKind, SessionData};
use axum::{
    body::{Body, Bytes},
    http::Response,
};
use futures_util::stream;
use tokio::{runtime::Handle, task::yield_now};

use crate::support::{App, Browser, config, script::Script, settle};

const CLIENTS: usize = 10_000;
const SESSIONS: usize = 8;
/// More polls than a request with its whole body takes.
const POLLS: usize = 16;

/// Counts in the handler, and once more while the body streams.
async fn count(session: SessionData, held: Arc<()>) -> Response<Body> {
    yield_now().await;
    session.increment("n", 1).unwrap();
    yield_now().await;
    let parts = stream::unfold((0, session, held), |(part, session, held)| async move {
        yield_now().await;
        if part == 1 {
            // Whose head sets the cookie cannot store what comes after it.
            let late = session.increment("late", 1).map_err(|error| error.kind());
            assert!(matches!(late, Ok(_) | Err(ErrorKind::TooLate)), "{late:?}");
        }
        let next = (part + 1, session, held);
        (part < 2).then(|| (Ok::<_, std::io::Error>(Bytes::from_static(b"part")), next))
    });
    Response::new(Body::from_stream(parts))
}

/// Polls it so often at most; whether it came to its end.
async fn poll_for(visit: impl Future<Output = ()>, polls: usize) -> bool {
    let mut visit: Pin<&mut _> = pin!(visit);
    for _ in 0..polls {
        let mut task = Context::from_waker(Waker::noop());
        if let Poll::Ready(()) = visit.as_mut().poll(&mut task) {
            return true;
        }
        yield_now().await;
    }
    false
}

/// What they leave behind is `check`ed by the least and the most that each session may have counted.
async fn leave(app: &App, browsers: &[Browser]) -> Vec<(u64, u64)> {
    let tasks = Handle::current().metrics().num_alive_tasks();
    let held = Arc::new(());
    let mut counts = vec![(0, 0); browsers.len()];
    for client in 0..CLIENTS {
        let session = client % browsers.len();
        let held = held.clone();
        let request = browsers[session].request_for(move |session| count(session, held.clone()));
        let visit = async {
            let response = app.send(request).await;
            Browser::default().receive(response).await;
        };
        // In no order that goes with that of the sessions.
        let has_ended = poll_for(visit, client * 7 % 13 % POLLS).await;
        counts[session].0 += u64::from(has_ended);
        counts[session].1 += 1;
    }
    settle().await;
    assert_eq!(Arc::strong_count(&held), 1, "a request is still somewhere");
    assert_eq!(Handle::current().metrics().num_alive_tasks(), tasks);
    counts
}

async fn begin(app: &App) -> Vec<Browser> {
    let mut browsers = vec![Browser::default(); SESSIONS];
    for browser in &mut browsers {
        browser
            .change(app, |session| session.put("n", 0))
            .await
            .sets_one_cookie();
    }
    browsers
}

#[tokio::test]
async fn clients_that_leave_leave_whole_sessions_behind_in_memory() {
    let store = Script::new();
    let app = App::on(store.clone(), config());
    let browsers = begin(&app).await;
    let counts = leave(&app, &browsers).await;
    assert_eq!(store.records().len(), SESSIONS);
    for (browser, (least, most)) in browsers.iter().zip(counts) {
        assert!(0 < least && least < most, "some left, some did not");
        let mut browser = browser.clone();
        let n = browser
            .visit(&app, |session| Ok(session.get_or("n", 0_u64)?.to_string()))
            .await;
        let n: u64 = n.body.parse().unwrap();
        assert!((least..=most).contains(&n), "{least} ≤ {n} ≤ {most}");
    }
}

#[tokio::test]
async fn clients_that_leave_leave_nothing_behind_where_the_browser_holds_the_session() {
    let app = App::new(config().driver("cookie"));
    let browsers = begin(&app).await;
    leave(&app, &browsers).await;
    for browser in browsers {
        assert_eq!(browser.all(&app).await, r#"{"n":0}"#, "and works as before");
    }
}
