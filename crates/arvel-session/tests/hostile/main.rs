//! Hostile input through the whole middleware.
//!
//! | what | module |
//! |---|---|
//! | configurations, and operations against a model: the bodies of two fuzz targets | `config`, `operations` |
//! | all that those have found, without a fuzzer | `replay` |
//! | every bit of every kind of cookie and of every kind of record | `tampering` |
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "in a test it is the assertion"
)]

#[path = "../support/mod.rs"]
mod support;

mod config;
mod operations;
mod replay;
mod tampering;
