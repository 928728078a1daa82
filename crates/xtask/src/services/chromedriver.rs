//! The driver of the browser. Each browser that it starts keeps its files in the run's folder.

use std::net::TcpStream;

use rustix::process::Signal;

use super::{Server, Variables, command, folder_for, free_port};
use crate::error::Result;
use crate::guard::Guard;
use crate::process;

/// Starts the driver; it starts browsers when a test asks for one.
pub(super) fn start(guard: &Guard) -> Result<Variables> {
    let port = free_port()?;
    let folder = folder_for(guard, "chromedriver", None)?;
    let mut driver = command(&process::need("chromedriver")?, &folder, None);
    driver.arg(format!("--port={port}")).env("TMPDIR", &folder);
    Server::start(guard, "chromedriver", driver, Signal::TERM, move || {
        TcpStream::connect(("127.0.0.1", port)).is_ok()
    })?;
    Ok(vec![(
        "ARVEL_TEST_CHROMEDRIVER",
        format!("http://127.0.0.1:{port}"),
    )])
}
