//! A request in calls, for frameworks that are not on tower.
#![allow(clippy::unwrap_used, reason = "tests may")]

use std::time::Duration;

use arvel_session::{
    ErrorKind, Secret, SessionConfig, SessionData, SessionManager, StartSession,
    visit::{Facts, Visit, Visits},
};
use http::HeaderMap;

fn visits(config: SessionConfig) -> Visits {
    let config = config.secret_key(Secret::generate());
    let store = SessionManager::new(config).unwrap().store().unwrap();
    StartSession::new(store).visits().unwrap()
}

fn memory() -> Visits {
    visits(SessionConfig::new().driver("memory"))
}

fn get() -> Facts {
    Facts::new("GET", None, [])
}

async fn begin(visits: &Visits, cookie: &str) -> Visit {
    visits.begin([cookie.as_bytes()]).await.unwrap()
}

/// Begins, changes, and ends a request; the cookie that the browser holds then.
async fn request(visits: &Visits, cookie: &str, change: impl FnOnce(&SessionData)) -> String {
    let visit = begin(visits, cookie).await;
    change(visit.session());
    let mut headers = HeaderMap::new();
    let head = visit.head(200, get()).await.unwrap();
    assert!(head.failure().is_none());
    head.finish(&mut headers);
    visit.end().await.unwrap();
    let line = headers
        .get("set-cookie")
        .map(|line| line.to_str().unwrap().to_owned());
    line.map_or(cookie.to_owned(), |line| {
        line.split(';').next().unwrap().to_owned()
    })
}

#[tokio::test]
async fn a_store_that_is_waited_for_is_as_one_that_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let files = visits(
        SessionConfig::new()
            .driver("file")
            .files_path(folder.path()),
    );
    for visits in [memory(), files] {
        let cookie = request(&visits, "", |session| session.put("n", 1).unwrap()).await;
        let same = request(&visits, &cookie, |session| {
            session.increment("n", 1).unwrap();
        });
        assert_eq!(same.await, cookie);
        let visit = begin(&visits, &cookie).await;
        assert_eq!(visit.session().get("n").unwrap(), Some(2));
    }
}

#[tokio::test]
async fn an_untouched_visit_says_nothing() {
    let visits = memory();
    let visit = begin(&visits, "other=1").await;
    let head = visit.head(200, get()).await.unwrap();
    assert!(!head.is_read() && head.set_cookie().is_none());
    let mut headers = HeaderMap::new();
    head.finish(&mut headers);
    assert!(headers.is_empty());
}

#[tokio::test]
async fn a_visit_without_a_head_commits_nothing() {
    let visits = memory();
    let cookie = request(&visits, "", |session| session.put("n", 1).unwrap()).await;
    let visit = begin(&visits, &cookie).await;
    visit.session().put("n", 2).unwrap();
    drop(visit);
    tokio::task::yield_now().await;
    let visit = begin(&visits, &cookie).await;
    assert_eq!(visit.session().get("n").unwrap(), Some(1));
}

#[tokio::test]
async fn what_changed_after_the_head_is_finished_in_the_background() {
    let visits = memory();
    let cookie = request(&visits, "", |session| session.put("n", 1).unwrap()).await;
    let visit = begin(&visits, &cookie).await;
    visit.head(200, get()).await.unwrap();
    visit.session().put("n", 2).unwrap();
    assert!(visit.is_changed());
    drop(visit);
    let stored = async {
        loop {
            tokio::task::yield_now().await;
            let visit = begin(&visits, &cookie).await;
            if visit.session().get("n").unwrap() == Some(2) {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), stored)
        .await
        .unwrap();
}

#[tokio::test]
async fn what_would_need_a_cookie_is_too_late_at_the_end() {
    let visits = memory();
    for headed in [true, false] {
        let visit = begin(&visits, "").await;
        if headed {
            visit.head(200, get()).await.unwrap();
        }
        visit.session().put("n", 1).unwrap();
        let error = visit.end().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLate);
    }
}

#[tokio::test]
async fn a_commit_that_fails_is_the_heads_failure() {
    let visits = visits(SessionConfig::new());
    let visit = begin(&visits, "").await;
    visit.session().put("k", "x".repeat(5000)).unwrap();
    let head = visit.head(200, get()).await.unwrap();
    let error = head.failure().unwrap();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(visits.refusal(error).0, 500);
    assert!(head.set_cookie().is_none());
}

#[tokio::test]
async fn an_owner_knows_its_sessions() {
    let (ours, theirs) = (memory(), memory());
    let visit = begin(&ours, "").await;
    assert!(ours.owns(visit.session()));
    assert!(!theirs.owns(visit.session()));
}
