//! The conformance suite: every sentence of the [`SessionStore`](crate::store::SessionStore) contract, as a check.
//!
//! It is for the author of a store. The drivers of this crate run it too; a store that passes is one of them. Switch the
//! feature on for your tests:
//!
//! ```toml
//! [dev-dependencies]
//! arvel-session = { version = "0.1", features = ["conformance"] }
//! ```
//!
//! # Running it
//!
//! The suite opens your store itself, through an [`Opener`], since some checks need a second handle. One line then makes
//! a `#[test]` of every check; it needs nothing but the standard test harness:
//!
//! ```
//! # use std::{collections::HashMap, sync::{Arc, Mutex}};
//! # use arvel_session::{Time, store::{At, Capabilities, Expect, Key, Record, Reply, Revision, Saved, SessionStore, Write}};
//! #
//! use arvel_session::conformance::{self, Opener};
//!
//! /// The smallest store: it forgets everything with its process, and cannot replace.
//! #[derive(Clone, Default)]
//! struct MyStore(Arc<Mutex<HashMap<Key, Record>>>);
//!
//! impl SessionStore for MyStore {
//!     fn capabilities(&self) -> Capabilities {
//!         let mut capabilities = Capabilities::new("mine");
//!         capabilities.shared = false;
//!         capabilities.persistent = false;
//!         capabilities.atomic_replace = false;
//!         capabilities
//!     }
//!
//!     fn load(&self, at: At<'_>) -> Reply<Option<Record>> {
//!         let At::Key(key) = at else {
//!             return Reply::ready(Ok(None));
//!         };
//!         Reply::ready(Ok(self.0.lock().unwrap().get(key).cloned()))
//!     }
//!
//!     fn save(&self, key: &Key, expect: Expect, write: Write) -> Reply<Saved> {
//!         if let Err(error) = self.capabilities().check_size(&write.record) {
//!             return Reply::ready(Err(error));
//!         }
//!         let mut records = self.0.lock().unwrap();
//!         let there = records.get(key);
//!         let expected = match expect {
//!             Expect::Absent => there.is_none(),
//!             Expect::Revision(revision) => there.is_some_and(|there| there.matches(revision)),
//!         };
//!         if !expected {
//!             return Reply::ready(Ok(Saved::Conflict(there.cloned())));
//!         }
//!         records.insert(*key, write.record);
//!         Reply::ready(Ok(Saved::Done))
//!     }
//!
//!     fn touch(&self, key: &Key, expires: Time, _now: Time) -> Reply<()> {
//!         if let Some(record) = self.0.lock().unwrap().get_mut(key)
//!             && record.kind.is_live()
//!         {
//!             record.expires = expires;
//!         }
//!         Reply::ready(Ok(()))
//!     }
//!
//!     fn sweep(&self, now: Time, max: usize) -> Reply<usize> {
//!         let mut records = self.0.lock().unwrap();
//!         let expired = records.iter().filter(|(_, record)| record.is_expired(now));
//!         let gone: Vec<Key> = expired.map(|(key, _)| *key).take(max).collect();
//!         gone.iter().for_each(|key| drop(records.remove(key)));
//!         Reply::ready(Ok(gone.len()))
//!     }
//! }
//!
//! fn opener() -> Opener {
//!     Opener::private(|| async { Ok(MyStore::default()) })
//! }
//!
//! // In a file of tests, this is all:
//! arvel_session::conformance_tests!(opener());
//!
//! // In any other harness, or for a table in your documentation:
//! # #[tokio::main]
//! # async fn main() {
//! let report = conformance::run(&opener()).await;
//! assert!(report.passed(), "{report}");
//! # let not_applicable = "n/a    a_replace_does_both: the store denies atomic_replace, and that is so\n";
//! # assert!(report.to_string().contains(not_applicable), "{report}");
//! # }
//! ```
//!
//! [`run`] needs a tokio runtime of any kind and answers a [`Report`] with a line for each check. [`CHECKS`] is the list, to
//! run them one by one; and each is a plain function in the modules below, documented with the sentence that it checks.
//!
//! # Private and crowded places
//!
//! [`Opener::private`] promises that nothing else uses the place while a check runs: a temporary folder, a table or a
//! prefix of its own. Everything is then checked. Remember that tests run at the same time: where the macro is used, the
//! expression must make *another* place each time. [`Opener::crowded`] promises nothing. Keys are random, sweeps are at a
//! moment in the past, and only the suite's own records are looked at; what cannot be told there, such as how many records
//! a sweep removed, is reported as not applicable. Living records of others are never in danger, but **what has expired is
//! swept**.
//!
//! # Declared is checked, both ways
//!
//! What a store declares in its [`Capabilities`](crate::store::Capabilities) must hold, and what it denies must really not:
//! a store that says that it is not shared, and is, fails. A check that needs what a store denies first checks the denial
//! and then says [`Outcome::NotApplicable`] with the reason. Nothing is skipped in silence.
//!
//! Of `max_bytes`, at most 16 MiB are tried. A store that keeps more is given a record of 16 MiB, and the refusal of
//! larger ones is reported as not applicable.
//!
//! # Time
//!
//! Times are near the real clock, since some stores let records expire by themselves. The suite waits for the clock only
//! with those (about three seconds); all others are told the time.
//!
//! # What it cannot check
//!
//! That a failure is an error and never "nothing there"; that nothing is resent after a lost answer; that a durable write
//! survives a crash; that another process sees what another handle does; what stands in the columns of a table. Stop your
//! server, and look into your table, under tests of your own.

mod handle;
mod harness;
mod list;
mod report;

pub mod declared;
pub mod dropping;
pub mod expiring;
pub mod loading;
pub mod markers;
pub mod racing;
pub mod replacing;
pub mod saving;
pub mod sharing;
pub mod sweeping;
pub mod touching;

pub use handle::{Handle, Opener};
pub use harness::test;
pub use list::{CHECKS, Check, run};
pub use report::{Checked, Failure, Outcome, Report};
