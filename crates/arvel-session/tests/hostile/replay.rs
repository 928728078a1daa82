//! All that the fuzzers have found.

#[path = "../support/corpus.rs"]
mod corpus;

#[test]
fn config() {
    corpus::replay("config", super::config::config);
}

#[test]
fn operations() {
    corpus::replay("operations", super::operations::operations);
}
