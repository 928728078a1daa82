//! Lifetimes, touches, the sweep (DESIGN §6). The clock is turned; nobody sleeps.

use std::time::Duration;

use arvel_session::{SessionConfig, SessionData, Time};

use crate::support::{
    App, Browser, config,
    script::{Call, Fault, Script},
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

async fn begun(config: SessionConfig) -> (App, Script, Browser) {
    let store = Script::new();
    let app = App::on(store.clone(), config);
    let mut browser = Browser::default();
    browser.change(&app, |session| session.put("k", 1)).await;
    store.take_log();
    (app, store, browser)
}

#[tokio::test]
async fn a_session_lives_for_its_lifetime_and_not_a_moment_longer() {
    for driver in ["memory", "cookie"] {
        let app = App::new(config().driver(driver).lifetime(HOUR));
        let mut browser = Browser::default();
        browser.change(&app, |session| session.put("k", 1)).await;
        app.clock.advance(HOUR - Duration::from_millis(1));
        assert_eq!(browser.all(&app).await, r#"{"k":1}"#, "{driver}");

        let app = App::new(config().driver(driver).lifetime(HOUR));
        let mut browser = Browser::default();
        browser.change(&app, |session| session.put("k", 1)).await;
        app.clock.advance(HOUR);
        assert_eq!(browser.all(&app).await, "{}", "{driver}: no sweep needed");
    }
}

#[tokio::test]
async fn the_lifetime_slides_with_every_use() {
    for driver in ["memory", "cookie"] {
        let app = App::new(config().driver(driver).lifetime(HOUR));
        let mut browser = Browser::default();
        browser.change(&app, |session| session.put("k", 1)).await;
        for _ in 0..5 {
            app.clock.advance(HOUR / 2);
            browser.change(&app, |_| Ok(())).await;
        }
        assert_eq!(browser.all(&app).await, r#"{"k":1}"#, "{driver}");
    }
}

#[tokio::test]
async fn a_touch_is_due_after_a_minute_or_a_tenth_of_the_lifetime_and_not_before() {
    for (lifetime, slack) in [(2 * HOUR, MINUTE), (5 * MINUTE, 30 * MINUTE / 60)] {
        let (app, store, browser) = begun(config().lifetime(lifetime)).await;
        let (key, before) = store.only_live();
        app.clock.advance(slack);
        browser.all(&app).await;
        assert_eq!(store.take_calls(), [Call::Load]);
        assert_eq!(store.record(&key).unwrap().expires, before.expires);

        app.clock.advance(Duration::from_millis(1));
        let late = browser.hold(&app, |_| Ok(())).await;
        assert_eq!(store.take_calls(), [Call::Load, Call::Touch], "at open");
        let after = store.record(&key).unwrap();
        let moved = slack + Duration::from_millis(1);
        assert_eq!(after.expires, before.expires.after(moved));
        assert_eq!((after.revision, after.body), (before.revision, before.body));
        late.finish().await;
        browser.all(&app).await;
        assert_eq!(store.take_calls(), [Call::Load]);
    }
}

#[tokio::test]
async fn a_write_moves_the_expiry_by_itself() {
    let (app, store, mut browser) = begun(config().lifetime(HOUR)).await;
    let (key, before) = store.only_live();
    app.clock.advance(MINUTE);
    browser.change(&app, |session| session.put("k", 2)).await;
    assert_eq!(store.take_calls(), [Call::Load, Call::Save]);
    let after = store.record(&key).unwrap();
    assert_eq!(after.expires, before.expires.after(MINUTE));
}

#[tokio::test]
async fn a_touch_that_fails_is_nobodys_business() {
    let (app, store, mut browser) = begun(config()).await;
    app.clock.advance(2 * MINUTE);
    store.script(Call::Touch, [Fault::refused()]);
    let answer = browser
        .visit(&app, |session| Ok(session.get_or("k", 0)?.to_string()))
        .await;
    assert_eq!((answer.status.as_u16(), &*answer.body), (200, "1"));
    store.has_run();
}

#[tokio::test(start_paused = true)]
async fn a_touch_that_never_answers_does_not_lose_the_session_that_was_loaded() {
    let (app, store, mut browser) = begun(config()).await;
    app.clock.advance(2 * MINUTE);
    store.script(Call::Touch, [Fault::SILENT]);
    let answer = browser
        .visit(&app, |session| Ok(session.get_or("k", 0)?.to_string()))
        .await;
    assert_eq!((answer.status.as_u16(), &*answer.body), (200, "1"));
}

#[tokio::test]
async fn a_long_handler_does_not_lose_its_session() {
    let (app, store, browser) = begun(config().lifetime(HOUR)).await;
    app.clock.advance(HOUR - MINUTE);
    let late = browser.hold(&app, |session| session.put("late", 1)).await;
    app.clock.advance(HOUR - MINUTE);
    app.manager.sweep().await.unwrap();
    late.finish().await;
    store.only_live();
    assert_eq!(browser.all(&app).await, r#"{"k":1,"late":1}"#);
}

#[tokio::test]
async fn the_absolute_lifetime_ends_a_session_however_much_it_is_used() {
    for driver in ["memory", "cookie"] {
        let config = config().driver(driver).lifetime(HOUR);
        let app = App::new(config.absolute_lifetime(3 * HOUR));
        let mut browser = Browser::default();
        browser.change(&app, |session| session.put("k", 1)).await;
        for _ in 0..5 {
            app.clock.advance(HOUR / 2);
            browser
                .change(&app, |session| {
                    session.regenerate();
                    session.increment("k", 1).map(|_| ())
                })
                .await
                .sets_one_cookie();
        }
        app.clock.advance(HOUR / 2 - Duration::from_millis(1));
        assert_eq!(browser.all(&app).await, r#"{"k":6}"#, "{driver}");
        app.clock.advance(Duration::from_millis(1));
        assert_eq!(browser.all(&app).await, "{}", "{driver}");
    }
}

#[tokio::test]
async fn invalidate_starts_the_absolute_lifetime_anew() {
    for driver in ["memory", "cookie"] {
        let config = config().driver(driver).lifetime(HOUR);
        let app = App::new(config.absolute_lifetime(HOUR));
        let mut browser = Browser::default();
        browser.change(&app, |session| session.put("k", 1)).await;
        app.clock.advance(HOUR / 2);
        browser
            .change(&app, |session| {
                session.invalidate();
                session.put("new", 1)
            })
            .await
            .sets_one_cookie();
        app.clock.advance(HOUR - Duration::from_millis(1));
        assert_eq!(browser.all(&app).await, r#"{"new":1}"#, "{driver}");
    }
}

#[tokio::test]
async fn a_shortened_absolute_lifetime_counts_for_sessions_that_exist() {
    let (app, store, browser) = begun(config().lifetime(HOUR)).await;
    app.clock.advance(HOUR / 2);
    let shorter = app.again(&store, |config| config.absolute_lifetime(HOUR / 4));
    assert_eq!(browser.all(&shorter).await, "{}");
    assert_eq!(browser.all(&app).await, r#"{"k":1}"#);
}

#[tokio::test]
async fn a_session_that_reaches_its_absolute_end_during_a_request_is_dropped() {
    let config = config().lifetime(HOUR).absolute_lifetime(HOUR);
    let (app, store, browser) = begun(config).await;
    app.clock.advance(HOUR - Duration::from_secs(1));
    let late = browser.hold(&app, |session| session.put("late", 1)).await;
    app.clock.advance(Duration::from_secs(2));
    app.manager.sweep().await.unwrap();
    late.finish().await.is_silent();
    assert!(store.records().is_empty());
}

#[tokio::test]
async fn the_cookie_driver_ends_after_thirty_days_by_default() {
    let app = App::new(config().driver("cookie"));
    let mut browser = Browser::default();
    browser.change(&app, |session| session.put("k", 1)).await;
    for _ in 1..30 * 24 {
        app.clock.advance(HOUR);
        browser.change(&app, |_| Ok(())).await;
    }
    assert_eq!(browser.all(&app).await, r#"{"k":1}"#);
    app.clock.advance(HOUR);
    assert_eq!(browser.all(&app).await, "{}");
}

#[tokio::test]
async fn a_clock_that_jumps_back_revives_nothing() {
    for driver in ["memory", "cookie"] {
        let app = App::new(config().driver(driver).lifetime(HOUR));
        let mut browser = Browser::default();
        browser.change(&app, |session| session.put("k", 1)).await;
        let then = arvel_session::Clock::now(&app.clock);
        app.clock.advance(HOUR);
        assert_eq!(browser.all(&app).await, "{}");
        app.clock.set(then);
        assert_eq!(browser.all(&app).await, "{}", "{driver}");
        app.clock.set(Time::from_millis(0));
        assert_eq!(browser.all(&app).await, "{}", "{driver}");
    }
}

#[tokio::test]
async fn a_lifetime_under_a_second_is_kept_and_is_never_no_expiry() {
    for driver in ["memory", "cookie"] {
        let config = config().driver(driver);
        let app = App::new(config.lifetime(Duration::from_millis(300)));
        let mut browser = Browser::default();
        let answer = browser.change(&app, |session| session.put("k", 1)).await;
        assert!(answer.set_cookies()[0].contains("Max-Age=1"), "{answer:?}");
        app.clock.advance(Duration::from_millis(30));
        assert_eq!(browser.all(&app).await, r#"{"k":1}"#);
        app.clock.advance(Duration::from_millis(270));
        assert_eq!(browser.all(&app).await, "{}", "{driver}");
    }
}

#[tokio::test]
async fn the_sweep_removes_what_has_expired_and_nothing_else() {
    let (app, store, mut browser) = begun(config().lifetime(HOUR)).await;
    browser
        .change(&app, |session| {
            session.invalidate();
            Ok(())
        })
        .await;
    for _ in 0..3 {
        let mut visitor = Browser::default();
        visitor.change(&app, |session| session.put("k", 1)).await;
    }
    assert_eq!(app.manager.sweep().await.unwrap(), 0);
    app.clock.advance(MINUTE);
    assert_eq!(app.manager.sweep().await.unwrap(), 1, "the marker");
    assert_eq!(store.live().len(), 3);
    app.clock.advance(HOUR);
    assert_eq!(app.manager.sweep().await.unwrap(), 3);
    assert!(store.records().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_sweeper_goes_on_after_an_error_and_stops_when_told() {
    let store = Script::new();
    let app = App::on(
        store.clone(),
        config().lifetime(HOUR).sweep_interval(MINUTE),
    );
    let visit = || async {
        let mut visitor = Browser::default();
        visitor
            .change(&app, |session: SessionData| session.put("k", 1))
            .await;
    };
    visit().await;
    app.clock.advance(HOUR);
    store.script(Call::Sweep, [Fault::refused(), Fault::SILENT]);
    tokio::time::sleep(6 * MINUTE).await;
    store.has_run();
    assert!(store.records().is_empty(), "an error ends one sweep only");
    let sweeps = store.take_calls();
    let sweeps = sweeps.iter().filter(|call| **call == Call::Sweep).count();
    assert!((4..=8).contains(&sweeps), "{sweeps} in six minutes");

    app.manager.shutdown().await;
    visit().await;
    app.clock.advance(HOUR);
    tokio::time::sleep(5 * MINUTE).await;
    assert_eq!(store.records().len(), 1, "and nobody sweeps any more");
}

#[tokio::test(start_paused = true)]
async fn a_sweep_may_take_longer_than_a_request() {
    let store = Script::new();
    let app = App::on(store.clone(), config().timeout(Duration::from_secs(2)));
    store.script(Call::Sweep, [Fault::slow(Duration::from_secs(20))]);
    assert_eq!(app.manager.sweep().await.unwrap(), 0);
    store.has_run();
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_manager_stops_the_sweeper() {
    let store = Script::new();
    let app = App::on(store.clone(), config().sweep_interval(MINUTE));
    browser_visit(&app).await;
    drop(app);
    store.take_log();
    tokio::time::sleep(5 * MINUTE).await;
    assert_eq!(store.take_calls(), []);
}

async fn browser_visit(app: &App) {
    let mut visitor = Browser::default();
    visitor.change(app, |session| session.put("k", 1)).await;
}
