//! The whole system over real HTTP: playgrounds as processes of their own, on every driver.
//!
//! Each test has a store of its own on the servers of `cargo xtask test`: a table, a prefix, a folder.
#![cfg(unix)]
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod at_once;
mod cookies;
mod damage;
mod ended_by_hand;
mod held;
mod in_flight;
mod operations;
mod outages;
mod settings;
mod stores;
mod streams;

#[allow(dead_code, reason = "each test file uses its part")]
#[path = "../database/place.rs"]
mod place;
#[path = "../support/playground.rs"]
mod playground;
#[allow(dead_code, reason = "each test file uses its part")]
#[path = "../redis/servers.rs"]
mod servers;
#[path = "../support/wire.rs"]
mod wire;

use std::time::Duration;

/// For what the tests themselves ask of a database.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A test of each check on each of these drivers.
macro_rules! on {
    ($drivers:tt $($check:ident)*) => {
        $(mod $check {
            crate::on!(@each $check $drivers);
        })*
    };
    (@each $check:ident [$($driver:ident)*]) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $driver() {
            if let Some(store) = crate::stores::$driver().await {
                super::$check(store).await;
            }
        })*
    };
}
pub(crate) use on;

/// A test of each check on each driver that keeps sessions on the server.
macro_rules! on_every_server {
    ($($check:ident)*) => {
        crate::on!([memory file redis redis_tls redis_unix redis_sentinel redis_cluster sqlite postgres mariadb] $($check)*);
    };
}
pub(crate) use on_every_server;

/// The same on each that several processes can share.
macro_rules! on_every_shared_server {
    ($($check:ident)*) => {
        crate::on!([file redis redis_tls redis_unix redis_sentinel redis_cluster sqlite postgres mariadb] $($check)*);
    };
}
pub(crate) use on_every_shared_server;
