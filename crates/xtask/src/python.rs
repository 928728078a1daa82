//! The Python part of `cargo xtask test`: a virtual environment of its own, the wheel, its tests and its types.

use std::path::{Path, PathBuf};

use xtask::error::{Error, Result};
use xtask::{process, repository};

use crate::runner::Runner;
use crate::steps::Steps;

/// pytest's word for "no test has such a name".
const NO_TESTS: i32 = 5;

/// Builds the wheel, installs it and tests it.
pub(crate) fn test(steps: &mut Steps, runner: &Runner<'_>, filters: &[String]) -> Result<()> {
    let python = Python {
        runner,
        profile: "dev",
    };
    let built = steps.need("the Python wheel", || python.build("tests"));
    if let Err(Error::Failed(why)) = &built {
        eprintln!("xtask: the Python wheel: {why}");
        return Ok(());
    }
    built?;
    steps.run("Python tests", || python.pytest(filters))?;
    if filters.is_empty() {
        steps.run("Python types", || python.types())?;
        steps.run("the proof, in Rust and Python", || python.prove())?;
    }
    Ok(())
}

/// Builds the wheel as its users have it, and measures it; the tables go into `document`, too.
pub(crate) fn bench(
    steps: &mut Steps,
    runner: &Runner<'_>,
    quick: bool,
    document: Option<&Path>,
) -> Result<()> {
    let python = Python {
        runner,
        profile: "release",
    };
    steps.need("the Python wheel", || python.build("bench"))?;
    let seconds = if quick { "0.1" } else { "3" };
    let document = document.map(|document| document.display().to_string());
    let mut bench = vec!["bench/bench.py", "--seconds", seconds];
    if let Some(document) = &document {
        bench.extend(["--report", document]);
    }
    steps.run("Python", || {
        python.need(&python.program("python"), &bench, &[])
    })
}

/// A virtual environment for wheels of this profile.
struct Python<'a> {
    runner: &'a Runner<'a>,
    profile: &'static str,
}

impl Python<'_> {
    /// The wheel is built as the tests of the library are, and where they are: much of what it is made of is there already.
    fn build(&self, folder: &str) -> Result<()> {
        let python = self.program("python");
        if !python.exists() {
            let place = self.place().display().to_string();
            self.need(Path::new("python3"), &["-m", "venv", &place], &[])?;
        }
        let pip = [
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ];
        let tools = format!("{folder}/requirements.txt");
        let tools = [&pip[..], &["-r", &tools]].concat();
        self.need(&python, &tools, &[])?;
        let wheels = self.place().join("wheels");
        // One that was built before must not be taken for this one.
        let _ = std::fs::remove_dir_all(&wheels);
        let folder = wheels.display().to_string();
        let target = target().display().to_string();
        let build = ["build", "--profile", self.profile, "--out", &folder];
        let variables = [("CARGO_TARGET_DIR", target.as_str())];
        self.need(&self.program("maturin"), &build, &variables)?;
        let built = repository::entries(&wheels)?;
        let wheel = built
            .first()
            .ok_or_else(|| Error::new("maturin has built no wheel"))?;
        let wheel = wheel.display().to_string();
        let install = [&pip[..], &["--force-reinstall", "--no-deps", &wheel]].concat();
        self.need(&python, &install, &[])
    }

    fn pytest(&self, filters: &[String]) -> Result<()> {
        let playground = target()
            .join("debug/examples/playground")
            .display()
            .to_string();
        let names = filters.join(" or ");
        let mut arguments = vec!["-m", "pytest"];
        if !filters.is_empty() {
            arguments.extend(["-k", &names]);
        }
        let variables = [("ARVEL_TEST_PLAYGROUND", playground.as_str())];
        match self.status(&self.program("python"), &arguments, &variables)? {
            0 => Ok(()),
            NO_TESTS if !filters.is_empty() => Ok(()),
            status => Err(Error::new(format!("pytest ended with {status}"))),
        }
    }

    /// The package's types, and that the native half's stubs say what is there.
    fn types(&self) -> Result<()> {
        let python = self.program("python");
        self.need(
            &python,
            &["-m", "mypy", "package/arvel_session", "tests"],
            &[],
        )?;
        let stubs = [
            "-m",
            "mypy.stubtest",
            "arvel_session",
            "--mypy-config-file",
            "pyproject.toml",
        ];
        self.need(&python, &stubs, &[])
    }

    /// Servers in Rust and in Python on one store, in short; it has stores of its own.
    fn prove(&self) -> Result<()> {
        let proof = ["run", "--quiet", "--package", "proof", "--"];
        let python = self.program("python").display().to_string();
        let run = ["run", "--short", "--part", "quiet", "--part", "network"];
        process::cargo(&[&proof[..], &run, &["--beside", &python]].concat(), &[])
    }

    fn place(&self) -> PathBuf {
        target().join("python").join(self.profile)
    }

    fn program(&self, name: &str) -> PathBuf {
        self.place().join("bin").join(name)
    }

    fn need(&self, program: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Result<()> {
        match self.status(program, arguments, variables)? {
            0 => Ok(()),
            status => Err(Error::new(format!(
                "{} ended with {status}",
                program.display()
            ))),
        }
    }

    fn status(
        &self,
        program: &Path,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Result<i32> {
        let folder = repository::root().join("python");
        (self.runner).run(program, arguments, &folder, variables)
    }
}

/// Where cargo builds.
#[expect(
    clippy::disallowed_methods,
    reason = "cargo's own setting, which no configuration of ours is about"
)]
fn target() -> PathBuf {
    let set = std::env::var_os("CARGO_TARGET_DIR");
    set.map_or_else(|| repository::root().join("target"), PathBuf::from)
}
