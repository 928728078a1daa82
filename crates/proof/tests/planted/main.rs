//! The checker is tested: it finds nothing wrong with an honest store, and every fault that is planted in one. The faults
//! are those of other libraries (last write wins, upsert on save, …), and more.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "in a test it is the assertion"
)]

mod faults;
mod scene;
mod shelf;

use std::collections::BTreeMap;

use proof::checker::{Rule, check};
use scene::Scene;

/// So many histories may pass before a fault is found: what happens in one depends on the seed and on chance.
const HISTORIES: u64 = 60;

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_store_violates_nothing() {
    for seed in 0..12 {
        let history = Scene::honest().play(seed).await;
        let verdict = check(&history);
        assert!(verdict.operations > 500, "so few do not meet");
        scene::expect_none(&history, &verdict);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::print_stdout, reason = "what finds which fault is for reading")]
async fn every_planted_fault_is_found() {
    for fault in faults::all() {
        let mut found: BTreeMap<Rule, String> = BTreeMap::new();
        let mut histories = 0;
        while !found.contains_key(&fault.rule) && histories < HISTORIES {
            let history = Scene::with(&fault).play(1000 + histories).await;
            for violation in check(&history).violations {
                found.entry(violation.rule).or_insert(violation.what);
            }
            histories += 1;
        }
        let all: Vec<&Rule> = found.keys().collect();
        println!("{}: after {histories}, {all:?}", fault.name);
        assert!(
            found.contains_key(&fault.rule),
            "{}: {found:#?}",
            fault.name
        );
    }
}
