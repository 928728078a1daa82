//! The facade has its manager and nothing else; the provider binds it and does nothing else.

use arvel_session::{Secret, Session, SessionConfig, SessionServiceProvider};

#[test]
fn the_facade_has_manager_and_nothing_else() {
    let source = include_str!("../src/facade.rs");
    let (_, facade) = source.split_once("impl Session {").unwrap();
    let (facade, _) = facade.split_once("\n}\n").unwrap();
    let methods: Vec<&str> = facade
        .lines()
        .filter(|line| line.trim_start().starts_with("pub "))
        .collect();
    assert_eq!(methods, ["    pub fn manager() -> SessionManager {"]);
    assert_eq!(source.matches("for Session ").count(), 0);
}

#[test]
fn the_provider_registers_the_facade_and_nothing_else() {
    let error = Session::manager().store().unwrap_err();
    assert!(
        error
            .to_string()
            .contains("SessionServiceProvider::new().register()")
    );

    let folder = tempfile::tempdir().unwrap();
    let files = folder.path().join("sessions");
    let config = SessionConfig::new()
        .driver("file")
        .files_path(&files)
        .secret_key(Secret::generate());
    SessionServiceProvider::with_config(config)
        .register()
        .unwrap();
    assert!(!files.exists(), "no store is made before it is asked for");

    Session::manager().store().unwrap();
    assert!(files.exists());

    let other = SessionConfig::new().secret_key(Secret::generate());
    SessionServiceProvider::with_config(other)
        .register()
        .unwrap();
    let store = Session::manager().store().unwrap();
    assert_eq!(store.capabilities().name, "cookie", "the last one counts");
}
