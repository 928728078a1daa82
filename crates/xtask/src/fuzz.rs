//! `cargo xtask fuzz`: builds the fuzz targets and runs each for a while, from its committed corpus.
//!
//! It does what `cargo fuzz` does, with nothing to install but a C++ compiler.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use xtask::error::{Context, Error, Result};
use xtask::{install, process, repository};

use crate::steps::Steps;

/// Not among the other workspaces: everything in it needs flags of its own, and there is nothing to test without them.
pub(crate) const MANIFEST: &str = "fuzz/Cargo.toml";

/// What makes the library's internals visible to the targets (`crates/arvel-session/src/hostile`).
pub(crate) const CFG: &str = "--cfg fuzzing";

/// What lets libFuzzer see which code an input reaches, and what it is compared with.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1";

/// What makes the compiler add the address sanitizer, which stable Rust has behind a switch.
const SANITIZER: &str = "-Zsanitizer=address";
const UNSTABLE: (&str, &str) = ("RUSTC_BOOTSTRAP", "1");

/// How long an input may be: a little more than the longest cookie.
const LONGEST: &str = "-max_len=4200";

/// How a corpus is reduced: few inputs that together reach each piece of code that all of them do.
const KEEP: [&str; 3] = ["-set_cover_merge=1", "-use_counters=0", LONGEST];

/// What to feed with what strangers can send.
#[derive(clap::Args)]
pub(crate) struct Fuzz {
    /// Runs these targets only.
    targets: Vec<String>,
    /// For how long each runs.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Adds what is found to the committed corpora, and takes out what reaches nothing of its own.
    #[arg(long)]
    keep: bool,
    /// Looks for wrong uses of memory as well, with the address sanitizer. An input takes several times as long.
    #[arg(long)]
    sanitize: bool,
}

impl Fuzz {
    /// Builds, then runs one target after the other.
    pub(crate) fn run(&self, steps: &mut Steps) -> Result<()> {
        steps.need("install a C++ compiler", || {
            install::programs(&[install::CXX])
        })?;
        let targets = self.chosen()?;
        let build = Build::new(self.sanitize)?;
        steps.need("build the fuzz targets", || build.all())?;
        for target in &targets {
            steps.run(target, || self.fuzz(&build, target))?;
        }
        Ok(())
    }

    fn chosen(&self) -> Result<Vec<String>> {
        let all = targets()?;
        if self.targets.is_empty() {
            return Ok(all);
        }
        match self.targets.iter().find(|wanted| !all.contains(wanted)) {
            None => Ok(self.targets.clone()),
            Some(unknown) => Err(Error::new(format!(
                "there is no fuzz target {unknown}; there are {}",
                all.join(", ")
            ))),
        }
    }

    fn fuzz(&self, build: &Build, target: &str) -> Result<()> {
        let committed = repository::root().join("fuzz/corpus").join(target);
        let found = empty(&["found", target])?;
        let artifacts = repository::root().join("fuzz/artifacts").join(target);
        fs::create_dir_all(&artifacts).context("making a folder for what fails")?;
        let seconds = format!("-max_total_time={}", self.seconds);
        let artifacts = format!("-artifact_prefix={}/", artifacts.display());
        let mut options = vec![
            LONGEST,
            "-timeout=10",
            "-print_final_stats=1",
            &seconds,
            &artifacts,
        ];
        let dictionary = dictionary(target);
        options.extend(dictionary.as_deref());
        build.run(target, &options, &[&found, &committed])?;
        if self.keep {
            let kept = empty(&["kept", target])?;
            build.run(target, &KEEP, &[&kept, &committed, &found])?;
            replace(&committed, &kept).context("renewing the corpus")?;
        }
        Ok(())
    }
}

/// The names of the targets, in order.
fn targets() -> Result<Vec<String>> {
    let files = repository::entries(&repository::root().join("fuzz/fuzz_targets"))?;
    let names = files.iter().filter_map(|file| file.file_stem()?.to_str());
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    names.sort();
    Ok(names)
}

/// The words of a target's input, where it has some.
fn dictionary(target: &str) -> Option<String> {
    let path = repository::root().join(format!("fuzz/dictionaries/{target}.txt"));
    path.exists().then(|| format!("-dict={}", path.display()))
}

/// A folder for a fuzzer's own files.
fn empty(names: &[&str]) -> Result<PathBuf> {
    let mut folder = repository::root().join("target/fuzz");
    folder.extend(names);
    if folder.exists() {
        fs::remove_dir_all(&folder).context("emptying a corpus")?;
    }
    fs::create_dir_all(&folder).context("making a folder for a corpus")?;
    Ok(folder)
}

fn replace(old: &Path, new: &Path) -> std::io::Result<()> {
    fs::remove_dir_all(old)?;
    fs::create_dir_all(old)?;
    for file in fs::read_dir(new)? {
        let file = file?;
        fs::copy(file.path(), old.join(file.file_name()))?;
    }
    Ok(())
}

/// A build that a fuzzer can steer by.
struct Build {
    /// Named, so that programs which run at build time are built as ever.
    host: String,
    flags: String,
    sanitize: bool,
}

impl Build {
    fn new(sanitize: bool) -> Result<Self> {
        let version = process::output(Command::new("rustc").arg("-vV"))?;
        let host = version.lines().find_map(|line| line.strip_prefix("host: "));
        let host = host.ok_or_else(|| Error::new("rustc does not say what it is for"))?;
        Ok(Self {
            host: host.to_owned(),
            flags: match sanitize {
                true => format!("{CFG} {COVERAGE} {SANITIZER}"),
                false => format!("{CFG} {COVERAGE}"),
            },
            sanitize,
        })
    }

    fn all(&self) -> Result<()> {
        self.cargo("build", &[])
    }

    fn run(&self, target: &str, options: &[&str], corpora: &[&Path]) -> Result<()> {
        let corpora: Vec<String> = corpora.iter().map(|it| it.display().to_string()).collect();
        let mut arguments = vec!["--bin", target, "--"];
        arguments.extend(options);
        arguments.extend(corpora.iter().map(String::as_str));
        self.cargo("run", &arguments)
    }

    fn cargo(&self, what: &str, arguments: &[&str]) -> Result<()> {
        let fixed = [what, "--release", "--manifest-path", MANIFEST];
        let host = ["--target", &self.host];
        let variables = [("RUSTFLAGS", self.flags.as_str()), UNSTABLE];
        let variables = &variables[..1 + usize::from(self.sanitize)];
        process::cargo(&[&fixed[..], &host, arguments].concat(), variables)
    }
}
