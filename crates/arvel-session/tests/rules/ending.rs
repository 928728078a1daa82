//! A session whose time is up in the very step in which it is being stored, and sessions that have next to nothing to keep.

use std::time::Duration;

use arvel_session::{Result, SessionData, Time};
use axum::response::IntoResponse;

use crate::support::{
    Answer, App, Browser, Gate, config,
    script::{Call, Fault, Script},
};

/// For so long a marker is kept, so for so long a request can tell what became of its session.
const GRACE: Duration = Duration::from_secs(10);
const MOMENT: Duration = Duration::from_millis(1);

fn put_late(session: SessionData) -> Result<()> {
    session.put("late", 1)
}

fn regenerate(session: SessionData) -> Result<()> {
    session.regenerate();
    session.put("user", 7)
}

fn invalidate(session: SessionData) -> Result<()> {
    session.invalidate();
    Ok(())
}

async fn begun() -> (App, Script, Browser) {
    let store = Script::new();
    let app = App::on(store.clone(), config());
    let mut browser = Browser::default();
    browser.change(&app, |session| session.put("k", 1)).await;
    (app, store, browser)
}

/// The answer to a request that opens this long before its session expires and commits in its last moment; what it asks the
/// store for is done only when the session has expired and is swept.
async fn committed_at_the_end(
    change: fn(SessionData) -> Result<()>,
    call: Call,
    before: Duration,
) -> (App, Script, Answer) {
    let (app, store, browser) = begun().await;
    let end = store.only_live().1.expires.as_millis();
    let before = u64::try_from(before.as_millis()).unwrap();
    app.clock.set(Time::from_millis(end - before));
    // Nobody moves its expiry meanwhile.
    store.script(Call::Touch, [Fault::refused()]);
    let request = browser.hold(&app, change).await;
    let answered = Gate::default();
    store.script(call, [Fault::NONE.late().held(&answered)]);
    app.clock.set(Time::from_millis(end - 1));
    request.gate.open();
    answered.entered().await;
    app.clock.set(Time::from_millis(end));
    app.manager.sweep().await.unwrap();
    assert!(store.records().is_empty());
    answered.open();
    let answer = Browser::default()
        .receive(request.task.await.unwrap())
        .await;
    (app, store, answer)
}

#[tokio::test]
async fn a_write_that_meets_the_end_of_its_session_is_dropped() {
    let (_, store, answer) = committed_at_the_end(put_late, Call::Save, GRACE - MOMENT).await;
    answer.is_silent();
    assert!(store.records().is_empty());
}

#[tokio::test]
async fn a_login_that_meets_the_end_of_its_session_gets_one_of_its_own() {
    let (app, store, answer) =
        committed_at_the_end(regenerate, Call::Replace, GRACE - MOMENT).await;
    answer.sets_one_cookie();
    store.only_live();
    let value = answer.set_cookies()[0].split(['=', ';']).nth(1).unwrap();
    let all = Browser::with_cookie(value).all(&app).await;
    assert_eq!(all, r#"{"user":7}"#);
}

#[tokio::test]
async fn a_logout_that_meets_the_end_of_its_session_has_nothing_left_to_do() {
    let (_, store, answer) = committed_at_the_end(invalidate, Call::Save, GRACE - MOMENT).await;
    answer.is_silent();
    assert!(store.records().is_empty());
}

/// Somebody could have logged in meanwhile, and the marker of that is gone as well.
#[tokio::test]
async fn who_took_longer_than_markers_are_kept_cannot_tell_an_end_from_a_loss() {
    for (change, call) in [
        (put_late as fn(SessionData) -> Result<()>, Call::Save),
        (regenerate, Call::Replace),
        (invalidate, Call::Save),
    ] {
        let (_, store, answer) = committed_at_the_end(change, call, GRACE).await;
        answer.failed_with(503);
        assert!(store.records().is_empty());
    }
}

#[tokio::test]
async fn an_expired_record_that_is_still_there_tells_its_end_however_long_that_took() {
    let (app, store, browser) = begun().await;
    let (key, record) = store.only_live();
    let opened = record.expires.as_millis() - 1;
    app.clock.set(Time::from_millis(opened));
    store.script(Call::Touch, [Fault::refused()]);
    let late = browser.hold(&app, put_late).await;
    app.clock.advance(2 * GRACE);
    late.finish().await.is_silent();
    assert_eq!(store.record(&key).unwrap().revision, record.revision);
}

#[tokio::test]
async fn a_handle_goes_on_with_nothing_after_its_logout_was_saved() {
    let (app, store, mut browser) = begun().await;
    browser.change(&app, |session| session.flash("f", 1)).await;
    let answer = browser
        .call(&app, |session| async move {
            let before = session.token();
            session.invalidate();
            session.save().await.unwrap();
            assert_eq!(session.all().unwrap(), serde_json::Map::new());
            assert_ne!(session.token(), before);
            session.put("discarded", 1).unwrap();
            session.discard();
            assert_eq!(session.all().unwrap(), serde_json::Map::new());
            session.put("new", 1).unwrap();
            "".into_response()
        })
        .await;
    answer.sets_one_cookie();
    store.only_live();
    assert_eq!(browser.all(&app).await, r#"{"new":1}"#);
}

#[tokio::test]
async fn a_token_that_was_saved_keeps_no_session_that_is_ended_afterwards() {
    let (app, store, _) = begun().await;
    let mut visitor = Browser::default();
    let answer = visitor
        .call(&app, |session| async move {
            session.token();
            session.save().await.unwrap();
            session.invalidate();
            "".into_response()
        })
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(visitor.jar.len(), 0, "{answer:?}");
    store.only_live();
}

/// A clone of the handle ends the session, and shows a form, while the other one's save is under way.
#[tokio::test]
async fn a_form_that_is_shown_after_a_logout_during_a_save_can_be_sent() {
    let (app, store, mut browser) = begun().await;
    let answered = Gate::default();
    store.script(Call::Save, [Fault::NONE.held(&answered)]);
    let request = browser.request_for({
        let answered = answered.clone();
        move |session| {
            let answered = answered.clone();
            async move {
                session.put("k", 2).unwrap();
                let saving = tokio::spawn({
                    let session = session.clone();
                    async move { session.save().await }
                });
                answered.entered().await;
                session.invalidate();
                let form = session.token();
                answered.open();
                saving.await.unwrap().unwrap();
                assert_eq!(session.all().unwrap(), serde_json::Map::new());
                form.into_response()
            }
        }
    });
    let answer = browser.receive(app.send(request).await).await;
    answer.sets_one_cookie();
    let form = answer.body.clone();
    let sent = browser
        .visit(&app, move |session| {
            Ok(session.verify_token(&form).to_string())
        })
        .await;
    assert_eq!(sent.body, "true");
    assert_eq!(browser.all(&app).await, "{}");
}

#[tokio::test]
async fn a_new_token_is_enough_to_keep_a_new_session() {
    for times in [1, 2] {
        let app = App::new(config());
        let mut visitor = Browser::default();
        let answer = visitor
            .visit(&app, move |session| {
                for _ in 1..times {
                    session.regenerate_token();
                }
                Ok(session.regenerate_token())
            })
            .await;
        answer.sets_one_cookie();
        let form = answer.body.clone();
        let sent = visitor
            .visit(&app, move |session| {
                Ok(session.verify_token(&form).to_string())
            })
            .await;
        assert_eq!(sent.body, "true");
    }
}

#[tokio::test]
async fn a_user_is_enough_to_keep_a_new_session() {
    let store = Script::new().with_columns();
    let app = App::on(store.clone(), config());
    let mut visitor = Browser::default();
    visitor
        .change(&app, |session| {
            session.set_user(Some(7));
            Ok(())
        })
        .await
        .sets_one_cookie();
    let write = store.take_log().pop().unwrap().write.unwrap();
    assert_eq!(write.columns.user.as_deref(), Some("7"));

    let mut nobody = Browser::default();
    nobody
        .change(&app, |session| {
            session.set_user(Some(7));
            session.set_user(None::<u64>);
            Ok(())
        })
        .await
        .is_silent();
    store.only_live();
}

/// The second of two logins at once makes a session of what it has loaded (R12), were that but a flash.
#[tokio::test]
async fn a_flash_is_enough_to_keep_a_new_session() {
    let store = Script::new();
    let app = App::on(store.clone(), config());
    let mut browser = Browser::default();
    browser
        .change(&app, |session| session.flash("f", 1))
        .await
        .sets_one_cookie();
    let browser = browser.in_background();
    let again = |session: SessionData| {
        session.regenerate();
        Ok(())
    };
    let second = browser.hold(&app, again).await;
    browser.clone().change(&app, again).await.sets_one_cookie();
    second.finish().await.sets_one_cookie();
    assert_eq!(store.live().len(), 2);
}

/// The session's own time being up says nothing about where somebody else's login has taken it.
#[tokio::test]
async fn a_logout_that_cannot_find_where_its_expired_session_went_is_a_503() {
    let (app, store, mut browser) = begun().await;
    let end = store.only_live().1.expires.as_millis();
    app.clock.set(Time::from_millis(end - 1_000));
    store.script(Call::Touch, [Fault::refused()]);
    let logout = browser.hold(&app, invalidate).await;
    browser.change(&app, regenerate).await.sets_one_cookie();
    store.lose(&store.only_live().0);
    app.clock.set(Time::from_millis(end + 1_000));
    logout.finish().await.failed_with(503);
}

#[tokio::test]
async fn a_write_at_the_end_of_its_session_follows_a_login_that_came_before() {
    let (app, store, mut browser) = begun().await;
    let end = store.only_live().1.expires.as_millis();
    app.clock.set(Time::from_millis(end - 1_000));
    store.script(Call::Touch, [Fault::refused()]);
    let late = browser.hold(&app, put_late).await;
    browser.change(&app, regenerate).await.sets_one_cookie();
    app.clock.set(Time::from_millis(end + 1_000));
    late.finish().await.is_silent();
    let all = browser.all(&app).await;
    assert_eq!(all, r#"{"k":1,"late":1,"user":7}"#);
}
