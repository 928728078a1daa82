//! Where things are in this repository.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Context, Result};
use crate::process;

/// The repository's root.
pub fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(2).unwrap_or(own).to_path_buf()
}

/// The manifests of the workspaces beside the main one, by name: the benchmark and the examples.
pub fn own_workspaces() -> Result<Vec<PathBuf>> {
    let mut folders = entries(&root().join("examples"))?;
    folders.push(root().join("benches"));
    let mut manifests: Vec<PathBuf> = folders
        .into_iter()
        .map(|folder| folder.join("Cargo.toml"))
        .filter(|manifest| manifest.exists())
        .collect();
    manifests.sort();
    Ok(manifests)
}

/// The manifest of the Python binding, which only Python can run.
pub fn python() -> PathBuf {
    root().join("python/Cargo.toml")
}

/// The library's features, but for `default`.
pub fn features() -> Result<Vec<String>> {
    let manifest = root().join("crates/arvel-session/Cargo.toml");
    let text = std::fs::read_to_string(&manifest).context("reading the library's manifest")?;
    Ok(features_in(&text))
}

fn features_in(manifest: &str) -> Vec<String> {
    let section = manifest
        .lines()
        .skip_while(|line| *line != "[features]")
        .skip(1);
    let section = section.take_while(|line| !line.starts_with('['));
    // An entry starts its line; a list that goes on over several lines is indented.
    let entries =
        section.filter(|line| line.starts_with(|first: char| first.is_ascii_alphanumeric()));
    let names = entries
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name.trim().to_owned());
    names.filter(|name| name != "default").collect()
}

/// The files that git knows, or would add, as paths from the root.
pub fn files() -> Result<Vec<String>> {
    let mut git = Command::new("git");
    git.current_dir(root())
        .args(["ls-files", "--cached", "--others", "--exclude-standard"]);
    let listed = process::output(&mut git)?;
    Ok(listed
        .lines()
        .filter(|file| root().join(file).is_file())
        .map(str::to_owned)
        .collect())
}

/// What a folder holds.
pub fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let reading = || format!("reading the folder {}", folder.display());
    let listing = std::fs::read_dir(folder).context(reading())?;
    listing
        .map(|entry| entry.map(|entry| entry.path()).context(reading()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_read_whatever_their_lists_look_like() {
        let manifest = "[package]\nname = \"a\"\n\n[features]\ndefault = [\"one\"]\n# Why.\none = []\n\
                        two = [\n  \"dep:b\",\n]\n\n[dependencies]\nthree = \"1\"\n";
        assert_eq!(features_in(manifest), ["one", "two"]);
    }
}
