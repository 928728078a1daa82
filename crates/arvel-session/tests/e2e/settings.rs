//! Settings that cannot work end the process at its start, with a message that says which, from where, and why.

use std::fs;

use tempfile::TempDir;

use crate::playground::Playground;

/// Ends with exit code 1 and a message with all of this in it.
fn refuses(folder: &TempDir, settings: &[(&str, &str)], words: &[&str]) {
    let output = Playground::refused_in(folder, settings);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{settings:?}: {said}");
    for word in words {
        assert!(said.contains(word), "{settings:?}: no {word:?} in: {said}");
    }
    assert!(!said.contains("hunter2"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}

/// Variables, and what the message must hold.
type Refused = (
    &'static [(&'static str, &'static str)],
    &'static [&'static str],
);

const ENVIRONMENT: &[Refused] = &[
    (
        &[("SESSION_SECRET_KEY", "")],
        &["secret_key (SESSION_SECRET_KEY)", "empty"],
    ),
    (
        &[("SESSION_SECRET_KEY", "hunter2")],
        &["secret_key (SESSION_SECRET_KEY)", "32"],
    ),
    (
        &[("SESSION_SECRET_KEY", "base64:hunter2")],
        &["secret_key (SESSION_SECRET_KEY)"],
    ),
    (
        &[("SESSION_PREVIOUS_KEYS", "hunter2")],
        &["previous_keys (SESSION_PREVIOUS_KEYS)"],
    ),
    (
        &[("SESSION_DRIVER", "redsi")],
        &["driver = redsi (SESSION_DRIVER)", "memory", "database"],
    ),
    (
        &[("SESSION_DRIVER", "")],
        &["driver", "(SESSION_DRIVER)", "empty"],
    ),
    (
        &[("SESSION_LIFETIME", "-1")],
        &["lifetime = -1 (SESSION_LIFETIME)", "not negative"],
    ),
    (
        &[("SESSION_LIFETIME", "0")],
        &["lifetime = 0 (SESSION_LIFETIME)"],
    ),
    (
        &[("SESSION_LIFETIME", "2h")],
        &["lifetime = 2h (SESSION_LIFETIME)", "seconds"],
    ),
    (
        &[("SESSION_LIFETIME", "1e400")],
        &["lifetime = 1e400 (SESSION_LIFETIME)"],
    ),
    (
        &[("SESSION_TIMEOUT", "0")],
        &["timeout = 0 (SESSION_TIMEOUT)"],
    ),
    (
        &[("SESSION_ABSOLUTE_LIFETIME", "soon")],
        &["absolute_lifetime = soon (SESSION_ABSOLUTE_LIFETIME)"],
    ),
    (
        &[("SESSION_SWEEP_INTERVAL", "-5")],
        &["sweep_interval = -5 (SESSION_SWEEP_INTERVAL)"],
    ),
    (
        &[("SESSION_LIFETIM", "60")],
        &["SESSION_LIFETIM", "is SESSION_LIFETIME meant?"],
    ),
    (
        &[("SESSION_SECURE", "ja")],
        &["secure = ja (SESSION_SECURE)", "true or false"],
    ),
    (
        &[("SESSION_SAME_SITE", "loose")],
        &["same_site = loose (SESSION_SAME_SITE)", "lax"],
    ),
    (
        &[("SESSION_COOKIE_NAME", "a b")],
        &["cookie_name = a b (SESSION_COOKIE_NAME)"],
    ),
    (
        &[("SESSION_COOKIE_NAME", "a\u{7}")],
        &["cookie_name", "(SESSION_COOKIE_NAME)"],
    ),
    (&[("SESSION_PATH", "app")], &["path = app (SESSION_PATH)"]),
    (
        &[("SESSION_PATH", "/; Domain=evil")],
        &["path", "(SESSION_PATH)"],
    ),
    (
        &[("SESSION_DOMAIN", "https://example.com")],
        &["domain = https://example.com (SESSION_DOMAIN)"],
    ),
    (
        &[
            ("SESSION_COOKIE_NAME", "__Host-id"),
            ("SESSION_SECURE", "1"),
            ("SESSION_DOMAIN", "example.com"),
        ],
        &["domain = example.com (SESSION_DOMAIN)", "__Host-"],
    ),
    (
        &[("SESSION_COOKIE_NAME", "__Host-id")],
        &["secure = false (default)", "__Host-"],
    ),
    (
        &[("SESSION_PARTITIONED", "1")],
        &["partitioned = true (SESSION_PARTITIONED)", "secure"],
    ),
    (&[("SESSION_DRIVER", "database")], &["SESSION_DATABASE_URL"]),
    (
        &[
            ("SESSION_DRIVER", "database"),
            ("SESSION_DATABASE_URL", "oracle://u:hunter2@h/d"),
        ],
        &["database_url", "sqlite:"],
    ),
    (
        &[
            ("SESSION_DRIVER", "database"),
            ("SESSION_DATABASE_URL", "postgres://u:hunter2@h:port/d"),
        ],
        &["database_url"],
    ),
    (
        &[
            ("SESSION_DRIVER", "database"),
            ("SESSION_DATABASE_URL", "mysql://u:hunter2@h:port/d"),
        ],
        &["database_url"],
    ),
    (
        &[
            ("SESSION_DRIVER", "database"),
            ("SESSION_DATABASE_URL", "sqlite:"),
        ],
        &["database_url"],
    ),
    (
        &[("SESSION_DATABASE_TABLE", "a; DROP TABLE b")],
        &["database_table", "(SESSION_DATABASE_TABLE)"],
    ),
    (
        &[
            ("SESSION_DRIVER", "redis"),
            ("SESSION_REDIS_URL", "http://:hunter2@h"),
        ],
        &["redis_url", "redis://"],
    ),
    (
        &[
            ("SESSION_DRIVER", "redis"),
            ("SESSION_REDIS_URL", "redis://:hunter2@h:port"),
        ],
        &["redis_url", "port"],
    ),
    (
        &[
            ("SESSION_DRIVER", "redis"),
            ("SESSION_REDIS_URL", "redis+sentinel://:hunter2@h:1"),
        ],
        &["redis_url"],
    ),
    (
        &[
            ("SESSION_DRIVER", "redis"),
            ("SESSION_REDIS_PREFIX", "{x}:"),
        ],
        &["redis_prefix"],
    ),
    (
        &[
            ("SESSION_DRIVER", "file"),
            ("SESSION_FILES_PATH", "/dev/null/sessions"),
        ],
        &["files_path /dev/null/sessions"],
    ),
];

#[test]
fn in_the_environment() {
    let folder = TempDir::new().unwrap();
    for (settings, words) in ENVIRONMENT {
        refuses(&folder, settings, words);
    }
}

const FILE: &[(&str, &[&str])] = &[
    (
        "lifetime = -1",
        &["lifetime = -1", "config/session.toml", "not negative"],
    ),
    (
        "lifetime = \"7200\"",
        &["lifetime", "config/session.toml", "seconds"],
    ),
    (
        "secure = \"true\"",
        &["secure", "config/session.toml", "without quotes"],
    ),
    (
        "drivre = \"file\"",
        &["config/session.toml", "drivre", "is driver meant?"],
    ),
    (
        "secret_key = \"hunter2\"",
        &["secret_key (", "config/session.toml", "32"],
    ),
    (
        "secret_key = [\"hunter2\"]",
        &["secret_key (", "config/session.toml"],
    ),
    (
        "[session]\ndriver = \"file\"",
        &["config/session.toml", "session", "no table"],
    ),
    (
        "driver = \"file\"\nsecret_key = \"hunter2",
        &["config/session.toml, line 2"],
    ),
    (
        "driver = \"file\"\ndriver = \"redis\"",
        &["config/session.toml, line 2"],
    ),
];

#[test]
fn in_the_file() {
    for (text, words) in FILE {
        let folder = TempDir::new().unwrap();
        fs::create_dir(folder.path().join("config")).unwrap();
        fs::write(folder.path().join("config/session.toml"), text).unwrap();
        refuses(&folder, &[], words);
    }
}

const DOT_ENV: &[(&str, &[&str])] = &[
    (
        "SESSION_LIFETIME=-1",
        &[
            "lifetime = -1 (SESSION_LIFETIME in ",
            ".env",
            "not negative",
        ],
    ),
    (
        "SESSION_SECRET_KYE=hunter2",
        &[
            "SESSION_SECRET_KYE in ",
            ".env",
            "SESSION_SECRET_KEY meant?",
        ],
    ),
    (
        "SESSION_DRIVER=file\nSESSION_DRIVER=redis",
        &[".env", "SESSION_DRIVER", "twice"],
    ),
    (
        "SESSION_DRIVER=file\nhunter2 is no entry",
        &[".env", "after SESSION_DRIVER"],
    ),
];

#[test]
fn in_the_dot_env_file() {
    for (text, words) in DOT_ENV {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join(".env"), text).unwrap();
        refuses(&folder, &[], words);
    }
}
