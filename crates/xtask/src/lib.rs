//! What `cargo xtask` and the proof have in common: private servers, under a guard that ends them in every case.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool talks to its user"
)]

pub mod error;
pub mod guard;
pub mod install;
pub mod interrupt;
pub mod process;
pub mod repository;
pub mod services;
