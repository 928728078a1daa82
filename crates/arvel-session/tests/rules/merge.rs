//! No lost update: concurrent requests of one session, and saves whose outcome is unknown (DESIGN §3).

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use arvel_session::{ErrorKind, Result, SessionData};
use axum::{body::Body, http::Response, response::IntoResponse};
use tokio::task::JoinHandle;

use crate::support::{
    Answer, App, Browser, Gate, Held, config,
    script::{Call, Fault, Script},
    settle,
};

/// An application and a browser whose session holds what `begin` put.
async fn begun(
    begin: impl Fn(SessionData) -> Result<()> + Send + Sync + 'static,
) -> (App, Script, Browser) {
    let store = Script::new();
    let app = App::on(store.clone(), config());
    let mut browser = Browser::default();
    browser.change(&app, begin).await.sets_one_cookie();
    store.take_log();
    (app, store, browser)
}

/// Two requests that are both in their handlers at once, each on what `begin` put; the first commits first.
async fn race(
    begin: impl Fn(SessionData) -> Result<()> + Send + Sync + 'static,
    first: impl Fn(SessionData) -> Result<()> + Send + Sync + 'static,
    second: impl Fn(SessionData) -> Result<()> + Send + Sync + 'static,
) -> (Answer, String) {
    let (app, _, browser) = begun(begin).await;
    let (one, two) = (
        browser.hold(&app, first).await,
        browser.hold(&app, second).await,
    );
    one.finish().await.is_silent();
    let answer = two.finish().await;
    (answer, browser.all(&app).await)
}

#[tokio::test]
async fn r07_puts_of_different_keys_both_survive() {
    let (answer, all) = race(
        |session| session.put("x", 0),
        |session| session.put("a", 1),
        |session| session.put("b", 2),
    )
    .await;
    answer.is_silent();
    assert_eq!(all, r#"{"a":1,"b":2,"x":0}"#);
}

#[tokio::test]
async fn r07_increments_and_pushes_are_exact() {
    let change = |session: SessionData| {
        session.increment("n", 3)?;
        session.decrement("n", 1)?;
        session.push("list", "item")
    };
    let (answer, all) = race(|session| session.put("n", 10), change, change).await;
    answer.is_silent();
    assert_eq!(all, r#"{"list":["item","item"],"n":14}"#);
}

#[tokio::test]
async fn r07_of_two_puts_of_one_key_the_later_commit_wins() {
    let (_, all) = race(
        |session| session.put("k", "old"),
        |session| session.put("k", "first"),
        |session| session.put("k", "second"),
    )
    .await;
    assert_eq!(all, r#"{"k":"second"}"#);
}

#[tokio::test]
async fn r07_flush_removes_what_is_there_at_its_commit() {
    let flush = |session: SessionData| {
        session.flush();
        session.put("after", 1)
    };
    let put = |session: SessionData| session.put("other", 1);
    let (_, all) = race(|session| session.put("k", 1), put, flush).await;
    assert_eq!(all, r#"{"after":1}"#, "the other's put came before");
    let (_, all) = race(|session| session.put("k", 1), flush, put).await;
    assert_eq!(all, r#"{"after":1,"other":1}"#, "and here after it");
}

#[tokio::test]
async fn r07_forget_removes_what_another_request_has_put() {
    let forget = |session: SessionData| {
        session.forget("k");
        Ok(())
    };
    let put = |session: SessionData| session.put("k", "new");
    let (_, all) = race(|session| session.put("k", "old"), put, forget).await;
    assert_eq!(all, "{}");
    let (_, all) = race(|session| session.put("k", "old"), forget, put).await;
    assert_eq!(all, r#"{"k":"new"}"#);
}

#[tokio::test]
async fn r07_update_is_called_again_with_what_another_request_has_stored() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let (answer, all) = race(
        |session| session.put("k", "a"),
        |session| session.put("k", "b"),
        move |session| {
            let calls = counted.clone();
            let value = session.update("k", move |text: Option<String>| {
                calls.fetch_add(1, Ordering::SeqCst);
                text.unwrap_or_default() + "!"
            })?;
            assert_eq!(value, "a!", "the handler sees what it loaded");
            Ok(())
        },
    )
    .await;
    answer.is_silent();
    assert_eq!(all, r#"{"k":"b!"}"#);
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn r07_remember_leaves_what_another_request_has_put() {
    let remember = |session: SessionData| session.remember("k", || "mine".to_owned()).map(|_| ());
    let (_, all) = race(
        |session| session.put("x", 0),
        |session| session.put("k", "theirs"),
        remember,
    )
    .await;
    assert_eq!(all, r#"{"k":"theirs","x":0}"#);
    let forget = |session: SessionData| {
        session.forget("x");
        Ok(())
    };
    let (_, all) = race(|session| session.put("x", 0), forget, remember).await;
    assert_eq!(all, r#"{"k":"mine"}"#);
}

#[tokio::test]
async fn r07_an_operation_that_fails_in_replay_fails_the_commit() {
    let changes: [fn(SessionData) -> Result<()>; 3] = [
        |session| session.increment("k", 1).map(|_| ()),
        |session| session.push("k", 1),
        |session| {
            session
                .update("k", |n: Option<u64>| n.unwrap_or(0) + 1)
                .map(|_| ())
        },
    ];
    for change in changes {
        let (answer, all) = race(
            |session| session.put("x", 0),
            |session| session.put("k", "text"),
            move |session| {
                session.put("y", 1)?;
                change(session)
            },
        )
        .await;
        answer.failed_with(500);
        assert_eq!(answer.error.unwrap().kind(), ErrorKind::Type);
        assert_eq!(all, r#"{"k":"text","x":0}"#, "none of it is stored");
    }
}

#[tokio::test]
async fn r07_the_order_of_a_requests_own_changes_is_kept_in_a_replay() {
    let (_, all) = race(
        |session| session.put("n", 1),
        |session| session.put("n", 100),
        |session| {
            session.increment("n", 1)?;
            session.put("seen", 1)?;
            session.forget("seen");
            session.put("n", 5)?;
            session.increment("n", 1).map(|_| ())
        },
    )
    .await;
    assert_eq!(all, r#"{"n":6}"#);
}

fn finish(held: Vec<Held>) -> Vec<JoinHandle<Answer>> {
    let answers = held.into_iter().map(|held| tokio::spawn(held.finish()));
    answers.collect()
}

#[tokio::test(start_paused = true)]
async fn r07_a_hot_session_neither_starves_nor_hammers_the_store() {
    const CLIENTS: usize = 8;
    let (app, store, browser) = begun(|session| session.put("n", 0)).await;
    store.always(Call::Save, Fault::slow(Duration::from_millis(10)));
    let mut held = Vec::new();
    for _ in 0..2 * CLIENTS {
        let count = |session: SessionData| session.increment("n", 1).map(|_| ());
        held.push(browser.hold(&app, count).await);
    }
    store.take_log();
    let late = held.split_off(CLIENTS);
    let mut answers = finish(held);
    tokio::time::sleep(Duration::from_millis(25)).await;
    answers.append(&mut finish(late));
    for answer in answers {
        answer.await.unwrap().is_silent();
    }
    assert_eq!(browser.all(&app).await, r#"{"n":16}"#);
    let saves = store.take_calls();
    let saves = saves.iter().filter(|call| **call == Call::Save).count();
    // The first try of each, and one more for all but the first: each finds what the one before has left. Who comes
    // when the others queue already goes behind them at once, and needs one.
    assert_eq!(saves, (2 * CLIENTS - 1) + CLIENTS);
}

#[tokio::test(start_paused = true)]
async fn r07_trying_again_ends_at_the_deadline() {
    let later = Fault::OVERTAKEN.after(Duration::from_millis(50));
    for fault in [later, Fault::OVERTAKEN] {
        let (app, store, mut browser) = begun(|session| session.put("n", 0)).await;
        store.always(Call::Save, fault);
        let begun = tokio::time::Instant::now();
        // While there is always something to do, the paused time does not pass by itself.
        let time = tokio::spawn(async {
            loop {
                tokio::time::advance(Duration::from_millis(50)).await;
            }
        });
        let answer = browser.change(&app, |session| session.put("n", 1)).await;
        time.abort();
        answer.failed_with(503);
        assert_eq!(answer.error.unwrap().kind(), ErrorKind::Timeout);
        assert!(begun.elapsed() < Duration::from_millis(2500));
        assert_eq!(browser.all(&app).await, r#"{"n":0}"#);
    }
}

/// A request whose save fails like this, while `others` commits of other requests overtake it.
async fn doubtful(fault: Fault, others: usize) -> (Answer, String) {
    let (app, store, browser) = begun(|session| session.put("n", 0)).await;
    let gate = Gate::default();
    store.script(Call::Save, [fault.held(&gate)]);
    let count = |session: SessionData| session.increment("n", 1).map(|_| ());
    let late = tokio::spawn(browser.hold(&app, count).await.finish());
    gate.entered().await;
    for _ in 0..others {
        browser
            .clone()
            .change(&app, |session| session.push("others", 1))
            .await
            .is_silent();
    }
    gate.open();
    let answer = late.await.unwrap();
    store.has_run();
    (answer, browser.all(&app).await)
}

#[tokio::test]
async fn r08_a_lost_answer_to_an_executed_save_is_a_success_exactly_once() {
    let (answer, all) = doubtful(Fault::lost(), 0).await;
    answer.is_silent();
    assert_eq!(all, r#"{"n":1}"#);
}

#[tokio::test]
async fn r08_a_save_that_was_not_executed_is_sent_again_once() {
    let (answer, all) = doubtful(Fault::refused(), 0).await;
    answer.is_silent();
    assert_eq!(all, r#"{"n":1}"#);
}

#[tokio::test]
async fn r08_an_executed_save_is_recognised_among_the_last_four_revisions() {
    for others in 1..=3 {
        let (answer, all) = doubtful(Fault::lost(), others).await;
        answer.is_silent();
        assert!(all.contains(r#""n":1"#), "{others}: {all}");
    }
    let (answer, all) = doubtful(Fault::lost(), 4).await;
    answer.failed_with(503);
    assert!(all.contains(r#""n":1"#), "at most once: {all}");
}

#[tokio::test]
async fn r08_a_save_that_was_not_executed_and_was_overtaken_is_replayed() {
    for others in 1..=3 {
        let (answer, all) = doubtful(Fault::refused(), others).await;
        answer.is_silent();
        assert!(all.contains(r#""n":1"#), "{others}: {all}");
        let items = all.matches("1,").count() + 1;
        assert!(items >= others, "the others' are there as well: {all}");
    }
    let (answer, all) = doubtful(Fault::refused(), 4).await;
    answer.failed_with(503);
    assert!(all.contains(r#""n":0"#), "not at all: {all}");
}

#[tokio::test]
async fn r08_an_answer_that_is_lost_twice_is_a_503_and_took_effect_once_at_most() {
    for (faults, expected) in [
        ([Fault::lost(), Fault::lost()], r#"{"n":1}"#),
        ([Fault::refused(), Fault::lost()], r#"{"n":1}"#),
        ([Fault::refused(), Fault::refused()], r#"{"n":0}"#),
    ] {
        let (app, store, mut browser) = begun(|session| session.put("n", 0)).await;
        store.script(Call::Save, faults);
        let answer = browser
            .change(&app, |session| session.increment("n", 1).map(|_| ()))
            .await;
        answer.failed_with(503);
        assert_eq!(store.take_calls(), [Call::Load, Call::Save, Call::Save]);
        assert_eq!(browser.all(&app).await, expected);
    }
}

#[tokio::test]
async fn r08_where_a_marker_is_met_after_a_lost_answer_it_is_a_503() {
    let ends: [fn(SessionData) -> Result<()>; 2] = [
        |session| {
            session.regenerate();
            Ok(())
        },
        |session| {
            session.invalidate();
            Ok(())
        },
    ];
    for (fault, end) in [
        (Fault::lost(), ends[0]),
        (Fault::lost(), ends[1]),
        (Fault::refused(), ends[0]),
        (Fault::refused(), ends[1]),
    ] {
        let (app, store, mut browser) = begun(|session| session.put("n", 0)).await;
        let gate = Gate::default();
        store.script(Call::Save, [fault.held(&gate)]);
        let late = browser.hold(&app, |session| session.increment("n", 1).map(|_| ()));
        let late = tokio::spawn(late.await.finish());
        gate.entered().await;
        browser.change(&app, end).await;
        gate.open();
        late.await.unwrap().failed_with(503);
    }
}

#[tokio::test]
async fn r08_a_record_that_is_gone_after_a_lost_answer_is_a_503() {
    let (app, store, browser) = begun(|session| session.put("n", 0)).await;
    let gate = Gate::default();
    store.script(Call::Save, [Fault::lost().held(&gate)]);
    let late = browser.hold(&app, |session| session.put("n", 1)).await;
    let late = tokio::spawn(late.finish());
    gate.entered().await;
    store.lose(&store.only_live().0);
    gate.open();
    late.await.unwrap().failed_with(503);
    assert!(store.live().is_empty(), "and it does not come back");
}

#[tokio::test]
async fn r08_a_new_session_is_made_once_though_the_answer_is_lost() {
    for fault in [Fault::lost(), Fault::refused()] {
        let store = Script::new();
        let app = App::on(store.clone(), config());
        store.script(Call::Save, [fault]);
        let mut browser = Browser::default();
        browser
            .change(&app, |session| session.put("k", 1))
            .await
            .sets_one_cookie();
        store.only_live();
        assert_eq!(browser.all(&app).await, r#"{"k":1}"#);
    }
}

#[tokio::test]
async fn r08_a_regenerate_whose_answer_is_lost_is_done_once() {
    for fault in [Fault::lost(), Fault::refused()] {
        let (app, store, mut browser) = begun(|session| session.put("k", 1)).await;
        store.script(Call::Replace, [fault]);
        browser
            .change(&app, |session| {
                session.regenerate();
                session.increment("k", 1).map(|_| ())
            })
            .await
            .sets_one_cookie();
        assert_eq!(
            store.take_calls(),
            [Call::Load, Call::Replace, Call::Replace]
        );
        store.only_live();
        assert_eq!(browser.all(&app).await, r#"{"k":2}"#);
    }
}

#[tokio::test]
async fn r08_a_logout_whose_answer_is_lost_is_done() {
    for fault in [Fault::lost(), Fault::refused()] {
        let (app, store, mut browser) = begun(|session| session.put("k", 1)).await;
        store.script(Call::Save, [fault]);
        let answer = browser
            .change(&app, |session| {
                session.invalidate();
                Ok(())
            })
            .await;
        answer.removes_the_cookie();
        assert!(store.live().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn r08_the_second_try_does_not_outlast_the_deadline() {
    let (app, store, mut browser) = begun(|session| session.put("n", 0)).await;
    let slow_error = Fault::lost().after(Duration::from_millis(1500));
    store.script(Call::Save, [slow_error, Fault::SILENT]);
    let begun = tokio::time::Instant::now();
    let answer = browser
        .change(&app, |session| session.increment("n", 1).map(|_| ()))
        .await;
    answer.failed_with(503);
    assert!(begun.elapsed() < Duration::from_millis(2100));
    assert_eq!(browser.all(&app).await, r#"{"n":1}"#);
}

/// A handler that adds one, saves, and answers 503 if that fails.
async fn count_and_save(session: SessionData) -> Response<Body> {
    let counted = session.increment("n", 1).map(|_| ());
    if let Err(error) = counted.and(session.save().await) {
        return error.into_response();
    }
    Body::empty().into_response()
}

#[tokio::test]
async fn r08_what_save_could_not_tell_is_not_done_again_at_the_responses_head() {
    let (app, store, mut browser) = begun(|session| session.put("n", 0)).await;
    store.script(Call::Save, [Fault::lost(), Fault::lost()]);
    let answer = browser.call(&app, count_and_save).await;
    answer.failed_with(503);
    let all = browser.all(&app).await;
    assert_eq!(all, r#"{"n":1}"#, "at most once");
}

#[tokio::test]
async fn r08_saving_again_after_a_lost_answer_counts_once() {
    for faults in [
        [Fault::lost(), Fault::lost()],
        [Fault::refused(), Fault::lost()],
        [Fault::refused(), Fault::refused()],
    ] {
        let (app, store, mut browser) = begun(|session| session.put("n", 0)).await;
        store.script(Call::Save, faults);
        let answer = browser
            .call(&app, |session: SessionData| async move {
                session.increment("n", 1).unwrap();
                session.save().await.unwrap_err();
                session.put("more", 1).unwrap();
                match session.save().await {
                    Ok(()) => "saved".into_response(),
                    Err(error) => error.into_response(),
                }
            })
            .await;
        let all = browser.all(&app).await;
        assert!(!all.contains(r#""n":2"#), "{all}");
        if answer.status.is_success() {
            assert_eq!(all, r#"{"more":1,"n":1}"#, "acknowledged, so exactly once");
        }
    }
}

#[tokio::test]
async fn commits_of_one_session_wait_for_each_other_without_a_deadlock() {
    let (app, store, browser) = begun(|session| session.put("n", 0)).await;
    let gate = Gate::default();
    let count = |session: SessionData| session.increment("n", 1).map(|_| ());
    let (first, second, third) = (
        browser.hold(&app, count).await,
        browser.hold(&app, count).await,
        browser.hold(&app, count).await,
    );
    first.finish().await.is_silent();
    // The second has met a conflict, stands in the queue and waits for the store; its client leaves.
    store.script(Call::Save, [Fault::NONE, Fault::NONE.held(&gate)]);
    let second = tokio::spawn(second.finish());
    gate.entered().await;
    let third = tokio::spawn(third.finish());
    settle().await;
    assert!(!third.is_finished());
    second.abort();
    gate.open();
    third.await.unwrap().is_silent();
    settle().await;
    assert_eq!(browser.all(&app).await, r#"{"n":3}"#);
}
