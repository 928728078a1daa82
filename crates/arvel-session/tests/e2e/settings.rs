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

#[test]
fn in_the_environment() {
    let folder = TempDir::new().unwrap();
    for (settings, words) in [
        (
            vec![("SESSION_SECRET_KEY", "")],
            vec!["secret_key (SESSION_SECRET_KEY)", "empty"],
        ),
        (
            vec![("SESSION_SECRET_KEY", "hunter2")],
            vec!["secret_key (SESSION_SECRET_KEY)", "32"],
        ),
        (
            vec![("SESSION_SECRET_KEY", "base64:hunter2")],
            vec!["secret_key (SESSION_SECRET_KEY)"],
        ),
        (
            vec![("SESSION_PREVIOUS_KEYS", "hunter2")],
            vec!["previous_keys (SESSION_PREVIOUS_KEYS)"],
        ),
        (
            vec![("SESSION_DRIVER", "redsi")],
            vec!["driver = redsi (SESSION_DRIVER)", "memory", "database"],
        ),
        (
            vec![("SESSION_DRIVER", "")],
            vec!["driver", "(SESSION_DRIVER)", "empty"],
        ),
        (
            vec![("SESSION_LIFETIME", "-1")],
            vec!["lifetime = -1 (SESSION_LIFETIME)", "not negative"],
        ),
        (
            vec![("SESSION_LIFETIME", "0")],
            vec!["lifetime = 0 (SESSION_LIFETIME)"],
        ),
        (
            vec![("SESSION_LIFETIME", "2h")],
            vec!["lifetime = 2h (SESSION_LIFETIME)", "seconds"],
        ),
        (
            vec![("SESSION_LIFETIME", "1e400")],
            vec!["lifetime = 1e400 (SESSION_LIFETIME)"],
        ),
        (
            vec![("SESSION_TIMEOUT", "0")],
            vec!["timeout = 0 (SESSION_TIMEOUT)"],
        ),
        (
            vec![("SESSION_ABSOLUTE_LIFETIME", "soon")],
            vec!["absolute_lifetime = soon (SESSION_ABSOLUTE_LIFETIME)"],
        ),
        (
            vec![("SESSION_SWEEP_INTERVAL", "-5")],
            vec!["sweep_interval = -5 (SESSION_SWEEP_INTERVAL)"],
        ),
        (
            vec![("SESSION_LIFETIM", "60")],
            vec!["SESSION_LIFETIM", "is SESSION_LIFETIME meant?"],
        ),
        (
            vec![("SESSION_SECURE", "ja")],
            vec!["secure = ja (SESSION_SECURE)", "true or false"],
        ),
        (
            vec![("SESSION_SAME_SITE", "loose")],
            vec!["same_site = loose (SESSION_SAME_SITE)", "lax"],
        ),
        (
            vec![("SESSION_COOKIE_NAME", "a b")],
            vec!["cookie_name = a b (SESSION_COOKIE_NAME)"],
        ),
        (
            vec![("SESSION_COOKIE_NAME", "a\u{7}")],
            vec!["cookie_name", "(SESSION_COOKIE_NAME)"],
        ),
        (
            vec![("SESSION_PATH", "app")],
            vec!["path = app (SESSION_PATH)"],
        ),
        (
            vec![("SESSION_PATH", "/; Domain=evil")],
            vec!["path", "(SESSION_PATH)"],
        ),
        (
            vec![("SESSION_DOMAIN", "https://example.com")],
            vec!["domain = https://example.com (SESSION_DOMAIN)"],
        ),
        (
            vec![
                ("SESSION_COOKIE_NAME", "__Host-id"),
                ("SESSION_SECURE", "1"),
                ("SESSION_DOMAIN", "example.com"),
            ],
            vec!["domain = example.com (SESSION_DOMAIN)", "__Host-"],
        ),
        (
            vec![("SESSION_COOKIE_NAME", "__Host-id")],
            vec!["secure = false (default)", "__Host-"],
        ),
        (
            vec![("SESSION_PARTITIONED", "1")],
            vec!["partitioned = true (SESSION_PARTITIONED)", "secure"],
        ),
        (
            vec![("SESSION_DRIVER", "database")],
            vec!["SESSION_DATABASE_URL"],
        ),
        (
            database("oracle://u:hunter2@h/d"),
            vec!["database_url", "sqlite:"],
        ),
        (
            database("postgres://u:hunter2@h:port/d"),
            vec!["database_url"],
        ),
        (database("mysql://u:hunter2@h:port/d"), vec!["database_url"]),
        (database("sqlite:"), vec!["database_url"]),
        (
            vec![("SESSION_DATABASE_TABLE", "a; DROP TABLE b")],
            vec!["database_table", "(SESSION_DATABASE_TABLE)"],
        ),
        (redis("http://:hunter2@h"), vec!["redis_url", "redis://"]),
        (redis("redis://:hunter2@h:port"), vec!["redis_url", "port"]),
        (redis("redis+sentinel://:hunter2@h:1"), vec!["redis_url"]),
        (
            vec![
                ("SESSION_DRIVER", "redis"),
                ("SESSION_REDIS_PREFIX", "{x}:"),
            ],
            vec!["redis_prefix"],
        ),
        (
            vec![
                ("SESSION_DRIVER", "file"),
                ("SESSION_FILES_PATH", "/dev/null/sessions"),
            ],
            vec!["files_path /dev/null/sessions"],
        ),
    ] {
        refuses(&folder, &settings, &words);
    }
}

fn database(url: &'static str) -> Vec<(&'static str, &'static str)> {
    vec![
        ("SESSION_DRIVER", "database"),
        ("SESSION_DATABASE_URL", url),
    ]
}

fn redis(url: &'static str) -> Vec<(&'static str, &'static str)> {
    vec![("SESSION_DRIVER", "redis"), ("SESSION_REDIS_URL", url)]
}

#[test]
fn in_the_file() {
    for (text, words) in [
        (
            "lifetime = -1",
            vec!["lifetime = -1", "config/session.toml", "not negative"],
        ),
        (
            "lifetime = \"7200\"",
            vec!["lifetime", "config/session.toml", "seconds"],
        ),
        (
            "secure = \"true\"",
            vec!["secure", "config/session.toml", "without quotes"],
        ),
        (
            "drivre = \"file\"",
            vec!["config/session.toml", "drivre", "is driver meant?"],
        ),
        (
            "secret_key = \"hunter2\"",
            vec!["secret_key (", "config/session.toml", "32"],
        ),
        (
            "secret_key = [\"hunter2\"]",
            vec!["secret_key (", "config/session.toml"],
        ),
        (
            "[session]\ndriver = \"file\"",
            vec!["config/session.toml", "session", "no table"],
        ),
        (
            "driver = \"file\"\nsecret_key = \"hunter2",
            vec!["config/session.toml, line 2"],
        ),
        (
            "driver = \"file\"\ndriver = \"redis\"",
            vec!["config/session.toml, line 2"],
        ),
    ] {
        let folder = TempDir::new().unwrap();
        fs::create_dir(folder.path().join("config")).unwrap();
        fs::write(folder.path().join("config/session.toml"), text).unwrap();
        refuses(&folder, &[], &words);
    }
}

#[test]
fn in_the_dot_env_file() {
    for (text, words) in [
        (
            "SESSION_LIFETIME=-1",
            vec![
                "lifetime = -1 (SESSION_LIFETIME in ",
                ".env",
                "not negative",
            ],
        ),
        (
            "SESSION_SECRET_KYE=hunter2",
            vec![
                "SESSION_SECRET_KYE in ",
                ".env",
                "SESSION_SECRET_KEY meant?",
            ],
        ),
        (
            "SESSION_DRIVER=file\nSESSION_DRIVER=redis",
            vec![".env", "SESSION_DRIVER", "twice"],
        ),
        (
            "SESSION_DRIVER=file\nhunter2 is no entry",
            vec![".env", "after SESSION_DRIVER"],
        ),
    ] {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join(".env"), text).unwrap();
        refuses(&folder, &[], &words);
    }
}
