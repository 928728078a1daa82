//! Redis in the four ways that the driver knows: one node (TCP and a unix socket), TLS, Sentinel and Cluster.

use std::process::Command;

use rustix::process::Signal;

use super::tls::Certificates;
use super::{Keeps, LIMIT, Server, Variables, command, folder_for, free_port};
use crate::error::{Context, Result};
use crate::guard::Guard;
use crate::process;

/// How each node starts but for sentinels: a replica need not wait for others to join it.
const NODE: &str = "bind 127.0.0.1\nsave \"\"\nrepl-diskless-sync-delay 0\n";

impl Keeps {
    fn of_redis(self) -> &'static str {
        match self {
            Self::Nothing => "appendonly no\n",
            Self::Everything => "appendonly yes\nappendfsync always\n",
        }
    }
}

/// One node, over TCP and over a unix socket.
pub struct Single {
    /// The node.
    pub node: Node,
    socket: String,
}

impl Single {
    /// Starts it.
    ///
    /// # Errors
    /// It is not installed, or does not start.
    pub fn start(guard: &Guard, keeps: Keeps) -> Result<Self> {
        let port = free_port()?;
        let socket = guard.folder().join("redis.sock").display().to_string();
        let configuration = format!(
            "{NODE}{}port {port}\nunixsocket \"{socket}\"\n",
            keeps.of_redis()
        );
        let node = Node::start(guard, Address::of(port), &configuration, &[])?;
        Ok(Self { node, socket })
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.node.port())
    }

    pub(super) fn variables(&self) -> Variables {
        vec![
            ("ARVEL_TEST_REDIS", self.url()),
            (
                "ARVEL_TEST_REDIS_UNIX",
                format!("redis+unix://{}", self.socket),
            ),
        ]
    }
}

/// One node that speaks TLS alone, under a certificate authority made for this run.
pub(super) fn start_tls(guard: &Guard) -> Result<Variables> {
    let folder = folder_for(guard, "certificates", None)?;
    let files = Certificates::make(&folder)?;
    let [authority, certificate, key, trusted] =
        [files.authority, files.certificate, files.key, files.trusted]
            .map(|file| file.display().to_string());
    let port = free_port()?;
    let configuration = format!(
        "{NODE}appendonly no\nport 0\ntls-port {port}\ntls-auth-clients no\n\
         tls-ca-cert-file \"{authority}\"\ntls-cert-file \"{certificate}\"\ntls-key-file \"{key}\"\n"
    );
    let address = Address {
        port,
        options: vec!["--tls".to_owned(), "--cacert".to_owned(), authority],
    };
    Node::start(guard, address, &configuration, &[])?;
    Ok(vec![
        ("ARVEL_TEST_REDIS_TLS", format!("rediss://127.0.0.1:{port}")),
        ("SSL_CERT_FILE", trusted),
        // For the tests' own servers.
        ("ARVEL_TEST_CERTIFICATES", folder.display().to_string()),
    ])
}

/// A master, two replicas and three sentinels that watch them.
pub struct Sentinels {
    /// The servers; which of them is the master changes.
    pub nodes: Vec<Node>,
    /// Those who watch.
    pub sentinels: Vec<Node>,
}

impl Sentinels {
    /// Starts them and waits until they know each other.
    ///
    /// # Errors
    /// Redis is not installed, or does not start.
    pub fn start(guard: &Guard, keeps: Keeps) -> Result<Self> {
        let master = node(guard, keeps, "")?;
        let follow = format!("replicaof 127.0.0.1 {}\n", master.port());
        let replicas = [node(guard, keeps, &follow)?, node(guard, keeps, &follow)?];
        process::wait_until("the Redis replicas", LIMIT, || {
            let in_sync =
                |replica: &Node| replica.answers(&["info", "replication"], "master_link_status:up");
            Ok(
                master.answers(&["info", "replication"], "connected_slaves:2")
                    && replicas.iter().all(in_sync),
            )
        })?;
        let sentinels = vec![
            sentinel(guard, &master)?,
            sentinel(guard, &master)?,
            sentinel(guard, &master)?,
        ];
        process::wait_until("the Redis sentinels", LIMIT, || {
            let knows_all =
                |sentinel: &Node| sentinel.answers(&["info", "sentinel"], "slaves=2,sentinels=3");
            Ok(sentinels.iter().all(knows_all))
        })?;
        let mut nodes = vec![master];
        nodes.extend(replicas);
        Ok(Self { nodes, sentinels })
    }

    /// Where the master can be asked for.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis+sentinel://{}/mymaster", addresses(&self.sentinels))
    }

    /// The node that the first sentinel takes for the master.
    #[must_use]
    pub fn master(&self) -> Option<usize> {
        let question = ["sentinel", "get-master-addr-by-name", "mymaster"];
        let answer = self.sentinels.first()?.ask(&question).ok()?;
        let port: u16 = answer.lines().nth(1)?.trim().parse().ok()?;
        self.nodes.iter().position(|node| node.port() == port)
    }

    pub(super) fn variables(&self) -> Variables {
        vec![("ARVEL_TEST_REDIS_SENTINEL", self.url())]
    }
}

/// Three masters, each with a replica.
pub struct Cluster {
    /// The nodes.
    pub nodes: Vec<Node>,
}

impl Cluster {
    /// Starts the nodes and joins them.
    ///
    /// # Errors
    /// Redis is not installed, or does not start.
    pub fn start(guard: &Guard, keeps: Keeps) -> Result<Self> {
        let mut nodes = Vec::new();
        let mut members = Vec::new();
        for _ in 0..6 {
            // The usual bus port, 10000 above the node's own, may be taken.
            let bus = free_port()?;
            let configuration =
                format!("cluster-enabled yes\ncluster-port {bus}\ncluster-node-timeout 2000\n");
            let node = node(guard, keeps, &configuration)?;
            members.push(format!("127.0.0.1:{}@{bus}", node.port()));
            nodes.push(node);
        }
        let mut create = Command::new("redis-cli");
        create.args(["--cluster", "create"]).args(members);
        create.args(["--cluster-replicas", "1", "--cluster-yes"]);
        process::output(&mut create)?;
        let cluster = Self { nodes };
        process::wait_until("the Redis cluster", LIMIT, || Ok(cluster.is_whole()))?;
        Ok(cluster)
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis+cluster://{}", addresses(&self.nodes[..3]))
    }

    /// Whether every node that answers serves all slots.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let whole = |node: &Node| node.answers(&["cluster", "info"], "cluster_state:ok");
        self.nodes.iter().all(whole)
    }

    pub(super) fn variables(&self) -> Variables {
        vec![("ARVEL_TEST_REDIS_CLUSTER", self.url())]
    }
}

fn node(guard: &Guard, keeps: Keeps, configuration: &str) -> Result<Node> {
    let port = free_port()?;
    let configuration = format!("{NODE}{}port {port}\n{configuration}", keeps.of_redis());
    Node::start(guard, Address::of(port), &configuration, &[])
}

/// A sentinel, quick enough for tests.
fn sentinel(guard: &Guard, master: &Node) -> Result<Node> {
    let port = free_port()?;
    let configuration = format!(
        "bind 127.0.0.1\nport {port}\n\
         sentinel monitor mymaster 127.0.0.1 {} 2\n\
         sentinel down-after-milliseconds mymaster 1000\n\
         sentinel failover-timeout mymaster 3000\n",
        master.port()
    );
    Node::start(guard, Address::of(port), &configuration, &["--sentinel"])
}

/// A Redis.
pub struct Node {
    /// Its process.
    pub server: Server,
    address: Address,
}

/// What `redis-cli` must know to talk to it.
#[derive(Clone)]
struct Address {
    port: u16,
    options: Vec<String>,
}

impl Address {
    fn of(port: u16) -> Self {
        Self {
            port,
            options: Vec::new(),
        }
    }

    fn ask(&self, question: &[&str]) -> Result<String> {
        let mut client = Command::new("redis-cli");
        client.args(["-p", &self.port.to_string()]);
        process::output(client.args(&self.options).args(question))
    }
}

impl Node {
    /// Starts the server and waits until it answers. It may write what it learns into its configuration.
    fn start(
        guard: &Guard,
        address: Address,
        configuration: &str,
        options: &[&str],
    ) -> Result<Self> {
        let name = format!("redis-{}", address.port);
        let folder = folder_for(guard, &name, None)?;
        std::fs::write(folder.join("redis.conf"), configuration).context("writing redis.conf")?;
        let mut command = command(&process::need("redis-server")?, &folder, None);
        command.arg("redis.conf").args(options);
        let asked = address.clone();
        let server = Server::start(guard, &name, command, Signal::TERM, move || {
            // One that still loads its data answers something else.
            asked.ask(&["ping"]).is_ok_and(|said| said.contains("PONG"))
        })?;
        Ok(Self { server, address })
    }

    /// Its TCP port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port
    }

    /// What it answers to a command.
    ///
    /// # Errors
    /// Nobody is there.
    pub fn ask(&self, question: &[&str]) -> Result<String> {
        self.address.ask(question)
    }

    /// Whether it answers so.
    #[must_use]
    pub fn answers(&self, question: &[&str], answer: &str) -> bool {
        self.ask(question).is_ok_and(|said| said.contains(answer))
    }
}

fn addresses(nodes: &[Node]) -> String {
    nodes
        .iter()
        .map(|node| format!("127.0.0.1:{}", node.port()))
        .collect::<Vec<_>>()
        .join(",")
}
