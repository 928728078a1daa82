//! The cascade, every setting, every refusal.

use std::{env, ffi::OsStr, fs, os::unix::ffi::OsStrExt, process::Command, time::Duration};

use tempfile::TempDir;

use super::*;

const KEY: &str = "base64:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// A folder with these files.
fn folder(toml: &str, dot_env: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    if !toml.is_empty() {
        fs::create_dir(folder.path().join("config")).unwrap();
        fs::write(folder.path().join("config/session.toml"), toml).unwrap();
    }
    if !dot_env.is_empty() {
        fs::write(folder.path().join(".env"), dot_env).unwrap();
    }
    folder
}

fn load(toml: &str, environment: &[(&str, &str)], dot_env: &str) -> Result<SessionConfig> {
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    SessionConfig::load_from(folder(toml, dot_env).path(), environment)
}

fn from_variable(name: &str, value: &str) -> Result<SessionConfig> {
    load("", &[(name, value)], "")
}

fn shown(config: &SessionConfig, name: &str) -> String {
    let mut all = config.describe();
    all.find(|(other, ..)| *other == name).unwrap().1
}

/// The whole error, as a log would show it; it must be one of the configuration.
fn refusal(result: Result<SessionConfig>) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let source = std::error::Error::source(&error).map(ToString::to_string);
    format!("{error} {error:?} {source:?}")
}

/// Each setting: its default, a text for a variable, the same for the file, and how that is shown.
const EVERY: &[(&str, &str, &str, &str, &str)] = &[
    ("driver", "cookie", "redis", r#""redis""#, "redis"),
    ("lifetime", "7200", "0.5", "0.5", "0.5"),
    ("absolute_lifetime", "2592000", "0", "0", "0 (off)"),
    ("expire_on_close", "false", "yes", "true", "true"),
    ("cookie_name", "arvel_session", "id", r#""id""#, "id"),
    ("path", "/", "/a b", r#""/a b""#, "/a b"),
    (
        "domain",
        "none",
        ".a.example",
        r#"".a.example""#,
        "a.example",
    ),
    ("secure", "false", "1", "true", "true"),
    ("http_only", "true", "off", "false", "false"),
    ("same_site", "lax", "STRICT", r#""Strict""#, "strict"),
    ("partitioned", "false", "FALSE", "false", "false"),
    ("encrypt", "true", "no", "false", "false"),
    (
        "secret_key",
        "none",
        "0123456789abcdef0123456789abcdef",
        "'base64:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY='",
        "***",
    ),
    (
        "previous_keys",
        "none",
        "0123456789abcdef0123456789abcdef , fedcba9876543210fedcba9876543210",
        r#"["0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"]"#,
        "*** (2)",
    ),
    (
        "files_path",
        "storage/framework/sessions",
        "/var/s",
        r#""/var/s""#,
        "/var/s",
    ),
    (
        "redis_url",
        "redis://127.0.0.1:6379",
        "redis://u:pw@h",
        r#""redis://u:pw@h""#,
        "redis://u:***@h",
    ),
    ("redis_prefix", "arvel_session:", "", r#""""#, r#""""#),
    (
        "database_url",
        "none",
        "postgres://u:pw@h/d",
        r#""postgres://u:pw@h/d""#,
        "postgres://u:***@h/d",
    ),
    (
        "database_table",
        "sessions",
        "web.s_1",
        r#""web.s_1""#,
        "web.s_1",
    ),
    ("timeout", "2", "10", "10", "10"),
    ("sweep_interval", "60", "0", "0.0", "0 (off)"),
];

#[test]
fn every_setting_is_read_from_everywhere() {
    let names: Vec<_> = EVERY.iter().map(|row| row.0).collect();
    let table: Vec<_> = TABLE.iter().map(|row| row.name).collect();
    assert_eq!(names, table);
    for (name, default, text, toml, expected) in EVERY {
        let variable = format!("SESSION_{}", name.to_uppercase());
        let nothing = load("", &[], "").unwrap();
        assert_eq!(shown(&nothing, name), *default, "{name}");
        assert_eq!(nothing.source(name), &Source::Default);

        let config = from_variable(&variable, text).unwrap();
        assert_eq!(shown(&config, name), *expected, "{name}");
        assert_eq!(config.source(name), &Source::Environment(variable.clone()));

        let dot_env = load("", &[], &format!("{variable}='{text}'\n")).unwrap();
        assert_eq!(shown(&dot_env, name), *expected, "{name}");
        assert!(dot_env.source(name).to_string().starts_with(&variable));

        let file = load(&format!("{name} = {toml}"), &[], "").unwrap();
        assert_eq!(shown(&file, name), *expected, "{name}");
        let path = file.source(name).to_string();
        assert!(path.ends_with("config/session.toml"), "{path}");
    }
}

#[test]
fn nothing_else_is_touched() {
    for (name, _, text, ..) in EVERY {
        let variable = format!("SESSION_{}", name.to_uppercase());
        let config = from_variable(&variable, text).unwrap();
        for (other, default, ..) in EVERY {
            // This one's default hangs on the driver.
            if other != name && (*name, *other) != ("driver", "absolute_lifetime") {
                assert_eq!(shown(&config, other), *default, "{name} {other}");
                assert_eq!(config.source(other), &Source::Default);
            }
        }
    }
}

#[test]
fn the_file_wins_over_the_environment_and_that_over_dot_env() {
    let environment = [("SESSION_DRIVER", "redis"), ("SESSION_PATH", "/env")];
    let dot_env = "SESSION_DRIVER=memory\nSESSION_PATH=/dot\nSESSION_DOMAIN=dot.example";
    let config = load("driver = 'file'", &environment, dot_env).unwrap();
    let settings = config.settings();
    assert_eq!(settings.driver, "file");
    assert_eq!(settings.path, "/env");
    assert_eq!(settings.domain.as_deref(), Some("dot.example"));
    assert_eq!(settings.cookie_name, "arvel_session");

    let config = config.driver("array");
    assert_eq!(config.settings().driver, "array");
    assert_eq!(config.source("driver"), &Source::Code);
}

#[test]
fn what_a_higher_layer_hides_is_not_looked_at() {
    let config = load("lifetime = 60", &[("SESSION_LIFETIME", "2h")], "").unwrap();
    assert_eq!(config.settings().lifetime, Duration::from_secs(60));
}

#[test]
fn an_empty_variable_hides_a_lower_layer() {
    let dot_env =
        "SESSION_DOMAIN=a.example\nSESSION_DATABASE_URL=sqlite:a\nSESSION_PREVIOUS_KEYS=x";
    let empty = ["DOMAIN", "DATABASE_URL", "PREVIOUS_KEYS", "REDIS_PREFIX"]
        .map(|name| (format!("SESSION_{name}"), String::new()));
    let config = SessionConfig::load_from(folder("", dot_env).path(), empty).unwrap();
    let settings = config.settings();
    assert!(settings.domain.is_none() && settings.database_url.is_none());
    assert!(settings.previous_keys.is_empty() && settings.redis_prefix.is_empty());
}

#[test]
fn any_other_empty_variable_is_an_error() {
    let may_be_empty = ["domain", "database_url", "previous_keys", "redis_prefix"];
    for row in TABLE {
        let result = from_variable(&row.variable(), "");
        if may_be_empty.contains(&row.name) {
            assert!(result.is_ok(), "{}", row.name);
        } else {
            let error = refusal(result);
            assert!(error.starts_with(row.name), "{error}");
            assert!(error.contains(&row.variable()), "{error}");
        }
    }
}

#[test]
fn a_bad_value_is_named_with_its_setting_and_source() {
    for (name, value) in [
        ("lifetime", "0"),
        ("lifetime", "-5"),
        ("lifetime", "two"),
        ("lifetime", "3153600001"),
        ("absolute_lifetime", "-1"),
        ("absolute_lifetime", "3153600001"),
        ("timeout", "3153600001"),
        ("sweep_interval", "3153600001"),
        ("timeout", "0"),
        ("timeout", "NaN"),
        ("sweep_interval", "1m"),
        ("expire_on_close", "perhaps"),
        ("secure", "maybe"),
        ("same_site", "loose"),
        ("cookie_name", "a=b"),
        ("cookie_name", "a b"),
        ("cookie_name", "ä"),
        ("cookie_name", &"n".repeat(1025)),
        ("path", "admin"),
        ("path", "/a;b"),
        ("path", "/ä"),
        ("path", "/a "),
        ("domain", "https://a.example"),
        ("domain", "..a.example"),
        ("domain", "a.example:80"),
        ("domain", "a.example."),
        ("domain", "a;b"),
        ("database_table", "a.b.c"),
        ("database_table", "1a"),
        ("database_table", "a-b"),
        ("partitioned", "true"),
    ] {
        let variable = format!("SESSION_{}", name.to_uppercase());
        let expected = format!("{name} = {value} ({variable}): ");
        let error = refusal(from_variable(&variable, value));
        assert!(error.starts_with(&expected), "{error}");

        let dot_env = load("", &[], &format!("{variable}=\"{value}\""));
        let error = refusal(dot_env);
        assert!(error.starts_with(&format!("{name} = {value} (")), "{error}");
        assert!(error.contains(&format!("{variable} in ")) && error.contains(".env"));
    }
}

#[test]
fn a_control_character_is_refused_and_not_printed() {
    for name in ["COOKIE_NAME", "PATH", "DOMAIN"] {
        let error = refusal(from_variable(&format!("SESSION_{name}"), "/a\r\nb"));
        assert!(error.contains("/a\\r\\nb"), "{error}");
    }
}

#[test]
fn a_wrong_type_in_the_file_is_an_error() {
    for (name, value, seen) in [
        ("driver", "1", "1"),
        ("lifetime", "'7200'", "7200"),
        ("lifetime", "-5", "-5"),
        ("lifetime", "-0.5", "-0.5"),
        ("lifetime", "nan", "NaN"),
        ("lifetime", "0", "0"),
        ("lifetime", "true", "true"),
        ("timeout", "[1]", "a list"),
        ("secure", "'true'", "true"),
        ("secure", "1", "1"),
        ("same_site", "false", "false"),
        ("same_site", "'Laxx'", "Laxx"),
        ("path", "{ a = 1 }", "a table"),
        ("domain", "1979-05-27", "a date"),
    ] {
        let error = refusal(load(&format!("{name} = {value}"), &[], ""));
        assert!(error.starts_with(&format!("{name} = {seen} (")), "{error}");
        assert!(error.contains("config/session.toml): "), "{error}");
    }
}

#[test]
fn no_error_shows_a_secret() {
    let toml = |text: &str| load(text, &[], "");
    let dot_env = |text: &str| load("", &[], text);
    for result in [
        from_variable("SESSION_SECRET_KEY", "hunter2"),
        from_variable("SESSION_SECRET_KEY", "base64:hunter2-hunter2=x"),
        from_variable("SESSION_PREVIOUS_KEYS", &format!("{KEY},hunter2")),
        from_variable("SESSION_SECRET_KYE", "hunter2"),
        from_variable("SESSION_DOMAIN", "https://u:hunter2@host"),
        toml("secret_key = 'hunter2'"),
        toml("secret_key = 'hunter2"),
        toml("secret_key = hunter2"),
        toml("secret_key = 'a'\nsecret_key = 'hunter2'"),
        toml("secret_kye = 'hunter2'"),
        toml("[secret_key]\nhunter2 = 1"),
        toml("previous_keys = ['hunter2']"),
        toml("previous_keys = [1, 'hunter2']"),
        toml("redis_url = ['redis://:hunter2@h']"),
        dot_env("SESSION_SECRET_KEY=hunter2"),
        dot_env("SESSION_SECRET_KEY=hunter2 hunter2"),
        dot_env("SESSION_SECRET_KEY='hunter2"),
        dot_env("SESSION_SECRET_KEY hunter2"),
        dot_env("SESSION_SECRET_KEY=hunter2\nSESSION_SECRET_KEY=hunter2"),
    ] {
        let error = refusal(result);
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn an_error_says_where_in_a_broken_file() {
    let error = refusal(load("driver = 'file'\n\nlifetime = = 5", &[], ""));
    assert!(error.contains("config/session.toml, line 3: "), "{error}");

    let error = refusal(load(
        "",
        &[],
        "APP_NAME=shop\n# note\n\nSESSION_PATH=/a b\n",
    ));
    assert!(error.contains(".env: the entry after APP_NAME"), "{error}");
    let error = refusal(load("", &[], "what is this"));
    assert!(error.contains(".env: the first entry"), "{error}");
    let error = refusal(load("", &[], "SESSION_PATH=/a\nSESSION_PATH=/b"));
    assert!(error.contains("SESSION_PATH stands there twice"), "{error}");

    let error = refusal(load(
        "previous_keys = ['0123456789abcdef0123456789abcdef', '']",
        &[],
        "",
    ));
    assert!(error.contains(": key 2 must not be empty"), "{error}");
}

#[test]
fn an_unknown_key_in_the_file_is_an_error() {
    let error = refusal(load("lifetim = 5", &[], ""));
    assert!(
        error.contains(r#"config/session.toml: "lifetim" is not a setting; is lifetime meant?"#),
        "{error}"
    );
    let error = refusal(load("[session]\ndriver = 'file'", &[], ""));
    assert!(error.contains("in no table"), "{error}");
    let error = refusal(load("colour = 'red'", &[], ""));
    assert!(error.contains(r#""colour" is not a setting "#), "{error}");
}

#[test]
fn a_slip_in_a_variable_is_an_error_unless_the_setting_is_set() {
    for variable in ["SESSION_LIFETIM", "SESSION_lifetime", "SESSION_LIFETIMES"] {
        let error = refusal(from_variable(variable, "60"));
        let expected = format!("{variable} is not a setting; is SESSION_LIFETIME meant?");
        assert!(error.starts_with(&expected), "{error}");
        assert!(load("lifetime = 60", &[(variable, "5")], "").is_ok());
        assert!(load("", &[(variable, "5")], "SESSION_LIFETIME=60").is_ok());
    }
    let error = refusal(load("", &[], "SESSION_DRIVR=file"));
    assert!(error.contains("SESSION_DRIVR in "), "{error}");
}

#[test]
fn variables_of_others_are_left_alone() {
    for variable in [
        "SESSION_MANAGER",
        "SESSION_ID",
        "SESSION_FOO",
        "SESSION_",
        "SESSION",
        "DESKTOP_SESSION",
        "XSESSION_LIFETIME",
        "session_lifetime",
    ] {
        let config = from_variable(variable, "x").unwrap();
        assert!(
            config
                .describe()
                .all(|(.., source)| *source == Source::Default)
        );
    }
}

#[test]
fn dot_env_is_read_as_people_write_it() {
    let text = "\u{feff}# ours\r\nexport SESSION_DRIVER=file # why\r\n\r\nSESSION_PATH='/$HOME'\r\nDOMAIN=a.example\nSESSION_DOMAIN=www.${DOMAIN}\nAPP=1\nAPP=2\n";
    let config = load("\u{feff}timeout = 3", &[], text).unwrap();
    let settings = config.settings();
    assert_eq!(settings.driver, "file");
    assert_eq!(settings.path, "/$HOME");
    assert_eq!(settings.domain.as_deref(), Some("www.a.example"));
    assert_eq!(settings.timeout, Duration::from_secs(3));
}

#[test]
fn a_file_that_cannot_be_read_is_an_error_and_one_that_is_not_there_is_none() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("config/session.toml")).unwrap();
    let error = refusal(SessionConfig::load_from(folder.path(), []));
    assert!(
        error.contains("config/session.toml cannot be read"),
        "{error}"
    );

    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config"), "a file").unwrap();
    assert!(SessionConfig::load_from(folder.path(), []).is_ok());

    fs::write(folder.path().join(".env"), b"SESSION_PATH=\xff").unwrap();
    let error = refusal(SessionConfig::load_from(folder.path(), []));
    assert!(error.contains(".env cannot be read"), "{error}");
}

#[test]
fn keys_come_in_many_forms() {
    let raw = "0123456789abcdef0123456789abcdef";
    for toml in [
        format!("secret_key = '{KEY}'\nprevious_keys = '{KEY},{raw}'"),
        format!("secret_key = '{raw}'\nprevious_keys = ['{raw}', ' {KEY}']"),
    ] {
        let config = load(&toml, &[], "").unwrap();
        let settings = config.settings();
        let previous = settings.previous_keys.iter();
        for key in previous.chain(&settings.secret_key) {
            assert_eq!(key.as_bytes(), raw.as_bytes());
        }
        assert_eq!(settings.previous_keys.len(), 2);
        let seen = format!("{config:?}");
        assert!(!seen.contains("0123") && !seen.contains("MDEy"), "{seen}");
    }
}

#[test]
fn same_site_none_forces_secure() {
    for config in [
        from_variable("SESSION_SAME_SITE", "none").unwrap(),
        load(
            "same_site = 'None'\nsecure = false\npartitioned = true",
            &[],
            "",
        )
        .unwrap(),
        SessionConfig::new().same_site(SameSite::None),
        SessionConfig::new().same_site(SameSite::None).secure(false),
    ] {
        config.check().unwrap();
        assert!(config.settings().secure);
        assert_eq!(shown(&config, "secure"), "true");
        assert_eq!(config.source("secure"), &Source::Forced);
        let config = config.same_site(SameSite::Lax);
        assert!(!config.settings().secure);
    }
    let config = SessionConfig::new().secure(true).same_site(SameSite::None);
    assert_eq!(config.source("secure"), &Source::Code);
    assert!(config.same_site(SameSite::Lax).settings().secure);
}

#[test]
fn the_cookie_driver_alone_ends_after_thirty_days() {
    let end = |config: &SessionConfig| config.settings().absolute_lifetime;
    for (driver, expected) in [
        ("cookie", Some(THIRTY_DAYS)),
        ("redis", None),
        ("mine", None),
    ] {
        assert_eq!(
            end(&from_variable("SESSION_DRIVER", driver).unwrap()),
            expected
        );
        assert_eq!(end(&SessionConfig::new().driver(driver)), expected);
    }
    let config = SessionConfig::new().driver("redis").driver("cookie");
    assert_eq!(end(&config), Some(THIRTY_DAYS));
    let config = from_variable("SESSION_ABSOLUTE_LIFETIME", "0").unwrap();
    assert_eq!(end(&config.driver("cookie")), None);
    let config = SessionConfig::new().absolute_lifetime(Duration::ZERO);
    assert_eq!(end(&config), None);
}

#[test]
fn what_browsers_refuse_is_refused() {
    let named = |name: &str| SessionConfig::new().cookie_name(name);
    let refused = [
        (named("__Host-id"), "secure"),
        (named("__host-id"), "secure"),
        (named("__Secure-id"), "secure"),
        (named("__Http-id"), "secure"),
        (named("__Host-id").secure(true).path("/a"), "path"),
        (
            named("__HOST-id").secure(true).domain("a.example"),
            "domain",
        ),
        (
            named("__Http-id").secure(true).http_only(false),
            "http_only",
        ),
        (
            named("__Host-Http-id").secure(true).http_only(false),
            "http_only",
        ),
        (named("__Host-Http-id").secure(true).path("/a"), "path"),
        (SessionConfig::new().partitioned(true), "partitioned"),
        (SessionConfig::new().path("/".repeat(1025)), "path"),
        (
            SessionConfig::new().domain("a.".repeat(127) + "aa"),
            "domain",
        ),
        (SessionConfig::new().domain("-a.example"), "domain"),
        (SessionConfig::new().domain("."), "domain"),
    ];
    for (config, name) in refused {
        let error = refusal(config.check().map(|()| config.clone()));
        assert!(error.starts_with(&format!("{name} ")), "{name}: {error}");
    }
    let accepted = [
        named("__Host-id").secure(true),
        named("__Host-id").secure(true).domain(""),
        named("__Host-id").same_site(SameSite::None),
        named("__Secure-id")
            .secure(true)
            .domain("a.example")
            .path("/a"),
        named("__Host-Http-id").secure(true),
        named("__Hostess"),
        named("!#$%&'*+-.^_`|~09azAZ"),
        SessionConfig::new().partitioned(true).secure(true),
        SessionConfig::new().lifetime(Duration::from_secs(3_153_600_000)),
        SessionConfig::new().domain("localhost"),
        SessionConfig::new().domain("127.0.0.1"),
        SessionConfig::new().path("/".repeat(1024)),
    ];
    for config in accepted {
        config.check().unwrap();
    }
    for bad in b"\0\t\x1f ()<>@,;:\\\"/[]?={}\x7f" {
        let name = format!("a{}b", char::from(*bad));
        assert!(named(&name).check().is_err(), "{name:?}");
    }
}

/// Runs itself again in a process with this environment, since no test may change its own.
#[test]
fn load_reads_this_process_and_its_working_folder() {
    const GOOD: &str = "a-child-that-loads";
    const BAD: &str = "a-child-that-is-refused";
    if env::args().any(|argument| argument == GOOD) {
        let config = SessionConfig::load().unwrap();
        let settings = config.settings();
        assert_eq!((&*settings.driver, &*settings.path), ("redis", "/dot"));
        assert_eq!(config.source("timeout").to_string(), "config/session.toml");
        assert_eq!(config.source("driver").to_string(), "SESSION_DRIVER");
        assert_eq!(config.source("path").to_string(), "SESSION_PATH in .env");
        return;
    }
    if env::args().any(|argument| argument == BAD) {
        let error = refusal(SessionConfig::load());
        assert!(error.starts_with("SESSION_PATH is not UTF-8"), "{error}");
        return;
    }
    let not_utf8 = OsStr::from_bytes(b"/\xff");
    let folder = folder("timeout = 3", "SESSION_PATH=/dot\nSESSION_DRIVER=dot");
    for (child, variable) in [(GOOD, "PATH_OF_ANOTHER"), (BAD, "SESSION_PATH")] {
        let output = Command::new(env::current_exe().unwrap())
            .args(["load_reads_this_process_and_its_working_folder", child])
            .env("SESSION_DRIVER", "redis")
            .env(variable, not_utf8)
            .current_dir(folder.path())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && text.contains("1 passed"),
            "{text}"
        );
    }
}
