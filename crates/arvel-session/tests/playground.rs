//! The playground over real HTTP: its protocol, its forms, its start.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

#[path = "playground/process.rs"]
mod process;

use std::time::{Duration, Instant};

use axum::http::{Method, StatusCode};
use process::{Playground, Visitor};
use serde_json::{Value, json};
use tempfile::TempDir;

const KEY: (&str, &str) = ("SESSION_SECRET_KEY", "0123456789abcdef0123456789abcdef");

fn memory() -> Playground {
    Playground::start(&[("SESSION_DRIVER", "memory"), KEY])
}

/// On each driver that needs no server; what they keep is in the playground's own folder.
fn on_each_driver() -> [(&'static str, Playground); 4] {
    ["memory", "cookie", "file", "database"].map(|driver| {
        let url = ("SESSION_DATABASE_URL", "sqlite:sessions.db");
        (
            driver,
            Playground::start(&[("SESSION_DRIVER", driver), url]),
        )
    })
}

#[tokio::test]
async fn every_operation_answers() {
    let playground = memory();
    let visitor = playground.visitor();
    let results = visitor
        .ops(json!([
            ["put", "k", 1],
            ["get", "k"],
            ["get", "none", "default"],
            ["get", "none"],
            ["has", "k"],
            ["missing", "k"],
            ["increment", "n"],
            ["increment", "n", 10],
            ["decrement", "n"],
            ["decrement", "n", -5],
            ["push", "list", { "a": [null] }],
            ["pull", "list"],
            ["pull", "list", "gone"],
            ["forget", "k"],
            ["now", "hint", "now"],
            ["flash", "status", "next"],
            ["all"],
            ["keep", "hint"],
            ["keep"],
            ["reflash"],
        ]))
        .await;
    assert_eq!(
        results,
        json!([
            null, 1, "default", null, true, false, 1, 11, 10, 15, null, [{ "a": [null] }], "gone",
            null, null, null, { "n": 15, "hint": "now" }, null, null, null,
        ])
    );
    let results = visitor.ops(json!([["all"], ["flush"], ["all"]])).await;
    let all = json!({ "n": 15, "hint": "now", "status": "next" });
    assert_eq!(results, json!([all, null, {}]));
}

#[tokio::test]
async fn who_a_session_is_can_be_asked_and_changed() {
    let playground = memory();
    let visitor = playground.visitor();
    let first = visitor
        .ops(json!([["put", "k", 1], ["id"], ["token"]]))
        .await;
    let again = visitor.ops(json!([["get", "k"], ["id"], ["token"]])).await;
    assert_eq!((&first[1], &first[2]), (&again[1], &again[2]));
    let cookie = visitor.jar.lock().unwrap()["arvel_session"].clone();
    assert!(!cookie.contains(again[1].as_str().unwrap()));

    let changed = visitor.ops(json!([["regenerate_token"], ["token"]])).await;
    assert_ne!(changed[0], again[2]);
    assert_eq!(changed[0], changed[1]);
    let renewed = visitor
        .ops(json!([["regenerate"], ["id"], ["get", "k"]]))
        .await;
    assert_ne!(renewed[1], again[1]);
    assert_eq!(renewed[2], 1);
    assert_ne!(visitor.jar.lock().unwrap()["arvel_session"], cookie);
    visitor.ops(json!([["invalidate"]])).await;
    assert!(visitor.jar.lock().unwrap().is_empty());
}

#[tokio::test]
async fn any_key_and_any_value_are_kept_exactly() {
    for (driver, playground) in on_each_driver() {
        let visitor = playground.visitor();
        let nested = (0..100).fold(json!(1), |inner, _| json!([inner]));
        let values = json!({
            "": u64::MAX, "_flash": i64::MIN, "__proto__": 1e308, "\0": 5e-324, "k".repeat(300): nested,
            "ü\u{1f600}\n": "\0\u{7f}\u{2028}", "true": [true, null, { "": [] }],
        });
        for (key, value) in values.as_object().unwrap() {
            visitor.ops(json!([["put", key, value]])).await;
        }
        let text = visitor.post(r#"{"ops": [["all"]]}"#).await.text();
        assert!(text.contains("18446744073709551615"), "{driver}: {text}");
        assert!(text.contains("-9223372036854775808"), "{driver}: {text}");
        assert_eq!(visitor.all().await, values, "{driver}");
    }
}

#[tokio::test]
async fn a_body_of_another_form_is_a_400_and_changes_nothing() {
    let playground = memory();
    let visitor = playground.visitor();
    visitor.ops(json!([["put", "k", "old"]])).await;
    let put = r#"["put", "k", "new"]"#;
    for (body, fault) in [
        ("".to_owned(), "not JSON"),
        ("{".to_owned(), "not JSON"),
        ("[]".to_owned(), "the body must be"),
        ("null".to_owned(), "the body must be"),
        ("{}".to_owned(), "\"ops\" must be a list"),
        (r#"{"ops": {}}"#.to_owned(), "\"ops\" must be a list"),
        (r#"{"ops": "all"}"#.to_owned(), "\"ops\" must be a list"),
        (
            format!(r#"{{"ops": [{put}], "delay": 1}}"#),
            "\"delay\" is unknown",
        ),
        (
            format!(r#"{{"ops": [{put}], "delay_ms": -1}}"#),
            "\"delay_ms\" must be",
        ),
        (
            format!(r#"{{"ops": [{put}], "delay_ms": 0.5}}"#),
            "\"delay_ms\" must be",
        ),
        (
            format!(r#"{{"ops": [{put}], "delay_ms": "1"}}"#),
            "\"delay_ms\" must be",
        ),
        (
            format!(r#"{{"ops": [{put}], "delay_ms": 60001}}"#),
            "\"delay_ms\" must be",
        ),
        (r#"{"ops": [["put", "k", 1e999]]}"#.to_owned(), "not JSON"),
    ] {
        refused(&visitor, &body, fault).await;
    }
}

#[tokio::test]
async fn an_operation_of_another_form_is_a_400_and_changes_nothing() {
    let playground = memory();
    let visitor = playground.visitor();
    visitor.ops(json!([["put", "k", "old"]])).await;
    let put = r#"["put", "k", "new"]"#;
    for (operation, fault) in [
        (r#""all""#, "operation 2: must be a list"),
        ("{}", "operation 2: must be a list"),
        ("[]", "operation 2: must begin with its name"),
        ("[1]", "operation 2: must begin with its name"),
        (r#"["drop"]"#, "operation 2: \"drop\": no such operation"),
        (r#"["GET", "k"]"#, "operation 2: \"GET\": no such operation"),
        (r#"["get"]"#, "operation 2: \"get\": the key is missing"),
        (
            r#"["get", 1]"#,
            "operation 2: \"get\": a key must be a text",
        ),
        (r#"["get", "k", 1, 2]"#, "operation 2: \"get\": 1 more"),
        (
            r#"["put", "k"]"#,
            "operation 2: \"put\": the value is missing",
        ),
        (r#"["has", "k", "k"]"#, "operation 2: \"has\": 1 more"),
        (r#"["all", "k"]"#, "operation 2: \"all\": 1 more"),
        (
            r#"["keep", "k", null]"#,
            "operation 2: \"keep\": a key must be a text",
        ),
        (
            r#"["increment", "n", "1"]"#,
            "operation 2: \"increment\": the amount",
        ),
        (
            r#"["increment", "n", 1.5]"#,
            "operation 2: \"increment\": the amount",
        ),
        (
            r#"["decrement", "n", 9223372036854775808]"#,
            "operation 2: \"decrement\": the amount",
        ),
        (
            r#"["increment", "n", null]"#,
            "operation 2: \"increment\": the amount",
        ),
    ] {
        refused(
            &visitor,
            &format!(r#"{{"ops": [{put}, {operation}]}}"#),
            fault,
        )
        .await;
    }
}

async fn refused(visitor: &Visitor, body: &str, fault: &str) {
    let answer = visitor.post(body).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}");
    let error = answer.json()["error"].take();
    let error = error.as_str().unwrap();
    assert!(error.contains(fault), "{body}: {error}");
    assert_eq!(visitor.all().await, json!({ "k": "old" }), "{body}");
}

#[tokio::test]
async fn an_operation_that_fails_is_a_422_and_changes_nothing() {
    let playground = memory();
    let visitor = playground.visitor();
    visitor
        .ops(json!([["put", "k", "text"], ["put", "n", i64::MAX]]))
        .await;
    for failing in [
        json!(["increment", "k"]),
        json!(["increment", "n"]),
        json!(["decrement", "k"]),
        json!(["decrement", "n", i64::MIN]),
        json!(["push", "k", 1]),
    ] {
        let ops = json!([
            ["put", "new", 1],
            ["flash", "f", 1],
            ["regenerate"],
            failing,
        ]);
        let answer = visitor.post(&json!({ "ops": ops }).to_string()).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{failing}");
        let error = answer.json()["error"].to_string();
        let key = failing[1].as_str().unwrap();
        assert!(
            error.contains(&format!("session key \\\"{key}\\\"")),
            "{error}"
        );
        assert_eq!(answer.set_cookie(), None, "{failing}");
        assert_eq!(visitor.all().await, json!({ "k": "text", "n": i64::MAX }));
    }
}

#[tokio::test]
async fn any_content_type_will_do() {
    let playground = memory();
    let visitor = playground.visitor();
    for kind in [
        "application/json",
        "text/plain",
        "application/x-www-form-urlencoded",
    ] {
        let body = r#"{"ops": [["increment", "n"]], "delay_ms": 0}"#;
        let kind = [("content-type", kind)];
        let answer = visitor
            .send_with(Method::POST, "/session", body, &kind)
            .await;
        assert_eq!(answer.status, StatusCode::OK);
    }
    assert_eq!(visitor.all().await, json!({ "n": 3 }));
    assert_eq!(visitor.post(r#"{"ops": []}"#).await.results(), json!([]));
}

#[tokio::test]
async fn requests_at_once_lose_nothing() {
    for (driver, playground) in on_each_driver() {
        if driver == "cookie" {
            // It keeps nothing here that could be merged.
            continue;
        }
        let visitor = playground.visitor();
        visitor.ops(json!([["put", "n", 0]])).await;
        let begun = Instant::now();
        let requests = (0..8).map(|number| {
            let visitor = visitor.clone();
            tokio::spawn(async move {
                let ops = json!([
                    ["increment", "n"],
                    ["push", "list", number],
                    ["put", number.to_string(), number]
                ]);
                visitor
                    .post(&json!({ "ops": ops, "delay_ms": 300 }).to_string())
                    .await
                    .results()
            })
        });
        for request in requests.collect::<Vec<_>>() {
            request.await.unwrap();
        }
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(300), "they waited: {took:?}");
        assert!(
            took < Duration::from_millis(8 * 300),
            "at the same time: {took:?}"
        );
        let all = visitor.all().await;
        assert_eq!(all["n"], 8, "{driver}");
        assert_eq!(all["list"].as_array().unwrap().len(), 8, "{driver}");
        assert!(
            (0..8).all(|number| all[number.to_string()] == number),
            "{driver}"
        );
    }
}

#[tokio::test]
async fn a_visitor_who_puts_nothing_gets_nothing() {
    let playground = memory();
    let visitor = playground.visitor();
    for path in ["/", "/plain", "/health"] {
        let answer = visitor.get(path).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.set_cookie(), None, "{path}");
        assert_eq!(answer.header("x-session-cookie"), "left alone");
        let read = path == "/";
        assert_eq!(answer.header("vary") == "Cookie", read, "{path}");
    }
    visitor.ops(json!([["put", "k", 1]])).await;
    let plain = visitor.get("/plain").await;
    assert_eq!(plain.set_cookie(), None);
    assert_eq!(plain.header("vary"), "");
}

#[tokio::test]
async fn a_stream_comes_in_chunks_and_is_stored_with_its_end() {
    for (driver, streamed) in [("memory", json!(true)), ("cookie", Value::Null)] {
        let playground = Playground::start(&[("SESSION_DRIVER", driver)]);
        let visitor = playground.visitor();
        let answer = visitor.get("/stream").await;
        assert!(answer.chunks.len() >= 4, "{driver}: {answer:?}");
        assert!(
            answer.set_cookie().is_some(),
            "{driver}: the session begins with the head"
        );
        assert_eq!(
            visitor.ops(json!([["get", "streamed"]])).await[0],
            streamed,
            "{driver}"
        );
        let said = answer.text().contains("nothing is stored");
        assert_eq!(said, streamed.is_null(), "{driver}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_store_that_is_down_is_a_503_and_the_others_are_served() {
    let healthy = memory();
    let known = healthy.visitor();
    known.ops(json!([["put", "k", 1]])).await;
    let cookie = known.jar.lock().unwrap().clone();

    // Nobody listens on port 1.
    let playground = Playground::start(&[
        ("SESSION_DRIVER", "redis"),
        ("SESSION_REDIS_URL", "redis://127.0.0.1:1"),
        ("SESSION_TIMEOUT", "0.5"),
        KEY,
    ]);
    let stranger = playground.visitor();
    let health = stranger.get("/health").await;
    assert_eq!(health.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(health.json()["status"], "unavailable");
    assert_eq!(stranger.get("/").await.status, StatusCode::OK);
    assert_eq!(stranger.get("/plain").await.status, StatusCode::OK);
    let put = stranger.post(r#"{"ops": [["put", "k", 1]]}"#).await;
    assert_eq!(put.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(put.set_cookie(), None);

    let known = playground.visitor();
    *known.jar.lock().unwrap() = cookie;
    let accept = [("accept", "text/html")];
    let page = known.send_with(Method::GET, "/", "", &accept).await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(page.set_cookie(), None);
    assert!(page.text().contains("The session store does not answer"));
}

#[tokio::test]
async fn a_key_is_made_for_the_run_where_there_is_none() {
    let without = Playground::start(&[]);
    assert!(
        without.said.contains("SESSION_SECRET_KEY"),
        "{}",
        without.said
    );
    assert!(without.said.contains("cookie driver"), "{}", without.said);
    let with = Playground::start(&[KEY]);
    assert!(!with.said.contains("SESSION_SECRET_KEY"), "{}", with.said);

    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join(".env"), format!("{}={}\n", KEY.0, KEY.1)).unwrap();
    let from_file = Playground::start_in(folder, &[]);
    assert!(
        !from_file.said.contains("SESSION_SECRET_KEY"),
        "{}",
        from_file.said
    );
    let visitor = with.visitor();
    visitor.ops(json!([["put", "k", 1]])).await;
    let elsewhere = from_file.visitor();
    *elsewhere.jar.lock().unwrap() = visitor.jar.lock().unwrap().clone();
    assert_eq!(
        elsewhere.all().await,
        json!({ "k": 1 }),
        "the same key opens it"
    );
}

#[test]
fn a_setting_that_is_wrong_ends_it_with_its_name() {
    for (setting, value, said) in [
        ("SESSION_SECRET_KEY", "", "must not be empty"),
        ("SESSION_SECRET_KEY", "hunter2", "at least 32 bytes, not 7"),
        (
            "SESSION_DRIVER",
            "nosuch",
            "driver = nosuch (SESSION_DRIVER)",
        ),
        ("SESSION_LIFETIME", "-1", "lifetime = -1 (SESSION_LIFETIME)"),
        ("PLAYGROUND_ADDR", "nowhere", "PLAYGROUND_ADDR"),
    ] {
        let output = Playground::refused(&[(setting, value)]);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains(said), "{setting}={value}: {error}");
        assert!(
            error.contains(setting) && !error.contains("panicked"),
            "{error}"
        );
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn forms_redirect_and_say_what_happened_to_the_cookie() {
    let playground = memory();
    let visitor = playground.visitor();
    let put = visitor.form("/put", "key=name&value=Ada").await;
    assert_eq!(put.status, StatusCode::SEE_OTHER);
    let cookie = visitor.jar.lock().unwrap()["arvel_session"].clone();
    let bytes = "arvel_session".len() + cookie.len();
    assert_eq!(
        put.header("location"),
        format!("/?done=put&cookie=set-{bytes}")
    );
    assert_eq!(
        put.header("x-session-cookie"),
        format!("set, {bytes} bytes")
    );
    let attributes = put.set_cookie().unwrap().split_once(';').unwrap().1;
    let mut attributes: Vec<_> = attributes.split(';').map(str::trim).collect();
    attributes.sort_unstable();
    assert_eq!(
        attributes,
        ["HttpOnly", "Max-Age=7200", "Path=/", "SameSite=Lax"]
    );

    for (path, fields) in [
        ("/put", "key=json&value=%5B1%2C+2%5D"),
        ("/push", "key=json&value=3"),
        ("/increment", "key=n"),
        ("/decrement", "key=n&amount=5"),
        ("/put", "key=gone&value="),
        ("/forget", "key=gone"),
    ] {
        let answer = visitor.form(path, fields).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{path}");
        assert_eq!(answer.header("x-session-cookie"), "left alone");
    }
    assert_eq!(
        visitor.all().await,
        json!({ "name": "Ada", "json": [1, 2, 3], "n": -4 })
    );
    visitor.form("/flush", "").await;
    assert_eq!(visitor.all().await, json!({}));
}

#[tokio::test]
async fn forms_that_are_wrong_show_the_page_with_the_reason() {
    let playground = memory();
    let visitor = playground.visitor();
    visitor.form("/put", "key=name&value=Ada").await;
    for (path, fields, status, reason) in [
        ("/increment", "key=name", 422, "expected i64, found a text"),
        ("/increment", "key=n&amount=x", 400, "The amount must be"),
        ("/put", "value=1", 400, "The key is missing"),
        ("/login", "name=+", 400, "The name is empty"),
    ] {
        let answer = visitor.form(path, fields).await;
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.text().contains(reason), "{path}");
        assert_eq!(visitor.all().await, json!({ "name": "Ada" }), "{path}");
    }
    let other = visitor.send(Method::POST, "/put", "key=k&value=1").await;
    assert_eq!(other.status, StatusCode::BAD_REQUEST, "no form");
    assert_eq!(
        visitor.form("/drop", "").await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(visitor.get("/put").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn flash_is_on_one_page_and_reflash_keeps_it_over_a_redirect() {
    let playground = memory();
    let visitor = playground.visitor();
    let banner = "Saved &lt;it&gt;!";
    let message = "key=status&value=Saved+%3Cit%3E!";
    for (path, shown) in [("/flash", true), ("/reflash", true), ("/detour", false)] {
        let page = visitor.submit(path, message).await.text();
        assert_eq!(page.contains(banner), shown, "{path}");
        assert_eq!(page.contains("banner flash"), shown, "{path}");
        let page = visitor.get("/").await.text();
        assert!(!page.contains(banner), "{path}: shown twice");
    }
    let page = visitor.form("/now", message).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text().contains("banner now") && page.text().contains(banner));
    assert!(!visitor.get("/").await.text().contains(banner));
    assert_eq!(visitor.all().await, json!({}));
}

#[tokio::test]
async fn a_login_changes_the_id_and_a_logout_removes_the_cookie() {
    let playground = memory();
    let visitor = playground.visitor();
    visitor.form("/put", "key=cart&value=book").await;
    let planted = playground.visitor();
    *planted.jar.lock().unwrap() = visitor.jar.lock().unwrap().clone();
    let id = visitor.ops(json!([["id"]])).await;
    let page = visitor.submit("/login", "name=Ada").await;
    assert!(page.text().contains("Welcome, Ada!"));
    assert_ne!(visitor.ops(json!([["id"]])).await, id);
    assert_eq!(
        visitor.all().await,
        json!({ "cart": "book", "user": "Ada" })
    );
    assert_eq!(planted.all().await, json!({}), "the old id is dead");

    // Another user takes nothing over.
    visitor.submit("/login", "name=Bob").await;
    assert_eq!(visitor.all().await, json!({ "user": "Bob" }));
    let logout = visitor.send(Method::POST, "/logout", "").await;
    assert_eq!(logout.header("x-session-cookie"), "removed");
    assert_eq!(logout.header("location"), "/?done=logout&cookie=removed");
    assert!(visitor.jar.lock().unwrap().is_empty());
    assert!(
        visitor
            .get("/")
            .await
            .text()
            .contains("nobody is logged in")
    );
}

#[tokio::test]
async fn the_page_escapes_everything_and_allows_no_script_but_its_own() {
    let playground = memory();
    let visitor = playground.visitor();
    let evil = "\"'><script>alert(1)</script>";
    visitor
        .ops(json!([
            ["put", evil, evil],
            ["put", "user", evil],
            ["flash", evil, evil]
        ]))
        .await;
    let page = visitor.get("/").await;
    assert!(!page.text().contains("<script>alert"));
    assert!(
        page.text()
            .contains("&quot;&#39;&gt;&lt;script&gt;alert(1)&lt;/script&gt;")
    );
    let policy = page.header("content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'; style-src 'sha256-"),
        "{policy}"
    );
    assert!(
        policy.contains("; script-src 'sha256-") && !policy.contains("unsafe"),
        "{policy}"
    );
    let crafted = visitor.get("/?done=%3Cscript%3E&cookie=set-%3Cb%3E").await;
    assert_eq!(crafted.status, StatusCode::OK);
    assert!(crafted.text().contains("You opened the page."));
}

#[tokio::test]
async fn a_listed_key_can_be_forgotten_whatever_it_is() {
    let playground = memory();
    let visitor = playground.visitor();
    for key in ["", "a\nb", "\0", "ü&=+%", "\"'<>"] {
        visitor.ops(json!([["put", key, 1]])).await;
        let page = visitor.get("/").await.text();
        let field = page.split(r#"name="exact_key" value=""#).nth(1).unwrap();
        let field = field.split('"').next().unwrap();
        let field = field
            .replace("&quot;", "\"")
            .replace("&#39;", "'")
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&");
        let encoded: String = field.bytes().map(|byte| format!("%{byte:02x}")).collect();
        visitor
            .form("/forget", &format!("exact_key={encoded}"))
            .await;
        assert_eq!(visitor.all().await, json!({}), "{key:?}");
    }
}
