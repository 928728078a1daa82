//! Stores that are down, silent, locked or full: 503 in time, nothing is lost, and all is well again by itself.

use std::{
    fs,
    time::{Duration, Instant},
};

use axum::http::StatusCode;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::{
    held::Held,
    on,
    playground::{Answer, Playground, Visitor},
    servers::Server,
    stores::{self, KEY, Store},
    wire::{State, Wire},
};

/// The setting `timeout` of these playgrounds.
const DEADLINE: Duration = Duration::from_secs(1);
/// What a busy machine may take on top of it.
const SLACK: Duration = Duration::from_millis(1500);
const PATIENCE: Duration = Duration::from_secs(20);

on! { [redis redis_tls postgres mariadb]
    a_server_that_is_cut_off_loses_nothing
    a_server_that_falls_silent_loses_nothing
}

/// A visitor with a session, on a playground whose way to the store can break.
struct Scene {
    playground: Playground,
    visitor: Visitor,
}

impl Scene {
    async fn new(playground: Playground) -> Self {
        let visitor = playground.visitor();
        let ops = json!([
            ["put", "user", "Ada"],
            ["put", "n", 1],
            ["flash", "status", "Hi"]
        ]);
        visitor.ops(ops).await;
        Self {
            playground,
            visitor,
        }
    }

    /// Nothing works that needs the store, and everything else does.
    async fn is_down(&self) {
        let before = self.visitor.cookies();
        for ops in [
            json!([["all"]]),
            json!([["put", "user", "nobody"], ["flush"]]),
            json!([["regenerate"]]),
            json!([["invalidate"]]),
        ] {
            self.unavailable(&self.visitor, &ops).await;
        }
        assert_eq!(self.visitor.cookies(), before);
        // A visitor without a cookie, who asks nothing of the store.
        let stranger = self.playground.visitor();
        for path in ["/plain", "/"] {
            let answer = stranger.get(path).await;
            assert_eq!(
                (answer.status, answer.set_cookie()),
                (StatusCode::OK, None),
                "{path}"
            );
        }
        assert_eq!(stranger.all().await, json!({}));
        self.unavailable(&stranger, &json!([["put", "k", 1]])).await;
        let health = stranger.get("/health").await;
        assert_eq!(health.status, StatusCode::SERVICE_UNAVAILABLE);
    }

    /// 503 within the deadline, the cookie is left alone, and no success is shown.
    async fn unavailable(&self, visitor: &Visitor, ops: &Value) -> Answer {
        let began = Instant::now();
        let answer = visitor.post(&json!({ "ops": ops }).to_string()).await;
        assert_eq!(
            answer.status,
            StatusCode::SERVICE_UNAVAILABLE,
            "{ops}: {}",
            answer.text()
        );
        assert!(
            began.elapsed() < DEADLINE + SLACK,
            "{ops}: {:?}",
            began.elapsed()
        );
        assert_eq!(answer.set_cookie(), None, "{ops}");
        assert!(!answer.text().contains("results"), "{ops}");
        answer
    }

    /// The session is as it was, in the same process, and can be changed.
    async fn is_back(&self) {
        self.recovers().await;
        let all = json!({ "user": "Ada", "n": 1, "status": "Hi" });
        assert_eq!(
            self.visitor.all().await,
            all,
            "flash too: nobody has seen it"
        );
        self.works().await;
    }

    /// Asked by others, so that this session is not touched meanwhile.
    async fn recovers(&self) {
        let began = Instant::now();
        // A store has several connections, for several purposes, which come back one by one.
        let mut in_a_row = 0;
        while in_a_row < 5 {
            let is_well = self.serves_a_newcomer().await;
            in_a_row = if is_well { in_a_row + 1 } else { 0 };
            assert!(began.elapsed() < PATIENCE, "it does not recover");
            if !is_well {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    async fn serves_a_newcomer(&self) -> bool {
        let newcomer = self.playground.visitor();
        for ops in [
            json!([["put", "k", 1]]),
            json!([["regenerate"]]),
            json!([["get", "k"]]),
        ] {
            let answer = newcomer.post(&json!({ "ops": ops }).to_string()).await;
            if answer.status != StatusCode::OK {
                return false;
            }
        }
        true
    }

    async fn works(&self) {
        let n = self.visitor.ops(json!([["get", "n"]])).await[0]
            .as_i64()
            .unwrap();
        self.visitor
            .ops(json!([["increment", "n"], ["regenerate"]]))
            .await;
        assert_eq!(self.visitor.ops(json!([["get", "n"]])).await[0], n + 1);
        let newcomer = self.playground.visitor();
        newcomer.ops(json!([["put", "k", 1]])).await;
        assert_eq!(newcomer.all().await, json!({ "k": 1 }));
    }
}

fn in_haste(store: &mut Store) {
    store.set("SESSION_TIMEOUT", "1");
}

/// Puts a wire between this store and its server.
async fn wired(store: &mut Store) -> Wire {
    in_haste(store);
    let setting = match store.setting("SESSION_DRIVER") {
        "redis" => "SESSION_REDIS_URL",
        _ => "SESSION_DATABASE_URL",
    };
    let url = store.setting(setting).to_owned();
    let (_, rest) = url.split_once("://").unwrap();
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    let server = rest.split('/').next().unwrap();
    let wire = Wire::to(server.to_owned()).await;
    store.set(setting, &url.replace(server, &wire.address));
    wire
}

async fn a_server_that_is_cut_off_loses_nothing(mut store: Store) {
    let wire = wired(&mut store).await;
    let scene = Scene::new(store.start()).await;
    wire.set(State::Cut);
    scene.is_down().await;
    wire.set(State::Open);
    scene.is_back().await;
    lost_in_the_commit(&scene, || wire.set(State::Cut), || wire.set(State::Open)).await;
}

async fn a_server_that_falls_silent_loses_nothing(mut store: Store) {
    let wire = wired(&mut store).await;
    let scene = Scene::new(store.start()).await;
    wire.set(State::Silent);
    scene.is_down().await;
    wire.set(State::Open);
    scene.is_back().await;
    lost_in_the_commit(&scene, || wire.set(State::Silent), || wire.set(State::Open)).await;
}

/// A store that fails between the load and the commit: the handler's success is not shown, and what it wrote took effect
/// once or not at all.
async fn lost_in_the_commit(scene: &Scene, fail: impl Fn(), heal: impl Fn()) {
    scene
        .visitor
        .ops(json!([["put", "n", 1], ["put", "other", 1]]))
        .await;
    let before = scene.visitor.cookies();
    let mut held = Held::begin(&scene.visitor);
    fail();
    held.run(
        &json!([["increment", "n"], ["flash", "status", "Done"]]),
        Duration::ZERO,
    );
    let late = held.end();
    assert_eq!(late.status, 503, "{late:?}");
    assert!(!late.sets_a_cookie(), "{late:?}");
    assert!(!late.body.contains("results"), "{late:?}");
    heal();
    scene.recovers().await;
    assert_eq!(scene.visitor.cookies(), before);
    let left = scene
        .visitor
        .ops(json!([["get", "n"], ["get", "other"]]))
        .await;
    assert!([json!([1, 1]), json!([2, 1])].contains(&left), "{left}");
    scene.works().await;
}

/// One that keeps what it has when it is killed.
fn durable_redis() -> Option<Server> {
    Server::run(&["appendonly yes", "appendfsync always"])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_stopped_or_killed_loses_nothing() {
    let Some(mut server) = durable_redis() else {
        return;
    };
    let mut store = stores::redis_at(&server.url());
    in_haste(&mut store);
    let scene = Scene::new(store.start()).await;
    server.signal("-STOP");
    scene.is_down().await;
    server.signal("-CONT");
    scene.recovers().await;
    // What was sent to a server that only slept, and answered with 503, may have been done: once at most.
    let all = scene.visitor.all().await;
    assert_eq!(
        all,
        json!({ "user": "Ada", "n": 1, "status": "Hi" }),
        "no load, no commit"
    );
    lost_in_the_commit(&scene, || server.signal("-STOP"), || server.signal("-CONT")).await;

    let scene = Scene::new(store.start()).await;
    server.kill();
    scene.is_down().await;
    server.start();
    scene.is_back().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_full_or_takes_no_writes_loses_nothing() {
    let Some(server) = durable_redis() else {
        return;
    };
    let mut store = stores::redis_at(&server.url());
    in_haste(&mut store);
    let scene = Scene::new(store.start()).await;
    for (broken, healed) in [
        (
            ["CONFIG", "SET", "maxmemory", "1"],
            ["CONFIG", "SET", "maxmemory", "0"],
        ),
        (
            ["CONFIG", "SET", "min-replicas-to-write", "1"],
            ["CONFIG", "SET", "min-replicas-to-write", "0"],
        ),
    ] {
        assert_eq!(server.ask(&broken), "OK");
        takes_no_writes(&scene).await;
        assert_eq!(server.ask(&healed), "OK");
    }
    scene.works().await;
}

/// Reads work, writes are 503, and what there was is kept. A request that only uses up flash is served.
async fn takes_no_writes(scene: &Scene) {
    let user = || json!([["get", "user"], ["get", "n"]]);
    let before = scene.visitor.ops(user()).await;
    assert_eq!(before[0], "Ada");
    for ops in [
        json!([["put", "user", "nobody"]]),
        json!([["increment", "n"]]),
        json!([["regenerate"]]),
        json!([["invalidate"]]),
    ] {
        scene.unavailable(&scene.visitor, &ops).await;
        assert_eq!(scene.visitor.ops(user()).await, before, "{ops}");
    }
    let stranger = scene.playground.visitor();
    scene
        .unavailable(&stranger, &json!([["put", "k", 1]]))
        .await;
    assert_eq!(stranger.get("/plain").await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_listens_there() {
    let elsewhere = stores::memory().await.unwrap().start();
    let known = elsewhere.visitor();
    known.ops(json!([["put", "user", "Ada"]])).await;
    // Nobody listens on ports 1 to 3.
    for (driver, setting, url) in [
        ("redis", "SESSION_REDIS_URL", "redis://127.0.0.1:1"),
        ("redis", "SESSION_REDIS_URL", "rediss://127.0.0.1:1"),
        (
            "redis",
            "SESSION_REDIS_URL",
            "redis+unix:///nowhere/redis.sock",
        ),
        (
            "redis",
            "SESSION_REDIS_URL",
            "redis+sentinel://127.0.0.1:1,127.0.0.1:2,127.0.0.1:3/mymaster",
        ),
        (
            "redis",
            "SESSION_REDIS_URL",
            "redis+cluster://127.0.0.1:1,127.0.0.1:2,127.0.0.1:3",
        ),
        (
            "database",
            "SESSION_DATABASE_URL",
            "postgres://u:p@127.0.0.1:1/d",
        ),
        (
            "database",
            "SESSION_DATABASE_URL",
            "mysql://u:p@127.0.0.1:1/d",
        ),
        (
            "database",
            "SESSION_DATABASE_URL",
            "sqlite:/nowhere/sessions.db",
        ),
    ] {
        let settings = [
            KEY,
            ("SESSION_DRIVER", driver),
            (setting, url),
            ("SESSION_TIMEOUT", "1"),
        ];
        let playground = Playground::start(&settings);
        let visitor = known.moved_to(&playground.url);
        Scene {
            playground,
            visitor,
        }
        .is_down()
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_missing_is_a_503_until_it_is_made() {
    for store in [
        stores::sqlite().await,
        stores::postgres().await,
        stores::mariadb().await,
    ] {
        let Some(mut store) = store else { continue };
        in_haste(&mut store);
        let table = store.table().table.clone();
        let rename = |from: &str, to: &str| format!("ALTER TABLE {from} RENAME TO {to}");
        let scene = Scene::new(store.start()).await;
        store.table().execute(&rename(&table, "away_e2e")).await;
        scene.is_down().await;
        store.table().execute(&rename("away_e2e", &table)).await;
        scene.is_back().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_sqlite_file_is_a_503_for_writers() {
    let mut store = stores::sqlite().await.unwrap();
    in_haste(&mut store);
    let scene = Scene::new(store.start()).await;
    let stranger = Connection::open(store.table().path()).unwrap();
    stranger.execute_batch("BEGIN EXCLUSIVE").unwrap();
    takes_no_writes(&scene).await;
    stranger.execute_batch("ROLLBACK").unwrap();
    scene.works().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sqlite_file_that_is_locked_for_readers_too_is_a_503() {
    let mut store = stores::sqlite().await.unwrap();
    in_haste(&mut store);
    let visitor = Scene::new(store.start()).await.visitor;
    // Without the shared memory of the write-ahead log nobody else can even read.
    let stranger = Connection::open(store.table().path()).unwrap();
    let lock = "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE";
    stranger.execute_batch(lock).unwrap();
    let playground = store.start();
    let visitor = visitor.moved_to(&playground.url);
    let scene = Scene {
        playground,
        visitor,
    };
    scene.is_down().await;
    drop(stranger);
    scene.is_back().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_is_a_503_for_writers() {
    for store in [stores::file().await, stores::sqlite().await] {
        let mut store = store.unwrap();
        in_haste(&mut store);
        let scene = Scene::new(Playground::start_on_a_small_disk(&store.settings())).await;
        // The flash is used up, since nothing could note that now.
        scene.visitor.ops(json!([])).await;
        scene.playground.limit_files("1");
        takes_no_writes(&scene).await;
        scene.playground.limit_files("unlimited");
        scene.works().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_gone_is_a_503_until_it_is_back() {
    let mut store = stores::file().await.unwrap();
    in_haste(&mut store);
    let scene = Scene::new(store.start()).await;
    let away = store.folder().with_extension("away");
    fs::rename(store.folder(), &away).unwrap();
    scene.is_down().await;
    assert!(!store.folder().exists(), "it is not made anew");
    fs::rename(&away, store.folder()).unwrap();
    scene.is_back().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_read_is_a_503() {
    let mut store = stores::file().await.unwrap();
    in_haste(&mut store);
    let scene = Scene::new(store.start()).await;
    // In the place of the sub-folders, since a superuser may read whatever is forbidden.
    let moved: Vec<_> = fs::read_dir(store.folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    for path in &moved {
        fs::rename(path, path.with_extension("away")).unwrap();
        fs::write(path, "not a folder").unwrap();
    }
    for ops in [json!([["all"]]), json!([["put", "user", "nobody"]])] {
        scene.unavailable(&scene.visitor, &ops).await;
    }
    for path in &moved {
        fs::remove_file(path).unwrap();
        fs::rename(path.with_extension("away"), path).unwrap();
    }
    scene.is_back().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_in_the_master_s_place_takes_no_writes() {
    // What a client finds that was not told of a failover.
    let Some(master) = durable_redis() else {
        return;
    };
    let mut store = stores::redis_at(&master.url());
    in_haste(&mut store);
    let scene = Scene::new(store.start()).await;
    assert_eq!(
        master.ask(&["CONFIG", "SET", "replica-serve-stale-data", "yes"]),
        "OK"
    );
    assert_eq!(master.ask(&["REPLICAOF", "127.0.0.1", "1"]), "OK");
    takes_no_writes(&scene).await;
    assert_eq!(master.ask(&["REPLICAOF", "NO", "ONE"]), "OK");
    scene.recovers().await;
    scene.works().await;
}
