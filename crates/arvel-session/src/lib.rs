//! Server-side HTTP sessions: no lost update, dead stays dead, an outage never eats data.

mod clock;
mod config;
mod error;
mod record;
pub mod store;

pub use clock::{Clock, ManualClock, SystemClock, Time};
pub use config::{SameSite, Secret, SessionConfig, Settings, Source, Url};
pub use error::{Error, ErrorKind, Result};
