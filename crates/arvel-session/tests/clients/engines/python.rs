//! Python: `http.cookiejar` and `urllib`.

use std::{path::Path, process::Command};

use super::Engine;

struct Python;

impl Engine for Python {
    fn fetch(jar: &Path, authority: &Path, url: &str, form: Option<&str>) -> String {
        let mut python = Command::new("python3");
        python
            .args(["-I", "-c", include_str!("fetch.py")])
            .args([jar, authority])
            .arg(url)
            .args(form);
        let output = python.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

super::engine!(Python);
