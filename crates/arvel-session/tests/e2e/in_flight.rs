//! A logout and a regenerate while another request of that session is in flight.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    held::Held,
    on_every_server, on_every_shared_server,
    playground::{Playground, Visitor},
    stores::Store,
};

/// Long enough that the other request is done first.
const DELAY: Duration = Duration::from_millis(700);

on_every_server! {
    what_is_in_flight_at_a_regenerate_reaches_the_successor
    what_is_in_flight_at_a_logout_is_nowhere
    a_request_that_loads_and_writes_across_two_regenerates_reaches_the_end
}
on_every_shared_server! { another_process_knows_it_too }

/// What the late request does.
fn late() -> Value {
    json!([
        ["put", "late", 1],
        ["increment", "n"],
        ["push", "list", "late"],
        ["forget", "gone"]
    ])
}

async fn logged_in(playground: &Playground) -> Visitor {
    let visitor = playground.visitor();
    let ops = json!([["put", "user", "Ada"], ["put", "n", 1], ["put", "gone", 1]]);
    visitor.ops(ops).await;
    visitor
}

/// Nobody gets anything by this cookie, and the browser is told nothing.
async fn is_dead(old: &Visitor) {
    for ops in [
        json!([["all"], ["get", "user"]]),
        json!([["put", "revived", 1], ["flash", "revived", 1]]),
        json!([["increment", "n"]]),
    ] {
        let answer = old.post(&json!({ "ops": ops }).to_string()).await;
        assert_eq!(answer.set_cookie(), None, "{ops}");
        let results = answer.results();
        assert!(
            [json!([{}, null]), json!([null, null]), json!([1])].contains(&results),
            "{results}"
        );
    }
    assert_eq!(old.all().await, json!({}));
}

async fn what_is_in_flight_at_a_regenerate_reaches_the_successor(store: Store) {
    let playground = store.start();
    let visitor = logged_in(&playground).await;
    let old = visitor.copy();
    // One works before the regenerate, the other after it; both have loaded the session before.
    let mut early = Held::begin(&visitor);
    early.run(&late(), DELAY);
    let mut late = Held::begin(&visitor);

    visitor
        .ops(json!([["regenerate"], ["put", "step", 2]]))
        .await;
    assert_ne!(visitor.cookie(), old.cookie());
    is_dead(&old).await;

    late.run(&json!([["increment", "n", 10]]), Duration::ZERO);
    late.end().is_silent();
    early.end().is_silent();
    let all = json!({ "user": "Ada", "n": 12, "late": 1, "list": ["late"], "step": 2 });
    assert_eq!(visitor.all().await, all);
    is_dead(&old).await;
    assert_eq!(visitor.all().await, all);
}

async fn what_is_in_flight_at_a_logout_is_nowhere(store: Store) {
    let playground = store.start();
    let visitor = logged_in(&playground).await;
    let old = visitor.copy();
    let mut early = Held::begin(&visitor);
    early.run(&late(), DELAY);
    let mut late = Held::begin(&visitor);

    // With a session of its own afterwards, which must not get anything of it either.
    let next = visitor
        .ops(json!([["invalidate"], ["flash", "status", "Bye"], ["id"]]))
        .await;
    let fresh = visitor.cookie();
    assert_ne!(fresh, old.cookie());
    is_dead(&old).await;

    late.run(
        &json!([["put", "late", 1], ["flash", "late", 1]]),
        Duration::ZERO,
    );
    late.end().is_silent();
    early.end().is_silent();
    is_dead(&old).await;
    assert_eq!(visitor.ops(json!([["id"]])).await[0], next[2]);
    assert_eq!(
        visitor.all().await,
        json!({}),
        "and its flash was shown before"
    );

    // The plain logout removes the cookie.
    let visitor = logged_in(&playground).await;
    let old = visitor.copy();
    let mut late = Held::begin(&visitor);
    visitor.ops(json!([["invalidate"]])).await;
    assert_eq!(visitor.cookie(), None);
    late.run(&json!([["put", "late", 1]]), Duration::ZERO);
    late.end().is_silent();
    is_dead(&old).await;
}

async fn a_request_that_loads_and_writes_across_two_regenerates_reaches_the_end(store: Store) {
    let playground = store.start();
    let visitor = logged_in(&playground).await;
    let first = visitor.copy();
    let mut late = Held::begin(&visitor);
    visitor.ops(json!([["regenerate"]])).await;
    let second = visitor.copy();
    visitor.ops(json!([["regenerate"]])).await;
    late.run(&json!([["increment", "n"]]), Duration::ZERO);
    late.end().is_silent();
    assert_eq!(visitor.ops(json!([["get", "n"]])).await[0], 2);
    is_dead(&first).await;
    is_dead(&second).await;

    // R11: a logout that comes by a dead id ends what that leads to.
    let mut logout = Held::begin(&visitor);
    let before = visitor.copy();
    visitor.ops(json!([["regenerate"]])).await;
    logout.run(&json!([["invalidate"]]), Duration::ZERO);
    assert_eq!(logout.end().status, 200);
    is_dead(&before).await;
    is_dead(&visitor).await;
}

async fn another_process_knows_it_too(store: Store) {
    let playgrounds = [store.start(), store.start()];
    for [one, other] in [[0, 1], [1, 0]] {
        let visitor = logged_in(&playgrounds[one]).await;
        let elsewhere = visitor.moved_to(&playgrounds[other].url);
        let mut late = Held::begin(&elsewhere);
        visitor.ops(json!([["regenerate"]])).await;
        late.run(&json!([["increment", "n"]]), Duration::ZERO);
        late.end().is_silent();
        assert_eq!(visitor.ops(json!([["get", "n"]])).await[0], 2);
        is_dead(&elsewhere).await;

        let elsewhere = visitor.moved_to(&playgrounds[other].url);
        let mut late = Held::begin(&elsewhere);
        visitor.ops(json!([["invalidate"]])).await;
        late.run(&json!([["increment", "n"]]), Duration::ZERO);
        late.end().is_silent();
        is_dead(&elsewhere).await;
    }
}
