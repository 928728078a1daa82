//! The suite as tests of the standard harness.

use std::io::Write as _;

use super::{CHECKS, Opener, Outcome};

/// Makes one `#[test]` of each check.
///
/// Takes an expression that makes the [`Opener`], anew for each test; or an `Option` of one, where `None` says that there
/// is nothing to test here, as when a server is not running: each test then says so on standard error and ends.
///
/// The [module's documentation](crate::conformance) has an example. Two stores in one file stand in a `mod` each.
#[macro_export]
macro_rules! conformance_tests {
    ($opener:expr $(,)?) => {
        $crate::__conformance_checks!(__conformance_functions $opener);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_functions {
    ([$opener:tt] $($needs:ident $module:ident: $($check:ident)+;)+) => {
        $($(
            #[test]
            fn $check() {
                $crate::conformance::test(stringify!($check), $opener);
            }
        )+)+
    };
}

/// Runs the check of this name on a runtime of its own, for a test function: what
/// [`conformance_tests!`](crate::conformance_tests) calls.
///
/// # Panics
/// The check failed, or there is none of this name.
#[allow(
    clippy::panic,
    clippy::print_stdout,
    reason = "this is how a test says what it found"
)]
pub fn test(name: &str, opener: impl Into<Option<Opener>>) {
    let Some(opener) = opener.into() else {
        // Not `eprintln!`, which the harness keeps to itself when a test passes.
        let _ = writeln!(
            std::io::stderr(),
            "{name}: ignored, there is no store to test"
        );
        return;
    };
    let Some(check) = CHECKS.iter().find(|check| check.name() == name) else {
        panic!("the conformance suite has no check `{name}`");
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(check.run(&opener)),
        Err(error) => panic!("{name}: no runtime: {error}"),
    };
    match result {
        Ok(Outcome::Passed) => {}
        Ok(Outcome::NotApplicable(why)) => println!("{name}: not applicable: {why}"),
        Err(failure) => panic!("{name}: {failure}"),
    }
}
