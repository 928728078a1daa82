//! `cargo xtask test`: every test there is, against private servers.

use std::path::Path;
use std::process::Command;

use xtask::error::{Error, Result};
use xtask::guard::Guard;
use xtask::services;
use xtask::{install, process, repository};

use crate::python;
use crate::runner::Runner;
use crate::steps::Steps;

/// Installs, starts, tests; the guard cleans up, whatever comes of it.
pub(crate) fn run(steps: &mut Steps, filters: &[String]) -> Result<()> {
    steps.need("install what is missing", install::run)?;
    let guard = Guard::start()?;
    let mut variables = steps.need("start the servers", || services::start(&guard))?;
    variables.push(("ARVEL_TEST_REQUIRE", "1".to_owned()));
    let runner = Runner {
        guard: &guard,
        variables,
    };
    let cargo = Cargo { runner, filters };

    // The end-to-end tests start the playground, which no test runner is sure to build where they look for it.
    steps.need("examples", || {
        cargo.build(&["build", "--workspace", "--all-features", "--examples"])
    })?;
    steps.run("tests", || cargo.run_tests())?;
    steps.run("documentation tests", || {
        cargo.run(&["test", "--doc", "--workspace", "--all-features"])
    })?;
    steps.run("conformance, a line for each driver", || {
        cargo.conformance()
    })?;
    if filters.is_empty() {
        steps.run("the proof, in short", || {
            process::cargo(
                &[
                    "run",
                    "--quiet",
                    "--package",
                    "proof",
                    "--",
                    "run",
                    "--short",
                ],
                &[],
            )
        })?;
    }
    for manifest in repository::own_workspaces()? {
        let name = manifest
            .strip_prefix(repository::root())
            .unwrap_or(&manifest)
            .display()
            .to_string();
        steps.run(&name, || cargo.run(&["test", "--manifest-path", &name]))?;
    }
    python::test(steps, &cargo.runner, filters)?;
    steps.need("stop the servers", || {
        drop(guard);
        Ok(())
    })
}

/// Cargo, for the tests that the user has chosen.
struct Cargo<'a> {
    runner: Runner<'a>,
    filters: &'a [String],
}

impl Cargo<'_> {
    fn run_tests(&self) -> Result<()> {
        if process::output(Command::new("cargo").args(["nextest", "--version"])).is_err() {
            let targets = ["--lib", "--bins", "--tests"];
            return self.run(&[&["test", "--workspace", "--all-features"][..], &targets].concat());
        }
        let mut arguments = vec![
            "nextest",
            "run",
            "--workspace",
            "--all-features",
            "--no-fail-fast",
        ];
        if !self.filters.is_empty() {
            // The filter may be for a documentation test.
            arguments.push("--no-tests=warn");
        }
        self.execute(&arguments, self.filters)
    }

    fn build(&self, arguments: &[&str]) -> Result<()> {
        self.execute(arguments, &[])
    }

    fn conformance(&self) -> Result<()> {
        let example = [
            "run",
            "--quiet",
            "--package",
            "arvel-session",
            "--all-features",
        ];
        self.execute(
            &[&example[..], &["--example", "conformance", "--"]].concat(),
            self.filters,
        )
    }

    /// `cargo test`, which takes several filters only behind `--`.
    fn run(&self, arguments: &[&str]) -> Result<()> {
        self.execute(
            &[arguments, &["--no-fail-fast", "--"]].concat(),
            self.filters,
        )
    }

    fn execute(&self, arguments: &[&str], filters: &[String]) -> Result<()> {
        let arguments: Vec<&str> = arguments
            .iter()
            .copied()
            .chain(filters.iter().map(String::as_str))
            .collect();
        let cargo = Path::new("cargo");
        match (self.runner).run(cargo, &arguments, &repository::root(), &[])? {
            0 => Ok(()),
            status => Err(Error::new(format!("cargo ended with status {status}"))),
        }
    }
}
