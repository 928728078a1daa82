//! The runtime of all that happens in process: one thread, as each of a server's threads has one.

use anyhow::Result;
use tokio::{runtime, task::LocalSet};

/// A runtime of this thread. Everyone runs in a [`LocalSet`], since actix needs one.
#[derive(Debug)]
pub struct Runtime {
    runtime: runtime::Runtime,
    local: LocalSet,
}

impl Runtime {
    /// A new one.
    ///
    /// # Errors
    /// The system has none to give.
    pub fn new() -> Result<Self> {
        Ok(Self {
            runtime: runtime::Builder::new_current_thread()
                .enable_all()
                .build()?,
            local: LocalSet::new(),
        })
    }

    /// Runs this to its end.
    pub fn run<F: Future>(&self, future: F) -> F::Output {
        self.local.block_on(&self.runtime, future)
    }
}
