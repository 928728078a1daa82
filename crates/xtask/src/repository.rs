//! Where things are in this repository.

use std::path::{Path, PathBuf};

use crate::error::{Context, Result};

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(2).unwrap_or(own).to_path_buf()
}

/// The manifests of the examples that are workspaces of their own, by name.
pub(crate) fn own_workspaces() -> Result<Vec<PathBuf>> {
    let examples = root().join("examples");
    if !examples.exists() {
        return Ok(Vec::new());
    }
    let mut manifests: Vec<PathBuf> = entries(&examples)?
        .into_iter()
        .map(|folder| folder.join("Cargo.toml"))
        .filter(|manifest| manifest.exists())
        .collect();
    manifests.sort();
    Ok(manifests)
}

/// What a folder holds.
pub(crate) fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let reading = || format!("reading the folder {}", folder.display());
    let listing = std::fs::read_dir(folder).context(reading())?;
    listing
        .map(|entry| entry.map(|entry| entry.path()).context(reading()))
        .collect()
}
