//! Running programs under the guard, with what they must know of the servers.

use std::path::Path;

use rustix::process::Signal;

use xtask::error::Result;
use xtask::guard::{self, Guard};
use xtask::process;
use xtask::services::Variables;

/// Runs programs.
pub(crate) struct Runner<'a> {
    pub(crate) guard: &'a Guard,
    pub(crate) variables: Variables,
}

impl Runner<'_> {
    /// Runs a program in a folder to its end, with these variables too; answers its status.
    pub(crate) fn run(
        &self,
        program: &Path,
        arguments: &[&str],
        folder: &Path,
        variables: &[(&str, &str)],
    ) -> Result<i32> {
        eprintln!("$ {} {}", program.display(), arguments.join(" "));
        let mut command = guard::in_own_session(program, None);
        process::forget_us(&mut command)
            .current_dir(folder)
            .args(arguments);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.envs(variables.iter().copied());
        let mut child = self.guard.spawn(&mut command, Signal::INT)?;
        let status = process::wait_for_end(&mut child)?;
        Ok(status.code().unwrap_or(-1))
    }
}
