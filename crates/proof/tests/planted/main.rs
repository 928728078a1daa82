//! The checker is tested: it finds nothing wrong with an honest store, and every fault that is planted in one. The faults
//! are those of other libraries (last write wins, upsert on save, …), and more.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "in a test it is the assertion"
)]

mod around;
mod faults;
mod scene;
mod shelf;
mod stores;

use std::collections::{BTreeMap, BTreeSet};

use proof::checker::{Rule, check};
use scene::Scene;

/// So many histories may pass before a fault is found: what happens in one depends on the seed and on chance.
const HISTORIES: u64 = 60;

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_store_violates_nothing() {
    for seed in 0..12 {
        let played = Scene::honest().play(seed).await;
        let operations = check(&played.history).operations;
        assert!(operations > 500, "so few do not meet");
        let violations = played.violations();
        let history = played.history.print();
        assert!(violations.is_empty(), "{history}\n{violations:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::print_stdout, reason = "what finds which fault is for reading")]
async fn every_planted_fault_is_found() {
    for fault in faults::all() {
        let mut found: BTreeMap<Rule, String> = BTreeMap::new();
        let mut histories = 0;
        let is_found = |found: &BTreeMap<Rule, String>| {
            fault.rules.iter().all(|rule| found.contains_key(rule))
        };
        while !is_found(&found) && histories < HISTORIES {
            let played = Scene::with(&fault).play(1000 + histories).await;
            for violation in played.violations() {
                found.entry(violation.rule).or_insert(violation.what);
            }
            histories += 1;
        }
        let all: Vec<&Rule> = found.keys().collect();
        println!("{}: after {histories}, {all:?}", fault.name);
        assert!(is_found(&found), "{}: {found:#?}", fault.name);
    }
}

#[test]
fn for_every_rule_there_is_a_fault() {
    let faults = faults::all();
    let rules = faults.iter().flat_map(|fault| fault.rules).copied();
    let planted: BTreeSet<Rule> = rules.collect();
    assert_eq!(planted, BTreeSet::from(Rule::ALL));
}
