//! What strangers can send, fed to the code that reads it, and judged: the bodies of the fuzz targets in `fuzz/`.
//!
//! Each function takes any bytes and panics where a promise is broken, not only where the library itself panics: an
//! answer is compared with that of a naive reading of the format, written here a second time, or with what is known of
//! the bytes because they were made here. `cargo test` feeds them all that the fuzzers have found (`replay.rs`).
//!
//! The parts that they need are private. A Cargo feature would be a door that any crate of a build could open; this module
//! is there under `cfg(fuzzing)`, which only a fuzzer's build sets, and in this crate's own tests.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a panic is how a fuzz target says that a promise is broken"
)]

mod cookie;
mod record;
mod seal;
mod token;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod replay;

pub use cookie::cookie_header;
pub use record::record;
pub use seal::seal;
pub use token::token;

use std::time::Duration;

use crate::{
    lifecycle::{Context, Rules},
    record::Keyring,
    store::Capabilities,
};

/// The cookie's name and the keys, those of the test vectors in `docs/format.md`, so that these are seeds of the corpora.
const COOKIE: &str = "arvel_session";
const SECRET: [u8; 32] = {
    let mut secret = [0; 32];
    let mut at = 0;
    while at < secret.len() {
        secret[at] = at as u8;
        at += 1;
    }
    secret
};
const PREVIOUS: [u8; 32] = [9; 32];

/// A key that is still accepted beside the current one.
fn keys() -> Keyring {
    Keyring::new(&SECRET, [&PREVIOUS[..]], COOKIE)
}

/// The previous key, when it was the current one.
fn previous_keys() -> Keyring {
    Keyring::new(&PREVIOUS, [], COOKIE)
}

/// A store on a server, or a browser that keeps the record itself.
pub(crate) fn context(server_side: bool, seal: bool) -> Context {
    let mut capabilities = Capabilities::new("test");
    capabilities.server_side = server_side;
    Context {
        capabilities,
        keys: keys(),
        rules: Rules {
            cookie_name: COOKIE.into(),
            lifetime: Duration::from_secs(7200),
            absolute_lifetime: None,
            expire_on_close: false,
            seal,
            grace: Duration::from_secs(10),
        },
    }
}

/// Hands out a fuzzer's bytes; what is missing is zero, so that every input is complete.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let taken = self.take(N);
        array[..taken.len()].copy_from_slice(taken);
        array
    }

    fn number(&mut self) -> u64 {
        u64::from_be_bytes(self.array())
    }

    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// A piece whose length stands before it.
    fn piece(&mut self) -> &'a [u8] {
        let length = self.byte();
        self.take(length.into())
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Changes single bytes, each named by where it stands: two bytes of place, one to add by exclusive or.
    fn spoil(&mut self, bytes: &mut [u8]) {
        while !self.is_empty() && !bytes.is_empty() {
            let place = usize::from(u16::from_be_bytes(self.array())) % bytes.len();
            bytes[place] ^= self.byte();
        }
    }
}
