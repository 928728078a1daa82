//! What performs the lifecycle's I/O: it asks the store, keeps the deadline, and finishes a commit whose client has left.

mod commit;
mod queue;
mod run;

use std::{sync::Arc, time::Duration};

pub(crate) use commit::{CommitRun, Moment};
pub(crate) use run::Run;

use crate::{
    Clock, Result,
    clock::Monotonic,
    lifecycle::{Ask, Context, Open, Opened},
    session::{Home, SessionData},
    store::{At, Reply, SessionStore},
};

/// A store with the settings under which it is used.
pub(crate) struct Engine {
    pub(crate) store: Arc<dyn SessionStore>,
    pub(crate) cx: Context,
    pub(crate) clock: Arc<Monotonic>,
    /// How long an open, and how long a commit, may take.
    pub(crate) timeout: Duration,
    pub(crate) queues: Arc<queue::Queues>,
}

impl Engine {
    pub(crate) fn new(
        store: Arc<dyn SessionStore>,
        cx: Context,
        clock: Arc<Monotonic>,
        timeout: Duration,
    ) -> Self {
        Self {
            store,
            cx,
            clock,
            timeout,
            queues: Arc::default(),
        }
    }

    /// The session that these cookies belong to.
    pub(crate) fn open<'a>(self: &Arc<Self>, cookies: impl Iterator<Item = &'a [u8]>) -> Run<Open> {
        Run::new(self.clone(), Open::new(&self.cx, cookies))
    }

    /// Asks the store.
    fn ask(&self, ask: Ask) -> run::Pending {
        use run::Pending;
        match ask {
            Ask::Load(key) => Pending::Loaded(self.store.load(At::Key(&key))),
            Ask::Read(payload) => Pending::Loaded(self.store.load(At::Payload(&payload))),
            Ask::Save(key, expect, write) => Pending::Saved(self.store.save(&key, expect, write)),
            Ask::Replace {
                old,
                expect,
                marker,
                new,
                write,
            } => Pending::Saved(self.store.replace(&old, expect, marker, &new, write)),
            Ask::Touch(key, expires) => {
                Pending::Touched(self.store.touch(&key, expires, self.clock.now()))
            }
            Ask::Queue(key) => Pending::Queued(queue::Queues::enter(&self.queues, key)),
        }
    }
}

/// How a session finds back to the engine that it came from.
pub(crate) struct EngineHome(pub(crate) Arc<Engine>);

impl Home for EngineHome {
    fn csrf_token(&self, seed: &[u8; 16]) -> String {
        self.0.cx.keys.csrf_token(seed)
    }

    fn save(&self, session: SessionData) -> Reply<()> {
        let run = CommitRun::new(self.0.clone(), session, Moment::Save);
        Reply::later(async move { run.await.map(|_| ()) })
    }
}

/// What an open answers.
pub(crate) type OpenResult = Result<Opened>;
