//! Sessions in Redis or Valkey: one server, Sentinel, or Cluster.
//!
//! A record is one string under `{prefix}{tag}hash`, the tag in braces, so that a cluster keeps both keys of a replace on
//! one node. It expires by itself. Speaking the protocol (`wire.rs`, `pipe.rs`) is ours for its cost; connecting, finding
//! the right server and replacing a lost connection (`connect.rs`, `link.rs`, `cluster.rs`), since no answer may ever be
//! asked for twice and the TLS provider is not left to the process.

mod cluster;
mod connect;
mod gather;
mod link;
mod pipe;
mod script;
mod url;
mod wire;

use std::{
    fmt,
    sync::{Arc, atomic::AtomicUsize},
};

use bytes::Bytes;
use redis::{RedisError, RedisResult, ServerErrorKind, Value};

use self::{
    cluster::Cluster,
    connect::{Dialer, Route},
    link::Node,
    script::Call,
    url::{Settings, Topology},
    wire::Command,
};
use super::{At, Capabilities, Expect, Key, Record, Reply, Revision, Saved, SessionStore, Write};
use crate::{Error, ErrorKind, Result, Time};

/// The `redis` driver: sessions in Redis or Valkey.
///
/// | URL | what it means |
/// |---|---|
/// | `redis://[user:password@]host[:port][/db]` | one server |
/// | `redis+unix:///path/to/redis.sock[?db=1&user=…&pass=…]`, or `unix://…` | one server on a socket |
/// | `redis+sentinel://[user:password@]host[:port],host[:port]/master[/db]` | the master that the Sentinels name |
/// | `redis+cluster://[user:password@]host[:port],host[:port]` | a cluster, found through these nodes |
///
/// With `rediss` in place of `redis` all of it is over TLS, with the platform's root certificates or those of
/// `SSL_CERT_FILE`. In a user or password, what a URL has a use for (`@ : / , # %`) is percent-encoded.
///
/// The server is first called when a session is, so an application starts while it is down. A lost connection is replaced
/// in the background; a command whose answer was lost is never sent again. A master that was cut off from its replicas may
/// lose what it acknowledged, as Redis documents; `min-replicas-to-write` and `appendfsync` bound that, and eviction
/// (`maxmemory-policy`) should be off.
///
/// # Examples
///
/// ```
/// use arvel_session::store::{RedisStore, SessionStore};
///
/// let store = RedisStore::new("redis://:secret@127.0.0.1:6379/0", "arvel_session:")?;
/// assert!(store.capabilities().atomic_replace);
///
/// let error = RedisStore::new("redis://:secret@127.0.0.1:port", "arvel_session:").unwrap_err();
/// assert_eq!(error.to_string(), "redis_url has a port that is not a number up to 65535");
/// # Ok::<(), arvel_session::Error>(())
/// ```
pub struct RedisStore {
    servers: Arc<Servers>,
    prefix: Box<str>,
}

enum Servers {
    One(Node),
    Many(Cluster),
}

impl RedisStore {
    const CAPABILITIES: Capabilities = {
        let mut capabilities = Capabilities::new("redis");
        capabilities.sweeps = false;
        capabilities.in_order = true;
        capabilities
    };

    /// A store on the servers of `url`, its keys beginning with `prefix`.
    ///
    /// # Errors
    /// [`ErrorKind::Config`], naming `redis_url` or `redis_prefix`; it never shows the URL.
    pub fn new(url: &str, prefix: &str) -> Result<Self> {
        if prefix.contains('{') {
            return Err(Error::new(
                ErrorKind::Config,
                format!(
                    "redis_prefix {prefix:?} has a {{, which is kept for the place in a cluster"
                ),
            ));
        }
        let settings = Settings::parse(url)?;
        let dialer = Arc::new(Dialer {
            login: settings.login,
            tls: settings.tls.then(connect::tls).transpose()?,
        });
        let servers = match settings.topology {
            Topology::Single(address) => Servers::One(Node::new(&dialer, Route::Direct(address))),
            Topology::Sentinel { sentinels, master } => {
                let route = Route::Sentinel {
                    sentinels,
                    master,
                    first: AtomicUsize::new(0),
                };
                Servers::One(Node::new(&dialer, route))
            }
            Topology::Cluster(seeds) => Servers::Many(Cluster::new(dialer, seeds)),
        };
        Ok(Self {
            servers: Arc::new(servers),
            prefix: prefix.into(),
        })
    }

    fn name(&self, key: &Key) -> String {
        let hash = key.hex();
        let mut name = String::with_capacity(self.prefix.len() + 6 + hash.len());
        name.push_str(&self.prefix);
        name.push('{');
        name.extend(tag_digits(key.tag()).map(char::from));
        name.push('}');
        name.push_str(&hash);
        name
    }

    /// Stores a record where there is nothing: a plain `SET`, which costs the server a tenth of a script.
    fn insert(&self, key: &Key, write: &Write) -> Reply<Saved> {
        let servers = Arc::clone(&self.servers);
        let (tag, name) = (key.tag(), self.name(key));
        let mut command = Command::new("SET", write.record.encoded_len() + name.len());
        command.arg(&name).arg(write.record.encode());
        command
            .arg("PX")
            .number(time_to_live(write.record.expires, write.now))
            .arg("NX");
        Reply::later(async move {
            match servers.send(tag, &command).await {
                Ok(Value::Nil) => servers.load(tag, &name).await.map(Saved::Conflict),
                answer => saved(answer),
            }
        })
    }
}

impl SessionStore for RedisStore {
    fn capabilities(&self) -> Capabilities {
        Self::CAPABILITIES
    }

    fn load(&self, at: At<'_>) -> Reply<Option<Record>> {
        let At::Key(key) = at else {
            return Reply::ready(Err(Error::new(
                ErrorKind::Unsupported,
                "the redis store keeps sessions under keys",
            )));
        };
        let servers = Arc::clone(&self.servers);
        let (tag, name) = (key.tag(), self.name(key));
        Reply::later(async move { servers.load(tag, &name).await })
    }

    fn save(&self, key: &Key, expect: Expect, write: Write) -> Reply<Saved> {
        if let Err(error) = Self::CAPABILITIES.check_size(&write.record) {
            return Reply::ready(Err(error));
        }
        let Expect::Revision(expected) = expect else {
            return self.insert(key, &write);
        };
        let name = self.name(key);
        let size = name.len() + write.record.encoded_len();
        let mut call = script::SAVE.call(&[&name], size);
        call.command.arg(expected.as_u64().to_be_bytes());
        add_record(&mut call.command, &write.record, write.now);
        let (servers, tag) = (Arc::clone(&self.servers), key.tag());
        Reply::later(async move { saved(servers.run(tag, &call).await) })
    }

    fn replace(
        &self,
        old: &Key,
        expect: Revision,
        marker: Record,
        new: &Key,
        write: Write,
    ) -> Reply<Saved> {
        if let Err(error) = Self::CAPABILITIES.check_size(&write.record) {
            return Reply::ready(Err(error));
        }
        let names = [self.name(old), self.name(new)];
        let size = 2 * names[0].len() + write.record.encoded_len() + marker.encoded_len();
        let mut call = script::REPLACE.call(&names.each_ref().map(String::as_str), size);
        call.command.arg(expect.as_u64().to_be_bytes());
        add_record(&mut call.command, &marker, write.now);
        add_record(&mut call.command, &write.record, write.now);
        let (servers, tag) = (Arc::clone(&self.servers), old.tag());
        Reply::later(async move { saved(servers.run(tag, &call).await) })
    }

    fn touch(&self, key: &Key, expires: Time, now: Time) -> Reply<()> {
        let name = self.name(key);
        let mut call = script::TOUCH.call(&[&name], name.len());
        call.command
            .arg(expires.as_millis().to_be_bytes())
            .number(time_to_live(expires, now));
        let (servers, tag) = (Arc::clone(&self.servers), key.tag());
        Reply::later(async move {
            match servers.run(tag, &call).await {
                Ok(_) => Ok(()),
                Err(error) => Err(failed("redis: touch", error)),
            }
        })
    }

    fn sweep(&self, _now: Time, _max: usize) -> Reply<usize> {
        Reply::ready(Ok(0))
    }
}

impl Servers {
    /// Sends a command for a key with this tag, once.
    async fn send(&self, tag: [u8; 2], command: &Command) -> RedisResult<Value> {
        match self {
            Self::One(node) => node.send(usize::from(tag[1]), command).await,
            Self::Many(cluster) => {
                let slot = cluster::slot(&tag_digits(tag));
                // In a box, so that the one server's future is not as large as the cluster's.
                Box::pin(cluster.send(slot, command)).await
            }
        }
    }

    /// Sends a script's call; once more, in full, if the answer is that the server does not know the script.
    async fn run(&self, tag: [u8; 2], call: &Call<'_>) -> RedisResult<Value> {
        match self.send(tag, &call.command).await {
            Err(error) if error.kind() == ServerErrorKind::NoScript.into() => {
                self.send(tag, &call.in_full()).await
            }
            answer => answer,
        }
    }

    async fn load(&self, tag: [u8; 2], name: &str) -> Result<Option<Record>> {
        let mut command = Command::new("GET", name.len());
        command.arg(name);
        let found = self.send(tag, &command).await;
        read(found.map_err(|error| failed("redis: load", error))?)
    }
}

/// The tag as it stands between the braces of a key's name.
fn tag_digits(tag: [u8; 2]) -> [u8; 4] {
    let [a, b] = tag;
    [a >> 4, a & 15, b >> 4, b & 15].map(|digit| b"0123456789abcdef"[usize::from(digit)])
}

fn saved(answer: RedisResult<Value>) -> Result<Saved> {
    match answer.map_err(|error| failed("redis: save", error))? {
        Value::Int(_) | Value::Okay => Ok(Saved::Done),
        found => read(found).map(Saved::Conflict),
    }
}

fn read(found: Value) -> Result<Option<Record>> {
    match found {
        Value::Nil => Ok(None),
        Value::BulkString(bytes) => Record::decode(Bytes::from(bytes)).map(Some),
        _ => Err(Error::new(
            ErrorKind::Store,
            "redis: an answer of the wrong type",
        )),
    }
}

fn add_record(call: &mut Command, record: &Record, now: Time) {
    call.arg(record.encode())
        .number(time_to_live(record.expires, now));
}

/// How long Redis keeps a record, in milliseconds: at least one, and less than makes it refuse the command.
fn time_to_live(expires: Time, now: Time) -> u64 {
    const CENTURY: u64 = 100 * 366 * 24 * 3600 * 1000;
    let left = expires.as_millis().saturating_sub(now.as_millis());
    left.clamp(1, CENTURY)
}

fn failed(doing: &'static str, error: RedisError) -> Error {
    let kind = if error.is_timeout() {
        ErrorKind::Timeout
    } else {
        ErrorKind::Store
    };
    Error::new(kind, doing).with_source(error)
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}
