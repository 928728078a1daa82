//! Redis in the four ways that the driver knows: one node (TCP and a unix socket), TLS, Sentinel and Cluster.

use std::process::Command;

use rustix::process::Signal;

use super::tls::Certificates;
use super::{LIMIT, Server, Variables, command, folder_for, free_port};
use crate::error::{Context, Result};
use crate::guard::Guard;
use crate::process;

/// How each node starts but for sentinels: nothing is kept on disk, and a replica need not wait for others to join it.
const NODE: &str = "bind 127.0.0.1\nsave \"\"\nappendonly no\nrepl-diskless-sync-delay 0\n";

/// One node, over TCP and over a unix socket.
pub(super) fn start_single(guard: &Guard) -> Result<Variables> {
    let port = free_port()?;
    let socket = guard.folder().join("redis.sock").display().to_string();
    Node::on(port).start(
        guard,
        &format!("{NODE}port {port}\nunixsocket \"{socket}\"\n"),
        &[],
    )?;
    Ok(vec![
        ("ARVEL_TEST_REDIS", format!("redis://127.0.0.1:{port}")),
        ("ARVEL_TEST_REDIS_UNIX", format!("redis+unix://{socket}")),
    ])
}

/// One node that speaks TLS alone, under a certificate authority made for this run.
pub(super) fn start_tls(guard: &Guard) -> Result<Variables> {
    let files = Certificates::make(&folder_for(guard, "certificates", None)?)?;
    let [authority, certificate, key, trusted] =
        [files.authority, files.certificate, files.key, files.trusted]
            .map(|file| file.display().to_string());
    let port = free_port()?;
    let configuration = format!(
        "{NODE}port 0\ntls-port {port}\ntls-auth-clients no\n\
         tls-ca-cert-file \"{authority}\"\ntls-cert-file \"{certificate}\"\ntls-key-file \"{key}\"\n"
    );
    let node = Node {
        port,
        options: vec!["--tls".to_owned(), "--cacert".to_owned(), authority],
    };
    node.start(guard, &configuration, &[])?;
    Ok(vec![
        ("ARVEL_TEST_REDIS_TLS", format!("rediss://127.0.0.1:{port}")),
        ("SSL_CERT_FILE", trusted),
    ])
}

/// A master, two replicas and three sentinels that watch them.
pub(super) fn start_sentinel(guard: &Guard) -> Result<Variables> {
    let master = node(guard, "")?;
    let follow = format!("replicaof 127.0.0.1 {}\n", master.port);
    let replicas = [node(guard, &follow)?, node(guard, &follow)?];
    process::wait_until("the Redis replicas", LIMIT, || {
        let in_sync =
            |replica: &Node| replica.answers(&["info", "replication"], "master_link_status:up");
        Ok(
            master.answers(&["info", "replication"], "connected_slaves:2")
                && replicas.iter().all(in_sync),
        )
    })?;
    let sentinels = [
        sentinel(guard, &master)?,
        sentinel(guard, &master)?,
        sentinel(guard, &master)?,
    ];
    process::wait_until("the Redis sentinels", LIMIT, || {
        let knows_all =
            |sentinel: &Node| sentinel.answers(&["info", "sentinel"], "slaves=2,sentinels=3");
        Ok(sentinels.iter().all(knows_all))
    })?;
    Ok(vec![(
        "ARVEL_TEST_REDIS_SENTINEL",
        format!("redis+sentinel://{}/mymaster", addresses(&sentinels)),
    )])
}

/// Three masters, each with a replica.
pub(super) fn start_cluster(guard: &Guard) -> Result<Variables> {
    let mut nodes = Vec::new();
    let mut members = Vec::new();
    for _ in 0..6 {
        // The usual bus port, 10000 above the node's own, may be taken.
        let bus = free_port()?;
        let node = node(
            guard,
            &format!("cluster-enabled yes\ncluster-port {bus}\ncluster-node-timeout 2000\n"),
        )?;
        members.push(format!("127.0.0.1:{}@{bus}", node.port));
        nodes.push(node);
    }
    let mut create = Command::new("redis-cli");
    create.args(["--cluster", "create"]).args(members).args([
        "--cluster-replicas",
        "1",
        "--cluster-yes",
    ]);
    process::output(&mut create)?;
    process::wait_until("the Redis cluster", LIMIT, || {
        Ok(nodes
            .iter()
            .all(|node| node.answers(&["cluster", "info"], "cluster_state:ok")))
    })?;
    Ok(vec![(
        "ARVEL_TEST_REDIS_CLUSTER",
        format!("redis+cluster://{}", addresses(&nodes[..3])),
    )])
}

fn node(guard: &Guard, configuration: &str) -> Result<Node> {
    let port = free_port()?;
    Node::on(port).start(guard, &format!("{NODE}port {port}\n{configuration}"), &[])
}

/// A sentinel, quick enough for tests.
fn sentinel(guard: &Guard, master: &Node) -> Result<Node> {
    let port = free_port()?;
    let configuration = format!(
        "bind 127.0.0.1\nport {port}\n\
         sentinel monitor mymaster 127.0.0.1 {} 2\n\
         sentinel down-after-milliseconds mymaster 1000\n\
         sentinel failover-timeout mymaster 3000\n",
        master.port
    );
    Node::on(port).start(guard, &configuration, &["--sentinel"])
}

/// A Redis, and what `redis-cli` must know to talk to it.
struct Node {
    port: u16,
    options: Vec<String>,
}

impl Node {
    fn on(port: u16) -> Self {
        Self {
            port,
            options: Vec::new(),
        }
    }

    /// Starts the server and waits until it answers. It may write what it learns into its configuration.
    fn start(self, guard: &Guard, configuration: &str, options: &[&str]) -> Result<Self> {
        let name = format!("redis-{}", self.port);
        let folder = folder_for(guard, &name, None)?;
        std::fs::write(folder.join("redis.conf"), configuration).context("writing redis.conf")?;
        let mut command = command(&process::need("redis-server")?, &folder, None);
        let mut server = Server::start(
            guard,
            &name,
            command.arg("redis.conf").args(options),
            Signal::TERM,
        )?;
        server.wait_until(|| self.answers(&["ping"], "PONG"))?;
        Ok(self)
    }

    fn answers(&self, question: &[&str], answer: &str) -> bool {
        let mut client = Command::new("redis-cli");
        client
            .args(["-p", &self.port.to_string()])
            .args(&self.options)
            .args(question);
        process::output(&mut client).is_ok_and(|said| said.contains(answer))
    }
}

fn addresses(nodes: &[Node]) -> String {
    nodes
        .iter()
        .map(|node| format!("127.0.0.1:{}", node.port))
        .collect::<Vec<_>>()
        .join(",")
}
