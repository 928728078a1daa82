//! Each rule of the checker on histories that are made up: the smallest that breaks it, and one like it that does not.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "in a test it is the assertion"
)]

mod story;
mod world;

use proof::{
    checker::{Rule, check},
    history::{Answer, Cookie, SessionId},
    plan::{Ending, Manner, Op},
};
use serde_json::json;
use story::{A, B, C, Story, flash, log, put, story};

#[track_caller]
fn breaks(rule: Rule, story: Story) {
    let found: Vec<Rule> = check(&story.0)
        .violations
        .iter()
        .map(|found| found.rule)
        .collect();
    assert!(
        found.contains(&rule),
        "{rule:?} is not among {found:?}:\n{}",
        story.0.print()
    );
}

#[track_caller]
fn holds(story: Story) {
    let found = check(&story.0).violations;
    assert!(found.is_empty(), "{found:#?}\n{}", story.0.print());
}

/// Call 0 begins session A.
fn begun() -> Story {
    story().call(0, 10).gets(A).stamps()
}

fn left(call: &mut proof::history::Call) {
    call.answer = Answer::Left;
}

#[test]
fn an_acknowledged_write_is_in_every_later_view() {
    let written = || begun().call(20, 30).sends(A).sees(log(&["0.0"])).stamps();
    breaks(
        Rule::LostUpdate,
        written().call(40, 50).sends(A).sees(log(&["0.0"])),
    );
    // Asked for before the answer, or an answer that nobody has heard.
    holds(written().call(25, 50).sends(A).sees(log(&["0.0"])));
    holds(
        written()
            .with(left)
            .call(40, 50)
            .sends(A)
            .sees(log(&["0.0"])),
    );
    // What one has seen, later ones see, whoever has heard of it.
    let seen = written()
        .with(left)
        .call(40, 50)
        .sends(A)
        .sees(log(&["0.0", "1.0"]));
    breaks(
        Rule::LostUpdate,
        seen.call(60, 70).sends(A).sees(log(&["0.0"])),
    );
}

#[test]
fn a_flush_that_is_not_older_explains_an_absence() {
    let flush = begun()
        .call(20, 30)
        .sends(A)
        .sees(log(&["0.0"]))
        .does(Op::Flush)
        .stamps();
    holds(flush.clone().call(60, 70).sends(A).sees(log(&["1.0"])));
    let written = |start| {
        flush
            .clone()
            .call(start, 50)
            .sends(A)
            .sees(log(&["1.0"]))
            .stamps()
    };
    holds(written(25).call(60, 70).sends(A).sees(log(&["1.0"])));
    breaks(
        Rule::LostUpdate,
        written(40).call(60, 70).sends(A).sees(log(&["1.0"])),
    );
}

#[test]
fn a_loose_key_stays_until_it_is_forgotten() {
    let written = || {
        begun()
            .call(20, 30)
            .sends(A)
            .sees(log(&["0.0"]))
            .does(put("x1", "v"))
    };
    breaks(
        Rule::LostUpdate,
        written().call(40, 50).sends(A).sees(log(&["0.0"])),
    );
    let forget = Op::Forget("x1".into());
    let story = written()
        .call(32, 50)
        .sends(A)
        .sees(json!({"log": ["0.0"], "x1": "v"}));
    holds(story.does(forget).call(60, 70).sends(A).sees(log(&["0.0"])));
}

#[test]
fn a_write_is_there_once() {
    let story = begun().call(20, 30).sends(A).sees(log(&["0.0"])).stamps();
    breaks(
        Rule::AppliedTwice,
        story
            .call(40, 50)
            .sends(A)
            .sees(log(&["0.0", "1.0", "1.0"])),
    );
}

#[test]
fn what_was_dropped_is_nowhere() {
    let written = || begun().call(20, 30).sends(A).sees(log(&["0.0"])).stamps();
    let see = |story: Story| story.call(40, 50).sends(A).sees(log(&["0.0", "1.0"]));
    holds(see(written()));
    breaks(Rule::TookEffect, see(written().does(Op::Discard)));
    let panicked = written().with(|call| {
        call.plan.ending = Ending::Panic;
        call.answer = Answer::Cut;
    });
    breaks(Rule::TookEffect, see(panicked));
}

#[test]
fn nothing_is_seen_of_another_session() {
    let two = || begun().call(20, 30).gets(B).stamps();
    holds(two().call(40, 50).sends(B).sees(log(&["1.0"])));
    breaks(
        Rule::FromNowhere,
        two().call(40, 50).sends(B).sees(log(&["0.0"])),
    );
    breaks(Rule::FromNowhere, two().call(40, 50).sees(log(&["0.0"])));
}

#[test]
fn the_order_of_the_answers_is_the_order_of_the_log() {
    let written = begun().call(20, 30).sends(A).sees(log(&["0.0"])).stamps();
    let written = written
        .call(40, 50)
        .sends(A)
        .sees(log(&["0.0", "1.0"]))
        .stamps();
    let see = |stamps: &[&str]| written.clone().call(60, 70).sends(A).sees(log(stamps));
    holds(see(&["0.0", "1.0", "2.0"]));
    breaks(Rule::OutOfOrder, see(&["0.0", "2.0", "1.0"]));
}

#[test]
fn two_views_are_of_one_history() {
    let written = |end| {
        let story = begun().call(20, end).sends(A).sees(log(&["0.0"])).stamps();
        story.call(20, end).sends(A).sees(log(&["0.0"])).stamps()
    };
    let see = |story: Story, first: &[&str], second: &[&str]| {
        let story = story.call(30, 35).sends(A).sees(log(first));
        story.call(30, 35).sends(A).sees(log(second))
    };
    holds(see(written(90), &["0.0", "1.0"], &["0.0", "1.0", "2.0"]));
    breaks(
        Rule::SplitBrain,
        see(written(90), &["0.0", "1.0"], &["0.0", "2.0"]),
    );
}

#[test]
fn values_are_what_the_writes_make_them() {
    let add = |story: Story, sum: i64| {
        story
            .told(Op::Increment("n".into(), 2), json!(sum))
            .stamps()
    };
    let counted = add(begun().call(20, 30).sends(A).sees(log(&["0.0"])), 2);
    let see = |n: i64| json!({"log": ["0.0", "1.0"], "n": n});
    holds(counted.clone().call(40, 50).sends(A).sees(see(2)));
    breaks(
        Rule::WrongContent,
        counted.clone().call(40, 50).sends(A).sees(see(4)),
    );
    let missing = counted.call(40, 50).sends(A).sees(log(&["0.0", "1.0"]));
    breaks(Rule::WrongContent, missing);
}

#[test]
fn a_result_is_what_the_request_has_made_of_its_view() {
    let reading = |answer: &str| {
        let story = begun()
            .call(20, 30)
            .sends(A)
            .sees(log(&["0.0"]))
            .does(put("k", "v"));
        story.told(Op::Get("k".into()), json!(answer)).stamps()
    };
    holds(reading("v"));
    breaks(Rule::WrongResult, reading("w"));
}

#[test]
fn a_session_ends_by_somebody() {
    breaks(Rule::LostSession, begun().call(20, 30).sends(A));
    let logout = begun()
        .call(15, 30)
        .sends(A)
        .sees(log(&["0.0"]))
        .does(Op::Invalidate);
    holds(logout.with(left).call(20, 30).sends(A));
    holds(begun().call(20, 30).sends(A).where_(|history| {
        history.ruined.push((SessionId::made_up(A), 12));
    }));
}

/// Call 1 regenerates A into B.
fn moved(start: u64, end: u64) -> Story {
    let story = begun()
        .call(start, end)
        .sends(A)
        .gets(B)
        .sees(log(&["0.0"]));
    story.does(Op::Regenerate).stamps()
}

#[test]
fn a_dead_id_is_told_nothing_and_given_nothing() {
    holds(moved(20, 30).call(40, 50).sends(A));
    breaks(
        Rule::DeadTold,
        moved(20, 30)
            .call(40, 50)
            .sends(A)
            .sees(log(&["0.0", "1.0"])),
    );
    let given = moved(20, 30).call(40, 50).sends(A).stamps();
    holds(
        given
            .clone()
            .call(60, 70)
            .sends(B)
            .sees(log(&["0.0", "1.0"])),
    );
    breaks(
        Rule::DeadGiven,
        given
            .call(60, 70)
            .sends(B)
            .sees(log(&["0.0", "1.0", "2.0"])),
    );
    // A plain write gets no session in its place while the marker lives, and may have one later.
    let cookie = || moved(20, 30).call(40, 50).sends(A).gets(C).stamps();
    breaks(Rule::DeadGiven, cookie());
    holds(cookie().where_(|history| history.grace = 10));
    holds(
        moved(20, 30)
            .call(40, 50)
            .sends(A)
            .gets(C)
            .does(Op::Regenerate)
            .stamps(),
    );
}

#[test]
fn who_was_found_dead_stays_dead() {
    let lost = begun()
        .call(20, 30)
        .sends(A)
        .sees(log(&["0.0"]))
        .does(Op::Regenerate)
        .stamps();
    let gone = lost.with(left).call(40, 50).sends(A);
    holds(gone.clone().call(60, 70).sends(A));
    breaks(
        Rule::DeadAgain,
        gone.call(60, 70).sends(A).sees(log(&["0.0"])),
    );
}

#[test]
fn who_regenerates_a_session_with_nothing_in_it_takes_along_what_comes_in_between() {
    let empty = story().call(0, 10).gets(A).told(Op::Token, json!("t"));
    let late = empty.call(20, 40).sends(A).stamps();
    let login = late
        .call(22, 50)
        .sends(A)
        .gets(B)
        .does(Op::Regenerate)
        .stamps();
    holds(
        login
            .clone()
            .call(60, 70)
            .sends(B)
            .sees(log(&["1.0", "2.0"])),
    );
    // Or it was dead by then, and the late one has stayed behind.
    holds(login.call(60, 70).sends(B).sees(log(&["2.0"])));
}

#[test]
fn a_ruined_session_may_be_made_whole_again() {
    let ruined = |history: &mut proof::history::History| {
        history.ruined.push((SessionId::made_up(A), 12));
    };
    let story = begun()
        .call(20, 30)
        .sends(A)
        .call(40, 50)
        .sends(A)
        .sees(log(&["0.0"]));
    breaks(Rule::DeadAgain, story.clone());
    holds(story.where_(ruined));
}

#[test]
fn what_was_in_flight_is_in_the_successor() {
    let late = |end| {
        moved(20, 30)
            .call(15, end)
            .sends(A)
            .sees(log(&["0.0"]))
            .stamps()
    };
    let see = |story: Story, stamps: &[&str]| story.call(60, 70).sends(B).sees(log(stamps));
    holds(see(late(50), &["0.0", "1.0", "2.0"]));
    breaks(Rule::LostUpdate, see(late(50), &["0.0", "1.0"]));
}

#[test]
fn of_two_logins_at_once_one_has_everything() {
    let twice = begun().call(15, 50).sends(A).sees(log(&["0.0"])).stamps();
    let twice = twice
        .call(20, 60)
        .sends(A)
        .gets(B)
        .sees(log(&["0.0"]))
        .does(Op::Regenerate)
        .stamps();
    let twice = twice
        .call(20, 60)
        .sends(A)
        .gets(C)
        .sees(log(&["0.0"]))
        .does(Op::Regenerate)
        .stamps();
    let see = |one: &[&str], other: &[&str]| {
        let story = twice.clone().call(70, 80).sends(B).sees(log(one));
        story.call(70, 80).sends(C).sees(log(other))
    };
    holds(see(&["0.0", "1.0", "2.0"], &["0.0", "3.0"]));
    breaks(Rule::LostUpdate, see(&["0.0", "2.0"], &["0.0", "3.0"]));
}

#[test]
fn a_logout_ends_what_its_id_has_led_to() {
    let logout = |end| {
        moved(20, 30)
            .call(25, end)
            .sends(A)
            .sees(log(&["0.0"]))
            .does(Op::Invalidate)
    };
    holds(logout(50).call(60, 70).sends(B));
    breaks(
        Rule::LogoutLeftLive,
        logout(50).call(60, 70).sends(B).sees(log(&["0.0", "1.0"])),
    );
    let late = logout(50).where_(|history| history.grace = 10);
    holds(late.call(60, 70).sends(B).sees(log(&["0.0", "1.0"])));
}

#[test]
fn a_cookie_has_a_reason() {
    let odd = begun().with(|call| call.cookie = Cookie::Odd("2 cookies".into()));
    breaks(Rule::WrongCookie, odd);
    let removed = begun().call(20, 30).sends(A).sees(log(&["0.0"]));
    breaks(
        Rule::WrongCookie,
        removed.with(|call| call.cookie = Cookie::Removed),
    );
    breaks(Rule::WrongCookie, story().call(0, 10).gets(A));
    breaks(
        Rule::WrongCookie,
        begun()
            .call(20, 30)
            .sends(A)
            .gets(B)
            .sees(log(&["0.0"]))
            .stamps(),
    );
    let login = begun()
        .call(20, 30)
        .sends(A)
        .sees(log(&["0.0"]))
        .does(Op::Regenerate)
        .stamps();
    breaks(Rule::WrongCookie, login);
    breaks(
        Rule::WrongCookie,
        moved(20, 30).call(40, 50).sends(A).gets(A),
    );
    holds(begun().call(20, 30).sends(A).gets(A).sees(log(&["0.0"])));
}

#[test]
fn who_was_overtaken_by_a_regenerate_sends_no_cookie() {
    let late = moved(20, 30)
        .call(15, 50)
        .sends(A)
        .sees(log(&["0.0"]))
        .stamps();
    let see = |story: Story, stamps: &[&str]| story.call(60, 70).sends(B).sees(log(stamps));
    breaks(
        Rule::WrongCookie,
        see(late.clone().gets(A), &["0.0", "1.0", "2.0"]),
    );
    let before =
        late.where_(|history| history.calls[2].cookie = Cookie::Set(SessionId::made_up(A)));
    holds(see(before, &["0.0", "2.0", "1.0"]));
}

#[test]
fn an_id_is_given_out_once_and_never_adopted() {
    breaks(Rule::Adopted, begun().call(20, 30).gets(A).stamps());
    let forged = story().call(0, 10).gets(A).stamps();
    breaks(
        Rule::Adopted,
        forged.with(|call| call.forged = Some(SessionId::made_up(A))),
    );
}

/// Call 1 flashes `w` on A.
fn flashed() -> Story {
    begun()
        .call(20, 30)
        .sends(A)
        .sees(log(&["0.0"]))
        .does(flash("w"))
        .stamps()
}

/// What shows it, and what does not.
const SHOWN: [&str; 2] = ["0.0", "1.0"];

fn shows(story: Story) -> Story {
    story.sees(json!({"log": SHOWN, "f": "w"}))
}

#[test]
fn flash_is_shown_by_the_next_request() {
    let next = || flashed().call(40, 50).sends(A);
    holds(shows(next()));
    breaks(Rule::FlashLost, next().sees(log(&SHOWN)));
    // Somebody else has seen it, or may have.
    holds(shows(next()).call(45, 50).sends(A).sees(log(&SHOWN)));
    holds(next().with(left).call(45, 50).sends(A).sees(log(&SHOWN)));
    let poll = next().with(|call| call.manner = Manner::Poll);
    breaks(
        Rule::FlashLost,
        shows(poll).call(60, 70).sends(A).sees(log(&SHOWN)),
    );
}

#[test]
fn flash_is_shown_by_no_other_request() {
    let twice = || shows(shows(flashed().call(40, 50).sends(A)).call(60, 70).sends(A));
    breaks(Rule::FlashAgain, twice());
    // At once, or kept, or by one who uses nothing up.
    holds(twice().with(|call| call.start = 45));
    holds(twice().where_(|history| history.calls[2].manner = Manner::Poll));
    let kept = shows(flashed().call(40, 50).sends(A)).does(Op::Reflash);
    holds(shows(kept.call(60, 70).sends(A)));
    // Using up may fail in silence while the store does.
    holds(twice().where_(|history| history.quiet = false));
    let own = shows(flashed().with(|call| call.start = 25));
    breaks(Rule::FlashAgain, own);
}

#[test]
fn a_token_stays() {
    let ask = |story: Story, start, token: &str| {
        let story = story.call(start, start + 5).sends(A).sees(log(&["0.0"]));
        story.told(Op::Token, json!(token))
    };
    holds(ask(ask(begun(), 20, "t"), 30, "t"));
    breaks(Rule::TokenChanged, ask(ask(begun(), 20, "t"), 30, "u"));
}
