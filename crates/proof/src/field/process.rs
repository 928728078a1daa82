//! A server process, which can be killed and comes back at the same address.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, StatusCode, client::conn::http1, header::HOST};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use xtask::{
    error::{Context, Error, Result},
    repository,
};

use super::Place;
use crate::server::{self, LISTENING, Stats};

/// `proof serve` on a store, or what stands for it in Python. It ends with this.
#[derive(Debug)]
pub struct Process {
    place: Place,
    /// The interpreter of one in Python.
    python: Option<PathBuf>,
    address: SocketAddr,
    running: Option<(Child, ChildStdin)>,
}

impl Process {
    /// Starts one, at any free address.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(place: &Place) -> Result<Self> {
        Self::begin(place, None)
    }

    /// Starts one in Python, by this interpreter.
    ///
    /// # Errors
    /// It does not start.
    pub fn start_in_python(place: &Place, python: &Path) -> Result<Self> {
        Self::begin(place, Some(python.to_owned()))
    }

    fn begin(place: &Place, python: Option<PathBuf>) -> Result<Self> {
        let mut process = Self {
            place: place.clone(),
            python,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            running: None,
        };
        process.spawn()?;
        Ok(process)
    }

    /// At any free address the first time, and at the same one ever after.
    fn spawn(&mut self) -> Result<()> {
        let mut command = self.program()?;
        command
            .arg(self.address.to_string())
            .current_dir(&self.place.folder)
            .env_clear()
            .envs(
                self.place
                    .settings()
                    .iter()
                    .map(|(name, value)| (name, value)),
            )
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().context("starting a server")?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Error::new("a server has no pipes"));
        };
        let mut line = String::new();
        BufReader::new(output)
            .read_line(&mut line)
            .context("listening to a server")?;
        self.running = Some((child, input));
        let said = line
            .trim()
            .strip_prefix(LISTENING)
            .and_then(|said| said.parse().ok());
        self.address = said.ok_or_else(|| Error::new(format!("a server has said {line:?}")))?;
        Ok(())
    }

    fn program(&self) -> Result<Command> {
        if let Some(python) = &self.python {
            let mut command = Command::new(python);
            command.arg(repository::root().join("python/tests/under_proof.py"));
            return Ok(command);
        }
        let program = std::env::current_exe().context("finding this program")?;
        let mut command = Command::new(program);
        command.arg("serve");
        Ok(command)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Kills it where it stands.
    ///
    /// # Errors
    /// It does not end.
    pub fn kill(&mut self) -> Result<()> {
        if let Some((mut child, _input)) = self.running.take() {
            child.kill().context("killing a server")?;
            child.wait().context("waiting for a killed server")?;
        }
        Ok(())
    }

    /// Starts it again, at the same address.
    ///
    /// # Errors
    /// It does not start.
    pub fn start_again(&mut self) -> Result<()> {
        self.kill()?;
        self.spawn()
    }

    /// The number of its process, for the tools of the system.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.running.as_ref().map(|(child, _)| child.id())
    }

    /// What it holds.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn stats(&self) -> Result<Stats> {
        let (_, body) = ask(self.address, Method::GET, server::STATS, String::new()).await?;
        serde_json::from_slice(&body).context("reading a server's statistics")
    }

    /// Whether its store answers.
    pub async fn is_well(&self) -> bool {
        let asked = ask(self.address, Method::GET, server::HEALTH, String::new()).await;
        asked.is_ok_and(|(status, _)| status == StatusCode::OK)
    }

    /// Turns its clock by so many milliseconds from the machine's.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn turn_clock(&self, by: i64) -> Result<()> {
        ask(self.address, Method::POST, server::CLOCK, by.to_string())
            .await
            .map(drop)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Its end of the pipe has gone, or goes with us: nothing is left to do if this fails.
        drop(self.kill());
    }
}

async fn ask(
    address: SocketAddr,
    method: Method,
    path: &str,
    body: String,
) -> Result<(StatusCode, Bytes)> {
    let doing = || format!("asking a server for {path}");
    let stream = TcpStream::connect(address).await.context(doing())?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .context(doing())?;
    tokio::spawn(async { drop(connection.await) });
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, "proof");
    let request = request
        .body(Full::new(Bytes::from(body)))
        .context(doing())?;
    let response = sender.send_request(request).await.context(doing())?;
    let status = response.status();
    let body = response.into_body().collect().await.context(doing())?;
    Ok((status, body.to_bytes()))
}
