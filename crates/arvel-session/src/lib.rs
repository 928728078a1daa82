//! Server-side HTTP sessions: no lost update, dead stays dead, an outage never eats data.

mod clock;
mod cookie;
mod engine;
mod error;
mod lifecycle;
mod observe;
mod record;
mod session;
pub mod store;

pub use clock::{Clock, ManualClock, SystemClock, Time};
pub use error::{Error, ErrorKind, Result};
pub use session::{AsKey, Key, KeyName, SessionData};
