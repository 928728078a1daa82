//! Real clients: Chromium, and the cookie engines of curl and Python, at the playground and at a small site made for them.
//!
//! The services of `cargo xtask test` say where chromedriver and the certificates are. With `ARVEL_TEST_SCREENSHOTS` set to
//! a folder, pictures of the pages are kept there.
#![cfg(unix)]
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod browser;
mod engines;
mod site;

#[path = "../support/playground.rs"]
mod playground;
#[allow(dead_code, reason = "each test file uses its part")]
#[path = "../redis/servers.rs"]
mod servers;

use servers::from_environment as service;
