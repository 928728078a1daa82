//! Server-side HTTP sessions: no lost update, dead stays dead, an outage never eats data.
//!
//! A handler takes a [`SessionData`], reads it and changes it; the layer [`StartSession`] loads it before and stores it
//! after. Where sessions are kept is configuration: see [`SessionConfig`], and [`store`] for a driver of your own.
//!
//! ```no_run
//! use arvel_session::{Result, SessionData};
//! use axum::{Router, routing::get};
//!
//! async fn home(session: SessionData) -> Result<String> {
//!     Ok(format!("visit {}", session.increment("visits", 1)?))
//! }
//!
//! # fn main() -> Result<()> {
//! let app: Router = Router::new().route("/", get(home)).layer(arvel_session::layer()?);
//! # Ok(())
//! # }
//! ```
//!
//! # What is promised, on every server-side driver
//!
//! * **No lost update.** Two requests of one user that run at once both keep what they wrote, on one live session.
//! * **Dead stays dead.** A session that was destroyed or regenerated never comes back, whatever was in flight.
//! * **An outage never eats data.** A store that fails to answer is an error, never an empty session.
//! * **Nothing usable is at rest.** A copy of the database, the disk, the cache or the log lets nobody in.
//! * **You pay for what you touch.** A visitor without a session costs no I/O and no cookie; a read is one round trip.
//!
//! The `cookie` driver keeps no state on the server, so the first two cannot hold there.
//!
//! # Features
//!
//! | feature | what it brings |
//! |---|---|
//! | `axum` (default) | the extractor, `IntoResponse` for [`Error`], the peer's address |
//! | `file` (default) | the `file` driver |
//! | `redis` | the `redis` driver: one node, Sentinel, Cluster |
//! | `sqlite`, `postgres`, `mysql` | the `database` driver on each |
//! | `metrics` | counters through the `metrics` facade |
//! | `conformance` | the suite that every store must pass |

mod clock;
mod config;
#[cfg(feature = "conformance")]
pub mod conformance;
mod cookie;
mod engine;
mod error;
mod facade;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod hostile;
mod lifecycle;
mod manager;
mod observe;
mod record;
mod session;
pub mod store;
mod sweeper;
mod tower;
pub mod visit;

pub use clock::{Clock, ManualClock, SystemClock, Time};
pub use config::{SameSite, Secret, SessionConfig, Settings, Source, Url};
pub use error::{Error, ErrorKind, Result};
pub use facade::{Session, SessionServiceProvider, layer};
pub use manager::{SessionManager, Store};
pub use record::after_fork;
pub use session::{AsKey, Key, KeyName, SessionData};
pub use tower::{ResponseFuture, SessionBody, SessionService, StartSession};

/// The documents of the repository: their code is compiled and run as this crate's own examples are.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../../../README.md")]
    struct Readme;

    #[doc = include_str!("../../../docs/guide.md")]
    struct Guide;
}
