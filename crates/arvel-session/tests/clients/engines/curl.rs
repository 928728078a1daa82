//! curl.

use std::{path::Path, process::Command};

use super::Engine;

struct Curl;

impl Engine for Curl {
    fn fetch(jar: &Path, authority: &Path, url: &str, form: Option<&str>) -> String {
        let (page, next) = once(jar, authority, url, form);
        if next.is_empty() {
            return page;
        }
        // Not by `--location`: curl 7.88 then writes back to its jar what the redirect had removed.
        Self::fetch(jar, authority, &next, None)
    }
}

/// One request: what came, and where it leads.
fn once(jar: &Path, authority: &Path, url: &str, form: Option<&str>) -> (String, String) {
    let mut curl = Command::new("curl");
    curl.args(["--disable", "--silent", "--show-error"])
        .args(["--noproxy", "*", "--connect-to", "::127.0.0.1:"])
        .args(["--write-out", "\n%{redirect_url}"])
        .args([Path::new("--cacert"), authority])
        .args([Path::new("--cookie"), jar])
        .args([Path::new("--cookie-jar"), jar]);
    if let Some(form) = form {
        curl.args(["--data", form]);
    }
    let output = curl.arg(url).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    let (page, next) = said.rsplit_once('\n').unwrap();
    (page.to_owned(), next.to_owned())
}

super::engine!(Curl);
