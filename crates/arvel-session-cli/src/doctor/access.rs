//! Whether other users of this machine can read what is kept here.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use arvel_session::{SessionConfig, Source};

use super::Finding;

/// A finding for each file and folder that is there. Without Unix permissions there is nothing to find.
pub(super) fn findings(config: &SessionConfig) -> Vec<Finding> {
    let kept = secret_files(config)
        .into_iter()
        .map(|path| (path, "it holds a secret"))
        .chain(store(config).map(|path| (path, "it holds the sessions")));
    kept.filter_map(|(path, what)| finding(&path, what))
        .collect()
}

/// The files that a masked value comes from: a key, or a URL with a password.
fn secret_files(config: &SessionConfig) -> BTreeSet<PathBuf> {
    config
        .describe()
        .filter(|(_, value, _)| value.contains("***"))
        .filter_map(|(.., source)| match source {
            Source::File(path) | Source::DotEnv(_, path) => Some(path.clone()),
            _ => None,
        })
        .collect()
}

/// Where the store keeps sessions on this machine's disk.
fn store(config: &SessionConfig) -> Option<PathBuf> {
    let settings = config.settings();
    match settings.driver.as_str() {
        "file" => Some(settings.files_path.clone()),
        "database" => sqlite_file(settings.database_url.as_ref()?.as_str()),
        _ => None,
    }
}

fn sqlite_file(url: &str) -> Option<PathBuf> {
    let path = url.strip_prefix("sqlite:")?;
    Some(path.strip_prefix("//").unwrap_or(path).into())
}

fn finding(path: &Path, what: &str) -> Option<Finding> {
    let mode = mode(path)?;
    let others = mode & 0o007;
    let text = format!("{} ({mode:04o})", path.display());
    let why = format!("{what}, and other users of this machine have access; chmod o= closes it");
    Some(Finding::safe_or(others == 0, text, &why))
}

#[cfg(unix)]
fn mode(path: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    Some(fs::metadata(path).ok()?.permissions().mode() & 0o7777)
}

#[cfg(not(unix))]
fn mode(path: &Path) -> Option<u32> {
    let _ = fs::metadata(path).ok()?;
    None
}
