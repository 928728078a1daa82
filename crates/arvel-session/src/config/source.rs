//! The cascade: the file, the environment, `.env`; and which of them a value came from.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
};

use toml::Table;

use super::{
    environment::dot_env,
    settings::{Row, VARIABLE, named, resembling},
    values::Raw,
};
use crate::{Error, ErrorKind, Result};

/// Where the value of a setting came from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// Nobody set it.
    Default,
    /// This file (`config/session.toml`).
    File(PathBuf),
    /// This variable of the environment.
    Environment(String),
    /// This variable in this file (`.env`).
    DotEnv(String, PathBuf),
    /// A setter.
    Code,
    /// `same_site = none`, which forces `secure`.
    Forced,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(variable) => f.write_str(variable),
            Self::DotEnv(variable, path) => write!(f, "{variable} in {}", path.display()),
            Self::Code => f.write_str("set in code"),
            Self::Forced => f.write_str("forced by same_site = none"),
        }
    }
}

/// A value that was found, for the setting of this row.
pub(super) struct Found {
    pub(super) row: &'static Row,
    pub(super) raw: Raw,
    pub(super) source: Source,
}

/// For each setting that somebody set the value that counts.
pub(super) fn cascade(
    folder: &Path,
    environment: impl IntoIterator<Item = (String, String)>,
    file: Option<(&Path, &str)>,
) -> Result<impl Iterator<Item = Found>> {
    let mut layers = Layers::default();
    let path = folder.join(".env");
    for (variable, value) in dot_env(&path)? {
        let source = Source::DotEnv(variable.clone(), path.clone());
        layers.variable(&variable, value, source);
    }
    for (variable, value) in environment {
        let source = Source::Environment(variable.clone());
        layers.variable(&variable, value, source);
    }
    let path = folder.join("config/session.toml");
    if let Some(text) = read_text(&path)? {
        layers.file(&path, &text)?;
    }
    if let Some((path, text)) = file {
        layers.file(path, text)?;
    }
    layers.refuse_slips()?;
    Ok(layers.found.into_values())
}

/// The values found so far. The layers are laid on from the lowest to the highest, so that the last one counts.
#[derive(Default)]
struct Layers {
    found: BTreeMap<&'static str, Found>,
    /// `SESSION_*` variables that are no setting: somebody else's, or a slip.
    strangers: Vec<(String, Source)>,
}

impl Layers {
    fn variable(&mut self, variable: &str, value: String, source: Source) {
        let Some(name) = variable.strip_prefix(VARIABLE) else {
            return;
        };
        // By the variable's own spelling: lower case does not count.
        match named(&name.to_ascii_lowercase()).filter(|row| row.variable() == variable) {
            Some(row) => self.insert(row, Raw::Variable(value), source),
            None => self.strangers.push((name.to_owned(), source)),
        }
    }

    fn insert(&mut self, row: &'static Row, raw: Raw, source: Source) {
        self.found.insert(row.name, Found { row, raw, source });
    }

    fn file(&mut self, path: &Path, text: &str) -> Result<()> {
        for (key, value) in parse(path, text)? {
            let row = named(&key).ok_or_else(|| unknown_key(path, &key, value.is_table()))?;
            self.insert(row, Raw::File(value), Source::File(path.to_owned()));
        }
        Ok(())
    }

    /// A variable that is one slip away from a setting which nobody set is taken for that setting.
    fn refuse_slips(&self) -> Result<()> {
        for (name, source) in &self.strangers {
            if let Some(row) = resembling(name).filter(|row| !self.found.contains_key(row.name)) {
                return Err(Error::new(
                    ErrorKind::Config,
                    format!("{source} is not a setting; is {} meant?", row.variable()),
                ));
            }
        }
        Ok(())
    }
}

fn parse(path: &Path, text: &str) -> Result<Table> {
    text.parse().map_err(|error: toml::de::Error| {
        let at = error.span().map_or(0, |span| span.start);
        let line = text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1;
        // The error itself is dropped, since it quotes the line, which may be the secret's.
        let message = error.message();
        Error::new(
            ErrorKind::Config,
            format!("{}, line {line}: {message}", path.display()),
        )
    })
}

fn unknown_key(path: &Path, key: &str, is_table: bool) -> Error {
    let advice = match resembling(key) {
        Some(row) => format!("; is {} meant?", row.name),
        None if is_table => "; the settings stand at the top of the file, in no table".to_owned(),
        None => String::new(),
    };
    Error::new(
        ErrorKind::Config,
        format!("{}: {key:?} is not a setting{advice}", path.display()),
    )
}

/// The text of a file; `None` when there is no such file.
pub(super) fn read_text(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(match text.strip_prefix('\u{feff}') {
            Some(text) => text.to_owned(),
            None => text,
        })),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(Error::new(
            ErrorKind::Config,
            format!("{} cannot be read", path.display()),
        )
        .with_source(error)),
    }
}

fn is_absent(error: &io::Error) -> bool {
    // The second: `config` is a file of its own.
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}
