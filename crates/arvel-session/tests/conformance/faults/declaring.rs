//! Stores that are not what they declare.

use arvel_session::{
    Error, ErrorKind, Time,
    store::{At, Capabilities, Expect, Key, Record, Reply, Saved, SessionStore, Write},
};

use super::{Broken, Fault, fault};
use crate::honest::{Shelf, Tokens, opener, shared};

pub(crate) fn faults() -> Vec<Fault> {
    let memory = |change: fn(&mut Capabilities)| {
        opener(move || Broken::new(Shelf::memory()).declares(change))
    };
    let on =
        |shelf: Shelf, change: fn(&mut Capabilities)| shared(Broken::new(shelf).declares(change));
    vec![
        fault(
            "changes its capabilities",
            "capabilities_do_not_change",
            |broken| {
                broken.changes(|shelf| {
                    let mut declared = shelf.capabilities;
                    declared.max_bytes -= shelf.records().len().min(1);
                    declared
                })
            },
        ),
        fault("has no name", "capabilities_do_not_change", |broken| {
            broken.declares(|c| c.name = "")
        }),
        (
            "wrongly denies server_side",
            "server_side_is_as_declared",
            on(Shelf::server(), |c| c.server_side = false),
        ),
        (
            "wrongly denies shared",
            "shared_is_as_declared",
            on(Shelf::server(), |c| c.shared = false),
        ),
        (
            "wrongly denies persistent",
            "persistent_is_as_declared",
            on(Shelf::server(), |c| c.persistent = false),
        ),
        (
            "wrongly denies atomic_replace",
            "atomic_replace_is_as_declared",
            on(Shelf::server(), |c| c.atomic_replace = false),
        ),
        (
            "wrongly denies sweeps",
            "sweeps_is_as_declared",
            on(Shelf::server(), |c| c.sweeps = false),
        ),
        (
            "wrongly declares server_side",
            "server_side_is_as_declared",
            {
                let mut tokens = Tokens::new();
                tokens.0.server_side = true;
                shared(tokens)
            },
        ),
        (
            "wrongly declares shared",
            "shared_is_as_declared",
            memory(|c| c.shared = true),
        ),
        (
            "wrongly declares persistent",
            "persistent_is_as_declared",
            memory(|c| c.persistent = true),
        ),
        (
            "wrongly declares atomic_replace",
            "atomic_replace_is_as_declared",
            {
                let mut shelf = Shelf::server();
                shelf.capabilities.atomic_replace = false;
                on(shelf, |c| c.atomic_replace = true)
            },
        ),
        (
            "wrongly declares sweeps",
            "sweeps_is_as_declared",
            on(Shelf::expiring(), |c| c.sweeps = true),
        ),
        fault(
            "denies sweeps, and sweeps without a word",
            "sweeps_is_as_declared",
            |broken| {
                broken
                    .declares(|c| c.sweeps = false)
                    .sweep(|shelf, now, max| {
                        shelf.sweep_now(max, |record| record.is_expired(now));
                        Reply::ready(Ok(0))
                    })
            },
        ),
        (
            "refuses a replace, and does it",
            "atomic_replace_is_as_declared",
            {
                let mut shelf = Shelf::server();
                shelf.capabilities.atomic_replace = false;
                shared(Broken::new(shelf).replace(|shelf, replace| {
                    let refused = Error::new(ErrorKind::Unsupported, "no replace here");
                    replace.do_it(shelf);
                    Reply::ready(Err(refused))
                }))
            },
        ),
        fault(
            "refuses the largest record",
            "the_largest_record_is_kept",
            |broken| broken.declares(|c| c.max_bytes += 1),
        ),
        fault(
            "declares no room for a marker",
            "the_largest_record_is_kept",
            |broken| broken.declares(|c| c.max_bytes = 20),
        ),
        fault(
            "ignores max_bytes",
            "larger_records_are_refused",
            |broken| broken.declares(|c| c.max_bytes -= 1),
        ),
        fault(
            "ignores max_bytes in a replace",
            "larger_records_are_refused",
            |broken| {
                broken
                    .declares(|c| c.max_bytes -= 1)
                    .save(|shelf, key, expect, write| shelf.save(key, expect, write))
            },
        ),
        (
            "loses a byte of its tokens",
            "server_side_is_as_declared",
            shared(BrokenTokens::new(false)),
        ),
        (
            "keeps what the browser holds",
            "server_side_is_as_declared",
            shared(BrokenTokens::new(true)),
        ),
    ]
}

/// Tokens that are not the record, or not the only place of it.
#[derive(Clone)]
struct BrokenTokens {
    honest: Tokens,
    kept: Shelf,
    keeps: bool,
}

impl BrokenTokens {
    fn new(keeps: bool) -> Self {
        Self {
            honest: Tokens::new(),
            kept: Shelf::server(),
            keeps,
        }
    }
}

impl SessionStore for BrokenTokens {
    fn capabilities(&self) -> Capabilities {
        self.honest.capabilities()
    }

    fn load(&self, at: At<'_>) -> Reply<Option<Record>> {
        match at {
            At::Key(_) => self.kept.load(at),
            At::Payload(_) => self.honest.load(at),
        }
    }

    fn save(&self, key: &Key, expect: Expect, write: Write) -> Reply<Saved> {
        if self.keeps {
            self.kept.put(*key, write.record.clone());
            return self.honest.save(key, expect, write);
        }
        let mut token = write.record.encode();
        token.pop();
        Reply::ready(Ok(Saved::Token(token)))
    }

    fn touch(&self, key: &Key, expires: Time, now: Time) -> Reply<()> {
        self.honest.touch(key, expires, now)
    }

    fn sweep(&self, now: Time, max: usize) -> Reply<usize> {
        self.honest.sweep(now, max)
    }
}
