//! A tab of a Chromium without a window, driven over WebDriver.

use std::{
    env, fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    time::Duration,
};

use axum::http::Method;
use serde_json::{Value, json};

use crate::{playground::Visitor, service};

/// What WebDriver calls the field that holds an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

const ARGUMENTS: [&str; 8] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
    "--window-size=1280,1000",
    // Names under `.test` are nobody's: here they are sites on this machine.
    "--host-resolver-rules=MAP *.test 127.0.0.1",
];

/// A tab of a browser of its own, which ends with the test.
pub(crate) struct Tab {
    driver: Visitor,
    /// The browser's address at the driver.
    session: String,
}

impl Tab {
    /// Opens a browser that knows nothing yet; `None` where there is none.
    ///
    /// It takes every certificate, since it would take ours only from a store of the user's.
    pub(crate) async fn open() -> Option<Self> {
        let address = service("ARVEL_TEST_CHROMEDRIVER")?;
        let driver = Visitor::at(address.trim_end_matches('/'));
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "acceptInsecureCerts": true,
            "timeouts": { "script": 120_000 },
            "goog:chromeOptions": { "args": ARGUMENTS },
            "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let answer = driver
            .send(Method::POST, "/session", &wanted.to_string())
            .await;
        let id = answer.json()["value"]["sessionId"].take();
        let id = id.as_str().unwrap_or_else(|| panic!("{}", answer.text()));
        let session = format!("/session/{id}");
        Some(Self { driver, session })
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

    pub(crate) async fn visit(&self, url: &str) {
        self.tell("/url", json!({ "url": url })).await;
    }

    pub(crate) async fn address(&self) -> String {
        let url = self.ask(Method::GET, "/url", &Value::Null).await;
        url.as_str().unwrap().to_owned()
    }

    pub(crate) async fn reload(&self) {
        self.tell("/refresh", json!({})).await;
    }

    /// Presses the first button or link that the selector finds.
    pub(crate) async fn press(&self, selector: &str) {
        let element = self.element(selector).await;
        let element = element[ELEMENT].as_str().unwrap();
        self.tell(&format!("/element/{element}/click"), json!({}))
            .await;
    }

    async fn element(&self, selector: &str) -> Value {
        let wanted = json!({ "using": "css selector", "value": selector });
        self.tell("/element", wanted).await
    }

    /// From now on, everything is about the page in this frame.
    pub(crate) async fn enter(&self, frame: &str) {
        let element = self.element(frame).await;
        self.tell("/frame", json!({ "id": element })).await;
    }

    /// From now on, everything is about the whole page again.
    pub(crate) async fn leave_frames(&self) {
        self.tell("/frame", json!({ "id": null })).await;
    }

    /// What a script answers.
    pub(crate) async fn script(&self, script: &str, arguments: Value) -> Value {
        self.tell(
            "/execute/sync",
            json!({ "script": script, "args": arguments }),
        )
        .await
    }

    /// What a script answers that works for a while: the last of its arguments takes the answer.
    pub(crate) async fn long_script(&self, script: &str, arguments: Value) -> Value {
        self.tell(
            "/execute/async",
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
        let found = self.patiently(async || self.has(selector).await).await;
        assert!(found, "no {selector}: {}", self.text("body").await);
    }

    /// Waits until the first that the selector finds has this text.
    pub(crate) async fn wait_until(&self, selector: &str, text: &str) {
        let found = self
            .patiently(async || self.has(selector).await && self.text(selector).await == text)
            .await;
        assert!(found, "not {text}: {}", self.text("body").await);
    }

    /// Whether this comes true within ten seconds.
    async fn patiently(&self, holds: impl AsyncFn() -> bool) -> bool {
        for _ in 0..400 {
            if holds().await {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        false
    }

    /// The cookies that the browser would send with this page, as it keeps them.
    pub(crate) async fn cookies(&self) -> Vec<Value> {
        let cookies = self.ask(Method::GET, "/cookie", &Value::Null).await;
        cookies.as_array().unwrap().clone()
    }

    /// The cookie of this name that it would send with this page.
    pub(crate) async fn cookie(&self, name: &str) -> Option<Value> {
        let mut cookies = self.cookies().await.into_iter();
        cookies.find(|cookie| cookie["name"] == name)
    }

    /// All cookies that the browser keeps, for whatever site, in its own words.
    pub(crate) async fn jar(&self) -> Vec<Value> {
        let command = json!({ "cmd": "Storage.getCookies", "params": {} });
        let kept = self.tell("/goog/cdp/execute", command).await;
        kept["cookies"].as_array().unwrap().clone()
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
impl Drop for Tab {
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
