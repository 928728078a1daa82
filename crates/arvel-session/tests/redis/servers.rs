//! Where the servers are: those of `cargo xtask test`, and private ones that a test may kill.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

#[allow(
    clippy::disallowed_methods,
    reason = "which servers there are is the environment's to say"
)]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[allow(
    clippy::print_stderr,
    reason = "nobody should take a test that did not run for one that passed"
)]
fn missing(what: &str) {
    let required = variable("CI").is_some() || variable("ARVEL_TEST_REQUIRE").is_some();
    assert!(!required, "{what} is missing");
    eprintln!("ignored, {what} is missing: start it with `cargo xtask test`");
}

/// The URL that a variable holds; without one the test is ignored, or fails where it is required.
pub(crate) fn from_environment(name: &str) -> Option<String> {
    let url = variable(name);
    if url.is_none() {
        missing(name);
    }
    url
}

/// A `redis-server` of the test's own, gone when it is dropped.
pub(crate) struct Server {
    pub(crate) port: u16,
    arguments: Vec<String>,
    folder: TempDir,
    child: Option<Child>,
}

impl Server {
    /// A free port and nothing on it yet; `None` where there is no `redis-server` to run.
    pub(crate) fn reserve(arguments: &[&str]) -> Option<Self> {
        if Command::new("redis-server")
            .arg("--version")
            .output()
            .is_err()
        {
            missing("redis-server");
            return None;
        }
        Some(Self {
            port: free_port(),
            arguments: arguments
                .iter()
                .map(|&argument| argument.to_owned())
                .collect(),
            folder: TempDir::new().unwrap(),
            child: None,
        })
    }

    pub(crate) fn run(arguments: &[&str]) -> Option<Self> {
        let mut server = Self::reserve(arguments)?;
        server.start();
        Some(server)
    }

    pub(crate) fn start(&mut self) {
        let port = self.port.to_string();
        let config = self.folder.path().join("redis.conf");
        if !config.exists() {
            std::fs::write(&config, self.arguments.join("\n")).unwrap();
        }
        let child = Command::new("redis-server")
            .arg(&config)
            .args(["--port", &port, "--save", "", "--dir"])
            .arg(self.folder.path())
            .args(
                self.arguments
                    .iter()
                    .any(|line| line.starts_with("sentinel"))
                    .then_some("--sentinel"),
            )
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        self.child = Some(child);
        wait_for("the server", || {
            let answer = self.ask(&["PING"]);
            answer.contains("PONG") || answer.contains("NOAUTH")
        });
    }

    /// Makes it listen with a certificate of its own too, and says on which port.
    pub(crate) fn serve_tls(&mut self) -> u16 {
        let port = free_port();
        let file = |name: &str| self.folder.path().join(name).display().to_string();
        let (key, certificate) = (file("key.pem"), file("certificate.pem"));
        let made = Command::new("openssl")
            .args([
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
            ])
            .args([
                "-subj",
                "/CN=127.0.0.1",
                "-addext",
                "subjectAltName=IP:127.0.0.1",
            ])
            .args(["-keyout", &key, "-out", &certificate])
            .output();
        assert!(made.unwrap().status.success());
        self.arguments.extend([
            format!("tls-port {port}"),
            format!("tls-cert-file {certificate}"),
            format!("tls-key-file {key}"),
            format!("tls-ca-cert-file {certificate}"),
            "tls-auth-clients no".to_owned(),
        ]);
        port
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// What `redis-cli` prints.
    pub(crate) fn ask(&self, command: &[&str]) -> String {
        let output = Command::new("redis-cli")
            .args(["-p", &self.port.to_string()])
            .args(command)
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Sends its process a signal.
    pub(crate) fn signal(&self, signal: &str) {
        let process = self.child.as_ref().unwrap().id().to_string();
        let sent = Command::new("kill").args([signal, &process]).status();
        assert!(sent.unwrap().success());
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn free_port() -> u16 {
    // A cluster's bus listens 10,000 above.
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        if port < 55_000 && TcpListener::bind(("127.0.0.1", port + 10_000)).is_ok() {
            return port;
        }
    }
}

pub(crate) fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "waited in vain for {what}"
        );
        thread::sleep(Duration::from_millis(20));
    }
}
