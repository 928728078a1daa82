//! The mutants that cargo-mutants knows of.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use xtask::error::{Context, Error, Result};
use xtask::process;

/// A change of the library that some test should notice.
pub(super) struct Mutant {
    /// From one on.
    pub(super) number: usize,
    /// What cargo-mutants calls it.
    pub(super) name: String,
    pub(super) file: String,
    pub(super) genre: Genre,
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) replacement: String,
    /// The lines of the function that it is in, if it is in one.
    pub(super) function: (usize, usize),
    pub(super) returns: String,
}

/// What is changed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Genre {
    FnValue,
    BinaryOperator,
    UnaryOperator,
    MatchArm,
    MatchArmGuard,
    Other,
}

impl Mutant {
    /// The folder of the library that it is in.
    pub(super) fn module(&self) -> &str {
        self.file.rsplit('/').nth(1).unwrap_or_default()
    }

    fn read(number: usize, value: &Value) -> Option<Self> {
        let number_at = |path: &str| usize::try_from(value.pointer(path)?.as_u64()?).ok();
        let text_at = |path: &str| Some(value.pointer(path)?.as_str()?.to_owned());
        Some(Self {
            number,
            name: text_at("/name")?,
            file: text_at("/file")?,
            genre: match value.get("genre")?.as_str()? {
                "FnValue" => Genre::FnValue,
                "BinaryOperator" => Genre::BinaryOperator,
                "UnaryOperator" => Genre::UnaryOperator,
                "MatchArm" => Genre::MatchArm,
                "MatchArmGuard" => Genre::MatchArmGuard,
                _ => Genre::Other,
            },
            line: number_at("/span/start/line")?,
            column: number_at("/span/start/column")?,
            replacement: text_at("/replacement")?,
            function: (
                number_at("/function/span/start/line").unwrap_or_default(),
                number_at("/function/span/end/line").unwrap_or_default(),
            ),
            returns: text_at("/function/return_type").unwrap_or_default(),
        })
    }
}

/// All mutants of the sources in this folder.
pub(super) fn list(tree: &Path) -> Result<Vec<Mutant>> {
    let mut command = Command::new("cargo");
    command.current_dir(tree);
    let listed = process::output(command.args(["mutants", "--list", "--json"]))?;
    let listed: Vec<Value> =
        serde_json::from_str(&listed).context("reading the list of mutants")?;
    let mutants = listed
        .iter()
        .zip(1..)
        .map(|(value, number)| Mutant::read(number, value));
    mutants
        .collect::<Option<_>>()
        .ok_or_else(|| Error::new("cargo-mutants lists its mutants in another form than we know"))
}
