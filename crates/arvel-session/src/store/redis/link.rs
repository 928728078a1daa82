//! A connection that replaces itself when it is lost, and resends nothing.

use std::{
    future::Future,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use redis::{Cmd, Pipeline, RedisResult, ServerErrorKind, Value, aio::MultiplexedConnection};
use tokio::{
    runtime::Handle,
    sync::{Notify, watch},
    task::{AbortHandle, JoinHandle},
    time::{Instant, sleep, timeout},
};

use super::connect::{Dialer, Route, unfit};

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
    next: AtomicUsize,
}

impl Node {
    /// One connection is one task that reads and writes, so a second lets two cores work. More brought nothing.
    const LINKS: usize = 2;

    pub(super) fn new(dialer: &Arc<Dialer>, route: Route) -> Self {
        let route = Arc::new(route);
        Self {
            links: std::array::from_fn(|_| Link {
                dialer: Arc::clone(dialer),
                route: Arc::clone(&route),
                keeper: Mutex::new(None),
            }),
            next: AtomicUsize::new(0),
        }
    }

    async fn live(&self) -> RedisResult<Live> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        self.links[turn % Self::LINKS].live().await
    }

    /// Sends a command once.
    pub(super) async fn send(&self, command: &Cmd) -> RedisResult<Value> {
        self.live().await?.send(command).await
    }

    /// Sends a command once, for a key that is on its way to this node of a cluster.
    pub(super) async fn send_asking(&self, command: &Cmd) -> RedisResult<Value> {
        let mut pipeline = Pipeline::with_capacity(2);
        pipeline.cmd("ASKING").add_command(command.clone());
        self.live().await?.send_last(&pipeline).await
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
    Down(redis::RedisError),
}

impl State {
    fn usable(&self) -> Option<&Live> {
        match self {
            Self::Up(live) if !live.0.driver.is_finished() => Some(live),
            _ => None,
        }
    }
}

impl Link {
    /// A connection that is up; while there is none, the outcome of the next attempt to make one.
    async fn live(&self) -> RedisResult<Live> {
        let (mut state, wanted) = {
            let mut keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
            let keeper = match &mut *keeper {
                Some(keeper) if !keeper.task.is_finished() => keeper,
                // The first call; or the runtime that the task ran on has ended.
                vacant => vacant.insert(self.start()?),
            };
            if let Some(live) = keeper.state.borrow().usable() {
                return Ok(live.clone());
            }
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
            if state.changed().await.is_err() {
                return Err(unfit("the runtime that kept the connection has ended"));
            }
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
    client: MultiplexedConnection,
    driver: AbortHandle,
    /// The driver has ended, or someone has doubts.
    over: Arc<Notify>,
}

impl Live {
    pub(super) fn new(
        client: MultiplexedConnection,
        driver: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        let over = Arc::new(Notify::new());
        let ended = Arc::clone(&over);
        let driver = tokio::spawn(async move {
            driver.await;
            ended.notify_one();
        });
        Self(Arc::new(Connection {
            client,
            driver: driver.abort_handle(),
            over,
        }))
    }

    /// Sends a command once. An error of the server's is an `Err`.
    pub(super) async fn send(&self, command: &Cmd) -> RedisResult<Value> {
        let mut client = self.0.client.clone();
        self.watch(client.send_packed_command(command)).await
    }

    /// Sends a pipeline of two commands once, and returns the answer to the second.
    async fn send_last(&self, pipeline: &Pipeline) -> RedisResult<Value> {
        let mut client = self.0.client.clone();
        let answers = client.send_packed_commands(pipeline, 1, 1);
        let last = async { Ok(answers.await?.pop().unwrap_or_default()) };
        self.watch(last).await
    }

    async fn watch(&self, call: impl Future<Output = RedisResult<Value>>) -> RedisResult<Value> {
        let mut doubt = Doubt {
            connection: &self.0,
            since: Instant::now(),
            answered: false,
        };
        let answer = call.await.and_then(Value::extract_error);
        doubt.answered = match &answer {
            Ok(_) => true,
            // It was a master and no longer is; a new connection finds the new one.
            Err(error) if error.kind() == ServerErrorKind::ReadOnly.into() => {
                self.0.over.notify_one();
                true
            }
            Err(error) => !error.is_io_error(),
        };
        answer
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Notices a call that ended without an answer: by an error, or because its caller gave up.
struct Doubt<'a> {
    connection: &'a Connection,
    since: Instant,
    answered: bool,
}

impl Drop for Doubt<'_> {
    fn drop(&mut self) {
        if !self.answered && self.since.elapsed() >= PATIENCE {
            self.connection.over.notify_one();
        }
    }
}
