//! A page of the playground in a Chromium without a window, driven over WebDriver.

use std::{
    env, fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    time::Duration,
};

use axum::http::Method;
use serde_json::{Value, json};

use crate::process::{Playground, Visitor};

/// What WebDriver calls the field that holds an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

const ARGUMENTS: [&str; 7] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
    "--window-size=1280,1000",
];

/// A tab of a browser of its own; both end with the test.
pub(crate) struct Page {
    driver: Visitor,
    /// The browser's address at the driver.
    session: String,
    playground: Playground,
}

impl Page {
    /// Opens the playground with these settings; `None` where there is no browser.
    pub(crate) async fn open(settings: &[(&str, &str)]) -> Option<Self> {
        let address = driver()?;
        let playground = Playground::start(settings);
        let driver = Visitor::at(&address);
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": { "args": ARGUMENTS },
            "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let answer = driver
            .send(Method::POST, "/session", &wanted.to_string())
            .await;
        let id = answer.json()["value"]["sessionId"].take();
        let id = id.as_str().unwrap_or_else(|| panic!("{}", answer.text()));
        let page = Self {
            driver,
            session: format!("/session/{id}"),
            playground,
        };
        page.visit().await;
        Some(page)
    }

    async fn ask(&self, method: Method, path: &str, body: &Value) -> Value {
        let path = format!("{}{path}", self.session);
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let answer = self.driver.send(method, &path, &body).await;
        assert!(answer.status.is_success(), "{path}: {}", answer.text());
        answer.json()["value"].take()
    }

    async fn tell(&self, path: &str, body: Value) -> Value {
        self.ask(Method::POST, path, &body).await
    }

    /// Goes to the page anew.
    pub(crate) async fn visit(&self) {
        self.tell("/url", json!({ "url": self.playground.url }))
            .await;
    }

    pub(crate) async fn reload(&self) {
        self.tell("/refresh", json!({})).await;
    }

    /// Presses the first button that the selector finds.
    pub(crate) async fn press(&self, selector: &str) {
        let found = self
            .tell(
                "/element",
                json!({ "using": "css selector", "value": selector }),
            )
            .await;
        let element = found[ELEMENT].as_str().unwrap().to_owned();
        self.tell(&format!("/element/{element}/click"), json!({}))
            .await;
    }

    /// What a script answers.
    pub(crate) async fn script(&self, script: &str, arguments: Value) -> Value {
        self.tell(
            "/execute/sync",
            json!({ "script": script, "args": arguments }),
        )
        .await
    }

    /// The first text that the selector finds, in one line.
    pub(crate) async fn text(&self, selector: &str) -> String {
        let script =
            "return document.querySelector(arguments[0])?.innerText.replace(/\\s+/g, ' ').trim()";
        let text = self.script(script, json!([selector])).await;
        text.as_str()
            .unwrap_or_else(|| panic!("no {selector}"))
            .to_owned()
    }

    pub(crate) async fn has(&self, selector: &str) -> bool {
        let script = "return document.querySelector(arguments[0]) !== null";
        self.script(script, json!([selector])).await == true
    }

    /// Waits until the selector finds something.
    pub(crate) async fn wait_for(&self, selector: &str) {
        for _ in 0..400 {
            if self.has(selector).await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!(
            "no {selector} after ten seconds: {}",
            self.text("body").await
        );
    }

    /// The session's cookie, as the browser keeps it.
    pub(crate) async fn cookie(&self) -> Option<Value> {
        let cookies = self.ask(Method::GET, "/cookie", &Value::Null).await;
        let mut cookies = cookies.as_array().unwrap().iter();
        cookies
            .find(|cookie| cookie["name"] == "arvel_session")
            .cloned()
    }

    pub(crate) async fn resize(&self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height });
        self.tell("/window/rect", size).await;
    }

    /// Keeps a picture, if somebody wants to look at it.
    #[allow(
        clippy::disallowed_methods,
        reason = "whether to keep pictures stands in the environment"
    )]
    pub(crate) async fn keep(&self, name: &str) {
        let Ok(folder) = env::var("ARVEL_TEST_SCREENSHOTS") else {
            return;
        };
        // Until the banner has come in.
        tokio::time::sleep(Duration::from_millis(400)).await;
        let picture = self.ask(Method::GET, "/screenshot", &Value::Null).await;
        let picture = base64_simd::STANDARD
            .decode_to_vec(picture.as_str().unwrap())
            .unwrap();
        fs::write(Path::new(&folder).join(format!("{name}.png")), picture).unwrap();
    }

    /// Fails if the browser has reported an error of a script, or something that the page's policy forbids.
    pub(crate) async fn has_no_errors(&self) {
        let log = self.tell("/se/log", json!({ "type": "browser" })).await;
        assert_eq!(log, json!([]));
    }
}

/// Ends the browser, also when the test has failed.
impl Drop for Page {
    fn drop(&mut self) {
        let address = self.driver.url.trim_start_matches("http://");
        let Ok(mut driver) = TcpStream::connect(address) else {
            return;
        };
        let request = format!(
            "DELETE {} HTTP/1.1\r\nHost: {address}\r\n\r\n",
            self.session
        );
        let _ = driver.set_read_timeout(Some(Duration::from_secs(10)));
        let _ = driver.write_all(request.as_bytes());
        // It answers when the browser has ended.
        let _ = driver.read(&mut [0; 64]);
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "where the services are stands in the environment"
)]
fn driver() -> Option<String> {
    let variable = "ARVEL_TEST_CHROMEDRIVER";
    if let Ok(address) = env::var(variable) {
        return Some(address.trim_end_matches('/').to_owned());
    }
    let required = ["CI", "ARVEL_TEST_REQUIRE"];
    assert!(
        required.iter().all(|name| env::var_os(name).is_none()),
        "{variable} is not set"
    );
    // Not `eprintln`, which the harness hides when a test passes.
    let _ = writeln!(
        std::io::stderr(),
        "ignored: start it with `cargo xtask test` ({variable})"
    );
    None
}
