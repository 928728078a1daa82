//! Forms that are answered with a redirect: a login with flash, a logout that removes the cookie.

use arvel_session::SessionConfig;

use super::visit;
use crate::site::{memory, strict};

#[tokio::test]
async fn flash_outlives_the_redirect_and_not_the_reload() {
    let Some((tab, site)) = visit(memory()).await else {
        return;
    };
    tab.visit(&site.http("localhost")).await;
    assert!(!tab.has(".flash").await);
    tab.press("#login").await;
    tab.wait_for(".flash").await;
    assert_eq!(tab.text(".flash").await, "Welcome, Ada!");
    assert_eq!(tab.address().await, format!("{}/", site.http("localhost")));
    tab.keep("20-flash-after-the-redirect").await;
    tab.reload().await;
    assert!(!tab.has(".flash").await, "seen once");
    assert_eq!(tab.user().await, "Ada");
    tab.keep("21-flash-gone-after-the-reload").await;
    tab.has_no_errors().await;
}

#[tokio::test]
async fn a_removal_empties_the_jar() {
    removes(memory(), "http://app.shop.test").await;
}

/// A browser that keeps a cookie for each site it is embedded in removes only with `Partitioned`.
#[tokio::test]
async fn a_removal_of_the_strictest_cookie_empties_the_jar() {
    removes(strict().partitioned(true), "https://localhost").await;
}

#[tokio::test]
async fn a_removal_of_a_domains_cookie_empties_the_jar() {
    removes(memory().domain("shop.test"), "http://app.shop.test").await;
}

#[tokio::test]
async fn a_removal_of_a_cookie_that_ends_with_the_browser_empties_the_jar() {
    removes(memory().expire_on_close(true), "http://app.shop.test").await;
}

#[tokio::test]
async fn a_removal_of_a_sealed_session_empties_the_jar() {
    removes(memory().driver("cookie"), "http://app.shop.test").await;
}

async fn removes(config: SessionConfig, origin: &str) {
    let Some((tab, site)) = visit(config).await else {
        return;
    };
    let (scheme, host) = origin.split_once("://").unwrap();
    let start = if scheme == "https" {
        site.https(host)
    } else {
        site.http(host)
    };
    tab.visit(&start).await;
    tab.log_in().await;
    assert_eq!(tab.user().await, "Ada");
    assert_eq!(tab.jar().await.len(), 1);
    tab.press("#logout").await;
    tab.wait_until("#user", "nobody").await;
    assert_eq!(tab.jar().await, Vec::<serde_json::Value>::new());
    tab.has_no_errors().await;
}
