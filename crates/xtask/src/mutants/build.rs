//! One build that all mutants are in.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use xtask::error::{Context, Error, Result};
use xtask::{interrupt, process, repository};

use super::list::Mutant;
use super::switch::{Switched, switch};

/// What asks whether a mutant is switched on, and notes that it was asked. It is put into the copy of the library.
const ON: &str = include_str!("on.rs");

/// The errors that a mutant would also have on its own: of types that do not fit, or have no such value.
const OWN: [&str; 4] = ["E0277", "E0308", "E0433", "E0599"];

/// The tests that look at each mutant. Others of the library's need servers, or start programs.
pub(super) const TESTS: [&str; 3] = ["--lib", "--test=rules", "--test=visit"];

const LIBRARY: &str = "crates/arvel-session";

/// What became of the mutants in the build.
#[derive(Default)]
pub(super) struct Left {
    /// They do not compile.
    pub(super) unviable: BTreeSet<usize>,
    /// They may compile, but not behind a switch.
    pub(super) apart: BTreeSet<usize>,
}

impl Left {
    fn has(&self, mutant: usize) -> bool {
        self.unviable.contains(&mutant) || self.apart.contains(&mutant)
    }
}

/// Makes a copy of the repository as it is now, or renews one. What is the same is left as it is, so that it stays built.
pub(super) fn copy(tree: &Path) -> Result<()> {
    for file in repository::files()? {
        let text = fs::read(repository::root().join(&file)).context(&file)?;
        write(&tree.join(&file), &text)?;
    }
    Ok(())
}

fn write(path: &Path, text: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent).context("making a folder for a copy")?;
    fs::write(path, text).context("writing a copy")
}

/// Puts the mutants into the copy, without those that keep it from compiling.
pub(super) fn put(tree: &Path, mutants: &[Mutant]) -> Result<Left> {
    put_switch(tree, mutants.len())?;
    let mut left = Left::default();
    loop {
        interrupt::check()?;
        let files = put_all(tree, mutants, &mut left)?;
        let errors = errors(tree)?;
        if errors.is_empty() {
            return Ok(left);
        }
        let before = left.unviable.len() + left.apart.len();
        for error in &errors {
            blame(error, mutants, &files, &mut left);
        }
        if left.unviable.len() + left.apart.len() == before {
            let text = errors[0].get("rendered").and_then(Value::as_str);
            return Err(Error::new(
                text.unwrap_or("no mutant is to blame").to_owned(),
            ));
        }
    }
}

fn put_switch(tree: &Path, count: usize) -> Result<()> {
    let path = format!("{LIBRARY}/src/lib.rs");
    let library = fs::read_to_string(repository::root().join(&path)).context(&path)?;
    let count = format!("const COUNT: usize = {};", count + 1);
    let module = ON.replace("const COUNT: usize = 1;", &count);
    let text = format!("{library}\npub(crate) mod mutants {{\n{module}}}\n");
    write(&tree.join(path), text.as_bytes())
}

type Files = BTreeMap<String, Switched>;

fn put_all(tree: &Path, mutants: &[Mutant], left: &mut Left) -> Result<Files> {
    let mut by_file: BTreeMap<&str, Vec<&Mutant>> = BTreeMap::new();
    for mutant in mutants {
        by_file.entry(&mutant.file).or_default().push(mutant);
    }
    let mut files = Files::new();
    for (file, mut mutants) in by_file {
        mutants.retain(|mutant| !left.has(mutant.number));
        let text = fs::read_to_string(repository::root().join(file)).context(file)?;
        let switched = switch(&text, &mutants).context(file)?;
        left.apart.extend(&switched.apart);
        write(&tree.join(file), switched.text.as_bytes())?;
        files.insert(file.to_owned(), switched);
    }
    Ok(files)
}

/// A cargo for the copies: what others do not need to be built for is built once.
pub(super) fn cargo(tree: &Path) -> Command {
    let mut cargo = Command::new("cargo");
    process::forget_us(&mut cargo).current_dir(tree);
    cargo.env("CARGO_TARGET_DIR", super::folder().join("build"));
    // Leaves the drivers out of the build that need a server: the library's manifest.
    cargo.env("RUSTFLAGS", "--cfg lean");
    cargo
}

fn errors(tree: &Path) -> Result<Vec<Value>> {
    let mut build = cargo(tree);
    build.args([
        "test",
        "--no-run",
        "--profile=mutants",
        "--package=arvel-session",
        "--lib",
    ]);
    let (messages, good) = messages(&mut build)?;
    let errors = messages.into_iter().filter_map(|mut message| {
        let message = message.get_mut("message")?.take();
        (message.get("level")? == "error").then_some(message)
    });
    let errors: Vec<Value> = errors.collect();
    if errors.is_empty() && !good {
        return Err(Error::new("cargo does not say why it has failed"));
    }
    Ok(errors)
}

/// What cargo says, message by message, and whether it is content.
fn messages(cargo: &mut Command) -> Result<(Vec<Value>, bool)> {
    cargo.arg("--message-format=json").stdin(Stdio::null());
    let output = cargo.stderr(Stdio::inherit()).output();
    let output = output.context("starting cargo")?;
    interrupt::check()?;
    let good = output.status.success();
    let output = String::from_utf8(output.stdout).context("reading what cargo says")?;
    let messages = output.lines().filter(|line| line.starts_with('{'));
    let messages: serde_json::Result<_> = messages.map(serde_json::from_str).collect();
    Ok((messages.context("reading what cargo says")?, good))
}

/// Takes those mutants out that an error is about.
fn blame(error: &Value, mutants: &[Mutant], files: &Files, left: &mut Left) {
    let code = error["code"]["code"].as_str();
    let own = code.is_some_and(|code| OWN.contains(&code));
    let spans = error["spans"].as_array().into_iter().flatten();
    for span in spans.filter(|span| span["is_primary"] == true) {
        let file = span["file_name"].as_str().unwrap_or_default();
        match &touched(span, files.get(file))[..] {
            [] => left.apart.extend(around(span, file, mutants)),
            [only] if own && !mutants[only - 1].returns.contains("impl ") => {
                left.unviable.insert(*only);
            }
            several => left.apart.extend(several),
        }
    }
}

fn number(span: &Value, name: &str) -> usize {
    let number = span[name].as_u64().and_then(|it| usize::try_from(it).ok());
    number.unwrap_or_default()
}

/// The mutants in whose text an error is.
fn touched(span: &Value, file: Option<&Switched>) -> Vec<usize> {
    let (start, end) = (number(span, "byte_start"), number(span, "byte_end"));
    let pieces = file.iter().flat_map(|file| &file.pieces);
    let touched = pieces.filter(|(piece, _)| piece.start < end && start < piece.end);
    touched.map(|(_, mutant)| *mutant).collect()
}

/// The mutants of the function that an error is in.
fn around(span: &Value, file: &str, mutants: &[Mutant]) -> Vec<usize> {
    let line = number(span, "line_start");
    let holds = |mutant: &&Mutant| (mutant.function.0..=mutant.function.1).contains(&line);
    let near = mutants.iter().filter(|mutant| mutant.file == file);
    near.filter(holds).map(|mutant| mutant.number).collect()
}

/// Builds the tests, and says where they are.
pub(super) fn tests(tree: &Path) -> Result<Vec<PathBuf>> {
    let mut build = cargo(tree);
    build
        .args([
            "test",
            "--no-run",
            "--profile=mutants",
            "--package=arvel-session",
        ])
        .args(TESTS);
    let (messages, _) = messages(&mut build)?;
    let programs = messages
        .iter()
        .filter_map(|message| message.get("executable")?.as_str());
    let programs: Vec<PathBuf> = programs.map(PathBuf::from).collect();
    if programs.len() == TESTS.len() {
        Ok(programs)
    } else {
        Err(Error::new(
            "the tests do not compile with the mutants in the library",
        ))
    }
}

/// Where the tests run.
pub(super) fn home(tree: &Path) -> PathBuf {
    tree.join(LIBRARY)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::mutants::list::Genre;

    /// Two values for one function, in the file `f`: what an error of this code at this place takes out.
    fn left(code: &str, place: (usize, usize)) -> Left {
        let text = "fn f() -> u8 {\n    7\n}\n";
        let mutant = |number, replacement: &str| Mutant {
            number,
            name: String::new(),
            file: "f".to_owned(),
            genre: Genre::FnValue,
            line: 2,
            column: 5,
            replacement: replacement.to_owned(),
            function: (1, 3),
            returns: "-> u8".to_owned(),
        };
        let mutants = [mutant(1, "None"), mutant(2, "0")];
        let switched = switch(text, &mutants.iter().collect::<Vec<_>>()).unwrap();
        let files = Files::from([("f".to_owned(), switched)]);
        let error = json!({
            "code": {"code": code},
            "spans": [{
                "is_primary": true,
                "file_name": "f",
                "byte_start": place.0,
                "byte_end": place.1,
                "line_start": 2,
            }],
        });
        let mut left = Left::default();
        blame(&error, &mutants, &files, &mut left);
        left
    }

    /// Where the text of the first mutant that was put in lies.
    const FIRST: usize = "fn f() -> u8 {\n    ".len();

    #[test]
    fn a_value_of_another_type_does_not_compile() {
        let left = left("E0308", (FIRST + 5, FIRST + 6));
        assert_eq!((left.unviable.len(), left.apart.len()), (1, 0));
    }

    #[test]
    fn a_switch_where_none_may_be_is_no_fault_of_the_mutant() {
        let left = left("E0015", (FIRST + 5, FIRST + 6));
        assert_eq!((left.unviable.len(), left.apart.len()), (0, 1));
    }

    #[test]
    fn an_error_elsewhere_in_the_function_takes_out_all_that_is_in_it() {
        let left = left("E0282", (0, 2));
        assert_eq!((left.unviable.len(), left.apart.len()), (0, 2));
    }
}
