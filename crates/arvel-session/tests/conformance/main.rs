//! The suite itself, tested: honest stores pass it, and each broken one is caught.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::too_many_lines,
    reason = "tests; and a list of faults is as long as it is"
)]

mod faults;
mod honest;

use std::{collections::BTreeSet, sync::Arc};

use arvel_session::conformance::{self, CHECKS, Check, Opener, Outcome, Report, run};
use honest::{Shelf, Tokens, opener, shared};
use tokio::{sync::Semaphore, task::JoinSet};

mod shelf {
    use super::*;
    arvel_session::conformance_tests!(shared(Shelf::server()));
}

mod memory {
    use super::*;
    arvel_session::conformance_tests!(opener(Shelf::memory));
}

mod expiring {
    use super::*;
    arvel_session::conformance_tests!(shared(Shelf::expiring()));
}

mod tokens {
    use super::*;
    arvel_session::conformance_tests!(shared(Tokens::new()));
}

mod without_replace {
    use super::*;
    arvel_session::conformance_tests!({
        let mut shelf = Shelf::server();
        shelf.capabilities.atomic_replace = false;
        shared(shelf)
    });
}

fn lines(report: &Report, which: impl Fn(&Outcome) -> bool) -> Vec<&'static str> {
    let matching = |(name, result): &(&'static str, _)| match result {
        Ok(outcome) => which(outcome).then_some(*name),
        Err::<_, conformance::Failure>(_) => None,
    };
    report.lines.iter().filter_map(matching).collect()
}

/// A store of sixteen mebibytes, of which everything else applies too.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_can_do_all_passes_all() {
    let mut shelf = Shelf::server();
    shelf.capabilities.max_bytes = 16 << 20;
    let report = run(&shared(shelf)).await;
    assert!(report.passed(), "{report}");
    let declared = "server_side shared persistent atomic_replace sweeps max_bytes=16777216";
    let passed = CHECKS.len() - 2;
    let summary = format!("shelf: {passed} passed, 2 not applicable, 0 failed; {declared}");
    assert_eq!(report.summary(), summary);
    let not_applicable = lines(&report, |outcome| *outcome != Outcome::Passed);
    assert_eq!(
        not_applicable,
        [
            "what_expires_goes_by_itself",
            "what_was_given_more_time_stays"
        ]
    );
}

/// The suite does not disturb itself, nor what lives in the same place.
#[tokio::test(flavor = "multi_thread")]
async fn a_crowded_place_is_no_trouble() {
    let shelf = Shelf::server();
    let mut runs = JoinSet::new();
    for _ in 0..3 {
        let shelf = shelf.clone();
        runs.spawn(async move {
            run(&Opener::crowded(move || {
                let store = shelf.clone();
                async { Ok(store) }
            }))
            .await
        });
    }
    for report in runs.join_all().await {
        assert!(report.passed(), "{report}");
        let not_applicable = lines(&report, |outcome| *outcome != Outcome::Passed);
        assert_eq!(
            not_applicable,
            [
                "expired_records_count_as_present",
                "a_sweep_is_bounded_and_counts",
                "a_sweep_of_nothing_answers_zero",
                "what_expires_goes_by_itself",
                "what_was_given_more_time_stays",
            ]
        );
    }
}

/// The single-threaded runtime serves too.
#[tokio::test]
async fn one_thread_is_enough() {
    let report = run(&shared(Shelf::server())).await;
    assert!(report.passed(), "{report}");
}

/// A store that does not open fails every check, and a report says it in words.
#[tokio::test]
async fn a_store_that_does_not_open_fails() {
    let closed = Opener::private(|| async {
        let refused = std::io::Error::other("connection refused");
        Err::<Shelf, _>(arvel_session::Error::store("shelf: open", refused))
    });
    let report = run(&closed).await;
    assert_eq!(report.failed().count(), CHECKS.len());
    let text = report.to_string();
    let line = "FAILED a_touch_creates_nothing: opening the store failed: shelf: open: connection refused\n";
    assert!(text.contains(line), "{text}");
    assert_eq!(text.lines().count(), CHECKS.len());
}

/// Where a server is not running there is nothing to test.
#[test]
fn without_a_store_a_test_ends() {
    conformance::test(CHECKS[0].name(), None);
}

#[test]
#[should_panic(expected = "no check `an_unknown_one`")]
fn an_unknown_check_panics() {
    conformance::test("an_unknown_one", shared(Shelf::server()));
}

#[test]
#[should_panic(expected = "capabilities_do_not_change: opening the store failed: it is closed")]
fn a_failed_check_panics() {
    let closed = || async {
        let error = arvel_session::ErrorKind::Store;
        Err::<Shelf, _>(arvel_session::Error::new(error, "it is closed"))
    };
    conformance::test("capabilities_do_not_change", Opener::private(closed));
}

/// How often a fault that was not caught is looked for again.
const TRIES: usize = 5;

/// Every fault is caught by the checks that are meant to catch it, and every check is meant for some fault.
#[tokio::test(flavor = "multi_thread")]
async fn every_fault_is_caught_and_every_check_catches_one() {
    let places = Arc::new(Semaphore::new(8));
    let mut runs = JoinSet::new();
    for (fault, meant, opener) in faults::all() {
        let places = places.clone();
        runs.spawn(async move {
            let _place = places.acquire().await.unwrap();
            let meant: Vec<_> = meant.split(' ').collect();
            // A race is caught when the racers meet; on a busy machine they sometimes do not.
            let mut caught_by = BTreeSet::new();
            for _ in 0..TRIES {
                caught_by.extend(run(&opener).await.failed());
                if meant.iter().all(|check| caught_by.contains(check)) {
                    break;
                }
            }
            (fault, meant, caught_by)
        });
    }
    let mut matrix = runs.join_all().await;
    matrix.sort_unstable();
    let mut idle: BTreeSet<_> = CHECKS.iter().map(Check::name).collect();
    let mut missed = Vec::new();
    for (fault, meant, caught_by) in &matrix {
        println!("{fault}\n    {caught_by:?}");
        for check in meant {
            idle.remove(check);
            if !caught_by.contains(check) {
                missed.push((fault, check));
            }
        }
    }
    assert!(missed.is_empty(), "not caught: {missed:#?}");
    assert!(idle.is_empty(), "checks that catch no fault: {idle:#?}");
}
