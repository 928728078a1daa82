//! A folder and an environment of a test's own, in which the command runs.

use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use tempfile::TempDir;

/// A key that looks random, since it is.
pub(crate) const KEY: &str = "base64:fgq5oHhHNG0n8yy52fB/yRqQfjv1tKfAfoz4SXXjxEw=";
/// Part of every URL with a password.
pub(crate) const PASSWORD: &str = "hunter2";

pub(crate) struct Place {
    folder: TempDir,
    variables: Vec<(String, String)>,
}

/// What a run has printed, and its exit code.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Place {
    /// An empty folder, an empty environment.
    pub(crate) fn bare() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
            variables: Vec::new(),
        }
    }

    /// With a key, the cookie marked as secure, and this driver: nothing to complain about.
    pub(crate) fn sound(driver: &str) -> Self {
        Self::bare()
            .with("SESSION_SECRET_KEY", KEY)
            .with("SESSION_SECURE", "true")
            .with("SESSION_DRIVER", driver)
    }

    pub(crate) fn with(mut self, variable: &str, value: impl Into<String>) -> Self {
        self.variables.retain(|(other, _)| other != variable);
        self.variables.push((variable.to_owned(), value.into()));
        self
    }

    pub(crate) fn without(mut self, variable: &str) -> Self {
        self.variables.retain(|(other, _)| other != variable);
        self
    }

    /// With a file of this mode.
    pub(crate) fn file(self, name: &str, mode: u32, text: &str) -> Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        set_mode(&path, mode);
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_arvel-session"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .envs(self.variables.iter().cloned())
            .envs(variable("SSL_CERT_FILE").map(|path| ("SSL_CERT_FILE", path)))
            .stdin(Stdio::null());
        command
    }

    /// That the doctor finds nothing to complain about.
    pub(crate) fn is_well(&self) {
        let out = self.run(&["doctor"]).succeeded();
        assert!(out.lines().all(|line| line.starts_with("ok ")), "{out}");
    }

    /// Runs it. Whatever it prints must not hold a secret.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        let output = self.command(arguments).output().unwrap();
        let ran = Ran {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        };
        let printed = format!("{}{}", ran.out, ran.err);
        for secret in [KEY.strip_prefix("base64:").unwrap(), PASSWORD] {
            assert!(!printed.contains(secret), "{printed}");
        }
        ran
    }
}

impl Ran {
    /// The only line of the doctor's with this text, and the mark that it bears.
    pub(crate) fn mark(&self, text: &str) -> &str {
        let mut lines = self.out.lines().filter(|line| line.contains(text));
        let (Some(line), None) = (lines.next(), lines.next()) else {
            panic!("{text:?} does not stand in one line of\n{}", self.out);
        };
        line.split(' ').next().unwrap()
    }

    /// That it went well and nobody was told anything else.
    pub(crate) fn succeeded(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (0, ""), "{}", self.out);
        self.out
    }

    /// That it ended with an error alone.
    pub(crate) fn failed(self) -> String {
        assert_eq!((self.code, self.out.as_str()), (1, ""), "{}", self.err);
        assert!(self.err.starts_with("arvel-session: "), "{}", self.err);
        assert_eq!(self.err.lines().count(), 1, "{}", self.err);
        self.err
    }
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A name for a table or a prefix that no other test has.
pub(crate) fn unused_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("command_{}_{count}", std::process::id())
}

#[allow(
    clippy::disallowed_methods,
    reason = "where the services are stands in the environment"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Where a service is. Without one the test is ignored, or fails where it is required.
pub(crate) fn service(name: &str) -> Option<String> {
    let url = variable(name);
    if url.is_none() {
        let required = ["CI", "ARVEL_TEST_REQUIRE"];
        assert!(
            required.iter().all(|name| variable(name).is_none()),
            "{name} is not set"
        );
        // Not `eprintln`, which the harness hides when a test passes.
        let _ = writeln!(
            std::io::stderr(),
            "ignored: start it with `cargo xtask test` ({name})"
        );
    }
    url
}
