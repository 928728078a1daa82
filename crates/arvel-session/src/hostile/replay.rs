//! All that the fuzzers have found.

#[path = "../../tests/support/corpus.rs"]
mod corpus;

#[test]
fn cookie_header() {
    corpus::replay("cookie_header", super::cookie_header);
}

#[test]
fn token() {
    corpus::replay("token", super::token);
}

#[test]
fn record() {
    corpus::replay("record", super::record);
}

#[test]
fn seal() {
    corpus::replay("seal", super::seal);
}
