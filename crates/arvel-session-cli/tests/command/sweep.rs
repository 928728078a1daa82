//! `sweep`.

use std::time::Duration;

use arvel_session::{
    Clock, SystemClock,
    store::{Expect, FileStore, Key, Kind, Record, Revision, Saved, SessionStore, Write},
};

use crate::support::Place;

/// Stores two records that have expired and one that lives.
pub(crate) fn fill(store: &dyn SessionStore) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let now = SystemClock.now();
    let later = now.after(Duration::from_secs(3600));
    for (number, expires) in [(1, now), (2, now), (3, later)] {
        let key = Key::new([number; 2], [number; 32]);
        let revision = Revision::from_u64(number.into());
        let record = Record::new(Kind::Plain, revision, expires, b"body".as_slice());
        let saved = store.save(&key, Expect::Absent, Write::new(record, now));
        let saved = runtime.block_on(saved);
        assert!(matches!(saved, Ok(Saved::Done)), "{saved:?}");
    }
}

#[test]
fn sweep_removes_what_has_expired_from_a_folder() {
    let place = Place::sound("file").with("SESSION_FILES_PATH", "sessions");
    fill(&FileStore::open(place.path("sessions")).unwrap());
    assert_eq!(place.run(&["sweep"]).succeeded(), "removed 2\n");
    assert_eq!(place.run(&["sweep"]).succeeded(), "removed 0\n");
}

#[test]
fn sweep_says_where_there_is_nothing_to_sweep() {
    for (driver, why) in [
        ("cookie", "needs no sweep"),
        ("memory", "inside the application"),
    ] {
        let ran = Place::sound(driver).run(&["sweep"]);
        assert_eq!((ran.code, ran.out.as_str()), (0, "removed 0\n"));
        assert!(ran.err.contains(why), "{}", ran.err);
    }
}

#[test]
fn sweep_fails_where_the_application_would_not_start() {
    let place = Place::sound("mine");
    assert!(place.run(&["sweep"]).failed().contains("driver = mine"));
    let place = Place::sound("memory").without("SESSION_SECRET_KEY");
    assert!(place.run(&["sweep"]).failed().contains("secret_key"));
}
