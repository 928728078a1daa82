//! `key`, `config`, and what holds for every command.

use std::{
    fs::{self, File},
    io,
};

use arvel_session::Secret;

use crate::support::{KEY, PASSWORD, Place};

#[test]
fn key_prints_a_new_key_and_nothing_else() {
    let place = Place::bare().file("config/session.toml", 0o600, "nonsense");
    let keys = [place.run(&["key"]), place.run(&["key"])].map(|ran| ran.succeeded());
    assert_ne!(keys[0], keys[1]);
    for key in keys {
        let (line, rest) = key.split_once('\n').unwrap();
        assert!(line.starts_with("base64:"));
        assert_eq!(rest, "");
        assert_eq!(line.parse::<Secret>().unwrap().to_setting(), line);
    }
}

#[test]
fn config_shows_every_setting_with_its_value_and_its_source() {
    let place = Place::bare()
        .file("config/session.toml", 0o600, "lifetime = 60\n")
        .file(
            ".env",
            0o600,
            &format!("SESSION_SECRET_KEY={KEY}\nSESSION_LIFETIME=70\nSESSION_PATH=/a\n"),
        )
        .with("SESSION_PATH", "/b")
        .with("SESSION_PREVIOUS_KEYS", format!("{KEY},{KEY}"))
        .with(
            "SESSION_REDIS_URL",
            format!("redis://me:{PASSWORD}@cache/1"),
        );
    let out = place.run(&["config"]).succeeded();
    let columns = |name: &str| -> Vec<&str> {
        let line = out
            .lines()
            .find(|line| line.split(' ').next() == Some(name));
        let cells = line.unwrap().split("  ").map(str::trim);
        cells.filter(|cell| !cell.is_empty()).skip(1).collect()
    };
    for (name, value, source) in [
        ("lifetime", "60", "config/session.toml"),
        ("path", "/b", "SESSION_PATH"),
        ("secret_key", "***", "SESSION_SECRET_KEY in .env"),
        ("previous_keys", "*** (2)", "SESSION_PREVIOUS_KEYS"),
        ("redis_url", "redis://me:***@cache/1", "SESSION_REDIS_URL"),
        ("secure", "false", "default"),
        ("domain", "none", "default"),
    ] {
        assert_eq!(columns(name), [value, source], "{name}");
    }
    assert_eq!(out.lines().count(), 21);
}

#[test]
fn config_is_aligned_whatever_a_value_holds() {
    let long = "x".repeat(100);
    let place = Place::sound("memory")
        .with("SESSION_FILES_PATH", "/ä")
        .with("SESSION_REDIS_PREFIX", long.as_str());
    let out = place.run(&["config"]).succeeded();
    let sources = out
        .lines()
        .filter(|line| !line.contains(&long))
        .filter_map(|line| line.strip_suffix("default"))
        .map(|before| before.chars().count());
    let mut sources: Vec<_> = sources.collect();
    sources.dedup();
    assert_eq!(sources.len(), 1, "{out}");
    assert!(
        sources[0] < 70,
        "the long value does not push the others: {out}"
    );
    assert!(out.contains(&format!("{long}  SESSION_REDIS_PREFIX")));
}

#[test]
fn config_works_without_a_key_and_says_so() {
    let ran = Place::bare().run(&["config"]);
    assert_eq!(ran.code, 0);
    assert_eq!(ran.out.lines().count(), 21);
    assert!(ran.out.contains("\nsecret_key"));
    assert!(
        ran.err.contains("make one with `arvel-session key`"),
        "{}",
        ran.err
    );
}

#[test]
fn a_wrong_configuration_is_an_error_that_names_the_setting() {
    for (variable, value, expected) in [
        ("SESSION_LIFETIME", "2h", "lifetime = 2h (SESSION_LIFETIME)"),
        (
            "SESSION_SECRET_KEY",
            PASSWORD,
            "secret_key (SESSION_SECRET_KEY)",
        ),
        ("SESSION_LIFETIM", "60", "SESSION_LIFETIM is not a setting"),
    ] {
        let place = Place::sound("memory").with(variable, value);
        for command in ["config", "sweep", "migrate"] {
            let error = place.run(&[command]).failed();
            assert!(error.contains(expected), "{command}: {error}");
        }
    }
}

#[test]
fn another_folder_is_worked_in_as_if_started_there() {
    let place = Place::bare().file("app/config/session.toml", 0o600, "driver = 'memory'\n");
    for arguments in [["-C", "app", "config"], ["config", "--directory", "app"]] {
        let ran = place.run(&arguments);
        assert!(ran.out.starts_with("driver"), "{}", ran.out);
        let first = ran.out.lines().next().unwrap();
        assert!(first.contains("memory") && first.ends_with("config/session.toml"));
    }
    let error = place.run(&["-C", "nowhere", "config"]).failed();
    assert!(error.contains("--directory nowhere: "), "{error}");
}

#[test]
fn a_slip_on_the_command_line_is_exit_code_2() {
    for arguments in [
        &[][..],
        &["kye"],
        &["key", "--print"],
        &["migrate", "--what"],
    ] {
        let ran = Place::bare().run(arguments);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{arguments:?}");
    }
}

#[test]
fn help_says_what_the_exit_code_of_doctor_means() {
    let help = Place::bare().run(&["doctor", "--help"]).succeeded();
    assert!(help.contains("The exit code is 1 if there is a failure"));
    let help = Place::bare().run(&["--help"]).succeeded();
    for command in ["key", "config", "migrate", "sweep", "doctor"] {
        assert!(help.contains(&format!("\n  {command} ")), "{help}");
    }
}

/// A pipe that nobody reads.
fn closed_pipe() -> io::PipeWriter {
    io::pipe().unwrap().1
}

#[test]
fn a_closed_pipe_is_no_error_and_changes_no_exit_code() {
    let place = Place::sound("memory");
    for (arguments, code) in [
        (&["key"][..], 0),
        (&["config"], 0),
        (&["sweep"], 0),
        (&["doctor"], 0),
        (&["--help"], 0),
    ] {
        let mut command = place.command(arguments);
        let output = command.stdout(closed_pipe()).output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {err}");
        assert!(!err.contains("panic"), "{err}");
    }
    let place = place.without("SESSION_SECRET_KEY");
    for arguments in [["doctor"], ["sweep"]] {
        let mut command = place.command(&arguments);
        command.stdout(closed_pipe()).stderr(closed_pipe());
        assert_eq!(command.status().unwrap().code(), Some(1), "{arguments:?}");
    }
}

#[test]
fn what_cannot_be_printed_is_an_error() {
    // A device that has no room left, where the system has one.
    let Ok(full) = File::options().write(true).open("/dev/full") else {
        return;
    };
    let place = Place::bare();
    let output = place.command(&["key"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(err.starts_with("arvel-session: cannot print: "), "{err}");
}

#[test]
fn config_reads_no_folder_but_its_own() {
    let place = Place::bare().file(".env", 0o600, "SESSION_DRIVER=file\n");
    fs::create_dir(place.path("inner")).unwrap();
    let ran = place.run(&["-C", "inner", "config"]);
    assert!(ran.out.lines().next().unwrap().ends_with("default"));
}
