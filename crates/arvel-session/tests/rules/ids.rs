//! Dead stays dead: regenerating, invalidating, and requests that come too late (DESIGN §4).

use std::time::Duration;

use arvel_session::{
    Clock, Result, SessionData, Time,
    store::{Expect, Key, Kind, Revision},
};
use axum::{
    body::Body,
    http::{Response, StatusCode},
    response::IntoResponse,
};

use crate::support::{
    App, Browser, Gate, config,
    events::Events,
    script::{Call, Fault, Script},
};

async fn begun_on(store: Script) -> (App, Script, Browser) {
    let app = App::on(store.clone(), config());
    let mut browser = Browser::default();
    browser
        .change(&app, |session| session.put("k", 1))
        .await
        .sets_one_cookie();
    store.take_log();
    (app, store, browser)
}

async fn begun() -> (App, Script, Browser) {
    begun_on(Script::new()).await
}

fn regenerate(session: SessionData) -> Result<()> {
    session.regenerate();
    Ok(())
}

fn invalidate(session: SessionData) -> Result<()> {
    session.invalidate();
    Ok(())
}

fn put_late(session: SessionData) -> Result<()> {
    session.put("late", 1)
}

#[tokio::test]
async fn regenerate_gives_a_new_id_and_keeps_the_data() {
    let (app, store, mut browser) = begun().await;
    let (old, before) = store.only_live();
    let value = browser.cookie().to_owned();
    let tokens = browser.visit(&app, |session| Ok(session.token())).await;
    store.take_log();
    let answer = browser
        .visit(&app, |session| {
            session.regenerate();
            Ok(session.token())
        })
        .await;
    answer.sets_one_cookie();
    assert_ne!(browser.cookie(), value);
    assert_ne!(answer.body, tokens.body, "the CSRF token is a new one");
    assert_eq!(browser.all(&app).await, r#"{"k":1}"#);
    let again = browser.visit(&app, |session| Ok(session.token())).await;
    assert_eq!(again.body, answer.body);

    let (new, _) = store.only_live();
    assert_ne!(new, old);
    assert_eq!(
        new.tag(),
        old.tag(),
        "so that a cluster keeps both on one node"
    );
    let marker = store.record(&old).unwrap();
    assert_eq!(marker.kind, Kind::Regenerated(new));
    assert!(marker.body.is_empty());
    assert_ne!(marker.revision, before.revision);
}

#[tokio::test]
async fn regenerate_is_one_durable_replace_and_nothing_before_the_commit() {
    let (app, store, browser) = begun().await;
    let (old, before) = store.only_live();
    let held = browser.hold(&app, regenerate).await;
    assert_eq!(store.take_calls(), [Call::Load]);
    held.finish().await.sets_one_cookie();
    let log = store.take_log();
    assert_eq!(log.len(), 1, "{log:?}");
    assert_eq!((log[0].call, log[0].key), (Call::Replace, old));
    assert_eq!(log[0].expect, Some(Expect::Revision(before.revision)));
    assert!(log[0].write.as_ref().unwrap().durable);
}

#[tokio::test]
async fn a_logout_is_one_durable_marker_and_a_plain_put_is_not_durable() {
    let (app, store, mut browser) = begun().await;
    browser
        .change(&app, |session| session.put("k", 2))
        .await
        .is_silent();
    browser.change(&app, invalidate).await.removes_the_cookie();
    assert!(browser.jar.is_empty());
    let log = store.take_log();
    let writes: Vec<_> = log.iter().filter_map(|entry| entry.write.clone()).collect();
    assert_eq!(writes.len(), 2);
    assert!(!writes[0].durable);
    assert!(writes[1].durable);
    assert_eq!(writes[1].record.kind, Kind::Destroyed);
    assert!(writes[1].record.body.is_empty());
}

#[tokio::test]
async fn a_marker_has_no_columns_and_lives_for_the_grace_alone() {
    for (timeout, grace) in [(2, 10), (8, 16)] {
        let store = Script::new().with_columns();
        let config = config().timeout(Duration::from_secs(timeout));
        let app = App::on(store.clone(), config);
        let mut browser = Browser::default().header("user-agent", "Test/1.0");
        browser
            .change(&app, |session| {
                session.set_user(Some(7));
                session.put("k", 1)
            })
            .await;
        let (old, _) = store.only_live();
        let written = store.take_log().pop().unwrap().write.unwrap();
        assert_eq!(written.columns.user.as_deref(), Some("7"));
        assert_eq!(written.columns.agent.as_deref(), Some("Test/1.0"));

        let dead = browser.clone();
        browser.change(&app, invalidate).await.removes_the_cookie();
        let marking = store.take_log().pop().unwrap().write.unwrap();
        assert_eq!(marking.columns, Default::default());
        let marker = store.record(&old).unwrap();
        assert_eq!(
            marker.expires.since(marking.now),
            Duration::from_secs(grace)
        );

        // Nothing extends it: neither a visit nor a write with the dead id.
        app.clock.advance(Duration::from_secs(grace - 1));
        dead.clone().change(&app, put_late).await.is_silent();
        assert_eq!(store.record(&old), Some(marker));
        app.clock.advance(Duration::from_secs(1));
        dead.clone().change(&app, put_late).await.sets_one_cookie();
    }
}

#[tokio::test]
async fn r09_a_write_to_a_destroyed_session_is_dropped_and_sets_no_cookie() {
    let (app, store, mut browser) = begun().await;
    let late = browser.hold(&app, put_late).await;
    browser.change(&app, invalidate).await.removes_the_cookie();
    let events = Events::capture();
    late.finish().await.is_silent();
    assert_eq!(events.count("dropped"), 1, "{}", events.text());
    assert!(store.live().is_empty());
}

#[tokio::test]
async fn r09_a_write_to_a_regenerated_session_is_kept_by_its_successor() {
    for hops in [1, 2, 5] {
        let (app, store, mut browser) = begun().await;
        let late = browser
            .hold(&app, |session| session.increment("k", 10).map(|_| ()))
            .await;
        for _ in 0..hops {
            browser
                .change(&app, |session| {
                    session.regenerate();
                    session.increment("k", 1).map(|_| ())
                })
                .await
                .sets_one_cookie();
        }
        let events = Events::capture();
        late.finish().await.is_silent();
        assert_eq!(events.count("superseded"), 1, "{}", events.text());
        store.only_live();
        assert_eq!(browser.all(&app).await, format!(r#"{{"k":{}}}"#, 11 + hops));
    }
}

#[tokio::test]
async fn r09_a_chain_of_regenerations_that_ends_in_a_logout_drops_the_write() {
    let (app, store, mut browser) = begun().await;
    let late = browser.hold(&app, put_late).await;
    for _ in 0..3 {
        browser.change(&app, regenerate).await.sets_one_cookie();
    }
    browser.change(&app, invalidate).await.removes_the_cookie();
    late.finish().await.is_silent();
    assert!(store.live().is_empty());
}

#[tokio::test]
async fn r09_the_successors_data_is_not_shown_to_the_late_request() {
    let (app, store, mut browser) = begun().await;
    let gate = Gate::default();
    let pass = gate.clone();
    let request = browser.request_for(move |session: SessionData| {
        let gate = pass.clone();
        async move {
            gate.pass().await;
            session.put("late", 1).unwrap();
            session.save().await.unwrap();
            let seen = serde_json::to_string(&session.all().unwrap()).unwrap();
            session.put("later", 1).unwrap();
            seen.into_response()
        }
    });
    let task = tokio::spawn({
        let app = app.clone();
        async move { app.send(request).await }
    });
    gate.entered().await;
    browser
        .change(&app, |session| {
            session.regenerate();
            session.put("secret", 1)
        })
        .await
        .sets_one_cookie();
    gate.open();
    let answer = Browser::default().receive(task.await.unwrap()).await;
    answer.is_silent();
    assert_eq!(answer.body, r#"{"k":1,"late":1}"#);
    store.only_live();
    let all = browser.all(&app).await;
    assert_eq!(all, r#"{"k":1,"late":1,"later":1,"secret":1}"#);
}

#[tokio::test]
async fn r09_a_record_that_vanished_without_a_marker_is_a_503() {
    for change in [
        put_late as fn(SessionData) -> Result<()>,
        regenerate,
        invalidate,
    ] {
        let (app, store, browser) = begun().await;
        let late = browser.hold(&app, change).await;
        store.lose(&store.only_live().0);
        late.finish().await.failed_with(503);
        assert!(store.live().is_empty(), "and it does not come back");
    }
}

#[tokio::test]
async fn r09_a_chain_whose_end_is_lost_is_a_503() {
    let (app, store, mut browser) = begun().await;
    let late = browser.hold(&app, put_late).await;
    browser.change(&app, regenerate).await.sets_one_cookie();
    store.lose(&store.only_live().0);
    late.finish().await.failed_with(503);
}

#[tokio::test]
async fn r09_a_chain_that_cannot_be_followed_is_a_503() {
    let (app, store, mut browser) = begun().await;
    let late = browser.hold(&app, put_late).await;
    browser.change(&app, regenerate).await.sets_one_cookie();
    store.script(Call::Load, [Fault::refused()]);
    late.finish().await.failed_with(503);
    assert_eq!(browser.all(&app).await, r#"{"k":1}"#);
}

#[tokio::test]
async fn a_session_that_expires_during_a_request_does_not_come_back() {
    let (app, store, browser) = begun().await;
    let (key, record) = store.only_live();
    let last_second = record.expires.as_millis() - 1_000;
    app.clock.set(Time::from_millis(last_second));
    // Nobody moves its expiry meanwhile, and the sweep takes it.
    store.script(Call::Touch, [Fault::refused()]);
    let late = browser.hold(&app, put_late).await;
    app.clock.advance(Duration::from_secs(2));
    app.manager.sweep().await.unwrap();
    assert!(store.record(&key).is_none());
    late.finish().await;
    assert!(store.live().is_empty());
}

/// A request that loads the session in its last second and ends after it, while nobody sweeps.
async fn hold_beyond_the_end(
    app: &App,
    store: &Script,
    browser: &Browser,
    handler: impl Fn(SessionData) -> Result<()> + Send + Sync + 'static,
) -> crate::support::Held {
    let end = store.only_live().1.expires.as_millis();
    app.clock.set(Time::from_millis(end - 1_000));
    store.script(Call::Touch, [Fault::refused()]);
    let late = browser.hold(app, handler).await;
    app.clock.advance(Duration::from_secs(2));
    late
}

#[tokio::test]
async fn nobody_saves_over_a_session_that_has_expired_and_is_not_swept() {
    let (app, store, browser) = begun().await;
    let (key, record) = store.only_live();
    let late = hold_beyond_the_end(&app, &store, &browser, put_late).await;
    late.finish().await.is_silent();
    let there = store.record(&key).unwrap();
    assert_eq!(there.revision, record.revision);
    assert_eq!(there.expires, record.expires);
}

#[tokio::test]
async fn a_login_on_a_session_that_has_expired_gets_one_of_its_own() {
    let (app, store, browser) = begun().await;
    let late = hold_beyond_the_end(&app, &store, &browser, |session| {
        session.regenerate();
        session.put("user", 7)
    })
    .await;
    let answer = late.finish().await;
    answer.sets_one_cookie();
    let (_, value) = answer.set_cookies()[0].split_once('=').unwrap();
    let browser = Browser::with_cookie(value.split(';').next().unwrap());
    assert_eq!(browser.all(&app).await, r#"{"user":7}"#);
}

#[tokio::test]
async fn a_session_that_somebody_kept_alive_meanwhile_is_saved() {
    let (app, store, browser) = begun().await;
    let late = hold_beyond_the_end(&app, &store, &browser, put_late).await;
    let (key, mut record) = store.only_live();
    record.expires = app.clock.now().after(Duration::from_secs(60));
    store.overwrite(&key, record);
    late.finish().await;
    assert_eq!(browser.all(&app).await, r#"{"k":1,"late":1}"#);
}

#[tokio::test]
async fn r11_a_logout_by_a_late_request_ends_the_successor() {
    for hops in [1, 3] {
        let (app, store, mut browser) = begun().await;
        let logout = browser.hold(&app, invalidate).await;
        for _ in 0..hops {
            browser.change(&app, regenerate).await.sets_one_cookie();
        }
        logout.finish().await.removes_the_cookie();
        assert!(store.live().is_empty(), "the last word is the logout's");
        assert_eq!(browser.all(&app).await, "{}");
    }
}

#[tokio::test]
async fn r11_a_logout_that_opens_on_a_marker_ends_the_successor() {
    let (app, store, mut browser) = begun().await;
    let mut old = browser.clone();
    browser.change(&app, regenerate).await.sets_one_cookie();
    browser.change(&app, regenerate).await.sets_one_cookie();
    old.change(&app, invalidate).await.removes_the_cookie();
    assert!(store.live().is_empty());
}

#[tokio::test]
async fn r11_a_logout_ends_what_it_carries_and_what_its_markers_lead_to() {
    for saves in [false, true] {
        let (app, store, mut one) = begun().await;
        let mut other = Browser::default();
        other.change(&app, |session| session.put("other", 1)).await;
        let dead = one.cookie().to_owned();
        one.change(&app, regenerate).await.sets_one_cookie();
        let pairs = format!("arvel_session={dead}; arvel_session={}", other.cookie());
        let mut both = Browser::default().header("cookie", &pairs);
        let log_out = move |session: SessionData| async move {
            session.put("last", 1).unwrap();
            if saves {
                session.save().await.unwrap();
            }
            session.invalidate();
            Body::empty().into_response()
        };
        both.call(&app, log_out).await.removes_the_cookie();
        assert!(store.live().is_empty(), "after a save: {saves}");
    }
}

#[tokio::test]
async fn r11_a_logout_on_a_marker_ends_the_successor_also_after_a_regenerate() {
    let (app, store, mut browser) = begun().await;
    let mut old = browser.clone();
    browser.change(&app, regenerate).await.sets_one_cookie();
    let answer = old
        .call(&app, |session: SessionData| async move {
            session.regenerate();
            session.save().await.unwrap();
            session.invalidate();
            Body::empty().into_response()
        })
        .await;
    answer.removes_the_cookie();
    assert!(store.live().is_empty());
}

#[tokio::test]
async fn r11_a_logout_that_is_overtaken_by_a_write_still_ends_the_session() {
    let (app, store, browser) = begun().await;
    let logout = browser.hold(&app, invalidate).await;
    browser.clone().change(&app, put_late).await.is_silent();
    logout.finish().await.removes_the_cookie();
    assert!(store.live().is_empty());
}

#[tokio::test]
async fn a_removal_comes_only_from_the_request_that_destroyed_the_session() {
    let (app, store, mut browser) = begun().await;
    let (second, dead) = (browser.hold(&app, invalidate).await, browser.clone());
    browser.change(&app, invalidate).await.removes_the_cookie();
    second.finish().await.is_silent();
    dead.clone().change(&app, invalidate).await.is_silent();
    let mut nobody = Browser::default();
    nobody.change(&app, invalidate).await.is_silent();
    assert!(store.live().is_empty());
}

#[tokio::test]
async fn r12_a_request_that_opens_on_a_marker_sees_nothing_and_sets_no_cookie() {
    for end in [regenerate as fn(SessionData) -> Result<()>, invalidate] {
        let (app, store, mut browser) = begun().await;
        let mut dead = browser.clone();
        browser.change(&app, end).await;
        let live = store.live().len();
        store.take_log();
        let answer = dead
            .visit(&app, |session| {
                assert!(session.all()?.is_empty());
                session.token();
                session.put("late", 1)?;
                session.flash("late", 1)?;
                Ok(session.id())
            })
            .await;
        answer.is_silent();
        assert_eq!(store.take_calls(), [Call::Load]);
        assert_eq!(store.live().len(), live);
    }
}

#[tokio::test]
async fn r12_a_login_that_opens_on_a_marker_gets_a_session_of_nothing_but_its_own() {
    for end in [regenerate as fn(SessionData) -> Result<()>, invalidate] {
        let (app, store, mut browser) = begun().await;
        let mut dead = browser.clone();
        browser.change(&app, end).await;
        let before = store.live().len();
        dead.change(&app, |session| {
            session.put("early", 1)?;
            session.regenerate();
            session.put("user", 7)
        })
        .await
        .sets_one_cookie();
        assert_eq!(dead.all(&app).await, r#"{"early":1,"user":7}"#);
        assert_eq!(store.live().len(), before + 1);
    }
}

#[tokio::test]
async fn r12_a_login_sent_twice_makes_two_sessions_and_neither_sees_the_other() {
    let (app, store, mut browser) = begun().await;
    let twin = browser
        .hold(&app, |session| {
            session.regenerate();
            session.put("user", "twin")
        })
        .await;
    browser
        .change(&app, |session| {
            session.regenerate();
            session.put("user", "first")?;
            session.put("first", 1)
        })
        .await
        .sets_one_cookie();
    let answer = twin.finish().await;
    answer.sets_one_cookie();
    assert_eq!(store.live().len(), 2);
    assert_eq!(
        browser.all(&app).await,
        r#"{"first":1,"k":1,"user":"first"}"#
    );
    let line = answer.set_cookies()[0].to_owned();
    let value = line.split(['=', ';']).nth(1).unwrap();
    let twin = Browser::with_cookie(value);
    assert_eq!(
        twin.all(&app).await,
        r#"{"k":1,"user":"twin"}"#,
        "its own base and journal, nothing of the successor's"
    );
}

/// A login that stores what has become of the old session before it notes who has logged in.
async fn log_in_by_halves(session: SessionData, leave: fn(SessionData) -> Result<()>) {
    leave(session.clone()).unwrap();
    session.save().await.unwrap();
    session.put("user", 7).unwrap();
}

const WAYS_TO_LEAVE: [fn(SessionData) -> Result<()>; 2] = [regenerate, invalidate];

#[tokio::test]
async fn r12_a_login_by_halves_never_goes_where_the_old_id_leads() {
    for (leave, end) in pairs_of(WAYS_TO_LEAVE) {
        let store = Script::new();
        let app = App::on(store.clone(), config());
        let mut stranger = Browser::default();
        // Nothing but a token in it: there is nothing that a session of its own could keep.
        let open_form = |session: SessionData| Ok(session.token());
        stranger.visit(&app, open_form).await.sets_one_cookie();
        let mut visitor = stranger.clone();
        let gate = Gate::default();
        let pass = gate.clone();
        let login = visitor.request_for(move |session| {
            let gate = pass.clone();
            async move {
                gate.pass().await;
                log_in_by_halves(session, leave).await;
                Body::empty().into_response()
            }
        });
        let task = tokio::spawn({
            let app = app.clone();
            async move { app.send(login).await }
        });
        gate.entered().await;
        stranger.change(&app, end).await;
        gate.open();
        let answer = visitor.receive(task.await.unwrap()).await;
        answer.sets_one_cookie();
        assert_eq!(visitor.all(&app).await, r#"{"user":7}"#, "it is logged in");
        assert_eq!(stranger.all(&app).await, "{}", "and nobody else is");
    }
}

#[tokio::test]
async fn r12_a_login_by_halves_that_opens_on_a_marker_is_one() {
    for (leave, end) in pairs_of(WAYS_TO_LEAVE) {
        let (app, _, mut browser) = begun().await;
        let mut dead = browser.clone();
        browser.change(&app, end).await;
        dead.call(&app, move |session| async move {
            log_in_by_halves(session, leave).await;
            Body::empty().into_response()
        })
        .await
        .sets_one_cookie();
        assert_eq!(dead.all(&app).await, r#"{"user":7}"#);
    }
}

#[tokio::test]
async fn r12_a_mere_regenerate_of_a_dead_id_says_nothing() {
    for end in WAYS_TO_LEAVE {
        let (app, store, mut browser) = begun().await;
        let mut dead = browser.clone();
        browser.change(&app, end).await;
        let live = store.live();
        dead.change(&app, regenerate).await.is_silent();
        assert_eq!(
            store.live(),
            live,
            "the browser keeps the cookie that it has"
        );
    }
}

fn pairs_of<T: Copy>(both: [T; 2]) -> [(T, T); 4] {
    let [a, b] = both;
    [(a, a), (a, b), (b, a), (b, b)]
}

#[tokio::test]
async fn r12_a_login_whose_session_was_destroyed_meanwhile_inherits_nothing() {
    let (app, store, mut browser) = begun().await;
    let login = browser
        .hold(&app, |session| {
            session.regenerate();
            session.put("user", 7)
        })
        .await;
    browser.change(&app, invalidate).await.removes_the_cookie();
    let answer = login.finish().await;
    answer.sets_one_cookie();
    let line = answer.set_cookies()[0].to_owned();
    let own = Browser::with_cookie(line.split(['=', ';']).nth(1).unwrap());
    assert_eq!(own.all(&app).await, r#"{"user":7}"#, "its journal alone");
    store.only_live();
}

#[tokio::test]
async fn a_regenerate_that_is_overtaken_by_a_write_keeps_both() {
    for store in [Script::new(), Script::new().without_replace()] {
        let (app, store, browser) = begun_on(store).await;
        let login = browser
            .hold(&app, |session| {
                session.regenerate();
                session.put("user", 7)
            })
            .await;
        browser.clone().change(&app, put_late).await.is_silent();
        let answer = login.finish().await;
        answer.sets_one_cookie();
        let line = answer.set_cookies()[0].to_owned();
        let own = Browser::with_cookie(line.split(['=', ';']).nth(1).unwrap());
        assert_eq!(own.all(&app).await, r#"{"k":1,"late":1,"user":7}"#);
        store.only_live();
    }
}

#[tokio::test]
async fn set_then_destroy_leaves_no_row() {
    let store = Script::new();
    let app = App::on(store.clone(), config());
    let mut browser = Browser::default();
    browser
        .change(&app, |session| {
            session.put("k", 1)?;
            session.token();
            session.set_user(Some(7));
            session.invalidate();
            Ok(())
        })
        .await
        .is_silent();
    assert_eq!(store.take_calls(), []);
}

#[tokio::test]
async fn destroy_then_put_is_one_new_session_and_one_cookie() {
    for driver in ["memory", "cookie"] {
        let app = App::new(config().driver(driver));
        let mut browser = Browser::default();
        browser
            .change(&app, |session| {
                session.flash("flash", 1)?;
                session.put("k", 1)
            })
            .await;
        let old = browser.clone();
        let answer = browser
            .change(&app, |session| {
                session.put("before", 1)?;
                session.invalidate();
                assert!(session.missing("k") && session.missing("flash"));
                session.put("after", 1)?;
                session.flash("status", "bye")
            })
            .await;
        answer.sets_one_cookie();
        assert_ne!(old.cookie(), browser.cookie());
        assert_eq!(browser.all(&app).await, r#"{"after":1,"status":"bye"}"#);
        if driver == "memory" {
            assert_eq!(old.all(&app).await, "{}");
        }
    }
}

#[tokio::test]
async fn invalidate_draws_a_new_csrf_token_and_a_new_fingerprint() {
    let (app, _, mut browser) = begun().await;
    let show = |session: &SessionData| session.token() + &session.id();
    let before = browser.visit(&app, move |session| Ok(show(&session))).await;
    let after = browser
        .visit(&app, move |session| {
            session.invalidate();
            session.put("k", 1)?;
            Ok(show(&session))
        })
        .await;
    assert_ne!(before.body, after.body);
    let later = browser.visit(&app, move |session| Ok(show(&session))).await;
    assert_eq!(later.body, after.body);
}

#[tokio::test]
async fn flush_keeps_the_id() {
    let (app, store, mut browser) = begun().await;
    let (key, _) = store.only_live();
    browser
        .change(&app, |session| {
            session.flush();
            Ok(())
        })
        .await
        .is_silent();
    assert_eq!(store.only_live().0, key);
    assert_eq!(browser.all(&app).await, "{}");
}

#[tokio::test]
async fn an_id_that_save_has_committed_is_sent_even_on_an_error() {
    let store = Script::new();
    let app = App::on(store.clone(), config());
    let save = |session: SessionData| async move {
        session.put("k", 1).unwrap();
        session.save().await.unwrap();
        session.put("more", 1).unwrap();
        Body::empty().into_response()
    };
    // Here the commit fails at the response's head, there the handler does.
    store.script(
        Call::Save,
        [Fault::NONE, Fault::refused(), Fault::refused()],
    );
    let mut browser = Browser::default();
    let answer = browser.call(&app, save).await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.set_cookies().len(), 1);
    assert_eq!(browser.all(&app).await, r#"{"k":1}"#);

    let mut browser = Browser::default();
    let answer = browser
        .call(&app, move |session| async move {
            save(session).await;
            let response: Response<Body> = StatusCode::IM_A_TEAPOT.into_response();
            response
        })
        .await;
    assert_eq!(answer.status, 418);
    assert_eq!(answer.set_cookies().len(), 1);
    assert_eq!(browser.all(&app).await, r#"{"k":1,"more":1}"#);
}

#[tokio::test]
async fn what_save_has_regenerated_or_ended_is_said_once() {
    let (app, store, mut browser) = begun().await;
    let answer = browser
        .call(&app, |session: SessionData| async move {
            session.regenerate();
            session.save().await.unwrap();
            session.put("after", 1).unwrap();
            session.regenerate();
            Body::empty().into_response()
        })
        .await;
    answer.sets_one_cookie();
    store.only_live();
    assert_eq!(browser.all(&app).await, r#"{"after":1,"k":1}"#);
    let answer = browser
        .call(&app, |session: SessionData| async move {
            session.put("x", 1).unwrap();
            session.save().await.unwrap();
            session.invalidate();
            session.save().await.unwrap();
            assert!(session.all().unwrap().is_empty());
            Body::empty().into_response()
        })
        .await;
    answer.removes_the_cookie();
    assert!(store.live().is_empty());
}

/// The calls that regenerating makes where there is no atomic replace, as (key, what it expects, what it writes).
fn steps(store: &Script) -> Vec<(Key, Option<Expect>, Kind)> {
    let log = store.take_log();
    let writes = log.into_iter().filter(|entry| entry.call == Call::Save);
    writes
        .map(|entry| (entry.key, entry.expect, entry.write.unwrap().record.kind))
        .collect()
}

#[tokio::test]
async fn without_an_atomic_replace_the_new_record_comes_first_and_the_marker_commits() {
    let (app, store, mut browser) = begun_on(Script::new().without_replace()).await;
    let (old, before) = store.only_live();
    browser.change(&app, regenerate).await.sets_one_cookie();
    let (new, _) = store.only_live();
    let expected = Expect::Revision(before.revision);
    assert_eq!(
        steps(&store),
        [
            (new, Some(Expect::Absent), Kind::Plain),
            (old, Some(expected), Kind::Regenerated(new))
        ]
    );
    assert_eq!(browser.all(&app).await, r#"{"k":1}"#);
}

#[tokio::test]
async fn without_an_atomic_replace_a_conflict_destroys_the_new_one_and_takes_a_fresh_id() {
    let (app, store, mut browser) = begun_on(Script::new().without_replace()).await;
    let (old, _) = store.only_live();
    store.script(Call::Save, [Fault::NONE, Fault::OVERTAKEN]);
    browser.change(&app, regenerate).await.sets_one_cookie();
    let steps = steps(&store);
    let (orphan, new) = (steps[0].0, steps[3].0);
    let kinds: Vec<_> = steps.iter().map(|(key, _, kind)| (*key, *kind)).collect();
    assert_eq!(
        kinds,
        [
            (orphan, Kind::Plain),
            (old, Kind::Regenerated(orphan)),
            (orphan, Kind::Destroyed),
            (new, Kind::Plain),
            (old, Kind::Regenerated(new)),
        ]
    );
    assert_eq!(store.record(&orphan).unwrap().kind, Kind::Destroyed);
    assert_eq!(store.only_live().0, new);
    assert_eq!(browser.all(&app).await, r#"{"k":1}"#);
}

#[tokio::test]
async fn without_an_atomic_replace_every_answer_may_be_lost() {
    for lost in 0..2 {
        for fault in [Fault::lost(), Fault::refused()] {
            let (app, store, mut browser) = begun_on(Script::new().without_replace()).await;
            let before = std::iter::repeat_n(Fault::NONE, lost);
            store.script(Call::Save, before.chain([fault]));
            browser.change(&app, regenerate).await.sets_one_cookie();
            store.has_run();
            store.only_live();
            assert_eq!(browser.all(&app).await, r#"{"k":1}"#);
        }
    }
}

#[tokio::test]
async fn without_an_atomic_replace_a_crash_in_between_leaves_the_old_session_alone() {
    let (app, store, mut browser) = begun_on(Script::new().without_replace()).await;
    let (old, _) = store.only_live();
    store.script(
        Call::Save,
        [Fault::NONE, Fault::refused(), Fault::refused()],
    );
    browser
        .change(&app, |session| {
            session.regenerate();
            session.put("user", 7)
        })
        .await
        .failed_with(503);
    assert_eq!(store.live().len(), 2, "an orphan that nobody knows");
    assert!(store.record(&old).unwrap().kind.is_live());
    assert_eq!(browser.all(&app).await, r#"{"k":1}"#);
}

#[tokio::test]
async fn without_an_atomic_replace_a_delayed_insert_revives_nothing() {
    let (app, store, browser) = begun_on(Script::new().without_replace()).await;
    let (old, _) = store.only_live();
    // The insert's answer is lost; it is sent again, conflicts, and is retracted; then the first one arrives at last.
    store.script(
        Call::Save,
        [Fault::refused(), Fault::NONE, Fault::OVERTAKEN],
    );
    let mut login = browser.clone();
    login.change(&app, regenerate).await.sets_one_cookie();
    let log = store.take_log();
    let first = log.into_iter().find(|entry| entry.call == Call::Save);
    let first = first.unwrap();
    let write = first.write.unwrap();
    let delayed =
        arvel_session::store::SessionStore::save(&store, &first.key, first.expect.unwrap(), write);
    let delayed = delayed.await.unwrap();
    assert!(matches!(
        delayed,
        arvel_session::store::Saved::Conflict(Some(_))
    ));
    store.only_live();
    assert_ne!(first.key, old);
}

#[tokio::test]
async fn a_chain_of_markers_that_never_ends_is_given_up() {
    let (app, store, mut browser) = begun().await;
    let late = browser.hold(&app, put_late).await;
    let (first, _) = store.only_live();
    browser.change(&app, regenerate).await.sets_one_cookie();
    let (second, _) = store.only_live();
    // Two markers that name each other: nothing that we write, but nothing that may hang us either.
    let mut marker = store.record(&first).unwrap();
    marker.kind = Kind::Regenerated(first);
    marker.revision = Revision::from_u64(1);
    store.overwrite(&second, marker);
    late.finish().await.failed_with(503);
}
