//! `cargo xtask check`: everything that can be said about the code without running it.

use xtask::error::Result;
use xtask::process::cargo;
use xtask::repository;

use crate::steps::Steps;
use crate::{fuzz, hygiene};

/// Makes every complaint of clippy an error.
const STRICT: [&str; 3] = ["--", "-D", "warnings"];

/// Runs each check, also after one has failed.
pub(crate) fn run(steps: &mut Steps) -> Result<()> {
    steps.run("hygiene", hygiene::run)?;
    steps.run("formatting", formatting)?;
    steps.run("lints", lints)?;
    steps.run("the library without features", || library(""))?;
    for feature in repository::features()? {
        steps.run(&format!("the feature {feature} alone"), || {
            library(&feature)
        })?;
    }
    steps.run("documentation", || {
        let build = ["doc", "--workspace", "--all-features", "--no-deps"];
        cargo(&build, &[("RUSTDOCFLAGS", "-D warnings")])
    })
}

fn formatting() -> Result<()> {
    cargo(&["fmt", "--all", "--check"], &[])?;
    let mut manifests = repository::own_workspaces()?;
    manifests.push(repository::python());
    for manifest in manifests {
        let manifest = manifest.display().to_string();
        cargo(&["fmt", "--check", "--manifest-path", &manifest], &[])?;
    }
    cargo(&["fmt", "--check", "--manifest-path", fuzz::MANIFEST], &[])
}

fn lints() -> Result<()> {
    let all = ["clippy", "--workspace", "--all-features", "--all-targets"];
    cargo(&[&all[..], &STRICT].concat(), &[])?;
    for manifest in repository::own_workspaces()? {
        let manifest = manifest.display().to_string();
        let own = ["clippy", "--all-targets", "--manifest-path", &manifest];
        cargo(&[&own[..], &STRICT].concat(), &[])?;
    }
    let fuzz_targets = ["clippy", "--bins", "--manifest-path", fuzz::MANIFEST];
    let internals = [("RUSTFLAGS", fuzz::CFG)];
    cargo(&[&fuzz_targets[..], &STRICT].concat(), &internals)?;
    let manifest = repository::python().display().to_string();
    // The drivers are the library's, which was looked at above.
    let python = [
        "clippy",
        "--no-default-features",
        "--manifest-path",
        &manifest,
    ];
    cargo(&[&python[..], &STRICT].concat(), &[])
}

/// The library with one feature alone, or with none.
fn library(feature: &str) -> Result<()> {
    let library = [
        "clippy",
        "--package",
        "arvel-session",
        "--no-default-features",
        "--features",
        feature,
    ];
    cargo(&[&library[..], &STRICT].concat(), &[])
}
