//! What the world around the sessions does: faults, deadlines, lifetimes, what is left in the end.

use std::collections::BTreeSet;

use proof::{
    checker::{Rule, census, check, untold},
    history::Answer,
    plan::Op,
};

use crate::{
    begun, breaks, holds, left,
    story::{A, Story, log, put},
};

#[test]
fn a_session_that_nobody_uses_expires() {
    let unused = |start| {
        let story = begun().call(20, 30).sends(A).sees(log(&["0.0"]));
        story
            .call(start, start + 10)
            .sends(A)
            .where_(|history| history.lifetime = 100)
    };
    // Expiries are moved now and then only, so it may be a little earlier.
    breaks(Rule::LostSession, unused(80));
    holds(unused(110));
    breaks(
        Rule::LostSession,
        unused(110).where_(|history| history.lifetime = 0),
    );
}

#[test]
fn nothing_fails_without_a_fault() {
    let failed = |status| {
        begun()
            .call(20, 30)
            .with(|call| call.answer = Answer::Failed(status))
    };
    let faulty = |story: Story| story.where_(|history| history.quiet = false);
    breaks(Rule::WrongAnswer, failed(503));
    holds(faulty(failed(503)));
    breaks(Rule::WrongAnswer, faulty(failed(500)));
    breaks(
        Rule::WrongAnswer,
        begun().call(20, 30).with(|call| call.answer = Answer::Cut),
    );
}

#[test]
fn who_has_only_read_is_not_told_that_upkeep_failed() {
    let failed = |story: Story, ran| {
        story
            .with(|call| {
                call.answer = Answer::Failed(503);
                call.ran = ran;
            })
            .where_(|history| history.quiet = false)
    };
    let reader = || begun().call(20, 30).sends(A);
    holds(failed(reader(), false));
    breaks(Rule::WrongAnswer, failed(reader(), true));
    holds(failed(reader().does(put("x1", "v")), true));
}

#[test]
fn every_session_that_is_alive_is_accounted_for() {
    let names = |names: &[&str]| -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    };
    let (live, known) = (names(&["a", "b"]), names(&["a", "c"]));
    assert_eq!(census(&live, &names(&["a", "b"]), 0), None);
    let found = census(&live, &known, 0).map(|violation| violation.rule);
    assert_eq!(found, Some(Rule::TooManyLive));
    // Somebody has left before he was told, and was told nothing.
    let story = begun().call(20, 30).stamps();
    assert_eq!(untold(&story.0), 0);
    let untold = untold(&story.with(left).0);
    assert_eq!(census(&live, &known, untold), None);
}

#[test]
fn an_answer_comes_in_time() {
    let slow = begun()
        .call(20, 5020)
        .does(Op::Wait(3))
        .sends(A)
        .sees(log(&["0.0"]));
    let world = |deadline| slow.clone().where_(|history| history.deadline = deadline);
    holds(world(1000));
    breaks(Rule::TooLate, world(999));
    holds(world(999).where_(|history| history.slack = 2));
    breaks(
        Rule::TooLate,
        world(999).with(|call| call.answer = Answer::Cut),
    );
    holds(world(999).with(left));
}

#[test]
fn nobody_answers_while_the_machine_stands_still() {
    let slow = begun().call(20, 5020).sends(A).sees(log(&["0.0"]));
    let stood = |from, to| {
        slow.clone().where_(|history| {
            history.deadline = 1000;
            history.stalls.push((from, to));
        })
    };
    // The client, the server and the store have each lost that time.
    holds(stood(10, 1020));
    breaks(Rule::TooLate, stood(10, 1019));
    breaks(Rule::TooLate, stood(6000, 9000));
}

#[test]
fn what_a_dying_server_has_shown_may_be_gone_with_it() {
    let unknown = begun().call(20, 30).sends(A).sees(log(&["0.0"])).stamps();
    let shown = unknown
        .with(|call| call.answer = Answer::Failed(503))
        .call(22, 25)
        .sends(A)
        .sees(log(&["0.0", "1.0"]));
    let gone = shown.call(40, 50).sends(A).sees(log(&["0.0"]));
    let gone = gone.where_(|history| history.quiet = false);
    breaks(Rule::LostUpdate, gone.clone());
    let dying = |from, to| {
        gone.clone()
            .where_(|history| history.glimpses.push((from, to)))
    };
    holds(dying(24, 32));
    breaks(Rule::LostUpdate, dying(26, 32));
    // What was acknowledged is there all the same.
    let acknowledged = begun().call(20, 30).sends(A).sees(log(&["0.0"])).stamps();
    let lost = acknowledged.call(40, 50).sends(A).sees(log(&["0.0"]));
    breaks(
        Rule::LostUpdate,
        lost.where_(|history| history.glimpses.push((24, 32))),
    );
}

#[test]
fn what_a_failover_may_lose_is_counted() {
    let written = begun().call(20, 30).sends(A).sees(log(&["0.0"])).stamps();
    let lost = written.call(40, 50).sends(A).sees(log(&["0.0"]));
    let lossy = lost.where_(|history| {
        history.quiet = false;
        history.lossy.push((25, 35));
    });
    let verdict = check(&lossy.0);
    assert!(verdict.violations.is_empty(), "{:?}", verdict.violations);
    assert_eq!(verdict.lost.len(), 1);
}
