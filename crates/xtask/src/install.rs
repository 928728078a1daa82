//! Installs the programs that the tests and the benchmark need, where they are missing, with Debian's package manager.

use std::io::{Read, Seek};
use std::process::{Command, Stdio};

use crate::error::{Context, Error, Result};
use crate::{process, services};

/// A program, and Debian's package for it.
pub type Program = (&'static str, &'static str);

/// Counts instructions.
pub const VALGRIND: Program = ("valgrind", "valgrind");

/// Sends requests over sockets.
pub const WRK: Program = ("wrk", "wrk");

/// Compiles libFuzzer.
pub const CXX: Program = ("c++", "g++");

/// What the tests need, beside PostgreSQL.
const PROGRAMS: [Program; 10] = [
    ("redis-server", "redis-server"),
    ("redis-cli", "redis-tools"),
    ("mariadbd", "mariadb-server"),
    ("mariadb-install-db", "mariadb-server"),
    ("mariadb", "mariadb-client"),
    ("chromium", "chromium"),
    ("chromedriver", "chromium-driver"),
    ("openssl", "openssl"),
    ("curl", "curl"),
    ("python3", "python3"),
];

/// Installs the packages that it is given. While its policy (`$0`) is in force, Debian does not start what it installs.
const SCRIPT: &str = r#"
set -e
export DEBIAN_FRONTEND=noninteractive PATH="$PATH:/usr/sbin:/sbin"
if [ ! -e "$0" ]; then
    trap 'rm -f "$0"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$0"
    chmod 755 "$0"
fi
apt-get --quiet -o DPkg::Lock::Timeout=300 update
apt-get --quiet -o DPkg::Lock::Timeout=300 install --yes --no-install-recommends "$@"
"#;

const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Installs what the tests need.
///
/// # Errors
/// It cannot be installed.
pub fn run() -> Result<()> {
    let mut packages = missing(&PROGRAMS);
    if services::postgres::programs().is_none() {
        packages.push("postgresql");
    }
    // Debian's Python cannot make a virtual environment without this.
    let mut venv = Command::new("python3");
    if process::output(venv.args(["-c", "import ensurepip, venv"])).is_err() {
        packages.push("python3-venv");
    }
    add(&packages)
}

/// Installs these.
///
/// # Errors
/// They cannot be installed.
pub fn programs(programs: &[Program]) -> Result<()> {
    add(&missing(programs))
}

fn missing(programs: &[Program]) -> Vec<&'static str> {
    let absent = programs
        .iter()
        .filter(|(program, _)| process::find(program).is_none());
    let mut packages: Vec<&str> = absent.map(|(_, package)| *package).collect();
    packages.dedup();
    packages
}

fn add(packages: &[&str]) -> Result<()> {
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
    install(packages)
}

/// Runs the script in a session of its own, writing to a file: no signal cuts it short, nor does our end, because a
/// package half configured would outlive us.
fn install(packages: &[&str]) -> Result<()> {
    let log = || "keeping the log of apt-get";
    let mut file = tempfile::tempfile().context(log())?;
    let [output, errors] = [
        file.try_clone().context(log())?,
        file.try_clone().context(log())?,
    ];
    let mut script = Command::new("setsid");
    script
        .args(["--wait", "sh", "-c", SCRIPT, POLICY])
        .args(packages);
    let status = script
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .status()
        .context("starting setsid")?;
    if status.success() {
        return Ok(());
    }
    let mut said = String::new();
    file.rewind()
        .and_then(|()| file.read_to_string(&mut said))
        .context(log())?;
    Err(Error::new(format!("apt-get failed, {status}:\n{said}")))
}
