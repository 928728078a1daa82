//! `arvel-session doctor`: what is wrong, one finding a line.

mod access;
mod keys;

use std::{fmt, process::ExitCode, time::Instant};

use arvel_session::{Error, SameSite, Secret, SessionConfig, SessionManager, store::Capabilities};

use crate::{
    Ending, block_on,
    config::setting,
    output::{chain, print},
};

pub(crate) const HELP: &str = "\
Each line begins with a mark:
  ok
  warning  sessions work, but are less safe than they could be
  failure  the application does not start, or its sessions do not work

The exit code is 1 if there is a failure, and 0 otherwise: a warning alone is no failure.";

/// What was found out about one thing.
struct Finding {
    mark: Mark,
    text: String,
}

#[derive(Clone, Copy, PartialEq)]
enum Mark {
    Ok,
    Warning,
    Failure,
}

pub(crate) fn run() -> Ending {
    let findings = match SessionConfig::load() {
        Ok(config) => examine(config)?,
        Err(error) => vec![Finding::failure(format!(
            "configuration: {}",
            chain(&error)
        ))],
    };
    let lines: String = findings.iter().map(ToString::to_string).collect();
    print(&lines)?;
    let failed = findings.iter().any(|finding| finding.mark == Mark::Failure);
    Ok(ExitCode::from(u8::from(failed)))
}

fn examine(config: SessionConfig) -> std::io::Result<Vec<Finding>> {
    let mut findings = keys::findings(&config);
    findings.extend(safety(&config));
    // Before the access is looked at, since the store may make its folder.
    let store = block_on(store(&config))?;
    findings.extend(access::findings(&config));
    findings.push(store);
    Ok(findings)
}

/// The settings that make sessions less safe.
fn safety(config: &SessionConfig) -> Vec<Finding> {
    let settings = config.settings();
    let rules = [
        (
            settings.secure,
            "secure",
            "the cookie also travels over plain HTTP; set it to true where the site has HTTPS",
        ),
        (
            settings.http_only,
            "http_only",
            "scripts in the page can read the cookie",
        ),
        (
            settings.same_site != SameSite::None,
            "same_site",
            "requests from any other site bring the cookie along",
        ),
        (
            // The cookie driver always seals.
            settings.encrypt || settings.driver == "cookie",
            "encrypt",
            "who can read the store can read what is in the sessions",
        ),
        (
            settings.previous_keys.is_empty(),
            "previous_keys",
            "still accepted; remove them once a lifetime has passed since the change of key",
        ),
    ];
    rules
        .into_iter()
        .map(|(safe, name, why)| Finding::safe_or(safe, setting(config, name), why))
        .collect()
}

/// Tries the store as it is configured.
async fn store(config: &SessionConfig) -> Finding {
    let start = Instant::now();
    match probe(config.clone()).await {
        Ok(store) => Finding::ok(format!(
            "the {} session store: a probe was {} in {} ms",
            store.name,
            match store.server_side {
                true => "written, read and removed",
                false => "made and read",
            },
            start.elapsed().as_millis()
        )),
        Err(error) => Finding::failure(chain(&error)),
    }
}

async fn probe(config: SessionConfig) -> Result<Capabilities, Error> {
    // A probe is not signed. So a key that is missing, which is a finding of its own, does not hide those about the store.
    let config = match config.settings().secret_key {
        Some(_) => config,
        None => config.secret_key(Secret::generate()),
    };
    let store = SessionManager::new(config)?.store()?;
    store.probe().await?;
    Ok(store.capabilities())
}

impl Finding {
    const fn ok(text: String) -> Self {
        Self {
            mark: Mark::Ok,
            text,
        }
    }

    const fn warning(text: String) -> Self {
        Self {
            mark: Mark::Warning,
            text,
        }
    }

    const fn failure(text: String) -> Self {
        Self {
            mark: Mark::Failure,
            text,
        }
    }

    /// That `what` is well, or a warning that says why it is not.
    fn safe_or(safe: bool, what: String, why: &str) -> Self {
        match safe {
            true => Self::ok(what),
            false => Self::warning(format!("{what}: {why}")),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.mark {
            Mark::Ok => "ok",
            Mark::Warning => "warning",
            Mark::Failure => "failure",
        };
        writeln!(f, "{mark:<7}  {}", self.text)
    }
}
