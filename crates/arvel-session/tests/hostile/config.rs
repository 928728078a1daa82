//! Configuration files and environments that nobody would write: the body of a fuzz target in `fuzz/`.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use arvel_session::{Error, ErrorKind, Secret, SessionConfig, Source};
use toml::{Table, Value};

use crate::support::{App, Browser};

thread_local! {
    static FOLDER: tempfile::TempDir = {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("config")).unwrap();
        folder
    };
}

/// Loads a configuration: the file, `.env`, and the variables, with a zero byte between each two.
///
/// What is refused is refused as a configuration, and quotes no secret. Of what is accepted, each value comes from where it
/// ought to, and a browser keeps the cookie.
pub(crate) fn config(data: &[u8]) {
    let mut parts = data.split(|byte| *byte == 0);
    let file = parts.next().unwrap_or_default();
    let dot_env = parts.next().unwrap_or_default();
    let variables = parts.filter_map(|part| std::str::from_utf8(part).ok()?.split_once('='));
    let variables: BTreeMap<&str, &str> = variables.collect();
    let loaded = FOLDER.with(|folder| {
        place(&folder.path().join("config/session.toml"), file);
        place(&folder.path().join(".env"), dot_env);
        load(folder.path(), &variables)
    });
    match loaded {
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Config);
            hides_secrets(&format!("{error} {error:?}"), &variables);
        }
        Ok(config) => {
            hides_secrets(&format!("{config:?}"), &variables);
            let file = String::from_utf8(file.to_vec()).unwrap();
            let file = file.strip_prefix('\u{feff}').unwrap_or(&file);
            comes_from_where_it_ought_to(&config, &file.parse().unwrap(), &variables);
            a_browser_keeps_the_cookie(config);
        }
    }
}

/// A new file each time: file systems flush one that was emptied and written again.
fn place(path: &Path, text: &[u8]) {
    if path.exists() {
        fs::remove_file(path).unwrap();
    }
    if !text.is_empty() {
        fs::write(path, text).unwrap();
    }
}

fn load(folder: &Path, variables: &BTreeMap<&str, &str>) -> Result<SessionConfig, Error> {
    let owned = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    SessionConfig::load_from(folder, owned)
}

/// A key is never shown: not where it is refused, and not where another setting is.
fn hides_secrets(text: &str, variables: &BTreeMap<&str, &str>) {
    for name in ["SESSION_SECRET_KEY", "SESSION_PREVIOUS_KEYS"] {
        let Some(secret) = variables.get(name).map(|secret| secret.trim()) else {
            continue;
        };
        // What somebody has also written elsewhere is no secret, and a short word may be one of the message's own.
        let others = variables.iter().filter(|(other, _)| **other != name);
        let elsewhere = others
            .into_iter()
            .any(|(name, value)| name.contains(secret) || value.contains(secret));
        if secret.len() >= 24 && !elsewhere {
            assert!(!text.contains(secret), "{name} in {text}");
        }
    }
}

/// The file, then the environment, then `.env`, then the default.
fn comes_from_where_it_ought_to(
    config: &SessionConfig,
    file: &Table,
    variables: &BTreeMap<&str, &str>,
) {
    let mut known = 0;
    for (name, _, source) in config.describe() {
        let variable = format!("SESSION_{}", name.to_ascii_uppercase());
        let in_file = file.contains_key(name);
        known += usize::from(in_file);
        let in_environment = variables.contains_key(&*variable);
        match source {
            Source::File(_) => assert!(in_file, "{name}"),
            Source::Environment(_) => assert!(in_environment && !in_file, "{name}"),
            Source::DotEnv(..) | Source::Default => assert!(!in_environment && !in_file, "{name}"),
            Source::Forced => assert_eq!(name, "secure"),
            other => panic!("{name} comes from {other:?}"),
        }
    }
    assert_eq!(known, file.len(), "the file holds nothing unknown");
    let settings = config.settings();
    if let Some(Value::Integer(seconds)) = file.get("lifetime") {
        let lifetime = Duration::from_secs(u64::try_from(*seconds).unwrap());
        assert_eq!(settings.lifetime, lifetime);
    }
    if let Some(Value::String(driver)) = file.get("driver") {
        assert_eq!(settings.driver, *driver);
    }
    if let Some(Value::Boolean(http_only)) = file.get("http_only") {
        assert_eq!(settings.http_only, *http_only);
    }
}

/// Sets a cookie with these settings, and reads the line as RFC 6265bis (5.6) has a browser read it.
fn a_browser_keeps_the_cookie(config: SessionConfig) {
    let expected = config.settings().clone();
    let app = App::new(config.driver("memory").secret_key(Secret::generate()));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let put = |session: arvel_session::SessionData| session.put("k", 1);
    let mut browser = Browser::default();
    let answer = runtime.unwrap().block_on(browser.change(&app, put));
    answer.sets_one_cookie();
    let line = answer.set_cookies()[0];
    let mut parts = line.split(';').map(|part| part.trim_matches([' ', '\t']));
    let (name, value) = parts.next().unwrap().split_once('=').unwrap();
    assert_eq!(name, expected.cookie_name);
    assert!(name.len() + value.len() <= 4096);
    let attributes: BTreeMap<&str, &str> = parts
        .map(|part| part.split_once('=').unwrap_or((part, "")))
        .collect();
    assert!(attributes.values().all(|value| value.len() <= 1024));
    assert_eq!(attributes["Path"], expected.path);
    assert_eq!(
        attributes.get("Domain").copied(),
        expected.domain.as_deref()
    );
    assert_eq!(attributes["SameSite"], expected.same_site.as_str());
    for (flag, on) in [
        ("Secure", expected.secure),
        ("HttpOnly", expected.http_only),
        ("Partitioned", expected.partitioned),
    ] {
        assert_eq!(attributes.contains_key(flag), on, "{line}");
    }
    assert!(expected.secure || attributes["SameSite"] != "None");
    let lower = name.to_ascii_lowercase();
    if lower.starts_with("__host-") {
        assert!(expected.secure && expected.path == "/" && expected.domain.is_none());
    }
    assert!(expected.secure || !lower.starts_with("__secure-"));
    match attributes.get("Max-Age") {
        None => assert!(expected.expire_on_close),
        Some(seconds) => {
            let seconds: u64 = seconds.parse().unwrap();
            assert!((1..=400 * 24 * 3600).contains(&seconds), "{line}");
        }
    }
}
