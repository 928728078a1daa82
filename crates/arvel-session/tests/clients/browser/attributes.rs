//! The cookie's attributes, as the browser keeps them. The defaults are looked at in the playground's tests.

use serde_json::json;

use super::visit;
use crate::site::{memory, strict};

#[tokio::test]
async fn the_strictest_cookie_is_kept_over_tls() {
    let Some((tab, site)) = visit(strict().partitioned(true)).await else {
        return;
    };
    tab.visit(&site.https("localhost")).await;
    tab.log_in().await;
    let cookie = tab.cookie("__Host-session").await.unwrap();
    for (attribute, value) in [
        ("secure", json!(true)),
        ("httpOnly", json!(true)),
        ("sameSite", json!("Strict")),
        ("path", json!("/")),
        ("domain", json!("localhost")),
    ] {
        assert_eq!(cookie[attribute], value, "{attribute}");
    }
    let kept = tab.jar().await;
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(kept[0]["partitionKey"]["topLevelSite"], "https://localhost");
    let visible = tab.script("return document.cookie", json!([])).await;
    assert_eq!(visible, "", "no script can read it");
    tab.reload().await;
    assert_eq!(tab.user().await, "Ada", "it is sent again");
    tab.keep("22-over-tls").await;
    tab.has_no_errors().await;
}

#[tokio::test]
async fn a_cookie_without_an_end_goes_with_the_browser() {
    let Some((tab, site)) = visit(memory().expire_on_close(true)).await else {
        return;
    };
    tab.visit(&site.http("localhost")).await;
    tab.log_in().await;
    let cookie = tab.cookie("arvel_session").await.unwrap();
    assert_eq!(cookie.get("expiry"), None, "{cookie}");
    assert_eq!(tab.jar().await[0]["session"], true);
}

#[tokio::test]
async fn a_secure_cookie_never_travels_without_tls() {
    let Some((tab, site)) = visit(memory().secure(true)).await else {
        return;
    };
    tab.visit(&site.https("shop.test")).await;
    tab.log_in().await;
    tab.visit(&site.http("shop.test")).await;
    assert_eq!(tab.user().await, "nobody", "the cookie stays at home");
    tab.press("#login").await;
    tab.visit(&site.http("shop.test")).await;
    assert_eq!(tab.user().await, "nobody", "and none is kept");
    tab.visit(&site.https("shop.test")).await;
    assert_eq!(tab.user().await, "Ada");
}

/// So `secure = true` and a prefix work while developing too.
#[tokio::test]
async fn on_localhost_a_secure_cookie_needs_no_tls() {
    let Some((tab, site)) = visit(strict()).await else {
        return;
    };
    tab.visit(&site.http("localhost")).await;
    tab.log_in().await;
    assert_eq!(tab.user().await, "Ada");
    let cookie = tab.cookie("__Host-session").await.unwrap();
    assert_eq!(cookie["secure"], true);
}
