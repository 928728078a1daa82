//! Rules about the repository that no lint knows.
//!
//! Every module says what it is for; no file grows past [`LONGEST`] lines; no documentation test is ignored; every driver
//! has its documentation and runs the conformance suite; every test that [`SECURITY`] names is there.

use xtask::error::{Context, Error, Result};
use xtask::repository;

/// The most lines that a file may have, its tests apart.
const LONGEST: usize = 500;

/// The library's features that are no drivers. A new feature belongs here, or is a driver and keeps a driver's rules.
const NOT_DRIVERS: [&str; 3] = ["axum", "metrics", "conformance"];

/// The drivers that need no feature.
const ALWAYS: [&str; 2] = ["cookie", "memory"];

/// The page whose tables say which test shows that a requirement is met, in their last column.
const SECURITY: &str = "docs/security.md";

/// Looks at every file; the error lists all that is wrong.
pub(crate) fn run() -> Result<()> {
    let mut files = Vec::new();
    for path in repository::files()? {
        if path.ends_with(".rs") || path.ends_with(".md") {
            let text = std::fs::read_to_string(repository::root().join(&path)).context(&path)?;
            files.push(File { path, text });
        }
    }
    let drivers = drivers(&files)?;
    let mut faults: Vec<String> = files.iter().flat_map(File::faults).collect();
    faults.extend(
        drivers
            .iter()
            .flat_map(|driver| driver_faults(driver, &files)),
    );
    faults.extend(missing_tests(&files));
    if faults.is_empty() {
        Ok(())
    } else {
        Err(Error::new(faults.join("\n")))
    }
}

/// A file of source or documentation.
struct File {
    path: String,
    text: String,
}

impl File {
    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.path.ends_with(".rs") {
            faults.extend(self.untitled());
            faults.extend(self.too_long());
        }
        faults.extend(self.ignored_examples());
        faults
            .into_iter()
            .map(|fault| format!("{}: {fault}", self.path))
            .collect()
    }

    fn untitled(&self) -> Option<String> {
        let titled = self.text.starts_with("//! ");
        (!titled).then(|| "it must open with a line of `//!` that says what it is for".to_owned())
    }

    fn too_long(&self) -> Option<String> {
        let tests = self.path.contains("/tests/") || self.path.ends_with("/tests.rs");
        let lines = self
            .text
            .lines()
            .take_while(|line| *line != "#[cfg(test)]")
            .count();
        (!tests && lines > LONGEST)
            .then(|| format!("{lines} lines, tests apart, are more than {LONGEST}"))
    }

    fn ignored_examples(&self) -> Vec<String> {
        let numbered = self.text.lines().zip(1..);
        let ignored = numbered.filter(|(line, _)| opens_ignored_example(line));
        ignored
            .map(|(_, number)| format!("line {number} ignores an example"))
            .collect()
    }
}

/// Whether a line of documentation opens a block of code that rustdoc would not run because of an `ignore`.
fn opens_ignored_example(line: &str) -> bool {
    let line = line.trim_start();
    let text = line
        .strip_prefix("///")
        .or_else(|| line.strip_prefix("//!"))
        .unwrap_or(line);
    let info = text.trim_start().strip_prefix("```");
    info.is_some_and(|info| {
        info.split([',', ' '])
            .any(|word| word.starts_with("ignore"))
    })
}

/// The drivers that are there.
fn drivers(files: &[File]) -> Result<Vec<String>> {
    let features = repository::features()?.into_iter();
    let mut drivers: Vec<String> = features
        .filter(|name| !NOT_DRIVERS.contains(&name.as_str()))
        .collect();
    let stores = |name: &&str| {
        let module = format!("crates/arvel-session/src/store/{name}");
        files.iter().any(|file| {
            file.path == format!("{module}.rs") || file.path == format!("{module}/mod.rs")
        })
    };
    drivers.extend(ALWAYS.into_iter().filter(stores).map(str::to_owned));
    Ok(drivers)
}

fn driver_faults(driver: &str, files: &[File]) -> Vec<String> {
    let documented =
        |file: &File| file.path == "docs/drivers.md" && file.text.contains(&format!("`{driver}`"));
    let conforms = |file: &File| {
        file.path.starts_with("crates/arvel-session/tests/")
            && file.text.contains("conformance")
            && (file.text.contains(driver) || file.path.contains(driver))
    };
    let mut faults = Vec::new();
    if !files.iter().any(documented) {
        faults.push(format!("the driver `{driver}` is not in docs/drivers.md"));
    }
    if !files.iter().any(conforms) {
        faults.push(format!(
            "the driver `{driver}` runs no conformance suite in crates/arvel-session/tests"
        ));
    }
    faults
}

/// The tests that the page on security names and nobody has written.
fn missing_tests(files: &[File]) -> Vec<String> {
    let pages = files.iter().filter(|file| file.path == SECURITY);
    let named = pages.flat_map(|page| tests_named_in(&page.text));
    let is_there = |test: &str| {
        let function = format!("fn {test}(");
        let mut sources = files.iter().filter(|file| file.path.ends_with(".rs"));
        sources.any(|file| file.text.contains(&function))
    };
    named
        .filter(|test| !is_there(test))
        .map(|test| format!("{SECURITY} names the test `{test}`, which is not there"))
        .collect()
}

/// What stands between backticks in the last cell of each row of the tables whose last column is called `shown by`.
fn tests_named_in(page: &str) -> Vec<&str> {
    let mut tests = Vec::new();
    let mut in_table = false;
    for line in page.lines() {
        let Some(row) = line.strip_prefix('|') else {
            in_table = false;
            continue;
        };
        let last = row.trim_end_matches('|').rsplit('|').next();
        let last = last.unwrap_or_default().trim();
        if in_table {
            tests.extend(last.split('`').skip(1).step_by(2));
        }
        in_table |= last == "shown by";
    }
    tests
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: impl Into<String>) -> File {
        File {
            path: path.to_owned(),
            text: text.into(),
        }
    }

    #[test]
    fn the_repository_is_clean() {
        run().unwrap();
    }

    #[test]
    fn a_module_without_a_title_is_found() {
        assert_eq!(file("src/a.rs", "use std::fmt;\n").faults().len(), 1);
        assert_eq!(file("src/a.rs", "//! What it is.\n").faults().len(), 0);
        assert_eq!(file("docs/a.md", "What it is.\n").faults().len(), 0);
    }

    #[test]
    fn a_long_file_is_found_and_its_tests_do_not_count() {
        let long = |rest| format!("//! Long.\n{}{rest}", "// line\n".repeat(LONGEST - 1));
        assert_eq!(file("src/a.rs", long("")).faults().len(), 0);
        assert_eq!(file("src/a.rs", long("// one more\n")).faults().len(), 1);
        assert_eq!(
            file("src/a.rs", long("#[cfg(test)]\nmod tests {}\n"))
                .faults()
                .len(),
            0
        );
        assert_eq!(
            file("crates/a/tests/a.rs", long("// one more\n"))
                .faults()
                .len(),
            0
        );
    }

    #[test]
    fn an_ignored_example_is_found() {
        for ignored in [
            "//! ```ignore",
            "    /// ```rust,ignore",
            "```rust ignore",
            "/// ```ignore-windows",
        ] {
            assert_eq!(file("a.md", ignored).faults().len(), 1, "{ignored}");
        }
        for run in [
            "//! ```",
            "/// ```no_run",
            "```rust",
            "we ignore ```this```",
        ] {
            assert_eq!(file("a.md", run).faults().len(), 0, "{run}");
        }
    }

    #[test]
    fn a_driver_without_documentation_or_conformance_is_found() {
        assert_eq!(driver_faults("redis", &[]).len(), 2);
        let docs = file("docs/drivers.md", "| `redis` |");
        let test = file(
            "crates/arvel-session/tests/conformance.rs",
            "conformance!(redis);",
        );
        assert!(driver_faults("redis", &[docs, test]).is_empty());
    }

    #[test]
    fn a_test_that_is_named_and_not_there_is_found() {
        let page = "| `a_flag` | shown by |\n|---|---|\n| `a_setting` | `one_thing`, `another_thing` |\n\n\
                    | else | what |\n|---|---|\n| a | `a_word` |\n";
        assert_eq!(tests_named_in(page), ["one_thing", "another_thing"]);
        let tests = file("crates/a/tests/a.rs", "async fn one_thing() {}");
        let faults = missing_tests(&[file(SECURITY, page), tests]);
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].contains("`another_thing`"));
    }
}
