//! What all requests share: the store, and what the page says about it.

use std::sync::Arc;

use arvel_session::{SessionConfig, Settings, Source, Store};

/// One for the whole application; clones are the same.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) store: Store,
    pub(crate) facts: Arc<Facts>,
}

/// What stays as it is while the playground runs.
pub(crate) struct Facts {
    /// As it was asked for: `array` is the memory driver.
    pub(crate) driver: String,
    pub(crate) cookie_name: String,
    /// What a new cookie tells the browser, besides its value.
    pub(crate) attributes: Vec<String>,
    pub(crate) settings: Vec<Setting>,
}

/// A setting in force.
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    pub(crate) value: String,
    pub(crate) source: String,
    pub(crate) is_default: bool,
}

impl Site {
    pub(crate) fn new(store: Store, config: &SessionConfig) -> Self {
        let settings = config.settings();
        let facts = Facts {
            driver: settings.driver.clone(),
            cookie_name: settings.cookie_name.clone(),
            attributes: attributes(settings),
            settings: config.describe().map(Setting::from).collect(),
        };
        Self {
            store,
            facts: Arc::new(facts),
        }
    }
}

impl From<(&'static str, String, &Source)> for Setting {
    fn from((name, value, source): (&'static str, String, &Source)) -> Self {
        Self {
            name,
            value,
            source: source.to_string(),
            is_default: *source == Source::Default,
        }
    }
}

fn attributes(settings: &Settings) -> Vec<String> {
    let max_age = format!("Max-Age={}", settings.lifetime.as_secs());
    let flags = [
        (settings.http_only, "HttpOnly"),
        (settings.secure, "Secure"),
        (settings.partitioned, "Partitioned"),
    ];
    let mut attributes = vec![
        format!("Path={}", settings.path),
        format!("SameSite={}", settings.same_site.as_str()),
    ];
    attributes.extend(
        settings
            .domain
            .iter()
            .map(|domain| format!("Domain={domain}")),
    );
    attributes.extend((!settings.expire_on_close).then_some(max_age));
    attributes.extend(
        flags
            .iter()
            .filter(|(on, _)| *on)
            .map(|(_, flag)| (*flag).to_owned()),
    );
    attributes
}
