//! Redis Cluster: which node serves a slot, and following it when it moves.
//!
//! redis-rs brings a cluster client, but it either resends commands whose answer was lost or follows no redirection.
//! A redirection is safe to follow, since the command was not executed.

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind, Value};
use tokio::time::{Instant, sleep, timeout};

use super::{
    connect::{Dialer, Route, unfit},
    link::Node,
    url::Address,
    wire::Command,
};

const SLOTS: u16 = 16384;
/// How often one command is redirected, or put off, before we give up.
const REDIRECTIONS: usize = 64;
/// How long to wait before another try while a slot moves: until it has, no node can serve both keys of a replace.
const TRY_AGAIN: Duration = Duration::from_millis(25);
/// The longest that one node may take to tell the slots before the next is asked.
const SLOTS_ANSWER: Duration = Duration::from_millis(500);
/// The slots are asked for no more often than this.
const BETWEEN_SURVEYS: Duration = Duration::from_millis(100);

pub(super) struct Cluster {
    dialer: Arc<Dialer>,
    seeds: Vec<Address>,
    nodes: Mutex<HashMap<Address, Arc<Node>>>,
    /// Who serves each slot; empty before the first survey.
    owners: RwLock<Vec<Option<Arc<Node>>>>,
    /// How many signs there were that the owners have changed, and how many a survey has taken into account.
    signs: AtomicUsize,
    heeded: AtomicUsize,
    /// When the last survey ended; locked during one.
    surveyed: tokio::sync::Mutex<Option<Instant>>,
    /// Whom to ask first.
    turn: AtomicUsize,
}

impl Cluster {
    pub(super) fn new(dialer: Arc<Dialer>, seeds: Vec<Address>) -> Self {
        Self {
            dialer,
            seeds,
            nodes: Mutex::default(),
            owners: RwLock::default(),
            signs: AtomicUsize::new(1),
            heeded: AtomicUsize::new(0),
            surveyed: tokio::sync::Mutex::default(),
            turn: AtomicUsize::new(0),
        }
    }

    /// Sends a command to the node that serves `slot`, wherever that has gone.
    pub(super) async fn send(&self, slot: u16, command: &Command) -> RedisResult<Value> {
        let mut node = self.owner(slot).await?;
        let turn = usize::from(slot);
        let mut asking = false;
        let mut failure = unfit("the cluster redirects in circles");
        for _ in 0..REDIRECTIONS {
            let answer = if asking {
                node.send_asking(turn, command).await
            } else {
                node.send(turn, command).await
            };
            failure = match answer {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            match failure.kind() {
                ErrorKind::Server(ServerErrorKind::Moved) => {
                    self.note_change();
                    node = self.redirected(&failure)?;
                    self.set_owner(slot, &node);
                    asking = false;
                }
                ErrorKind::Server(ServerErrorKind::Ask) => {
                    node = self.redirected(&failure)?;
                    asking = true;
                }
                ErrorKind::Server(ServerErrorKind::TryAgain) => sleep(TRY_AGAIN).await,
                _ => break,
            }
        }
        if is_a_sign_of_change(&failure) {
            self.note_change();
        }
        Err(failure)
    }

    fn note_change(&self) {
        self.signs.fetch_add(1, Ordering::Relaxed);
    }

    async fn owner(&self, slot: u16) -> RedisResult<Arc<Node>> {
        if self.signs.load(Ordering::Relaxed) != self.heeded.load(Ordering::Relaxed) {
            self.survey().await?;
        }
        let owners = self.owners.read().unwrap_or_else(PoisonError::into_inner);
        match owners.get(usize::from(slot)) {
            Some(Some(node)) => Ok(Arc::clone(node)),
            _ => {
                self.note_change();
                Err(unfit("no node of the cluster serves this slot"))
            }
        }
    }

    fn set_owner(&self, slot: u16, node: &Arc<Node>) {
        let mut owners = self.owners.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(owner) = owners.get_mut(usize::from(slot)) {
            *owner = Some(Arc::clone(node));
        }
    }

    /// Asks the nodes who serves what, one caller at a time. The others go on with what is known, if anything is.
    async fn survey(&self) -> RedisResult<()> {
        let mut surveyed = match self.surveyed.try_lock() {
            Ok(surveyed) => surveyed,
            Err(_) if self.is_known() => return Ok(()),
            Err(_) => self.surveyed.lock().await,
        };
        let recent = surveyed.is_some_and(|last| last.elapsed() < BETWEEN_SURVEYS);
        if recent && self.is_known() {
            return Ok(());
        }
        // Counted before asking, so that a sign that comes meanwhile is not lost.
        let signs = self.signs.load(Ordering::Relaxed);
        let outcome = self.ask_for_slots().await;
        *surveyed = Some(Instant::now());
        match outcome {
            Ok(ranges) => {
                self.adopt(ranges);
                self.heeded.store(signs, Ordering::Relaxed);
                Ok(())
            }
            Err(_) if self.is_known() => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn is_known(&self) -> bool {
        let owners = self.owners.read().unwrap_or_else(PoisonError::into_inner);
        !owners.is_empty()
    }

    async fn ask_for_slots(&self) -> RedisResult<Vec<Range>> {
        let mut question = Command::new("CLUSTER", 0);
        question.arg("SLOTS");
        let candidates = self.candidates();
        let start = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut failure = unfit("no node of the cluster is known");
        for turn in 0..candidates.len() {
            let (address, node) = &candidates[(start + turn) % candidates.len()];
            failure = match timeout(SLOTS_ANSWER, node.send(turn, &question)).await {
                Ok(Ok(answer)) => match read_slots(&answer, address) {
                    Some(ranges) if !ranges.is_empty() => return Ok(ranges),
                    _ => unfit("a node of the cluster does not know who serves what"),
                },
                Ok(Err(error)) => error,
                Err(_) => io::Error::from(io::ErrorKind::TimedOut).into(),
            };
        }
        Err(failure)
    }

    /// The nodes that are known, or else those of the URL, which may have gone long ago.
    fn candidates(&self) -> Vec<(Address, Arc<Node>)> {
        let known: Vec<_> = {
            let nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
            nodes.keys().cloned().collect()
        };
        known
            .iter()
            .chain(self.seeds.iter().filter(|seed| !known.contains(seed)))
            .map(|address| (address.clone(), self.node(address)))
            .collect()
    }

    fn node(&self, address: &Address) -> Arc<Node> {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        let node = nodes
            .entry(address.clone())
            .or_insert_with(|| Arc::new(Node::new(&self.dialer, Route::Direct(address.clone()))));
        Arc::clone(node)
    }

    fn adopt(&self, ranges: Vec<Range>) {
        let mut owners = vec![None; usize::from(SLOTS)];
        let mut serving = Vec::with_capacity(ranges.len());
        for range in ranges {
            let node = self.node(&range.owner);
            owners[usize::from(range.first)..=usize::from(range.last)].fill(Some(node));
            serving.push(range.owner);
        }
        *self.owners.write().unwrap_or_else(PoisonError::into_inner) = owners;
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        nodes.retain(|address, _| serving.contains(address));
    }

    fn redirected(&self, error: &RedisError) -> RedisResult<Arc<Node>> {
        let address = error.redirect_node().and_then(|(address, _)| {
            let (host, port) = address.rsplit_once(':')?;
            Some(Address::Tcp {
                host: host.to_owned(),
                port: port.parse().ok()?,
            })
        });
        match address {
            Some(Address::Tcp { host, .. }) if host.is_empty() => {
                Err(unfit("the cluster redirects to a node without an address"))
            }
            Some(address) => Ok(self.node(&address)),
            None => Err(error.clone()),
        }
    }
}

/// The slot of a key whose hash tag is `text`: CRC16/XMODEM, as the cluster's specification says.
pub(super) fn slot(text: &[u8]) -> u16 {
    let crc = text.iter().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            (crc << 1) ^ if crc & 0x8000 == 0 { 0 } else { 0x1021 }
        })
    });
    crc % SLOTS
}

fn is_a_sign_of_change(error: &RedisError) -> bool {
    error.is_io_error()
        || matches!(
            error.kind(),
            ErrorKind::Server(
                ServerErrorKind::ClusterDown
                    | ServerErrorKind::MasterDown
                    | ServerErrorKind::ReadOnly
                    | ServerErrorKind::Moved
            )
        )
}

/// Slots that one node serves.
struct Range {
    first: u16,
    last: u16,
    owner: Address,
}

fn read_slots(answer: &Value, asked: &Address) -> Option<Vec<Range>> {
    let Value::Array(ranges) = answer else {
        return None;
    };
    ranges
        .iter()
        .map(|range| read_range(range, asked))
        .collect()
}

/// Reads `[first, last, [host, port, …], …replicas]`. A node that does not know its own name leaves it out: it is the
/// one that we asked.
fn read_range(range: &Value, asked: &Address) -> Option<Range> {
    let Value::Array(parts) = range else {
        return None;
    };
    let [Value::Int(first), Value::Int(last), Value::Array(owner), ..] = parts.as_slice() else {
        return None;
    };
    let [host, Value::Int(port), ..] = owner.as_slice() else {
        return None;
    };
    let host = match (host, asked) {
        (Value::BulkString(host), _) if !host.is_empty() => String::from_utf8(host.clone()).ok()?,
        (_, Address::Tcp { host, .. }) => host.clone(),
        (_, Address::Unix(_)) => return None,
    };
    let (first, last) = (u16::try_from(*first).ok()?, u16::try_from(*last).ok()?);
    (first <= last && last < SLOTS).then(|| {
        Some(Range {
            first,
            last,
            owner: Address::Tcp {
                host,
                port: u16::try_from(*port).ok()?,
            },
        })
    })?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        // The check value of CRC16/XMODEM, from the cluster's specification.
        assert_eq!(slot(b"123456789"), 0x31c3 % SLOTS);
        assert_eq!(slot(b""), 0);
        // `CLUSTER KEYSLOT foo`, `CLUSTER KEYSLOT ffff`
        assert_eq!(slot(b"foo"), 12182);
    }
}
