//! `arvel-session sweep`: what the application's sweeper does, once.

use std::process::ExitCode;

use arvel_session::{SessionConfig, SessionManager};

use crate::{
    Ending, block_on,
    output::{note, print},
};

pub(crate) fn run() -> Ending {
    let manager = SessionManager::new(SessionConfig::load()?)?;
    let store = manager.store()?.capabilities();
    let removed = block_on(manager.sweep())??;
    print(&format!("removed {removed}\n"))?;
    let driver = store.name;
    if !store.sweeps {
        note(&format!(
            "the {driver} driver needs no sweep: what expires there goes by itself"
        ));
    } else if !store.shared {
        note(&format!(
            "the {driver} driver keeps sessions inside the application, which alone can sweep them"
        ));
    }
    Ok(ExitCode::SUCCESS)
}
