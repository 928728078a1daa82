//! Server-side HTTP sessions: no lost update, dead stays dead, an outage never eats data.

mod clock;
#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
mod record;
pub mod store;

pub use clock::{Clock, ManualClock, SystemClock, Time};
pub use error::{Error, ErrorKind, Result};
