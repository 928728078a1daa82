//! Installs the programs that the tests need, where they are missing, with Debian's package manager.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Context, Error, Result};
use crate::{process, services};

/// The programs, and Debian's package for each.
const PROGRAMS: [(&str, &str); 8] = [
    ("redis-server", "redis-server"),
    ("redis-cli", "redis-tools"),
    ("mariadbd", "mariadb-server"),
    ("mariadb-install-db", "mariadb-server"),
    ("mariadb", "mariadb-client"),
    ("chromium", "chromium"),
    ("chromedriver", "chromium-driver"),
    ("openssl", "openssl"),
];

/// While this file says so, Debian does not start the services that it installs.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Installs what is missing. It is not cut short by a signal: a half-configured package would outlive us.
pub(crate) fn run() -> Result<()> {
    let packages = missing();
    if packages.is_empty() {
        return Ok(());
    }
    let list = packages.join(" ");
    let able = process::find("apt-get").is_some() && rustix::process::geteuid().is_root();
    if !able {
        return Err(Error::new(format!(
            "please install these (as root, on Debian: apt-get install {list})"
        )));
    }
    eprintln!("xtask: installing {list}");
    let _policy = Policy::forbid_starting()?;
    apt(&["update"])?;
    let install = ["install", "--yes", "--no-install-recommends"];
    apt(&[&install[..], &packages].concat())
}

fn missing() -> Vec<&'static str> {
    let mut packages: Vec<&str> = PROGRAMS
        .into_iter()
        .filter(|(program, _)| process::find(program).is_none())
        .map(|(_, package)| package)
        .collect();
    if services::postgres::programs().is_none() {
        packages.push("postgresql");
    }
    packages.dedup();
    packages
}

fn apt(arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("setsid");
    command
        .args([
            "--wait",
            "apt-get",
            "--quiet",
            "-o",
            "DPkg::Lock::Timeout=300",
        ])
        .args(arguments);
    process::output(command.env("DEBIAN_FRONTEND", "noninteractive")).map(drop)
}

/// The policy, in force until it is dropped. One that is there already is left alone.
struct Policy(Option<PathBuf>);

impl Policy {
    fn forbid_starting() -> Result<Self> {
        let file = Path::new(POLICY);
        if file.exists() {
            return Ok(Self(None));
        }
        std::fs::write(file, "#!/bin/sh\nexit 101\n").context(format!("writing {POLICY}"))?;
        let ours = Self(Some(file.to_path_buf()));
        process::output(Command::new("chmod").args(["755", POLICY]))?;
        Ok(ours)
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        let removed = self.0.as_deref().map(std::fs::remove_file);
        if let Some(Err(error)) = removed {
            eprintln!("xtask: removing {POLICY}: {error}");
        }
    }
}
