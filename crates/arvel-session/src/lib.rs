//! Server-side HTTP sessions: no lost update, dead stays dead, an outage never eats data.

mod clock;
mod config;
mod cookie;
mod engine;
mod error;
mod facade;
mod lifecycle;
mod manager;
mod observe;
mod record;
mod session;
pub mod store;
mod sweeper;
mod tower;

pub use clock::{Clock, ManualClock, SystemClock, Time};
pub use config::{SameSite, Secret, SessionConfig, Settings, Source, Url};
pub use error::{Error, ErrorKind, Result};
pub use facade::{Session, SessionServiceProvider, layer};
pub use manager::{SessionManager, Store};
pub use session::{AsKey, Key, KeyName, SessionData};
pub use tower::{ResponseFuture, SessionBody, SessionService, StartSession};

/// The documents of the repository: their code is compiled and run as this crate's own examples are.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../../../README.md")]
    struct Readme;
}
