//! `migrate`, and the other commands on a table.

use std::{fs, time::Duration};

use arvel_session::store::DatabaseStore;

use crate::{
    support::{PASSWORD, Place, service, set_mode, unused_name},
    sweep::fill,
};

#[test]
fn sweep_removes_what_has_expired_from_a_table() {
    let place = Place::sound("database").with("SESSION_DATABASE_URL", "sqlite:sessions.db");
    place.run(&["migrate"]).succeeded();
    let url = format!("sqlite:{}", place.path("sessions.db").display());
    fill(&DatabaseStore::new(&url, "sessions", Duration::from_secs(2)).unwrap());
    assert_eq!(place.run(&["sweep"]).succeeded(), "removed 2\n");
    assert_eq!(place.run(&["sweep"]).succeeded(), "removed 0\n");
}

#[test]
fn sweep_without_a_table_fails_and_makes_none() {
    let place = Place::sound("database").with("SESSION_DATABASE_URL", "sqlite:missing.db");
    let error = place.run(&["sweep"]).failed();
    assert!(error.contains("run `arvel-session migrate`"), "{error}");
    assert!(!place.path("missing.db").exists());
}

#[test]
fn migrate_makes_the_table_once_and_needs_no_key() {
    let place = Place::bare()
        .with("SESSION_DRIVER", "database")
        .with("SESSION_DATABASE_URL", "sqlite:sessions.db")
        .with("SESSION_DATABASE_TABLE", "visits");
    for _ in 0..2 {
        let out = place.run(&["migrate"]).succeeded();
        assert_eq!(out, "the table visits is ready\n");
        assert!(place.path("sessions.db").exists());
    }
}

#[test]
fn migrate_works_before_the_driver_is_switched_and_says_so() {
    let place = Place::sound("file").with("SESSION_DATABASE_URL", "sqlite:sessions.db");
    let ran = place.run(&["migrate"]);
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (0, "the table sessions is ready\n")
    );
    assert!(
        ran.err
            .contains("driver = file (SESSION_DRIVER): the table is not used"),
        "{}",
        ran.err
    );
}

#[test]
fn migrate_without_a_database_says_what_to_do() {
    let other = "driver = cookie (default), and only the driver database has a table: set SESSION_DRIVER=database";
    for (place, expected) in [
        (Place::bare(), other),
        (
            Place::bare().with("SESSION_DRIVER", "database"),
            "database_url: no",
        ),
    ] {
        for arguments in [&["migrate"][..], &["migrate", "--print"]] {
            let error = place.run(arguments).failed();
            assert!(error.contains(expected), "{error}");
            assert!(error.contains("SESSION_DATABASE_URL"), "{error}");
        }
    }
}

#[test]
fn migrate_refuses_what_is_no_database() {
    for url in ["oracle://me:hunter2@host/db", "sqlite:", "postgres://["] {
        let place = Place::bare().with("SESSION_DATABASE_URL", url);
        for arguments in [&["migrate"][..], &["migrate", "--print"]] {
            let error = place.run(arguments).failed();
            assert!(error.contains("database_url"), "{url}: {error}");
        }
    }
}

#[test]
fn migrate_prints_the_sql_of_each_database_and_connects_to_none() {
    for (url, quoted) in [
        ("sqlite:sessions.db".to_owned(), "\"visits\""),
        (
            format!("postgres://me:{PASSWORD}@127.0.0.1:1/db"),
            "\"visits\"",
        ),
        (format!("mysql://me:{PASSWORD}@127.0.0.1:1/db"), "`visits`"),
    ] {
        let place = Place::bare()
            .with("SESSION_DRIVER", "database")
            .with("SESSION_DATABASE_URL", &*url)
            .with("SESSION_DATABASE_TABLE", "visits");
        let sql = place.run(&["migrate", "--print"]).succeeded();
        assert!(sql.contains(&format!("CREATE TABLE {quoted}")), "{sql}");
        assert!(sql.ends_with('\n') && !sql.ends_with("\n\n"));
        let left = fs::read_dir(place.path(".")).unwrap().count();
        assert_eq!(left, 0, "no file was made");
    }
}

#[test]
fn migrate_fails_where_the_server_is_down() {
    for scheme in ["postgres", "mysql"] {
        let url = format!("{scheme}://me:{PASSWORD}@127.0.0.1:1/db");
        let error = Place::sound("database")
            .with("SESSION_DATABASE_URL", url)
            .run(&["migrate"])
            .failed();
        assert!(error.contains("refused"), "{error}");
    }
}

#[test]
fn a_sqlite_file_is_looked_at_and_tried() {
    let place = Place::sound("database").with("SESSION_DATABASE_URL", "sqlite://sessions.db");
    let ran = place.run(&["doctor"]);
    assert_eq!(ran.mark("the database session store"), "failure");
    assert_eq!(ran.code, 1);
    assert!(!place.path("sessions.db").exists());

    place.run(&["migrate"]).succeeded();
    for (mode, mark) in [(0o644, "warning"), (0o600, "ok")] {
        set_mode(&place.path("sessions.db"), mode);
        let ran = place.run(&["doctor"]);
        assert_eq!(ran.mark(&format!("sessions.db ({mode:04o})")), mark);
        assert_eq!(ran.mark("a probe was written, read and removed"), "ok");
        assert_eq!(ran.code, 0);
    }
    assert_eq!(place.run(&["sweep"]).succeeded(), "removed 0\n");
}

#[test]
fn a_missing_table_is_a_failure_that_says_what_to_do() {
    let place = Place::sound("database").with("SESSION_DATABASE_URL", "sqlite:sessions.db");
    place.run(&["migrate"]).succeeded();
    let ran = place
        .with("SESSION_DATABASE_TABLE", "visits")
        .run(&["doctor"]);
    assert_eq!(ran.mark("run `arvel-session migrate`"), "failure");
    assert_eq!(ran.code, 1);
}

#[test]
fn a_database_without_a_url_is_a_failure() {
    let ran = Place::sound("database").run(&["doctor"]);
    assert_eq!(ran.mark("SESSION_DATABASE_URL"), "failure");
    assert_eq!(ran.code, 1);
}

#[test]
fn doctor_reports_a_server_that_is_down() {
    for scheme in ["postgres", "mysql"] {
        let ran = Place::sound("database")
            .with(
                "SESSION_DATABASE_URL",
                format!("{scheme}://me:{PASSWORD}@127.0.0.1:1/db"),
            )
            .with("SESSION_TIMEOUT", "0.5")
            .run(&["doctor"]);
        assert_eq!(
            ran.mark("the database session store: a probe could not be written"),
            "failure"
        );
        assert_eq!((ran.code, ran.err.as_str()), (1, ""));
    }
}

#[test]
fn doctor_migrate_and_sweep_work_together_on_each_server() {
    for name in ["ARVEL_TEST_POSTGRES", "ARVEL_TEST_MYSQL"] {
        let Some(url) = service(name) else {
            continue;
        };
        let table = unused_name();
        let place = Place::sound("database")
            .with("SESSION_DATABASE_URL", url)
            .with("SESSION_DATABASE_TABLE", &*table);
        let ran = place.run(&["doctor"]);
        assert_eq!(ran.mark("run `arvel-session migrate`"), "failure", "{name}");
        assert_eq!(ran.code, 1);
        for _ in 0..2 {
            let out = place.run(&["migrate"]).succeeded();
            assert_eq!(out, format!("the table {table} is ready\n"));
        }
        place.is_well();
        assert_eq!(place.run(&["sweep"]).succeeded(), "removed 0\n");
    }
}
