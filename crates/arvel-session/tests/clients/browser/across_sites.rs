//! Other sites, other hosts: where the cookie goes along, and where it does not.

use arvel_session::SameSite;

use super::{Tab, visit};
use crate::site::{Site, memory, strict};

/// Goes to a page of `elsewhere.test`, which links to the shop.
async fn elsewhere(tab: &Tab, site: &Site, host: &str) {
    let page = format!(
        "{}/elsewhere?site={}",
        site.https(host),
        site.https("shop.test")
    );
    tab.visit(&page).await;
}

#[tokio::test]
async fn a_lax_cookie_goes_with_a_link_and_not_with_a_form() {
    let Some((tab, site)) = visit(memory()).await else {
        return;
    };
    tab.visit(&site.https("shop.test")).await;
    tab.log_in().await;
    elsewhere(&tab, &site, "elsewhere.test").await;
    tab.keep("23-elsewhere").await;
    tab.press("a").await;
    tab.wait_until("#user", "Ada").await;
    elsewhere(&tab, &site, "elsewhere.test").await;
    tab.press("button").await;
    tab.wait_until("body", "nobody").await;
    elsewhere(&tab, &site, "elsewhere.test").await;
    tab.enter("iframe").await;
    assert_eq!(tab.user().await, "nobody", "nor with a frame");
}

#[tokio::test]
async fn a_strict_cookie_goes_with_nothing_from_elsewhere() {
    let Some((tab, site)) = visit(strict()).await else {
        return;
    };
    tab.visit(&site.https("shop.test")).await;
    tab.log_in().await;
    elsewhere(&tab, &site, "elsewhere.test").await;
    tab.press("a").await;
    tab.wait_until("#user", "nobody").await;
    tab.visit(&site.https("shop.test")).await;
    assert_eq!(tab.user().await, "Ada", "it was kept all the while");
}

#[tokio::test]
async fn a_partitioned_cookie_is_another_one_in_each_site_around_it() {
    let config = strict().same_site(SameSite::None).partitioned(true);
    let Some((tab, site)) = visit(config).await else {
        return;
    };
    elsewhere(&tab, &site, "one.test").await;
    tab.enter("iframe").await;
    tab.log_in().await;
    assert_eq!(tab.user().await, "Ada", "logged in within the frame");
    tab.leave_frames().await;
    tab.keep("24-logged-in-within-a-frame").await;

    elsewhere(&tab, &site, "two.test").await;
    tab.enter("iframe").await;
    assert_eq!(tab.user().await, "nobody");
    tab.visit(&site.https("shop.test")).await;
    assert_eq!(tab.user().await, "nobody");

    elsewhere(&tab, &site, "one.test").await;
    tab.enter("iframe").await;
    assert_eq!(tab.user().await, "Ada");
}

#[tokio::test]
async fn only_a_domains_cookie_goes_to_the_hosts_beside() {
    for (config, beside) in [(memory(), "nobody"), (memory().domain("shop.test"), "Ada")] {
        let Some((tab, site)) = visit(config).await else {
            return;
        };
        tab.visit(&site.http("app.shop.test")).await;
        tab.log_in().await;
        tab.visit(&site.http("other.shop.test")).await;
        assert_eq!(tab.user().await, beside);
        tab.visit(&site.http("not-the-shop.test")).await;
        assert_eq!(tab.user().await, "nobody");
    }
}
