//! The `cookie` driver keeps the contract, as far as it promises to.

use arvel_session::{conformance::Opener, conformance_tests, store::CookieStore};

conformance_tests!(Opener::private(|| async { Ok(CookieStore) }));
