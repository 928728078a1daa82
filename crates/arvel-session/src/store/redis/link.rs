//! A connection that replaces itself when it is lost, and resends nothing.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use redis::{RedisError, RedisResult, ServerErrorKind, Value};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    runtime::Handle,
    sync::{Notify, watch},
    task::{AbortHandle, JoinHandle},
    time::{Instant, sleep, timeout},
};

use super::{
    connect::{Dialer, Route, unfit},
    gather::after_others,
    pipe::{self, Pipe},
    wire::Command,
};

/// A call that was given up after this long without an answer makes us take a new connection, since the server may be
/// gone without a word. If it was only slow, nothing is lost: calls on the old connection still get their answers.
const PATIENCE: Duration = Duration::from_millis(100);
/// Between two attempts there is always this much time.
const BREATH: Duration = Duration::from_millis(10);
/// After a failed attempt nobody tries again for this long, doubled each time, unless a call comes.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// One server, through a few connections in turn.
pub(super) struct Node {
    links: [Link; Node::LINKS],
}

impl Node {
    /// One connection is one task that reads and writes. A second lets another core work, and serves while the first is
    /// being replaced; more were no faster.
    const LINKS: usize = 2;

    pub(super) fn new(dialer: &Arc<Dialer>, route: Route) -> Self {
        let route = Arc::new(route);
        Self {
            links: std::array::from_fn(|_| Link {
                dialer: Arc::clone(dialer),
                route: Arc::clone(&route),
                keeper: Mutex::new(None),
            }),
        }
    }

    /// The connection for this number, the same for a session's commands, so that they stay in their order; or another
    /// that is up while that one is being replaced.
    async fn live(&self, turn: usize) -> RedisResult<Live> {
        for link in self
            .links
            .iter()
            .cycle()
            .skip(turn % Self::LINKS)
            .take(Self::LINKS)
        {
            if let Some(live) = link.usable()? {
                return Ok(live);
            }
        }
        Box::pin(self.links[turn % Self::LINKS].wait()).await
    }

    /// Sends a command once.
    pub(super) async fn send(&self, turn: usize, command: &Command) -> RedisResult<Value> {
        self.live(turn).await?.send(&[command]).await
    }

    /// Sends a command once, for a key that is on its way to this node of a cluster.
    pub(super) async fn send_asking(&self, turn: usize, command: &Command) -> RedisResult<Value> {
        let asking = Command::new("ASKING", 0);
        self.live(turn).await?.send(&[&asking, command]).await
    }
}

struct Link {
    dialer: Arc<Dialer>,
    route: Arc<Route>,
    keeper: Mutex<Option<Keeper>>,
}

/// The task that keeps a link connected, and what it tells.
struct Keeper {
    state: watch::Receiver<State>,
    wanted: Arc<Notify>,
    task: JoinHandle<()>,
}

#[derive(Clone)]
enum State {
    Connecting,
    Up(Live),
    Down(RedisError),
}

impl State {
    fn usable(&self) -> Option<&Live> {
        match self {
            Self::Up(live) if !live.0.is_over() => Some(live),
            _ => None,
        }
    }
}

impl Link {
    /// The connection, when it is up. From the first call on it is kept so.
    fn usable(&self) -> RedisResult<Option<Live>> {
        let mut keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        let keeper = match &mut *keeper {
            Some(keeper) if !keeper.task.is_finished() => keeper,
            // The first call; or the runtime that the task ran on has ended.
            vacant => vacant.insert(self.start()?),
        };
        let state = keeper.state.borrow();
        Ok(state.usable().cloned())
    }

    /// The outcome of the attempt that is under way, or of one more.
    async fn wait(&self) -> RedisResult<Live> {
        let gone = || unfit("the runtime that kept the connection has ended");
        let (mut state, wanted) = {
            let keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
            let keeper = keeper.as_ref().ok_or_else(gone)?;
            (keeper.state.clone(), Arc::clone(&keeper.wanted))
        };
        loop {
            {
                let now = state.borrow_and_update();
                if let Some(live) = now.usable() {
                    return Ok(live.clone());
                }
                if matches!(*now, State::Down(_)) {
                    wanted.notify_one();
                }
            }
            state.changed().await.map_err(|_| gone())?;
            if let State::Down(error) = &*state.borrow() {
                return Err(error.clone());
            }
        }
    }

    fn start(&self) -> RedisResult<Keeper> {
        let runtime = Handle::try_current()
            .map_err(|_| unfit("the redis store needs a tokio runtime around it"))?;
        let (tell, state) = watch::channel(State::Connecting);
        let wanted = Arc::new(Notify::new());
        let task = keep(
            Arc::clone(&self.dialer),
            Arc::clone(&self.route),
            tell,
            Arc::clone(&wanted),
        );
        Ok(Keeper {
            state,
            wanted,
            task: runtime.spawn(task),
        })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn keep(
    dialer: Arc<Dialer>,
    route: Arc<Route>,
    tell: watch::Sender<State>,
    wanted: Arc<Notify>,
) {
    let mut pause = FIRST_PAUSE;
    loop {
        match dialer.connect(&route).await {
            Ok(live) => {
                tracing::debug!(driver = "redis", "connected");
                pause = FIRST_PAUSE;
                tell.send_replace(State::Up(live.clone()));
                live.0.over.notified().await;
                tracing::debug!(driver = "redis", "connection lost");
                tell.send_replace(State::Connecting);
            }
            Err(error) => {
                if pause == FIRST_PAUSE {
                    tracing::warn!(driver = "redis", %error, "cannot connect");
                }
                tell.send_replace(State::Down(error));
                let _ = timeout(pause, wanted.notified()).await;
                pause = LONGEST_PAUSE.min(pause * 2);
            }
        }
        sleep(BREATH).await;
    }
}

/// A connection that was up when we last heard of it.
#[derive(Clone)]
pub(super) struct Live(Arc<Connection>);

struct Connection {
    pipe: Pipe,
    driver: AbortHandle,
    given_up: AtomicBool,
    /// The driver has ended, or someone has given up.
    over: Arc<Notify>,
}

impl Connection {
    fn is_over(&self) -> bool {
        self.given_up.load(Ordering::Relaxed) || self.driver.is_finished()
    }

    /// New calls go to a new connection; those under way may still be answered on this one.
    fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
        self.over.notify_one();
    }
}

impl Live {
    /// A connection over this stream, on which nothing has been said yet.
    pub(super) fn new(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        let (pipe, carrier) = pipe::over(stream);
        let over = Arc::new(Notify::new());
        let ended = Arc::clone(&over);
        let driver = tokio::spawn(async move {
            after_others(carrier).await;
            ended.notify_one();
        });
        Self(Arc::new(Connection {
            pipe,
            driver: driver.abort_handle(),
            given_up: AtomicBool::new(false),
            over,
        }))
    }

    /// Sends commands once, with nothing in between, and returns the answer to the last. An error of the server's is an
    /// `Err`.
    pub(super) async fn send(&self, commands: &[&Command]) -> RedisResult<Value> {
        let doubt = Doubt::new(&self.0);
        let answer = self.0.pipe.send(commands).await;
        doubt.settle(answer)
    }

    /// Sends commands once, with nothing in between.
    pub(super) async fn send_all(&self, commands: &[Command]) -> Vec<RedisResult<Value>> {
        let answers = self.0.pipe.send_all(commands).await;
        let checked = |answer: RedisResult<Value>| answer.and_then(Value::extract_error);
        answers.into_iter().map(checked).collect()
    }
}

/// The connection is lost or silent; or it leads to a server that is no longer the master, and a new one will not.
fn is_reason_to_leave(error: &RedisError) -> bool {
    error.is_unrecoverable_error()
        || error.is_timeout()
        || error.kind() == ServerErrorKind::ReadOnly.into()
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Notices a call that its caller gave up before there was an answer.
struct Doubt<'a> {
    connection: &'a Connection,
    since: Instant,
    ended: bool,
}

impl<'a> Doubt<'a> {
    fn new(connection: &'a Connection) -> Self {
        Self {
            connection,
            since: Instant::now(),
            ended: false,
        }
    }

    fn settle(mut self, answer: RedisResult<Value>) -> RedisResult<Value> {
        self.ended = true;
        let answer = answer.and_then(Value::extract_error);
        if answer.as_ref().is_err_and(is_reason_to_leave) {
            self.connection.give_up();
        }
        answer
    }
}

impl Drop for Doubt<'_> {
    fn drop(&mut self) {
        if !self.ended && self.since.elapsed() >= PATIENCE {
            self.connection.give_up();
        }
    }
}
