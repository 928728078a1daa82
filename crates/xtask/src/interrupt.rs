//! SIGINT, SIGTERM and SIGHUP: the first one asks for an orderly end, the second one ends at once.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Context, Error, Result};

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// Starts to listen for the signals.
pub fn listen() -> Result<()> {
    ctrlc::set_handler(|| {
        // Ending at once leaves nothing behind either: the guard does what remains.
        if REQUESTED.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
    })
    .context("listening for signals")
}

/// An error once somebody has asked us to stop.
pub fn check() -> Result<()> {
    if REQUESTED.load(Ordering::SeqCst) {
        Err(Error::Interrupted)
    } else {
        Ok(())
    }
}
