//! The contenders: one application each, with the same routes and the same content.

#[cfg(feature = "peers")]
mod actix;
#[cfg(feature = "peers")]
mod axum_session;
mod floor;
mod ours;
mod primitives;
pub mod router;
#[cfg(feature = "peers")]
mod tower_sessions;
#[cfg(feature = "tower-sessions-0-14")]
mod tower_visit;

pub use self::floor::router as bare;

use std::{pin::Pin, sync::Arc, time::Duration};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::{case::Case, content::Content};

/// A future of this thread.
pub type Local<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// An application that answers in process.
pub trait Application {
    /// Sends one request, and hands back all that a browser would see.
    fn send<'a>(&'a self, path: &'static str, cookie: Option<&'a str>) -> Local<'a, Result<Reply>>;

    /// Prepares many requests. The future sends them, one after the other, and says how long that took; any status but
    /// 200 is an error.
    ///
    /// # Errors
    /// A cookie is none.
    fn prepare(&self, path: &'static str, cookies: &Cookies)
    -> Result<Local<'_, Result<Duration>>>;
}

/// What a browser sees.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The lines of `Set-Cookie`.
    pub cookies: Vec<String>,
    /// The body.
    pub body: String,
}

/// The header `Cookie` of each request of a batch.
#[derive(Debug)]
pub enum Cookies {
    /// So many requests, all with the same.
    Same(Option<String>, usize),
    /// A request for each of these.
    Each(Vec<String>),
}

impl Cookies {
    /// The same, as header values of some library.
    fn values<V: Clone>(&self, value: impl Fn(&str) -> Result<V>) -> Result<Vec<Option<V>>> {
        match self {
            Self::Same(cookie, requests) => {
                let one = cookie.as_deref().map(value).transpose()?;
                Ok(vec![one; *requests])
            }
            Self::Each(cookies) => cookies.iter().map(|one| value(one).map(Some)).collect(),
        }
    }
}

/// What a contender is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Nothing: it has no sessions.
    Floor,
    /// Our memory driver.
    Memory,
    /// Our cookie driver.
    Cookie,
}

/// One contender.
pub struct Contender {
    /// What the tables call it.
    pub name: &'static str,
    /// What it is compared with.
    pub kind: Kind,
    /// Ours.
    pub ours: bool,
    /// The contender without sessions that its overhead is over.
    pub floor: &'static str,
    make: Make,
}

type Make = fn(Arc<Content>) -> Local<'static, Result<Box<dyn Application>>>;

impl Contender {
    /// Whether it has no sessions.
    pub fn is_floor(&self) -> bool {
        self.kind == Kind::Floor
    }

    /// A new application, with an empty store.
    ///
    /// # Errors
    /// The application cannot be built.
    pub async fn make(&self, content: &Arc<Content>) -> Result<Box<dyn Application>> {
        (self.make)(content.clone()).await
    }
}

const AXUM: &str = "bare axum";
/// What a read takes whoever does it.
pub const PRIMITIVES: &str = "a read's primitives";
#[cfg(feature = "peers")]
const ACTIX: &str = "bare actix";

/// Everyone who is compiled in and takes part in this case, the floors first.
pub fn contenders(case: Case) -> Vec<Contender> {
    let mut all = all();
    all.retain(|one| one.name != PRIMITIVES || case == Case::Read);
    all
}

fn all() -> Vec<Contender> {
    let contender = |name, kind, make| Contender {
        name,
        kind,
        ours: false,
        floor: AXUM,
        make,
    };
    let ours = |name, kind, make| Contender {
        ours: true,
        ..contender(name, kind, make)
    };
    let all = vec![
        contender(AXUM, Kind::Floor, floor::bare),
        contender("no-op layer", Kind::Floor, floor::no_op),
        contender(PRIMITIVES, Kind::Floor, primitives::primitives),
        ours("arvel-session memory", Kind::Memory, ours::memory),
        ours("arvel-session cookie", Kind::Cookie, ours::cookie),
    ];
    #[cfg(feature = "peers")]
    let all = all
        .into_iter()
        .chain([
            contender(
                "tower-sessions memory",
                Kind::Memory,
                tower_sessions::memory,
            ),
            contender(
                "tower-sessions memory, signed",
                Kind::Memory,
                tower_sessions::signed,
            ),
            contender(
                "tower-sessions-cookie-store, private",
                Kind::Cookie,
                tower_sessions::cookie,
            ),
            contender("axum_session memory", Kind::Memory, axum_session::memory),
            Contender {
                floor: ACTIX,
                ..contender(ACTIX, Kind::Floor, actix::bare)
            },
            Contender {
                floor: ACTIX,
                ..contender("actix-session cookie, private", Kind::Cookie, actix::cookie)
            },
        ])
        .collect();
    all
}
