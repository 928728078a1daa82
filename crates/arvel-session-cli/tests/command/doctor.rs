//! `doctor`: each finding, and the exit code.

use std::fs;

use crate::support::{KEY, PASSWORD, Place, set_mode};

/// Every file below a folder.
fn files_below(folder: &std::path::Path) -> usize {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| match entry.file_type().unwrap().is_dir() {
            true => files_below(&entry.path()),
            false => 1,
        })
        .sum()
}

#[test]
fn all_is_well_on_a_sound_folder_and_nothing_is_left_in_it() {
    let place = Place::bare()
        .file(
            ".env",
            0o600,
            &format!("SESSION_SECRET_KEY={KEY}\nSESSION_SECURE=true\n"),
        )
        .file("config/session.toml", 0o644, "driver = 'file'\n");
    let out = place.run(&["doctor"]).succeeded();
    for line in out.lines() {
        assert!(line.starts_with("ok "), "{line}");
    }
    for text in [
        "secret_key = *** (SESSION_SECRET_KEY in .env)",
        "secure = true",
        ".env (0600)",
        "storage/framework/sessions (0700)",
        "the file session store: a probe was written, read and removed",
    ] {
        assert!(out.contains(text), "{text}: {out}");
    }
    assert!(!out.contains("session.toml"), "it holds no secret: {out}");
    assert_eq!(files_below(&place.path("storage")), 0);
}

#[test]
fn all_is_well_with_the_drivers_that_need_nothing() {
    for driver in ["cookie", "memory", "array"] {
        let out = Place::sound(driver).run(&["doctor"]).succeeded();
        assert!(
            out.lines().all(|line| line.starts_with("ok ")),
            "{driver}: {out}"
        );
    }
}

#[test]
fn a_warning_alone_is_no_failure() {
    let ran = Place::bare()
        .with("SESSION_SECRET_KEY", KEY)
        .run(&["doctor"]);
    assert_eq!(ran.mark("secure = false (default)"), "warning");
    assert!(!ran.out.contains("failure"));
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
}

#[test]
fn settings_that_make_sessions_less_safe_are_warned_about() {
    for (variable, value, line) in [
        ("SESSION_SECURE", "false", "secure = false"),
        ("SESSION_HTTP_ONLY", "false", "http_only = false"),
        ("SESSION_SAME_SITE", "none", "same_site = none"),
        ("SESSION_ENCRYPT", "false", "encrypt = false"),
        ("SESSION_PREVIOUS_KEYS", KEY, "previous_keys = *** (1)"),
    ] {
        let ran = Place::sound("memory")
            .with(variable, value)
            .run(&["doctor"]);
        assert_eq!(ran.mark(&format!("{line} ({variable})")), "warning");
        assert_eq!(ran.out.matches("warning").count(), 1, "{}", ran.out);
        assert_eq!(ran.code, 0);
    }
    let ran = Place::sound("cookie")
        .with("SESSION_ENCRYPT", "false")
        .run(&["doctor"]);
    assert_eq!(
        ran.mark("encrypt"),
        "ok",
        "the cookie is sealed all the same"
    );
}

#[test]
fn keys_that_can_be_guessed_are_warned_about() {
    let same = "x".repeat(32);
    for (key, why) in [
        ("a passphrase such as people make up", "a text"),
        (&same, "a pattern"),
        (
            "base64:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
            "a pattern",
        ),
    ] {
        for variable in ["SESSION_SECRET_KEY", "SESSION_PREVIOUS_KEYS"] {
            let ran = Place::sound("memory").with(variable, key).run(&["doctor"]);
            assert_eq!(ran.mark(why), "warning");
            assert!(!ran.out.contains(key), "{}", ran.out);
            assert_eq!(ran.code, 0);
        }
    }
}

#[test]
fn a_key_that_is_short_or_missing_is_a_failure() {
    let ran = Place::sound("memory")
        .with("SESSION_SECRET_KEY", PASSWORD)
        .run(&["doctor"]);
    assert_eq!(ran.mark("must have at least 32 bytes, not 7"), "failure");
    assert_eq!(ran.code, 1);

    let ran = Place::sound("memory")
        .without("SESSION_SECRET_KEY")
        .run(&["doctor"]);
    assert_eq!(ran.mark("make one with `arvel-session key`"), "failure");
    assert_eq!(ran.mark("a probe was written"), "ok", "the store is tried");
    assert_eq!((ran.code, ran.err.as_str()), (1, ""));
}

#[test]
fn a_wrong_configuration_is_the_only_finding() {
    let ran = Place::bare()
        .file("config/session.toml", 0o600, "lifetime = -1\n")
        .run(&["doctor"]);
    assert_eq!(ran.mark("configuration: lifetime = -1"), "failure");
    assert_eq!(ran.out.lines().count(), 1);
    assert_eq!(ran.code, 1);
}

#[test]
fn a_driver_that_nobody_knows_is_a_failure() {
    let ran = Place::sound("mongo").run(&["doctor"]);
    assert_eq!(
        ran.mark("driver = mongo (SESSION_DRIVER): is no driver"),
        "failure"
    );
    assert_eq!(ran.code, 1);
}

#[test]
fn a_file_with_a_secret_that_others_can_read_is_warned_about() {
    let key = format!("SESSION_SECRET_KEY={KEY}\n");
    for (mode, mark) in [(0o644, "warning"), (0o604, "warning"), (0o640, "ok")] {
        let ran = Place::sound("memory")
            .without("SESSION_SECRET_KEY")
            .file(".env", mode, &key)
            .run(&["doctor"]);
        assert_eq!(ran.mark(&format!(".env ({mode:04o})")), mark);
        assert_eq!(ran.code, 0);
    }
    let url = format!("redis_url = 'redis://:{PASSWORD}@cache'\n");
    let ran = Place::sound("memory")
        .file("config/session.toml", 0o644, &url)
        .run(&["doctor"]);
    assert_eq!(
        ran.mark("config/session.toml (0644): it holds a secret"),
        "warning"
    );
}

#[test]
fn a_secret_that_does_not_count_is_not_looked_for() {
    let ran = Place::sound("memory")
        .file(".env", 0o644, &format!("SESSION_SECRET_KEY={KEY}\n"))
        .run(&["doctor"]);
    assert!(!ran.out.contains(".env"), "{}", ran.out);
}

#[test]
fn a_folder_that_others_can_read_is_warned_about() {
    let place = Place::sound("file").with("SESSION_FILES_PATH", "sessions");
    fs::create_dir(place.path("sessions")).unwrap();
    for (mode, mark) in [(0o755, "warning"), (0o711, "warning"), (0o750, "ok")] {
        set_mode(&place.path("sessions"), mode);
        let ran = place.run(&["doctor"]);
        assert_eq!(ran.mark(&format!("sessions ({mode:04o})")), mark);
        assert_eq!(ran.code, 0);
    }
}

#[test]
fn a_folder_that_cannot_be_is_a_failure() {
    let ran = Place::sound("file")
        .with("SESSION_FILES_PATH", "taken")
        .file("taken", 0o600, "a file")
        .run(&["doctor"]);
    assert_eq!(ran.mark("files_path"), "failure");
    assert_eq!(ran.code, 1);
}

#[test]
fn a_server_that_is_down_is_a_failure_that_shows_no_password() {
    let ran = Place::sound("redis")
        .with(
            "SESSION_REDIS_URL",
            format!("redis://me:{PASSWORD}@127.0.0.1:1/0"),
        )
        .with("SESSION_TIMEOUT", "0.5")
        .run(&["doctor"]);
    assert_eq!(
        ran.mark("the redis session store: a probe could not be written"),
        "failure"
    );
    assert_eq!((ran.code, ran.err.as_str()), (1, ""));
}
