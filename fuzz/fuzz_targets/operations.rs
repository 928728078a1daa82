//! See the function in `crates/arvel-session/tests/hostile/operations.rs`.
#![no_main]

#[path = "../../crates/arvel-session/tests/hostile/operations.rs"]
mod operations;
#[path = "../../crates/arvel-session/tests/support/mod.rs"]
mod support;

libfuzzer_sys::fuzz_target!(|data: &[u8]| operations::operations(data));
