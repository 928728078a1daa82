//! See the function in `crates/arvel-session/src/hostile`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| arvel_session::hostile::record(data));
