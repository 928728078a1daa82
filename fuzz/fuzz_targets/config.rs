//! See the function in `crates/arvel-session/tests/hostile/config.rs`.
#![no_main]

#[path = "../../crates/arvel-session/tests/hostile/config.rs"]
mod config;
#[path = "../../crates/arvel-session/tests/support/mod.rs"]
mod support;

libfuzzer_sys::fuzz_target!(|data: &[u8]| config::config(data));
