//! Redis in the four ways that the driver knows: one node (TCP and a unix socket), TLS, Sentinel and Cluster.

use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use super::tls::Certificates;
use super::{LIMIT, Server, Variables, command, folder_for, free_ports};
use crate::error::{Context, Result};
use crate::guard::Guard;
use crate::process;

/// One node, over TCP and over a unix socket.
pub(super) fn start_single(guard: &Guard) -> Result<Variables> {
    let [port] = free_ports()?;
    let folder = folder_for(guard, "redis", None)?;
    let socket = folder.join("redis.sock").display().to_string();
    node(
        guard,
        "redis",
        &folder,
        &["--port", &port.to_string(), "--unixsocket", &socket],
    )?
    .wait_until(|| answers(&["-p", &port.to_string()], "ping", "PONG"))?;
    Ok(vec![
        ("ARVEL_TEST_REDIS", format!("redis://127.0.0.1:{port}")),
        ("ARVEL_TEST_REDIS_UNIX", format!("redis+unix://{socket}")),
    ])
}

/// One node that speaks TLS alone, under a certificate authority made for this run.
pub(super) fn start_tls(guard: &Guard) -> Result<Variables> {
    let [port] = free_ports()?;
    let folder = folder_for(guard, "redis-tls", None)?;
    let files = Certificates::make(&folder)?;
    let [authority, certificate, key] =
        [&files.authority, &files.certificate, &files.key].map(|file| file.display().to_string());
    let port = port.to_string();
    let tls = [
        "--port",
        "0",
        "--tls-port",
        &port,
        "--tls-auth-clients",
        "no",
    ];
    let with = [
        "--tls-ca-cert-file",
        &authority,
        "--tls-cert-file",
        &certificate,
        "--tls-key-file",
        &key,
    ];
    node(guard, "redis-tls", &folder, &[&tls[..], &with].concat())?.wait_until(|| {
        answers(
            &["-p", &port, "--tls", "--cacert", &authority],
            "ping",
            "PONG",
        )
    })?;
    Ok(vec![
        ("ARVEL_TEST_REDIS_TLS", format!("rediss://127.0.0.1:{port}")),
        ("SSL_CERT_FILE", files.trusted.display().to_string()),
    ])
}

/// A master, two replicas and three sentinels that watch them.
pub(super) fn start_sentinel(guard: &Guard) -> Result<Variables> {
    let [master, first, second, sentinels @ ..] = free_ports::<6>()?.map(|port| port.to_string());
    for port in [&master, &first, &second] {
        let name = format!("redis-replicated-{port}");
        let folder = folder_for(guard, &name, None)?;
        let follow = ["--replicaof", "127.0.0.1", &master];
        let follow = if *port == master {
            &follow[..0]
        } else {
            &follow[..]
        };
        node(
            guard,
            &name,
            &folder,
            &[&["--port", port, "--repl-diskless-sync-delay", "0"], follow].concat(),
        )?
        .wait_until(|| answers(&["-p", port], "ping", "PONG"))?;
    }
    process::wait_until("the Redis replicas", LIMIT, || {
        Ok(answers(&["-p", &master], "info replication", "slave1:")
            && in_sync(&first)
            && in_sync(&second))
    })?;
    for port in &sentinels {
        sentinel(guard, port, &master)?;
    }
    process::wait_until("the Redis sentinels", LIMIT, || {
        let knows = |port: &String| {
            let line = ask(&["-p", port], &["info", "sentinel"]);
            line.contains("slaves=2,sentinels=3")
        };
        Ok(sentinels.iter().all(knows))
    })?;
    Ok(vec![(
        "ARVEL_TEST_REDIS_SENTINEL",
        format!("redis+sentinel://{}/mymaster", addresses(&sentinels)),
    )])
}

/// Three masters, each with a replica.
pub(super) fn start_cluster(guard: &Guard) -> Result<Variables> {
    let ports = free_ports::<12>()?.map(|port| port.to_string());
    let (nodes, buses) = ports.split_at(6);
    let mut members = Vec::new();
    for (port, bus) in nodes.iter().zip(buses) {
        let name = format!("redis-cluster-{port}");
        let folder = folder_for(guard, &name, None)?;
        let cluster = [
            "--cluster-enabled",
            "yes",
            "--cluster-port",
            bus,
            "--cluster-node-timeout",
            "2000",
        ];
        let start = [
            &["--port", port, "--repl-diskless-sync-delay", "0"],
            &cluster[..],
        ]
        .concat();
        node(guard, &name, &folder, &start)?
            .wait_until(|| answers(&["-p", port], "ping", "PONG"))?;
        members.push(format!("127.0.0.1:{port}@{bus}"));
    }
    let mut create = Command::new("redis-cli");
    create.args(["--cluster", "create"]).args(members).args([
        "--cluster-replicas",
        "1",
        "--cluster-yes",
    ]);
    process::output(&mut create)?;
    process::wait_until("the Redis cluster", LIMIT, || {
        let knows = |port: &String| answers(&["-p", port], "cluster info", "cluster_state:ok");
        Ok(nodes.iter().all(knows))
    })?;
    Ok(vec![(
        "ARVEL_TEST_REDIS_CLUSTER",
        format!("redis+cluster://{}", addresses(&nodes[..3])),
    )])
}

/// A Redis that keeps everything in memory.
fn node(guard: &Guard, name: &str, folder: &Path, arguments: &[&str]) -> Result<Server> {
    let mut command = command(&process::need("redis-server")?, folder, None);
    command
        .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
        .args(arguments);
    Server::start(guard, name, &mut command, Signal::TERM)
}

/// A sentinel, quick enough for tests. It writes what it learns into its configuration.
fn sentinel(guard: &Guard, port: &str, master: &str) -> Result<()> {
    let name = format!("redis-sentinel-{port}");
    let folder = folder_for(guard, &name, None)?;
    let configuration = format!(
        "port {port}\nbind 127.0.0.1\n\
         sentinel monitor mymaster 127.0.0.1 {master} 2\n\
         sentinel down-after-milliseconds mymaster 1000\n\
         sentinel failover-timeout mymaster 3000\n"
    );
    std::fs::write(folder.join("sentinel.conf"), configuration).context("writing sentinel.conf")?;
    let mut command = command(&process::need("redis-server")?, &folder, None);
    Server::start(
        guard,
        &name,
        command.args(["sentinel.conf", "--sentinel"]),
        Signal::TERM,
    )?
    .wait_until(|| answers(&["-p", port], "ping", "PONG"))
}

fn in_sync(replica: &str) -> bool {
    answers(
        &["-p", replica],
        "info replication",
        "master_link_status:up",
    )
}

fn answers(connection: &[&str], question: &str, answer: &str) -> bool {
    ask(connection, &question.split(' ').collect::<Vec<_>>()).contains(answer)
}

/// What a Redis answers; nothing, while it cannot be asked.
fn ask(connection: &[&str], question: &[&str]) -> String {
    process::output(Command::new("redis-cli").args(connection).args(question)).unwrap_or_default()
}

fn addresses(ports: &[String]) -> String {
    ports
        .iter()
        .map(|port| format!("127.0.0.1:{port}"))
        .collect::<Vec<_>>()
        .join(",")
}
