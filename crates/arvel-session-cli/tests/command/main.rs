//! The command as it is built, in folders and environments of the tests' own.
#![cfg(unix)]
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod basics;
mod database;
mod doctor;
mod redis;
mod support;
mod sweep;
