//! `arvel-session config`: the effective settings.

use std::process::ExitCode;

use arvel_session::SessionConfig;

use crate::{
    Ending,
    output::{note, print},
};

/// Values that are longer do not push the sources of all the others to the right.
const WIDEST: usize = 40;

pub(crate) fn run() -> Ending {
    let config = SessionConfig::load()?;
    print(&table(&config))?;
    if let Err(error) = config.settings().secret_key() {
        note(&error.to_string());
    }
    Ok(ExitCode::SUCCESS)
}

/// A setting with its value, masked, and its source, in the form that the library's own errors have.
pub(crate) fn setting(config: &SessionConfig, name: &str) -> String {
    let row = config.describe().find(|(other, ..)| *other == name);
    row.map_or_else(
        || name.to_owned(),
        |(name, value, source)| format!("{name} = {value} ({source})"),
    )
}

fn table(config: &SessionConfig) -> String {
    let rows: Vec<_> = config.describe().collect();
    let widest = |lengths: &mut dyn Iterator<Item = usize>| lengths.max().unwrap_or(0);
    let names = widest(&mut rows.iter().map(|(name, ..)| name.len()));
    let values = widest(&mut rows.iter().map(|(_, value, _)| value.chars().count())).min(WIDEST);
    rows.iter()
        .map(|(name, value, source)| format!("{name:names$}  {value:values$}  {source}\n"))
        .collect()
}
