//! Many requests at once, for a while: throughput and latency.

mod child;
mod local;
mod subject;

pub(crate) use self::local::Shuffle;
pub use self::{
    child::{Child, serve},
    local::Local,
    subject::{App, Later, Make, Subject, Ticket},
};

use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::case::Case;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// What each request does.
    pub case: Case,
    /// What a session's JSON takes, in bytes.
    pub session: usize,
    /// How many sessions there are: one, which all fight for, or enough for everyone to have some of his own.
    pub sessions: usize,
    /// How many requests are under way at once.
    pub concurrency: usize,
}

/// How one round went.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Round {
    /// Requests a second.
    pub per_second: f64,
    /// Half of the requests took less, in microseconds.
    pub p50_us: f64,
    /// All but a hundredth of them took less.
    pub p99_us: f64,
}

/// Somebody who can be put under load, in this process or in another.
pub trait Runner {
    /// Makes the sessions, and checks that the requests do what they should.
    ///
    /// # Errors
    /// They do not.
    fn prepare(&mut self, load: Load) -> Result<()>;

    /// Sends requests for this long.
    ///
    /// # Errors
    /// One of them failed.
    fn round(&mut self, time: Duration) -> Result<Round>;

    /// Checks that every request has counted, where they count.
    ///
    /// # Errors
    /// Some have not.
    fn finish(&mut self) -> Result<()>;
}
