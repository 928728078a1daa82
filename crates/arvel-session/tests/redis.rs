//! The `redis` store on every topology that the environment names, and on private servers that it may break.
#![cfg(feature = "redis")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

#[path = "redis/calls.rs"]
mod calls;
#[path = "redis/faults.rs"]
mod faults;
#[path = "redis/servers.rs"]
mod servers;

use arvel_session::{conformance::Opener, store::RedisStore};
use servers::from_environment;

/// What every topology must pass: one line a topology.
macro_rules! topologies {
    ($($name:ident: $variable:literal,)*) => {$(
        mod $name {
            use super::*;

            #[tokio::test(flavor = "multi_thread")]
            async fn every_call_does_what_the_contract_says() {
                let Some(url) = from_environment($variable) else { return };
                calls::all(&RedisStore::new(&url, "every-call:").unwrap()).await;
            }

            arvel_session::conformance_tests!(from_environment($variable).map(|url| {
                Opener::crowded(move || {
                    let store = RedisStore::new(&url, "conformance:");
                    async { store }
                })
            }));
        }
    )*};
}

topologies! {
    single: "ARVEL_TEST_REDIS",
    tls: "ARVEL_TEST_REDIS_TLS",
    unix: "ARVEL_TEST_REDIS_UNIX",
    sentinel: "ARVEL_TEST_REDIS_SENTINEL",
    cluster: "ARVEL_TEST_REDIS_CLUSTER",
}
