//! redis-rs by itself, with the commands that the `redis` driver sends, on as many connections: how fast could it be?

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use anyhow::{Context as _, Result, ensure};
use redis::{Client, Cmd, aio::MultiplexedConnection, cmd};

use crate::{
    case::Case,
    content::Content,
    load::{Later, Make, Subject, Ticket},
};

/// What the driver saves with.
const SCRIPT: &str = include_str!("../../../crates/arvel-session/src/store/redis/save.lua");

/// As many as the driver's.
const CONNECTIONS: usize = 2;

/// How long a session lives, in milliseconds.
const LIFETIME: u64 = 7_200_000;

/// What our record of a session takes beyond the session's JSON: header, seal and the like.
const BEYOND: usize = 100;

/// Where the script looks for the kind of a record and for its revision.
const KIND: usize = 1;
const REVISION: std::ops::Range<usize> = 2..10;

/// A client of the Redis at this URL.
pub(super) fn make(url: String) -> Make {
    Arc::new(move |content| {
        let url = url.clone();
        Box::pin(async move { Ok(Box::new(Bare::connect(&url, content).await?) as _) })
    })
}

struct Bare {
    connections: Vec<MultiplexedConnection>,
    next: AtomicUsize,
    script: String,
    content: Arc<Content>,
}

impl Bare {
    async fn connect(url: &str, content: Arc<Content>) -> Result<Self> {
        let client = Client::open(url)?;
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            connections.push(client.get_multiplexed_async_connection().await?);
        }
        let mut load = cmd("SCRIPT");
        load.arg("LOAD").arg(SCRIPT);
        let script = load.query_async(&mut connections[0]).await?;
        Ok(Self {
            connections,
            next: AtomicUsize::new(0),
            script,
            content,
        })
    }

    async fn query<T: redis::FromRedisValue>(&self, command: &Cmd) -> Result<T> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let mut connection = self.connections[turn % CONNECTIONS].clone();
        Ok(command.query_async(&mut connection).await?)
    }

    async fn load(&self, key: &[u8]) -> Result<Vec<u8>> {
        let mut get = Cmd::with_capacity(2, key.len() + 3);
        let value: Option<Vec<u8>> = self.query(get.arg("GET").arg(key)).await?;
        value.context("the session is gone")
    }

    /// Reads the record and writes the next one over it; its revision is the count.
    async fn count(&self, key: &[u8]) -> Result<u64> {
        let mut record = self.load(key).await?;
        let before: [u8; 8] = record[REVISION].try_into()?;
        let count = u64::from_be_bytes(before) + 1;
        record[REVISION].copy_from_slice(&count.to_be_bytes());
        let mut save = Cmd::with_capacity(7, record.len() + key.len() + 80);
        save.arg("EVALSHA").arg(&self.script).arg(1).arg(key);
        save.arg(&before[..]).arg(record).arg(LIFETIME);
        let done: redis::Value = self.query(&save).await?;
        ensure!(done == redis::Value::Int(1), "somebody was faster");
        Ok(count)
    }
}

impl Subject for Bare {
    fn create(&self) -> Later<'_, Ticket> {
        Box::pin(async {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let key = format!("bare:{:p}:{number:064}", self.connections.as_ptr());
            let mut record = vec![b'.'; self.content.bytes() + BEYOND];
            record[KIND] = 0;
            record[REVISION].fill(0);
            let mut set = cmd("SET");
            set.arg(&key).arg(record).arg("PX").arg(LIFETIME);
            self.query::<()>(&set).await?;
            Ok(Ticket::from_str(&key)?)
        })
    }

    fn send<'a>(&'a self, case: Case, ticket: &'a Ticket) -> Later<'a, ()> {
        Box::pin(async move {
            match case {
                Case::ReadWrite => self.count(ticket.as_bytes()).await.map(drop),
                _ => self.load(ticket.as_bytes()).await.map(drop),
            }
        })
    }

    fn ask<'a>(&'a self, case: Case, ticket: &'a Ticket) -> Later<'a, String> {
        Box::pin(async move {
            if case == Case::ReadWrite {
                return Ok(self.count(ticket.as_bytes()).await?.to_string());
            }
            let record = self.load(ticket.as_bytes()).await?;
            ensure!(
                record.len() == self.content.bytes() + BEYOND,
                "a strange record"
            );
            Ok(self.content.user.to_string())
        })
    }
}
