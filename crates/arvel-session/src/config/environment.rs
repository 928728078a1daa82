//! The process's environment, and the `.env` file below it. Neither is ever changed.

use std::{env, path::Path};

use super::{settings::VARIABLE, source::read_text};
use crate::{Error, ErrorKind, Result};

/// The `SESSION_*` variables of this process.
#[allow(
    clippy::disallowed_methods,
    reason = "this is the one home of the environment"
)]
pub(super) fn process() -> Result<Vec<(String, String)>> {
    env::vars_os()
        .filter_map(|(variable, value)| Some((variable.into_string().ok()?, value)))
        .filter(|(variable, _)| variable.starts_with(VARIABLE))
        .map(|(variable, value)| match value.into_string() {
            Ok(value) => Ok((variable, value)),
            Err(_) => Err(refused(format!("{variable} is not UTF-8"))),
        })
        .collect()
}

/// The variables in a `.env` file; none when there is no such file.
pub(super) fn dot_env(path: &Path) -> Result<Vec<(String, String)>> {
    let text = read_text(path)?.unwrap_or_default();
    let mut variables: Vec<(String, String)> = Vec::new();
    for entry in dotenvy::from_read_iter(text.as_bytes()) {
        let Ok((variable, value)) = entry else {
            return Err(broken(path, variables.last().map(|(variable, _)| variable)));
        };
        if variable.starts_with(VARIABLE) && variables.iter().any(|(other, _)| *other == variable) {
            return Err(refused(format!(
                "{}: {variable} stands there twice",
                path.display()
            )));
        }
        variables.push((variable, value));
    }
    Ok(variables)
}

/// The parser's own error is dropped, since it quotes the line, which may be the secret's.
fn broken(path: &Path, last: Option<&String>) -> Error {
    let entry = match last {
        Some(variable) => format!("the entry after {variable}"),
        None => "the first entry".to_owned(),
    };
    refused(format!(
        "{}: {entry} is not NAME=value (a value with spaces stands in quotes)",
        path.display()
    ))
}

fn refused(message: String) -> Error {
    Error::new(ErrorKind::Config, message)
}
