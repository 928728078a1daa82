//! The built playground as a process of its own, and a visitor who speaks HTTP to it.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "in a test it is the assertion"
)]

use std::{
    collections::BTreeMap,
    env,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    body::Bytes,
    http::{
        HeaderMap, Method, Request, StatusCode,
        header::{COOKIE, SET_COOKIE},
    },
};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;

/// How long a response may take to begin.
const PATIENCE: Duration = Duration::from_secs(60);

/// A playground in a folder of its own; it ends with the test.
pub(crate) struct Playground {
    pub(crate) url: String,
    /// What it said before its address.
    pub(crate) said: String,
    child: Child,
    _folder: TempDir,
}

impl Playground {
    pub(crate) fn start(settings: &[(&str, &str)]) -> Self {
        Self::start_in(TempDir::new().unwrap(), settings)
    }

    pub(crate) fn start_in(folder: TempDir, settings: &[(&str, &str)]) -> Self {
        Self::run(folder, Command::new(example()), settings)
    }

    /// A playground that a file size limit does not kill, so that [`limit_files`](Self::limit_files) is a full disk.
    pub(crate) fn start_on_a_small_disk(settings: &[(&str, &str)]) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", "trap '' XFSZ; exec \"$0\""]);
        shell.arg(example());
        Self::run(TempDir::new().unwrap(), shell, settings)
    }

    fn run(folder: TempDir, command: Command, settings: &[(&str, &str)]) -> Self {
        let mut child = set_up(command, &folder, settings)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            if let Some(url) = line.strip_prefix("Playground: ") {
                return Self {
                    url: url.trim_end_matches('/').to_owned(),
                    said,
                    child,
                    _folder: folder,
                };
            }
            said.push_str(&line);
            said.push('\n');
        }
        panic!("the playground ended: {}", child.wait().unwrap());
    }

    /// What a playground says that does not start.
    pub(crate) fn refused(settings: &[(&str, &str)]) -> Output {
        Self::refused_in(&TempDir::new().unwrap(), settings)
    }

    pub(crate) fn refused_in(folder: &TempDir, settings: &[(&str, &str)]) -> Output {
        let command = Command::new(example());
        set_up(command, folder, settings).output().unwrap()
    }

    /// Lets no file of this process grow beyond so many bytes; `unlimited` ends that.
    pub(crate) fn limit_files(&self, bytes: &str) {
        let process = self.child.id().to_string();
        let limit = format!("--fsize={bytes}:");
        let set = Command::new("prlimit")
            .args(["--pid", &process, &limit])
            .status();
        assert!(set.unwrap().success());
    }

    pub(crate) fn visitor(&self) -> Visitor {
        Visitor::at(&self.url)
    }
}

impl Drop for Playground {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn set_up(mut command: Command, folder: &TempDir, settings: &[(&str, &str)]) -> Command {
    command
        .current_dir(folder.path())
        .env_clear()
        .env("PLAYGROUND_ADDR", "127.0.0.1:0")
        .envs(settings.iter().copied());
    command
}

/// `cargo test` builds the examples next to the tests.
fn example() -> PathBuf {
    let test = env::current_exe().unwrap();
    let target = test.parent().and_then(|deps| deps.parent()).unwrap();
    let example = target.join("examples/playground");
    assert!(
        example.exists(),
        "build it first: cargo build --example playground ({} is not there)",
        example.display()
    );
    example
}

/// A browser without a window; clones share its cookies.
#[derive(Clone)]
pub(crate) struct Visitor {
    pub(crate) url: String,
    pub(crate) jar: Arc<Mutex<BTreeMap<String, String>>>,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// A response, taken apart.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) chunks: Vec<Bytes>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.chunks.concat()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text()).unwrap()
    }

    pub(crate) fn results(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{self:?}");
        self.json()["results"].take()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn set_cookie(&self) -> Option<&str> {
        assert!(self.headers.get_all(SET_COOKIE).iter().count() <= 1);
        let line = self.headers.get(SET_COOKIE)?;
        Some(line.to_str().unwrap())
    }
}

impl Visitor {
    pub(crate) fn at(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            jar: Arc::default(),
            client: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: &str) -> Answer {
        self.send_with(method, path, body, &[]).await
    }

    pub(crate) async fn send_with(
        &self,
        method: Method,
        path: &str,
        body: &str,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url));
        for (name, value) in headers {
            // As bytes, since some that are sent on purpose are no text.
            request = request.header(*name, value.as_bytes());
        }
        if let Some(cookies) = self.cookies() {
            request = request.header(COOKIE, cookies);
        }
        let body = Full::from(body.to_owned());
        let request = request.body(body).unwrap();
        let response = timeout(PATIENCE, self.client.request(request)).await;
        let response = response.expect("no answer").unwrap();
        let (parts, mut body) = response.into_parts();
        self.keep(&parts.headers);
        let mut chunks = Vec::new();
        while let Some(frame) = body.frame().await {
            chunks.extend(frame.unwrap().into_data());
        }
        Answer {
            status: parts.status,
            headers: parts.headers,
            chunks,
        }
    }

    /// The same address with a jar of its own that holds what this one does now.
    pub(crate) fn copy(&self) -> Self {
        self.moved_to(&self.url)
    }

    /// The copy's address is another playground's.
    pub(crate) fn moved_to(&self, url: &str) -> Self {
        let copy = Self::at(url);
        *copy.jar.lock().unwrap() = self.jar.lock().unwrap().clone();
        copy
    }

    /// The value of the session's cookie.
    pub(crate) fn cookie(&self) -> Option<String> {
        self.jar.lock().unwrap().get("arvel_session").cloned()
    }

    pub(crate) fn with_cookie(self, value: &str) -> Self {
        let mut jar = self.jar.lock().unwrap();
        jar.insert("arvel_session".to_owned(), value.to_owned());
        drop(jar);
        self
    }

    pub(crate) fn cookies(&self) -> Option<String> {
        let jar = self.jar.lock().unwrap();
        let pairs: Vec<String> = jar
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    fn keep(&self, headers: &HeaderMap) {
        let mut jar = self.jar.lock().unwrap();
        for line in headers.get_all(SET_COOKIE) {
            let (pair, attributes) = line.to_str().unwrap().split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if attributes.contains("Max-Age=0") {
                jar.remove(name);
            } else {
                jar.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, "").await
    }

    /// `POST /session` with this body.
    pub(crate) async fn post(&self, body: &str) -> Answer {
        self.send(Method::POST, "/session", body).await
    }

    /// The results of these operations.
    pub(crate) async fn ops(&self, ops: Value) -> Value {
        self.post(&json!({ "ops": ops }).to_string())
            .await
            .results()
    }

    /// Everything in the session.
    pub(crate) async fn all(&self) -> Value {
        self.ops(json!([["all"]])).await[0].take()
    }

    /// Sends a form and does not follow the redirect.
    pub(crate) async fn form(&self, path: &str, fields: &str) -> Answer {
        let kind = [("content-type", "application/x-www-form-urlencoded")];
        self.send_with(Method::POST, path, fields, &kind).await
    }

    /// Sends a form and goes where it leads, at last to a page.
    pub(crate) async fn submit(&self, path: &str, fields: &str) -> Answer {
        let mut answer = self.form(path, fields).await;
        while answer.status == StatusCode::SEE_OTHER {
            let target = answer.header("location").to_owned();
            answer = self.get(&target).await;
        }
        answer
    }
}
