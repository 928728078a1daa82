//! Ten requests of a page at the moment of its login, a hundred times: the user is logged in at the end, every time.

use std::time::Duration;

use arvel_session::{SessionConfig, store::DatabaseStore};
use serde_json::json;
use tempfile::TempDir;

use super::visit;
use crate::{service, site::memory};

mod a_page_full_of_requests_never_logs_out {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn on_memory() {
        a_page_full_of_requests_never_logs_out(memory()).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn on_redis() {
        let Some(url) = service("ARVEL_TEST_REDIS") else {
            return;
        };
        let prefix = format!("clients-{}:", std::process::id());
        let config = memory().driver("redis").redis_url(url).redis_prefix(prefix);
        a_page_full_of_requests_never_logs_out(config).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn on_sqlite() {
        let folder = TempDir::new().unwrap();
        let url = format!("sqlite:{}", folder.path().join("sessions.db").display());
        let store = DatabaseStore::new(&url, "sessions", Duration::from_secs(10)).unwrap();
        store.migrate().await.unwrap();
        let config = memory().driver("database").database_url(url);
        a_page_full_of_requests_never_logs_out(config).await;
    }
}

async fn a_page_full_of_requests_never_logs_out(config: SessionConfig) {
    let Some((tab, site)) = visit(config).await else {
        return;
    };
    tab.visit(&site.http("localhost")).await;
    let mut seen = [0, 0, 0];
    // A few at a time, so that a slow machine answers in time.
    for first in (0..100).step_by(5) {
        let script = include_str!("logins.js");
        let outcome = tab.long_script(script, json!([first, 5])).await;
        assert_eq!(outcome["lost"], json!([]));
        for (count, when) in seen.iter_mut().zip(["before", "late", "after"]) {
            *count += outcome["seen"][when].as_u64().unwrap();
        }
    }
    // The requests did come before the login, and with the old cookie after it.
    let [before, late, _after] = seen;
    assert!(before > 0 && late > 0, "{seen:?}");
    assert!(tab.jar().await.is_empty(), "logged out at last");
}
