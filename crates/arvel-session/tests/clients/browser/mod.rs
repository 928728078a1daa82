//! Chromium: what it keeps, what it sends, and what a person sees.

mod across_sites;
mod attributes;
mod forms;
mod logins;
mod playground;
mod size;
mod tab;

use arvel_session::SessionConfig;

use crate::site::Site;
use tab::Tab;

/// A browser, and a site whose sessions are as these settings say; `None` where the services are not there.
async fn visit(config: SessionConfig) -> Option<(Tab, Site)> {
    let site = Site::open(config).await?;
    Some((Tab::open().await?, site))
}

impl Tab {
    /// Logs in on the page that is shown, and waits for the next one.
    async fn log_in(&self) {
        self.press("#login").await;
        self.wait_for(".flash").await;
    }

    async fn user(&self) -> String {
        self.text("#user").await
    }
}
