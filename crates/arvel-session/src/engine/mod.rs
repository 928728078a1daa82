//! What performs the lifecycle's I/O: it asks the store, keeps the deadline, and finishes a commit whose client has left.

mod commit;
mod queue;
mod run;

use std::{sync::Arc, time::Duration};

pub(crate) use commit::{CommitRun, Pass, finish_late};
pub(crate) use run::Run;
use run::{Progress, first_steps};

use crate::{
    Clock, Result, Secret, Settings,
    clock::Monotonic,
    lifecycle::{Ask, Context, Moment, Open, Opened, Origin, Rules},
    observe,
    record::Keyring,
    session::{Home, SessionData},
    store::{At, Reply, SessionStore, Write},
    sweeper::Sweeper,
};

/// How long a dead id leaves a marker, at least. It must outlast the requests that were in flight, and a write that the
/// store executes late.
const GRACE: Duration = Duration::from_secs(10);

/// A store with the settings under which it is used.
pub(crate) struct Engine {
    pub(crate) store: Arc<dyn SessionStore>,
    pub(crate) cx: Context,
    pub(crate) clock: Arc<Monotonic>,
    /// How long an open, and how long a commit, may take.
    pub(crate) timeout: Duration,
    pub(crate) queues: Arc<queue::Queues>,
    sweeper: Arc<Sweeper>,
}

impl Engine {
    /// `settings` must have been checked.
    ///
    /// # Errors
    /// There is no secret key.
    pub(crate) fn new(
        store: Arc<dyn SessionStore>,
        settings: &Settings,
        clock: Arc<Monotonic>,
        sweeper: Arc<Sweeper>,
    ) -> Result<Self> {
        let capabilities = store.capabilities();
        let previous = settings.previous_keys.iter().map(Secret::as_bytes);
        let secret = settings.secret_key()?.as_bytes();
        Ok(Self {
            store,
            cx: Context {
                capabilities,
                keys: Keyring::new(secret, previous, &settings.cookie_name),
                rules: Rules {
                    cookie_name: settings.cookie_name.clone(),
                    lifetime: settings.lifetime,
                    absolute_lifetime: settings.absolute_lifetime,
                    expire_on_close: settings.expire_on_close,
                    seal: settings.encrypt && !capabilities.is_in_process(),
                    grace: GRACE.max(settings.timeout * 2),
                },
            },
            clock,
            timeout: settings.timeout,
            queues: Arc::default(),
            sweeper,
        })
    }

    /// The session that these cookies belong to; it is `opened`, unless it has to be waited for.
    pub(crate) fn open<'a>(
        self: &Arc<Self>,
        mut cookies: impl Iterator<Item = &'a [u8]>,
        opened: &mut Opened,
    ) -> Opening {
        self.sweeper.start();
        let Some(first) = cookies.next() else {
            observe::opened(self.cx.capabilities.name, &opened.origin);
            return Opening::Done(Ok(()));
        };
        let mut open = Open::default();
        open.read(&self.cx, first, cookies);
        match first_steps(self, &mut open, self.clock.now()) {
            Progress::Done(result) => {
                *opened = open.opened;
                Opening::Done(result)
            }
            Progress::Waiting(waiting) => Opening::Waiting(Run::new(self.clone(), open, waiting)),
        }
    }

    /// Whether other commits of this session queue in this process.
    fn is_hot(&self, origin: &Origin) -> bool {
        match origin {
            Origin::Live(live) => self.queues.is_hot(&live.key),
            Origin::None | Origin::Marked => false,
        }
    }

    /// Asks the store.
    #[inline]
    fn ask(&self, ask: Ask) -> run::Pending {
        use run::Pending;
        match ask {
            Ask::Load(key) => Pending::Loaded(self.store.load(At::Key(&key))),
            Ask::Read(payload) => Pending::Loaded(self.store.load(At::Payload(&payload))),
            Ask::Save(key, expect, write) => {
                let write = Arc::unwrap_or_clone(write);
                Pending::Saved(self.store.save(&key, expect, write))
            }
            Ask::Replace(ask) => {
                let (marker, write) = (ask.marker.clone(), Write::clone(&ask.write));
                let reply = (self.store).replace(&ask.old, ask.expect, marker, &ask.new, write);
                Pending::Saved(reply)
            }
            Ask::Touch(key, expires) => {
                Pending::Touched(self.store.touch(&key, expires, self.clock.now()))
            }
            Ask::Queue(key) => Pending::Queued(queue::Queues::enter(&self.queues, key)),
        }
    }
}

/// A session that is being looked for.
pub(crate) enum Opening {
    Done(Result<()>),
    Waiting(Box<Run<Open>>),
}

/// How a session finds back to the engine that it came from.
pub(crate) struct EngineHome(pub(crate) Arc<Engine>);

impl Home for EngineHome {
    fn csrf_token(&self, seed: &[u8; 16]) -> String {
        self.0.cx.keys.csrf_token(seed)
    }

    fn is_csrf_token(&self, seed: &[u8; 16], token: &str) -> bool {
        self.0.cx.keys.is_csrf_token(seed, token)
    }

    fn is(&self, engine: &Engine) -> bool {
        Arc::ptr_eq(&self.0.store, &engine.store)
            && self.0.cx.rules.cookie_name == engine.cx.rules.cookie_name
    }

    fn save(&self, session: SessionData) -> Reply<()> {
        let run = CommitRun::new(self.0.clone(), session, Moment::Save);
        Reply::later(async move { run.await.map(|_| ()) })
    }
}
