//! Where sessions are kept: the contract, and a file for each driver.

mod cookie;
mod database;
#[cfg(all(feature = "file", unix))]
mod file;
mod memory;
#[cfg(feature = "redis")]
mod redis;

use std::{
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

#[cfg(all(feature = "file", unix))]
pub use self::file::FileStore;
#[cfg(feature = "redis")]
pub use self::redis::RedisStore;
pub use self::{cookie::CookieStore, database::DatabaseStore, memory::MemoryStore};
pub use crate::record::{Key, Kind, Record, Revision};
use crate::{Error, ErrorKind, Result, Time};

/// A place that keeps sessions: the contract of every driver, ours and yours.
///
/// A store keeps [`Record`]s under [`Key`]s. It sees neither ids nor secrets nor values: a key is a hash, and a record's
/// body is opaque (and sealed, unless the application turned that off). All decisions are made above it. What a store
/// must bring is one thing: **compare and set**, atomically, for every process that shares it.
///
/// | call | must |
/// |---|---|
/// | [`load`](Self::load) | answer what was last saved under this key, `None` when there is nothing. It may answer an expired record (the caller looks at the clock) or nothing in its place. |
/// | [`save`](Self::save) | store the record if, and only if, what is there is what the caller [expects](Expect); otherwise change nothing and hand back what is there. |
/// | [`replace`](Self::replace) | do two saves as one: `old` becomes the marker and `new` the record, or nothing happens. Only called where [`Capabilities::atomic_replace`] is declared. |
/// | [`touch`](Self::touch) | move the expiry of a live record, and nothing else: not its revision, not its body. A marker, or a key that is not there, is left alone, without an error. |
/// | [`sweep`](Self::sweep) | remove at most `max` records that have expired at `now`, and say how many; never one that has not. |
///
/// And for all of them:
///
/// * **Unknown is not an error.** A key that is not there is `None`, or a [conflict](Saved::Conflict) with `None`.
/// * **A failure is an error, never "nothing there".** An unreachable server, a full disk, a locked database: `Err`. The
///   caller then answers 503 and the data survives.
/// * **Never resend.** If the answer to a save is lost, return the error; the caller sends the same save again and
///   recognises its own revision in the conflict. A driver that resends by itself breaks this.
/// * **A save that was answered `Done` is visible** to every later load, through any handle, in any process that the
///   store is declared to be [shared](Capabilities::shared) between.
/// * **An expired record counts as present** until it is swept. The caller looks at the clock, and saves over none.
/// * **A call that is dropped** half way either happens in full or not at all.
/// * [`Write::durable`] asks that the write survives a crash of the store's machine, where the store has a choice.
/// * **Bytes are kept exactly**, up to [`Capabilities::max_bytes`]; what is larger is refused with [`ErrorKind::TooLarge`].
///
/// A reply that is known at once is [`Reply::ready`]; one that has to wait is [`Reply::later`] and owns what it needs (a
/// clone of the client). The caller puts a deadline on it, so a driver needs none of its own.
///
/// `memory.rs` is the driver to copy, and `conformance` checks yours against every sentence above.
pub trait SessionStore: Send + Sync + 'static {
    /// What this store promises. Must not change.
    fn capabilities(&self) -> Capabilities;

    /// What is kept there.
    ///
    /// # Errors
    /// The store failed; or the record is [damaged](ErrorKind::Corrupt) or of a [newer format](ErrorKind::NewerFormat).
    fn load(&self, at: At<'_>) -> Reply<Option<Record>>;

    /// Stores a record, or a marker over one, if `expect` holds.
    ///
    /// # Errors
    /// The store failed; what then became of the write is unknown, and the caller finds out.
    fn save(&self, key: &Key, expect: Expect, write: Write) -> Reply<Saved>;

    /// Turns the record under `old` into `marker`, and stores `write` under `new`, if `old` is at `expect`.
    ///
    /// A conflict hands back what is under `old`.
    ///
    /// # Errors
    /// As [`save`](Self::save); the default is [`ErrorKind::Unsupported`].
    fn replace(
        &self,
        old: &Key,
        expect: Revision,
        marker: Record,
        new: &Key,
        write: Write,
    ) -> Reply<Saved> {
        let _ = (old, expect, marker, new, write);
        Reply::ready(Err(Error::new(
            ErrorKind::Unsupported,
            "this store cannot replace a session in one step",
        )))
    }

    /// Moves the expiry of a live record to `expires`.
    ///
    /// # Errors
    /// The store failed.
    fn touch(&self, key: &Key, expires: Time, now: Time) -> Reply<()>;

    /// Removes at most `max` records that expired before `now` or at it, and says how many.
    ///
    /// # Errors
    /// The store failed.
    fn sweep(&self, now: Time, max: usize) -> Reply<usize>;
}

/// What a store promises; the conformance suite checks each of these both ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// The name in the configuration, in log lines and in metrics: `memory`, `redis`, …
    pub name: &'static str,
    /// The record stays with us and the browser holds an id. Otherwise (the cookie driver) the browser holds the record,
    /// so nothing can be compared or revoked.
    pub server_side: bool,
    /// Another handle, opened with the same settings in another process, sees the same records.
    pub shared: bool,
    /// Records outlive this process.
    pub persistent: bool,
    /// [`SessionStore::replace`] is there.
    pub atomic_replace: bool,
    /// [`SessionStore::sweep`] is needed; otherwise what expires goes by itself.
    pub sweeps: bool,
    /// [`Write::columns`] is looked at; otherwise nobody gathers them.
    pub columns: bool,
    /// The largest encoded record that is kept, in bytes.
    pub max_bytes: usize,
    /// Saves under one key are executed in the order in which they were asked for, as a rule: a hint.
    pub(crate) in_order: bool,
}

impl Capabilities {
    /// Whether the records are this process's own, and end with it.
    pub(crate) const fn is_in_process(&self) -> bool {
        !self.shared && !self.persistent
    }

    /// The usual: server side, shared, persistent, with an atomic replace and a sweep, up to 16 MiB a record.
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            server_side: true,
            shared: true,
            persistent: true,
            atomic_replace: true,
            sweeps: true,
            columns: false,
            max_bytes: 16 << 20,
            in_order: false,
        }
    }

    /// The error for a record that is larger than [`max_bytes`](Self::max_bytes).
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`], naming both sizes.
    pub fn check_size(&self, record: &Record) -> Result<()> {
        let size = record.encoded_len();
        if size <= self.max_bytes {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::TooLarge,
            format!(
                "the session takes {size} bytes, the {} store keeps at most {}",
                self.name, self.max_bytes
            ),
        ))
    }
}

/// Where to look for a record.
#[derive(Clone, Copy)]
pub enum At<'a> {
    /// Under this key, on the server side.
    Key(&'a Key),
    /// In what the browser sent, for the cookie driver.
    Payload(&'a [u8]),
}

/// Shows no payload: whoever holds that is logged in.
impl std::fmt::Debug for At<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Key(key) => f.debug_tuple("Key").field(key).finish(),
            Self::Payload(bytes) => write!(f, "Payload({} bytes)", bytes.len()),
        }
    }
}

/// What a save expects to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Nothing at all: neither a record nor a marker.
    Absent,
    /// A live record of this revision.
    Revision(Revision),
}

/// A record to store, and what goes with it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Write {
    /// The record, or the marker.
    pub record: Record,
    /// For stores with a table that people look at.
    pub columns: Columns,
    /// When this is written: `record.expires` minus this is how long it has to live.
    pub now: Time,
    /// Must survive a crash of the store's machine, where the store lets us choose.
    pub durable: bool,
}

impl Write {
    /// A write of `record` at `now`, without columns and not [durable](Self::durable).
    pub fn new(record: Record, now: Time) -> Self {
        Self {
            record,
            columns: Columns::default(),
            now,
            durable: false,
        }
    }
}

/// Who and what this session's last request was, for the table's columns. Markers have none.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Columns {
    /// From `SessionData::set_user`.
    pub user: Option<Arc<str>>,
    /// The address of the client.
    pub ip: Option<IpAddr>,
    /// The `User-Agent` header.
    pub agent: Option<Arc<str>>,
}

/// Shows nothing: it is about a person.
impl std::fmt::Debug for Columns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Columns(…)")
    }
}

/// How a save ended.
#[derive(Clone)]
pub enum Saved {
    /// It is stored.
    Done,
    /// It is stored in these bytes, which the browser must now hold (the cookie driver).
    Token(Vec<u8>),
    /// Nothing was changed, since this is what is there.
    Conflict(Option<Record>),
}

/// Shows no token: whoever holds that is logged in.
impl std::fmt::Debug for Saved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Done => f.write_str("Done"),
            Self::Token(bytes) => write!(f, "Token({} bytes)", bytes.len()),
            Self::Conflict(there) => f.debug_tuple("Conflict").field(there).finish(),
        }
    }
}

/// The answer of a store, now or later. Await it, or poll it as any future.
///
/// A ready reply costs no allocation and no timer.
pub struct Reply<T>(Inner<T>);

enum Inner<T> {
    Ready(Option<Result<T>>),
    Later(Pin<Box<dyn Future<Output = Result<T>> + Send>>),
}

impl<T> Reply<T> {
    /// An answer that is known.
    pub const fn ready(answer: Result<T>) -> Self {
        Self(Inner::Ready(Some(answer)))
    }

    /// An answer that has to be waited for.
    pub fn later(answer: impl Future<Output = Result<T>> + Send + 'static) -> Self {
        Self(Inner::Later(Box::pin(answer)))
    }
}

impl<T> Reply<T> {
    /// Takes the answer, if it is there without waiting; the reply must not be polled after that.
    pub fn take_ready(&mut self) -> Option<Result<T>> {
        match &mut self.0 {
            Inner::Ready(answer) => answer.take(),
            Inner::Later(_) => None,
        }
    }
}

// Nothing in it is pinned by its address: the future is in a box of its own.
impl<T> Unpin for Reply<T> {}

impl<T> Future for Reply<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Inner::Ready(answer) => Poll::Ready(answer.take().unwrap_or_else(|| {
                Err(Error::new(
                    ErrorKind::Store,
                    "a store's reply was polled twice",
                ))
            })),
            Inner::Later(future) => future.as_mut().poll(cx),
        }
    }
}

impl<T> std::fmt::Debug for Reply<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.0 {
            Inner::Ready(_) => "Reply::Ready",
            Inner::Later(_) => "Reply::Later",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_cookie() {
        let at = At::Payload(b"cookie");
        assert_eq!(format!("{at:?}"), "Payload(6 bytes)");
        let saved = Saved::Token(b"cookie".to_vec());
        assert_eq!(format!("{saved:?}"), "Token(6 bytes)");
    }
}
