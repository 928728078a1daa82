//! Cookie engines without a browser: curl's, and the one in Python's standard library. Both go the same ways.

mod curl;
mod jar;
mod python;

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::site::{LIMIT, Site, largest_note, memory, strict};
use jar::Cookie;

/// A program that sends requests and keeps cookies.
trait Engine {
    /// Sends a form, or gets a page where there is none, follows redirects, and hands back what came at last.
    ///
    /// The cookies are read from the jar and written back to it. Names under `.test` are on this machine.
    fn fetch(jar: &Path, authority: &Path, url: &str, form: Option<&str>) -> String;
}

/// A visitor to a site: an engine and its jar.
struct Visitor {
    folder: TempDir,
    authority: PathBuf,
    origin: String,
    fetch: fn(&Path, &Path, &str, Option<&str>) -> String,
}

impl Visitor {
    fn new<E: Engine>(site: &Site, origin: String) -> Self {
        Self {
            folder: TempDir::new().unwrap(),
            authority: site.authority(),
            origin,
            fetch: E::fetch,
        }
    }

    fn jar(&self) -> PathBuf {
        self.folder.path().join("jar")
    }

    fn get(&self, path: &str) -> String {
        let url = format!("{}{path}", self.origin);
        (self.fetch)(&self.jar(), &self.authority, &url, None)
    }

    fn post(&self, path: &str, form: &str) -> String {
        let url = format!("{}{path}", self.origin);
        (self.fetch)(&self.jar(), &self.authority, &url, Some(form))
    }

    /// The session's cookie.
    fn cookie(&self) -> Option<Cookie> {
        let mut cookies = jar::read(&self.jar());
        cookies.retain(|cookie| cookie.name != "by_hand");
        assert!(cookies.len() <= 1, "{cookies:?}");
        cookies.pop()
    }
}

/// A login with flash, a visit, and a logout that leaves nothing, neither in the jar nor on the server.
fn comes_and_goes(visitor: &Visitor, name: &str, secure: bool) {
    // curl leaves the file of its jar alone when it has no cookie left to write: another one makes removals visible.
    visitor.get("/by-hand?bytes=10");
    assert!(visitor.get("/").contains("<b id=user>nobody</b>"));
    assert_eq!(visitor.cookie(), None, "who only looks gets no cookie");

    let page = visitor.post("/login", "user=Ada");
    assert!(page.contains("Welcome, Ada!"), "flash: {page}");
    assert!(page.contains("<b id=user>Ada</b>"), "{page}");
    let cookie = visitor.cookie().unwrap();
    assert_eq!(cookie.name, name);
    assert_eq!(cookie.path, "/");
    assert_eq!(cookie.secure, secure);
    assert!((7140..=7200).contains(&cookie.left()), "two hours");

    let page = visitor.get("/");
    assert!(!page.contains("Welcome"), "seen once: {page}");
    assert!(page.contains("<b id=user>Ada</b>"), "{page}");

    let kept = std::fs::read(visitor.jar()).unwrap();
    let page = visitor.post("/logout", "");
    assert!(page.contains("<b id=user>nobody</b>"), "{page}");
    assert_eq!(visitor.cookie(), None, "removed");
    std::fs::write(visitor.jar(), kept).unwrap();
    let page = visitor.get("/");
    assert!(page.contains("<b id=user>nobody</b>"), "a copy: {page}");
}

async fn without_tls<E: Engine>() {
    let Some(site) = Site::open(memory()).await else {
        return;
    };
    let visitor = Visitor::new::<E>(&site, site.http("localhost"));
    comes_and_goes(&visitor, "arvel_session", false);
}

async fn with_tls<E: Engine>() {
    let Some(site) = Site::open(strict().partitioned(true)).await else {
        return;
    };
    let visitor = Visitor::new::<E>(&site, site.https("localhost"));
    comes_and_goes(&visitor, "__Host-session", true);
}

/// Logs in over TLS and comes back without.
async fn secure_cookie_without_tls<E: Engine>() {
    let Some(site) = Site::open(memory().secure(true)).await else {
        return;
    };
    let mut visitor = Visitor::new::<E>(&site, site.https("shop.test"));
    visitor.post("/login", "user=Ada");
    assert_eq!(visitor.get("/who"), "Ada");
    visitor.origin = site.http("shop.test");
    assert_eq!(visitor.get("/who"), "nobody", "it is not sent");
    visitor.origin = site.https("shop.test");
    assert_eq!(visitor.get("/who"), "Ada", "it was kept all the while");
}

/// A session that fills its cookie comes back; what would not fit is refused, and what is there stays.
async fn full_cookie<E: Engine>() {
    let Some(site) = Site::open(memory().driver("cookie")).await else {
        return;
    };
    let visitor = Visitor::new::<E>(&site, site.http("localhost"));
    let size = || visitor.cookie().map(|cookie| cookie.size());
    let note = |bytes: usize| visitor.post("/note", &"n".repeat(bytes));
    // The first saves make the session grow by their revisions.
    for _ in 0..4 {
        assert_eq!(note(2000), "noted");
    }
    let fits = largest_note(2000, size().unwrap());
    assert_eq!(note(fits), "noted");
    assert_eq!(size(), Some(LIMIT), "exactly full");
    let kept = "n".repeat(fits);
    assert!(visitor.get("/").contains(&kept));
    assert_ne!(note(fits + 1), "noted");
    assert_eq!(size(), Some(LIMIT));
    assert!(visitor.get("/").contains(&kept));
}

/// The tests of an engine.
macro_rules! engine {
    ($engine:ty) => {
        #[tokio::test(flavor = "multi_thread")]
        async fn comes_and_goes_without_tls() {
            super::without_tls::<$engine>().await;
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn comes_and_goes_with_the_strictest_cookie_over_tls() {
            super::with_tls::<$engine>().await;
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn a_secure_cookie_never_travels_without_tls() {
            super::secure_cookie_without_tls::<$engine>().await;
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn a_full_cookie_comes_back() {
            super::full_cookie::<$engine>().await;
        }
    };
}
use engine;
