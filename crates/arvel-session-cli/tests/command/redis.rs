//! The commands against Redis.

use std::{
    io::{Read, Write},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use crate::support::{Place, service, unused_name};

#[test]
fn doctor_is_content_with_every_kind_of_redis() {
    for name in [
        "ARVEL_TEST_REDIS",
        "ARVEL_TEST_REDIS_TLS",
        "ARVEL_TEST_REDIS_UNIX",
        "ARVEL_TEST_REDIS_SENTINEL",
        "ARVEL_TEST_REDIS_CLUSTER",
    ] {
        if let Some(url) = service(name) {
            let place = Place::sound("redis")
                .with("SESSION_REDIS_URL", url)
                .with("SESSION_REDIS_PREFIX", unused_name());
            place.is_well();
            let ran = place.run(&["sweep"]);
            assert_eq!((ran.code, ran.out.as_str()), (0, "removed 0\n"));
            assert!(ran.err.contains("needs no sweep"));
        }
    }
}

/// What Redis answers to `KEYS`.
fn keys(url: &str, prefix: &str) -> String {
    let address = url.strip_prefix("redis://").unwrap();
    let mut server = TcpStream::connect(address).unwrap();
    write!(server, "KEYS {prefix}*\r\nQUIT\r\n").unwrap();
    let mut answer = String::new();
    server.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn doctor_leaves_nothing_in_redis() {
    let Some(url) = service("ARVEL_TEST_REDIS") else {
        return;
    };
    let prefix = unused_name();
    let place = Place::sound("redis")
        .with("SESSION_REDIS_URL", &*url)
        .with("SESSION_REDIS_PREFIX", &*prefix);
    place.is_well();
    let deadline = Instant::now() + Duration::from_secs(2);
    while keys(&url, &prefix) != "*0\r\n+OK\r\n" {
        assert!(Instant::now() < deadline, "{}", keys(&url, &prefix));
        thread::sleep(Duration::from_millis(10));
    }
}
