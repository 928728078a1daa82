//! Every interleaving: the real machines, on real sessions, through everything that may happen between two and three
//! requests of one browser, breadth first.
//!
//! What may happen (`world.rs`): any request takes its next step; a call of the store is executed and answered, executed
//! with its answer lost, not executed, or executed later; a request gives up or dies between any two calls; the store
//! loses a record; a session or a marker expires; responses reach the browser's jar in any order. What must never happen
//! is in `ghost.rs` (each call) and `check.rs` (each answer, and the end).
//!
//! `rule!(…)` turns a rule of the design off: each must then be missed. `ARVEL_EXPLORE=long` explores further.

mod check;
mod ghost;
mod request;
mod rules;
mod scene;
mod script;
mod search;
mod shelf;
mod trace;
mod world;

use scene::Scene;
use script::{
    ALL, COUNT, FETCH, FLASH, FORM, GOODBYE, LOGIN, LOGOUT, PUT, REFLASH, REGENERATE, SWITCH,
    Script,
};
use search::{Found, Seen, search};

/// Explores these scripts in this scene, with so many faults at most.
fn explore(scene: Scene, scripts: &[Script], faults: u8) -> Result<Seen, Box<Found>> {
    let cx = scene.context();
    let start = scene.set(&cx, scripts, faults);
    search(&cx, &start)
}

/// Explores each of these groups of scripts, and fails with the shortest violation.
fn hold<'a>(scene: Scene, groups: impl Iterator<Item = &'a [Script]>, faults: u8) -> Seen {
    let mut seen = Seen::default();
    let mut violations = Vec::new();
    for scripts in groups {
        match explore(scene, scripts, faults) {
            Ok(more) => seen += more,
            Err(found) => violations.push(found),
        }
    }
    violations.sort_by_key(|found| found.steps);
    if let Some(shortest) = violations.first() {
        let number = violations.len();
        panic!(
            "{scene:?}, {number} violations, the shortest:\n{}",
            shortest.trace
        );
    }
    assert!(seen.ends > 0);
    seen
}

#[allow(
    clippy::disallowed_methods,
    reason = "a switch of this test, not a setting"
)]
fn is_long() -> bool {
    std::env::var("ARVEL_EXPLORE").is_ok_and(|value| value == "long")
}

#[allow(clippy::print_stdout, reason = "how much was explored is the result")]
fn report(what: &str, scene: Scene, faults: u8, seen: Seen) {
    println!(
        "{what}, {scene:?}, faults up to {faults}: {} states, {} ends, no violation",
        seen.states, seen.ends
    );
}

/// Each script with itself and with those that follow it.
fn all_pairs(scripts: &[Script]) -> Vec<[Script; 2]> {
    let with_followers = |(at, first): (usize, &Script)| {
        let followers = scripts[at..].iter();
        followers
            .map(|second| [*first, *second])
            .collect::<Vec<_>>()
    };
    scripts
        .iter()
        .enumerate()
        .flat_map(with_followers)
        .collect()
}

fn all_triples(scripts: &[Script]) -> Vec<[Script; 3]> {
    let with_followers = |(at, first): (usize, &Script)| {
        let followers = all_pairs(&scripts[at..]).into_iter();
        followers
            .map(|[second, third]| [*first, second, third])
            .collect::<Vec<_>>()
    };
    scripts
        .iter()
        .enumerate()
        .flat_map(with_followers)
        .collect()
}

/// All pairs of scripts.
fn pairs(scene: Scene, faults: u8, faults_if_long: u8) {
    let faults = if is_long() { faults_if_long } else { faults };
    let pairs = all_pairs(ALL);
    let seen = hold(scene, pairs.iter().map(<[Script; 2]>::as_slice), faults);
    report("pairs", scene, faults, seen);
}

#[test]
fn pairs_on_a_fresh_session() {
    pairs(Scene::Fresh, 1, 2);
}

#[test]
fn pairs_where_the_store_cannot_replace_in_one_step() {
    pairs(Scene::Split, 1, 2);
}

#[test]
fn pairs_in_one_process() {
    pairs(Scene::OneProcess, 1, 2);
}

#[test]
fn pairs_that_save_over_what_has_only_been_sent() {
    pairs(Scene::Ahead, 1, 2);
}

#[test]
fn pairs_on_a_session_whose_expiry_and_cookie_are_due() {
    pairs(Scene::Stale, 0, 2);
}

#[test]
fn pairs_of_a_first_visit() {
    pairs(Scene::FirstVisit, 1, 2);
}

#[test]
fn pairs_with_a_dead_and_a_live_cookie() {
    pairs(Scene::TwoCookies, 0, 2);
}

#[test]
fn pairs_with_a_dead_cookie() {
    pairs(Scene::Marked, 1, 2);
}

#[test]
fn pairs_with_slow_handlers_and_markers_that_expire() {
    pairs(Scene::Slow, 0, 1);
}

#[test]
fn pairs_on_a_session_that_reaches_its_end() {
    pairs(Scene::Ending, 0, 1);
}

/// Three requests, of which each two have more to do with each other than most.
const TRIPLES: &[[Script; 3]] = &[
    [PUT, COUNT, LOGIN],
    [PUT, LOGIN, LOGOUT],
    [COUNT, LOGIN, LOGIN],
    [COUNT, COUNT, COUNT],
    [COUNT, REGENERATE, LOGOUT],
    [FETCH, FLASH, REFLASH],
    [FETCH, FLASH, LOGIN],
    [FORM, FORM, LOGIN],
    [FORM, LOGIN, SWITCH],
    [LOGIN, LOGIN, LOGOUT],
    [LOGIN, REGENERATE, GOODBYE],
    [LOGOUT, LOGOUT, LOGIN],
];

/// These triples; if long, with a fault, and all that there are without.
fn triples(scene: Scene) {
    let faults = u8::from(is_long());
    let seen = hold(scene, TRIPLES.iter().map(<[Script; 3]>::as_slice), faults);
    report("triples", scene, faults, seen);
    if is_long() {
        let all = all_triples(ALL);
        let seen = hold(scene, all.iter().map(<[Script; 3]>::as_slice), 0);
        report("all triples", scene, 0, seen);
    }
}

#[test]
fn triples_on_a_fresh_session() {
    triples(Scene::Fresh);
}

#[test]
fn triples_in_one_process() {
    triples(Scene::OneProcess);
}

#[test]
fn triples_that_save_over_what_has_only_been_sent() {
    triples(Scene::Ahead);
}

#[test]
fn triples_where_the_store_cannot_replace_in_one_step() {
    triples(Scene::Split);
}

#[test]
fn triples_on_a_session_whose_expiry_and_cookie_are_due() {
    triples(Scene::Stale);
}

#[test]
fn triples_of_a_first_visit() {
    triples(Scene::FirstVisit);
}
