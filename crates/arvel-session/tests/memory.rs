//! The `memory` driver keeps the contract.

use arvel_session::{conformance::Opener, conformance_tests, store::MemoryStore};

conformance_tests!(Opener::private(|| async { Ok(MemoryStore::new()) }));
