//! What happens when servers fail: errors in time, nothing resent, and all is well again by itself.

use std::{
    future::Future,
    io::{Read, Write as _},
    net::{Shutdown, TcpListener},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use arvel_session::{
    Error, ErrorKind, Result,
    store::{At, Expect, Kind, Record, RedisStore, Revision, SessionStore},
};
use tokio::time::{sleep, timeout};

use super::{
    calls::{self, at, fresh_key, load, save, session, write},
    servers::{Server, wait_for},
};

/// The deadline that the library puts on every call.
const DEADLINE: Duration = Duration::from_secs(2);

fn store(url: &str) -> RedisStore {
    RedisStore::new(url, "faults:").unwrap()
}

/// A call under the caller's deadline: it is dropped when that is over.
async fn within<T>(deadline: Duration, call: impl Future<Output = Result<T>>) -> Result<T> {
    match timeout(deadline, call).await {
        Ok(answer) => answer,
        Err(_) => Err(Error::new(
            ErrorKind::Timeout,
            "the caller's deadline is over",
        )),
    }
}

async fn works(store: &RedisStore) -> bool {
    let key = fresh_key(0);
    let saved = store.save(&key, Expect::Absent, write(session(1, b"probe")));
    within(DEADLINE, saved).await.is_ok()
        && within(DEADLINE, store.load(At::Key(&key)))
            .await
            .is_ok_and(|found| found.is_some())
}

/// Tries until both of the store's connections work.
async fn recovers(store: &RedisStore, limit: Duration) {
    let start = Instant::now();
    while !(works(store).await && works(store).await) {
        assert!(start.elapsed() < limit, "it does not recover");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_starts_before_the_server_and_recovers() {
    let Some(mut server) = Server::reserve(&[]) else {
        return;
    };
    let store = store(&server.url());
    for _ in 0..4 {
        let start = Instant::now();
        let error = store.load(At::Key(&fresh_key(0))).await.unwrap_err();
        assert!(error.is_unavailable());
        assert!(
            start.elapsed() < Duration::from_millis(500),
            "refused at once, told at once"
        );
    }
    server.start();
    assert!(
        works(&store).await,
        "the first call after the start finds it"
    );
    server.kill();
    let mut failed = false;
    for _ in 0..4 {
        failed |= !works(&store).await;
    }
    assert!(failed, "a dead server is an error");
    server.start();
    assert!(works(&store).await && works(&store).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_the_server_closes_are_replaced_before_the_next_call() {
    let Some(server) = Server::run(&[]) else {
        return;
    };
    let store = store(&server.url());
    recovers(&store, DEADLINE).await;
    for _ in 0..5 {
        server.ask(&["CLIENT", "KILL", "TYPE", "normal"]);
        sleep(Duration::from_millis(100)).await;
        let connected = server.ask(&["CLIENT", "LIST", "TYPE", "normal"]);
        // Two of ours and redis-cli itself.
        assert_eq!(connected.lines().count(), 3, "{connected}");
        assert!(works(&store).await && works(&store).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_the_server_forgot_is_sent_again() {
    let Some(server) = Server::run(&[]) else {
        return;
    };
    let store = store(&server.url());
    for _ in 0..2 {
        assert!(server.ask(&["SCRIPT", "FLUSH"]).contains("OK"));
        calls::all(&store).await;
    }
    server.ask(&["SCRIPT", "FLUSH"]);
    let key = fresh_key(0);
    save(&store, &key, Expect::Absent, &session(1, b""))
        .await
        .unwrap();
    assert_eq!(save(&store, &key, at(1), &session(2, b"")).await, Ok(()));
    server.ask(&["SCRIPT", "FLUSH"]);
    let gone = save(&store, &key, at(1), &session(3, b"")).await;
    assert_eq!(gone.unwrap_err().unwrap().revision.as_u64(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_is_noticed_and_used_again_when_it_is_back() {
    let Some(server) = Server::run(&[]) else {
        return;
    };
    let store = store(&server.url());
    let key = fresh_key(0);
    save(&store, &key, Expect::Absent, &session(1, b"kept"))
        .await
        .unwrap();
    assert!(works(&store).await && works(&store).await);
    server.signal("-STOP");
    for _ in 0..6 {
        let start = Instant::now();
        let answer = within(Duration::from_millis(300), store.load(At::Key(&key))).await;
        assert!(answer.unwrap_err().is_unavailable());
        assert!(start.elapsed() < Duration::from_millis(400));
    }
    server.signal("-CONT");
    recovers(&store, Duration::from_secs(5)).await;
    assert_eq!(load(&store, &key).await.unwrap().revision.as_u64(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_vanished_is_replaced_by_one_that_answers() {
    // The first connections are accepted, greeted, and never answered again; later ones reach a real server.
    let Some(server) = Server::run(&[]) else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let real = server.port;
    thread::spawn(move || {
        for (number, client) in listener.incoming().enumerate() {
            let (client, upstream) = (
                client.unwrap(),
                std::net::TcpStream::connect(("127.0.0.1", real)).unwrap(),
            );
            let (mut from, mut to) = (client.try_clone().unwrap(), upstream.try_clone().unwrap());
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                for turn in 0.. {
                    let Ok(read @ 1..) = from.read(&mut buffer) else {
                        break;
                    };
                    let vanished = number < 2 && turn > 0;
                    if !vanished && to.write_all(&buffer[..read]).is_err() {
                        break;
                    }
                }
            });
            let (mut from, mut to) = (upstream, client);
            thread::spawn(move || std::io::copy(&mut from, &mut to));
        }
    });
    let store = store(&format!("redis://127.0.0.1:{port}"));
    // A session's commands stay on one connection: these two have one each.
    for tag in 0..2 {
        let lost = within(
            Duration::from_millis(300),
            store.load(At::Key(&fresh_key(tag))),
        )
        .await;
        assert_eq!(lost.unwrap_err().kind(), ErrorKind::Timeout);
    }
    for _ in 0..4 {
        assert!(works(&store).await, "both connections have been replaced");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_are_dropped_leave_the_connection_whole() {
    let Some(server) = Server::run(&[]) else {
        return;
    };
    let store = Arc::new(store(&server.url()));
    recovers(&store, DEADLINE).await;
    let before = server.ask(&["INFO", "stats"]);
    let tasks = (0..8).map(|task| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for round in 0..200 {
                let (key, body) = (fresh_key(task), vec![round; 700]);
                save(&store, &key, Expect::Absent, &session(1, &body))
                    .await
                    .unwrap();
                // Given up at once, or somewhere between asking and the answer.
                let patience = Duration::from_micros(u64::from(round) * 5);
                let _ = timeout(patience, store.save(&key, at(1), write(session(2, &body)))).await;
                let _ = timeout(patience, store.load(At::Key(&key))).await;
                let found = load(&store, &key).await.unwrap();
                assert_eq!(found.body, body, "every answer goes to its own question");
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let connections = |info: String| {
        let line = info
            .lines()
            .find(|line| line.starts_with("total_connections_received"))
            .unwrap()
            .trim()
            .to_owned();
        line.rsplit_once(':').unwrap().1.parse::<u32>().unwrap()
    };
    let opened = connections(server.ask(&["INFO", "stats"])) - connections(before);
    assert_eq!(opened, 1, "redis-cli's own, and none of ours");
}

/// A server, or a whole cluster in one node, or a Sentinel that names itself, a replica, as the master. It greets, and
/// answers each further command with `answer`; with `None` it hangs up instead.
fn pretender(answer: Option<&'static str>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let port = address.port();
    let slots = format!("*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:{port}\r\n");
    let digits = port.to_string().len();
    let master = format!("*2\r\n$9\r\n127.0.0.1\r\n${digits}\r\n{port}\r\n");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    thread::spawn(move || {
        for client in listener.incoming() {
            let (mut client, log) = (client.unwrap(), Arc::clone(&log));
            let (slots, master) = (slots.clone(), master.clone());
            thread::spawn(move || {
                let mut buffer = [0; 65536];
                while let Ok(read @ 1..) = client.read(&mut buffer) {
                    let text = String::from_utf8_lossy(&buffer[..read]).into_owned();
                    let greetings = text.matches("SETINFO").count();
                    let answer = if greetings > 0 {
                        Some("+OK\r\n".repeat(greetings))
                    } else if text.contains("SLOTS") {
                        Some(slots.clone())
                    } else if text.contains("get-master-addr-by-name") {
                        Some(master.clone())
                    } else if text.contains("ROLE") {
                        Some("*1\r\n$5\r\nslave\r\n".to_owned())
                    } else {
                        log.lock().unwrap().push(text);
                        answer.map(str::to_owned)
                    };
                    let _ = match answer {
                        Some(answer) => client.write_all(answer.as_bytes()),
                        None => client.shutdown(Shutdown::Both),
                    };
                }
            });
        }
    });
    (format!("redis://{address}"), seen)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_whose_answer_is_lost_is_not_sent_again() {
    for scheme in ["redis:", "redis+cluster:"] {
        let (url, seen) = pretender(None);
        let store = store(&url.replace("redis:", scheme));
        let key = fresh_key(0);
        let saved = store.save(&key, at(1), write(session(2, b"once")));
        assert_eq!(saved.await.unwrap_err().kind(), ErrorKind::Store);
        let saved = store.save(&key, Expect::Absent, write(session(2, b"once")));
        assert_eq!(saved.await.unwrap_err().kind(), ErrorKind::Store);
        let touched = store.touch(&key, calls::now(), calls::now());
        assert!(touched.await.unwrap_err().is_unavailable());
        let loaded = store.load(At::Key(&key));
        assert!(loaded.await.unwrap_err().is_unavailable());
        sleep(Duration::from_millis(300)).await;
        let seen = seen.lock().unwrap();
        let count = |name: &str| seen.iter().filter(|text| text.contains(name)).count();
        let counts = (
            count("EVALSHA"),
            count("\r\nSET\r\n"),
            count("GET"),
            seen.len(),
        );
        assert_eq!(counts, (2, 1, 1, 4), "{scheme} {seen:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_errors_and_show_nothing() {
    for answer in [
        "-OOM command not allowed\r\n",
        "-LOADING dataset\r\n",
        "-READONLY replica\r\n",
        "+WHAT\r\n",
        "nonsense\r\n",
    ] {
        let (url, seen) = pretender(Some(answer));
        let store = store(&url);
        let key = fresh_key(0);
        let error = store.load(At::Key(&key)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Store, "{answer}");
        let saved = store.save(&key, at(1), write(session(1, b"hunter2")));
        let error = saved.await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
        assert_eq!(
            seen.lock().unwrap().len(),
            2,
            "{answer}: each was sent once"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_an_error_that_does_not_show_it() {
    let Some(server) = Server::run(&["requirepass right"]) else {
        return;
    };
    let port = server.port;
    for url in [
        format!("redis://:hunter2@127.0.0.1:{port}"),
        format!("redis://me:hunter2@127.0.0.1:{port}"),
        server.url(),
    ] {
        let store = store(&url);
        let error = store.load(At::Key(&fresh_key(0))).await.unwrap_err();
        assert!(error.is_unavailable());
        assert!(!format!("{error} {error:?} {store:?}").contains("hunter2"));
    }
    let right = store(&format!("redis://default:right@127.0.0.1:{port}/5"));
    assert!(works(&right).await);
    assert!(
        server
            .ask(&["-a", "right", "INFO", "keyspace"])
            .contains("db5:keys=1")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_nobody_trusts_is_refused() {
    let Some(mut server) = Server::reserve(&[]) else {
        return;
    };
    let port = server.serve_tls().to_string();
    server.start();
    let store = store(&format!("rediss://127.0.0.1:{port}"));
    let error = store.load(At::Key(&fresh_key(0))).await.unwrap_err();
    assert!(format!("{error:?}").contains("certificate"), "{error:?}");
}

#[test]
fn it_survives_the_runtime_that_it_was_first_used_on() {
    let Some(server) = Server::run(&[]) else {
        return;
    };
    let store = store(&server.url());
    for _ in 0..3 {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async { assert!(works(&store).await && works(&store).await) });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_a_sentinel_takes_for_the_master_gets_no_command() {
    let (url, seen) = pretender(Some("$-1\r\n"));
    let store = store(&format!(
        "{}/main",
        url.replace("redis:", "redis+sentinel:")
    ));
    let error = store.load(At::Key(&fresh_key(0))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store);
    assert!(seen.lock().unwrap().is_empty());
}

struct Sentinels {
    master: Server,
    replica: Server,
    watchers: Vec<Server>,
}

impl Sentinels {
    fn run() -> Option<Self> {
        let master = Server::run(&[])?;
        let replica = Server::run(&[&format!("replicaof 127.0.0.1 {}", master.port)])?;
        wait_for("the replica", || {
            replica
                .ask(&["INFO", "replication"])
                .contains("master_link_status:up")
        });
        let watch = format!("sentinel monitor main 127.0.0.1 {} 1", master.port);
        let settings = [
            watch.as_str(),
            "sentinel down-after-milliseconds main 500",
            "sentinel failover-timeout main 2000",
        ];
        let watchers = vec![Server::run(&settings)?];
        wait_for("the Sentinel", || {
            watchers[0]
                .ask(&["SENTINEL", "replicas", "main"])
                .contains(&replica.port.to_string())
        });
        Some(Self {
            master,
            replica,
            watchers,
        })
    }

    /// The URL names a dead Sentinel first.
    fn store(&self) -> RedisStore {
        let dead = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        store(&format!(
            "redis+sentinel://{dead},127.0.0.1:{}/main",
            self.watchers[0].port
        ))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_is_followed() {
    let Some(servers) = Sentinels::run() else {
        return;
    };
    let store = servers.store();
    let key = fresh_key(0);
    save(&store, &key, Expect::Absent, &session(1, b"kept"))
        .await
        .unwrap();
    assert!(works(&store).await);
    wait_for("the copied key", || servers.replica.ask(&["DBSIZE"]) != "0");
    wait_for("a replica that the Sentinel has looked at", || {
        servers.watchers[0].ask(&["SENTINEL", "FAILOVER", "main"]) == "OK"
    });
    wait_for("the promotion", || {
        servers.replica.ask(&["ROLE"]).starts_with("master")
    });
    wait_for("the demotion", || {
        servers.master.ask(&["ROLE"]).starts_with("slave")
    });
    recovers(&store, Duration::from_secs(5)).await;
    assert_eq!(
        save(&store, &key, at(1), &session(2, b"after")).await,
        Ok(())
    );
    let name = format!("faults:{{0000}}{}", key.hex());
    let there = servers.replica.ask(&["GETRANGE", &name, "18", "-1"]);
    assert_eq!(there, "after", "written at the new master");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_was_demoted_behind_our_back_is_left() {
    let Some(servers) = Sentinels::run() else {
        return;
    };
    let store = store(&servers.master.url());
    assert!(works(&store).await && works(&store).await);
    // No connection is cut, as `SENTINEL FAILOVER` would do; only the answer READONLY tells.
    let port = servers.replica.port.to_string();
    servers.master.ask(&["REPLICAOF", "127.0.0.1", &port]);
    let before = servers.master.ask(&["INFO", "stats"]);
    let refused = store
        .save(&fresh_key(0), Expect::Absent, write(session(1, b"")))
        .await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Store);
    sleep(Duration::from_millis(200)).await;
    let opened = |info: &str| {
        let line = info
            .lines()
            .find(|line| line.starts_with("total_connections"))
            .unwrap()
            .to_owned();
        line.trim()
            .rsplit_once(':')
            .unwrap()
            .1
            .parse::<u32>()
            .unwrap()
    };
    let after = servers.master.ask(&["INFO", "stats"]);
    assert_eq!(
        opened(&after) - opened(&before),
        2,
        "redis-cli's and a new one of ours"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_master_is_replaced_by_the_one_that_the_sentinel_promotes() {
    let Some(mut servers) = Sentinels::run() else {
        return;
    };
    let store = servers.store();
    assert!(works(&store).await && works(&store).await);
    servers.master.kill();
    recovers(&store, Duration::from_secs(15)).await;
    assert!(servers.replica.ask(&["ROLE"]).starts_with("master"));
}

struct Nodes(Vec<Server>);

impl Nodes {
    /// Three masters, a third of the slots each.
    fn run() -> Option<Self> {
        let settings = [
            "cluster-enabled yes",
            "cluster-node-timeout 1000",
            "cluster-require-full-coverage no",
        ];
        let nodes = (0..3)
            .map(|_| Server::run(&settings))
            .collect::<Option<Vec<_>>>()?;
        for (node, (first, last)) in
            nodes
                .iter()
                .zip([("0", "5460"), ("5461", "10922"), ("10923", "16383")])
        {
            node.ask(&["CLUSTER", "ADDSLOTSRANGE", first, last]);
            node.ask(&["CLUSTER", "MEET", "127.0.0.1", &nodes[0].port.to_string()]);
        }
        for node in &nodes {
            wait_for("the cluster", || {
                let info = node.ask(&["CLUSTER", "INFO"]);
                info.contains("cluster_state:ok") && info.contains("cluster_slots_ok:16384")
            });
        }
        Some(Self(nodes))
    }

    /// A store that knows only the first node.
    fn store(&self) -> RedisStore {
        store(&format!("redis+cluster://127.0.0.1:{}", self.0[0].port))
    }

    fn id(&self, node: usize) -> String {
        self.0[node].ask(&["CLUSTER", "MYID"])
    }

    /// The slot of the tag `0000`, and the nodes that serves it and another.
    fn slot_and_nodes(&self) -> (String, usize, usize) {
        let slot = self.0[0].ask(&["CLUSTER", "KEYSLOT", "{0000}"]);
        let owner = slot.parse::<usize>().unwrap() / 5461;
        (slot, owner, (owner + 1) % 3)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_learned_from_one_node_and_forgets_scripts_one_by_one() {
    let Some(nodes) = Nodes::run() else { return };
    let store = nodes.store();
    calls::all(&store).await;
    for node in &nodes.0 {
        node.ask(&["SCRIPT", "FLUSH"]);
    }
    calls::all(&store).await;
    for node in &nodes.0 {
        assert_ne!(node.ask(&["DBSIZE"]), "0", "the sessions are spread");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_moves_is_followed() {
    let Some(nodes) = Nodes::run() else { return };
    let store = nodes.store();
    let (slot, from, to) = nodes.slot_and_nodes();
    let (here, there) = (nodes.id(from), nodes.id(to));
    let (stays, moves) = (fresh_key(0), fresh_key(0));
    for key in [&stays, &moves] {
        save(&store, key, Expect::Absent, &session(1, b"moving"))
            .await
            .unwrap();
    }
    // The slot is on its way: one key is here, one there (ASK).
    nodes.0[to].ask(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &here]);
    nodes.0[from].ask(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &there]);
    let name = format!("faults:{{0000}}{}", moves.hex());
    let target = nodes.0[to].port.to_string();
    let moved = nodes.0[from].ask(&["MIGRATE", "127.0.0.1", &target, &name, "0", "1000"]);
    assert_eq!(moved, "OK");
    for key in [&stays, &moves] {
        assert_eq!(load(&store, key).await.unwrap().body, "moving");
        assert_eq!(
            save(&store, key, at(1), &session(2, b"moved")).await,
            Ok(())
        );
        store
            .touch(key, calls::now().after(DEADLINE * 100), calls::now())
            .await
            .unwrap();
    }
    // A replace of a key that is here by one that is nowhere can be served by no node, and does nothing.
    let marker = Record::new(Kind::Destroyed, Revision::from_u64(9), calls::now(), "");
    let successor = write(session(9, b""));
    let unsettled = store.replace(
        &stays,
        Revision::from_u64(2),
        marker,
        &fresh_key(0),
        successor,
    );
    assert!(unsettled.await.unwrap_err().is_unavailable());
    // The slot has arrived (MOVED).
    let name = format!("faults:{{0000}}{}", stays.hex());
    nodes.0[from].ask(&["MIGRATE", "127.0.0.1", &target, &name, "0", "1000"]);
    for node in [to, from] {
        nodes.0[node].ask(&["CLUSTER", "SETSLOT", &slot, "NODE", &there]);
    }
    for key in [&stays, &moves] {
        assert_eq!(load(&store, key).await.unwrap().body, "moved");
        assert_eq!(
            save(&store, key, at(2), &session(3, b"there")).await,
            Ok(())
        );
    }
    calls::all(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_promoted_is_found() {
    let Some(mut nodes) = Nodes::run() else {
        return;
    };
    let (_, owner, _) = nodes.slot_and_nodes();
    let Some(replica) = Server::run(&["cluster-enabled yes", "cluster-node-timeout 1000"]) else {
        return;
    };
    let entry = nodes.0[0].port.to_string();
    replica.ask(&["CLUSTER", "MEET", "127.0.0.1", &entry]);
    let master = nodes.id(owner);
    wait_for("the replica", || {
        replica.ask(&["CLUSTER", "REPLICATE", &master]) == "OK"
    });
    wait_for("the copy", || {
        replica
            .ask(&["INFO", "replication"])
            .contains("master_link_status:up")
    });
    let store = nodes.store();
    let key = fresh_key(0);
    save(&store, &key, Expect::Absent, &session(1, b"kept"))
        .await
        .unwrap();
    assert!(works(&store).await);
    wait_for("the copied key", || replica.ask(&["DBSIZE"]) != "0");
    nodes.0[owner].kill();
    recovers(&store, Duration::from_secs(20)).await;
    assert_eq!(
        save(&store, &key, at(1), &session(2, b"after")).await,
        Ok(())
    );
}
