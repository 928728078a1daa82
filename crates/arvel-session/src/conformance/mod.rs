//! The conformance suite for stores.

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
