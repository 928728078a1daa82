//! What servers do to their clients: they go away, fall silent, and make them wait.

use std::time::Instant;

use arvel_session::store::SessionStore;

use super::{
    place::Place,
    wire::{State, Wire},
    *,
};

macro_rules! on_both_servers {
    ($($check:ident)*) => {
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $check() {
                if let Some(place) = super::super::place::postgres() {
                    super::$check(place).await;
                }
            })*
        }
        mod mysql {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $check() {
                if let Some(place) = super::super::place::mysql() {
                    super::$check(place).await;
                }
            })*
        }
    };
}

on_both_servers! {
    a_server_that_is_not_there_is_an_error_at_once
    connections_that_broke_are_replaced
    a_server_that_falls_silent_is_dialled_anew
    a_locked_row_is_an_error_in_time
    a_refused_row_harms_no_other
    a_conflict_shows_what_is_there_not_what_was
    what_the_server_has_undone_is_done_again
    what_the_server_always_undoes_is_an_error
    a_wrong_password_is_an_error_that_does_not_show_it
    who_gives_up_waiting_holds_up_nobody
}

async fn a_server_that_is_not_there_is_an_error_at_once(place: Place) {
    let _table = place.store().await;
    let wire = Wire::to(place.address()).await;
    wire.set(State::Cut);
    let store = place.through(&wire.address).open();
    let began = Instant::now();
    for _ in 0..20 {
        let error = store.load(At::Key(&key(1))).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Store);
    }
    assert!(began.elapsed() < TIMEOUT, "{:?}", began.elapsed());
    wire.set(State::Open);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(load(&store, &key(1)).await, None, "it is back");
}

async fn connections_that_broke_are_replaced(place: Place) {
    let wire = Wire::to(place.address()).await;
    let store = place.through(&wire.address).store().await;
    insert(&store, &key(1), record(7, b"7")).await;
    assert!(load(&store, &key(1)).await.is_some());
    wire.set(State::Cut);
    tokio::time::sleep(Duration::from_millis(50)).await;
    wire.set(State::Open);
    assert_eq!(load(&store, &key(1)).await, Some(record(7, b"7")));
    let saved = store
        .save(&key(1), at(7), write(record(8, b"8")))
        .await
        .unwrap();
    assert!(is_done(&saved));
}

async fn a_server_that_falls_silent_is_dialled_anew(place: Place) {
    let _table = place.store().await;
    let wire = Wire::to(place.address()).await;
    let timeout = Duration::from_millis(300);
    let store = place.through(&wire.address).open_with(timeout);
    insert(&store, &key(1), record(7, b"7")).await;
    assert!(load(&store, &key(1)).await.is_some());
    wire.set(State::Silent);
    let reply = tokio::time::timeout(timeout, store.load(At::Key(&key(1)))).await;
    assert!(!matches!(reply, Ok(Ok(_))), "{reply:?}");
    wire.set(State::Open);
    // As the caller would: one deadline after the other.
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(5) {
        let reply = tokio::time::timeout(timeout, store.load(At::Key(&key(1)))).await;
        if let Ok(Ok(found)) = reply {
            assert_eq!(found, Some(record(7, b"7")));
            return;
        }
    }
    panic!("the silent connection is still in use");
}

/// Many more than there are connections wait, and some of them give up at any moment.
async fn who_gives_up_waiting_holds_up_nobody(place: Place) {
    let store = Arc::new(place.store().await);
    insert(&store, &key(1), record(7, b"7")).await;
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..60 {
        let store = store.clone();
        calls.spawn(async move {
            for round in 0..300 {
                let call = store.load(At::Key(&key(1)));
                if number % 2 == 0 {
                    assert!(call.await.unwrap().is_some());
                } else {
                    let patience = Duration::from_micros((number * 67 + round * 131) % 4_000);
                    let call = tokio::spawn(call);
                    tokio::time::sleep(patience).await;
                    // As when a client leaves: dropped where it stands, even if it was just woken.
                    call.abort();
                }
            }
        });
    }
    let ended = tokio::time::timeout(Duration::from_secs(120), calls.join_all()).await;
    assert!(ended.is_ok(), "somebody waits for ever");
}

async fn a_locked_row_is_an_error_in_time(place: Place) {
    let store = place.store_with(Duration::from_millis(1_000)).await;
    insert_many(&store).await;
    let id = key(1).hex();
    let lock = format!("UPDATE {} SET live = 1 WHERE id = '{id}'", place.table);
    let _holder = place.hold(&lock).await;

    let began = Instant::now();
    for (number, saved) in save_at_once(&Arc::new(store)).await {
        if number == 1 {
            assert_eq!(saved.unwrap_err().kind(), ErrorKind::Store);
        } else {
            assert!(is_done(&saved.unwrap()), "others are not held up");
        }
    }
    // Long before the holder lets go, which it never does here.
    assert!(began.elapsed() < Duration::from_secs(20));
    assert_eq!(load(&place.open(), &key(1)).await, Some(record(7, b"7")));
}

async fn a_refused_row_harms_no_other(place: Place) {
    let store = Arc::new(place.store().await);
    insert_many(&store).await;
    let (table, id) = (&place.table, key(1).hex());
    let refuse = format!(
        "ALTER TABLE {table} ADD CONSTRAINT {table}_refused CHECK (id <> '{id}' OR revision = 7)"
    );
    place.execute(&refuse).await;
    for (number, saved) in save_at_once(&store).await {
        if number == 1 {
            assert_eq!(saved.unwrap_err().kind(), ErrorKind::Store);
        } else {
            assert!(is_done(&saved.unwrap()), "{number}");
        }
    }
    assert_eq!(load(&store, &key(1)).await, Some(record(7, b"7")));
    assert_eq!(load(&store, &key(2)).await, Some(record(8, b"8")));
}

const MANY: std::ops::Range<u8> = 1..60;

async fn insert_many(store: &DatabaseStore) {
    for number in MANY {
        insert(store, &key(number), record(7, b"7")).await;
    }
}

async fn save_at_once(store: &Arc<DatabaseStore>) -> Vec<(u8, Result<Saved, Error>)> {
    let mut saves = tokio::task::JoinSet::new();
    for number in MANY {
        let store = store.clone();
        saves.spawn(async move {
            let saved = store.save(&key(number), at(7), write(record(8, b"8")));
            (number, saved.await)
        });
    }
    saves.join_all().await
}

async fn a_wrong_password_is_an_error_that_does_not_show_it(place: Place) {
    let store = place.with_password("hunter2").open();
    let error = store.load(At::Key(&key(1))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store);
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

async fn a_conflict_shows_what_is_there_not_what_was(place: Place) {
    let store = place.store().await;
    insert(&store, &key(1), record(7, b"7")).await;
    let holder = place.hold(&format!("DELETE FROM {}", place.table)).await;
    let saving = tokio::spawn(async move {
        store
            .save(&key(1), at(7), write(record(8, b"8")))
            .await
            .unwrap()
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(
        !saving.is_finished(),
        "it waits for the one that came first"
    );
    holder.commit().await;
    assert_eq!(conflict(saving.await.unwrap()), None);
}

/// Makes the server report a deadlock for the next `times` updates.
async fn undo_updates(place: &Place, times: u32) {
    let table = &place.table;
    let script = if place.is_mysql() {
        // This engine knows no transactions, so the count survives.
        vec![
            format!("CREATE TABLE {table}_count (n INT) ENGINE = MyISAM"),
            format!("INSERT INTO {table}_count VALUES ({times})"),
            format!(
                "CREATE TRIGGER {table}_undo BEFORE UPDATE ON {table} FOR EACH ROW BEGIN
                 UPDATE {table}_count SET n = n - 1;
                 IF (SELECT n FROM {table}_count) >= 0 THEN
                 SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213; END IF; END"
            ),
        ]
    } else {
        vec![
            format!("CREATE SEQUENCE {table}_count"),
            format!(
                "CREATE FUNCTION {table}_undo() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN
                 IF nextval('{table}_count') <= {times} THEN
                 RAISE EXCEPTION 'deadlock' USING ERRCODE = '40P01'; END IF; RETURN NEW; END $$"
            ),
            format!(
                "CREATE TRIGGER {table}_undo BEFORE UPDATE ON {table} FOR EACH ROW
                 EXECUTE FUNCTION {table}_undo()"
            ),
        ]
    };
    for statement in script {
        place.execute(&statement).await;
    }
}

async fn what_the_server_has_undone_is_done_again(place: Place) {
    let store = place.store().await;
    insert(&store, &key(1), record(7, b"7")).await;
    undo_updates(&place, 2).await;
    assert!(is_done(&replace(&store, 7, 2).await.unwrap()));
    assert_eq!(load(&store, &key(1)).await, Some(marker(9)));
    assert_eq!(load(&store, &key(2)).await, Some(record(20, b"successor")));
}

async fn what_the_server_always_undoes_is_an_error(place: Place) {
    let store = place.store().await;
    insert(&store, &key(1), record(7, b"7")).await;
    undo_updates(&place, 1_000).await;
    assert_eq!(
        replace(&store, 7, 2).await.unwrap_err().kind(),
        ErrorKind::Store
    );
    assert_eq!(load(&store, &key(1)).await, Some(record(7, b"7")));
    assert_eq!(load(&store, &key(2)).await, None);
}

/// What is undone as often as a statement is tried was sent together, and is done when each is sent alone.
#[tokio::test(flavor = "multi_thread")]
async fn postgres_sends_alone_what_it_has_undone_together() {
    let Some(place) = place::postgres() else {
        return;
    };
    let store = Arc::new(place.store().await);
    insert_many(&store).await;
    // Two statements at once, each tried three times: of five failures one of them meets three, and two are left.
    undo_updates(&place, 5).await;
    for (number, saved) in save_at_once(&store).await {
        assert!(is_done(&saved.unwrap()), "{number}");
        assert_eq!(load(&store, &key(number)).await, Some(record(8, b"8")));
    }
}

/// Durable where the server would not be, and only what has to be.
#[tokio::test(flavor = "multi_thread")]
async fn postgres_flushes_what_is_durable_and_leaves_the_rest_to_the_server() {
    let Some(place) = place::postgres() else {
        return;
    };
    let table = &place.table;
    let store = place
        .with_parameter("options=-csynchronous_commit%3Doff")
        .store()
        .await;
    for statement in [
        format!("CREATE TABLE {table}_seen (number SERIAL, setting TEXT)"),
        format!(
            "CREATE FUNCTION {table}_see() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN
             INSERT INTO {table}_seen (setting) VALUES (current_setting('synchronous_commit'));
             RETURN NEW; END $$"
        ),
        format!(
            "CREATE TRIGGER {table}_see BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW
             EXECUTE FUNCTION {table}_see()"
        ),
    ] {
        place.execute(&statement).await;
    }
    insert(&store, &key(1), record(7, b"7")).await;
    assert!(is_done(&replace(&store, 7, 2).await.unwrap()));
    let seen = format!("SELECT string_agg(setting, ' ' ORDER BY number) FROM {table}_seen");
    assert_eq!(place.value(&seen).await.as_deref(), Some("off on on"));
}
