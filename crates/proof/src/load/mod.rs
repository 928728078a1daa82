//! Many clients at once: browsers whose tabs run requests in parallel, on a few sessions, over several servers.
//!
//! What each client asks depends on the seed alone; when it happens does not.

mod browser;
mod generate;
mod link;
mod pulse;

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use fastrand::Rng;
use tokio::{task::JoinSet, time::Instant};

pub use browser::{Jar, Said, Token, answer};
pub use generate::Generator;
pub use link::{COOKIE_NAME, Head, Link, Reply};
use pulse::Pulse;

use crate::{
    history::{Answer, Call, Recorder, SessionId, Started},
    plan::{Manner, Op, Plan},
};

/// How much is asked, and how.
#[derive(Clone, Debug)]
pub struct Load {
    /// Decides what is asked.
    pub seed: u64,
    /// How many browsers, each with a jar of its own.
    pub browsers: usize,
    /// How many tabs each has.
    pub tabs: usize,
    /// How many requests each tab sends at most.
    pub calls: usize,
    /// The longest that a handler waits between two operations, in milliseconds.
    pub longest_wait: u64,
    /// The longest pause between two requests of a tab, in milliseconds.
    pub longest_pause: u64,
    /// How many requests in a hundred are left before their answer has come.
    pub leaving: u8,
    /// When those leave, at the latest, in microseconds.
    pub patience: u64,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            seed: 0,
            browsers: 4,
            tabs: 3,
            calls: 25,
            longest_wait: 8,
            longest_pause: 10,
            leaving: 2,
            patience: 20_000,
        }
    }
}

/// What all clients of a run share.
pub struct Crowd {
    servers: Vec<SocketAddr>,
    recorder: Arc<Recorder>,
    /// Beats as long as somebody may ask something.
    _pulse: Pulse,
    jars: Vec<Jar>,
    /// Every cookie that anybody was given.
    known: Mutex<Vec<Token>>,
    is_over: AtomicBool,
}

/// How long an audit waits for a server that has to recover.
const RECOVERY: Duration = Duration::from_secs(60);

impl Crowd {
    /// Nobody has asked anything yet.
    #[must_use]
    pub fn new(servers: Vec<SocketAddr>, browsers: usize) -> Arc<Self> {
        let recorder = Arc::new(Recorder::default());
        Arc::new(Self {
            servers,
            _pulse: Pulse::of(recorder.clone()),
            recorder,
            jars: (0..browsers).map(|_| Jar::default()).collect(),
            known: Mutex::default(),
            is_over: AtomicBool::new(false),
        })
    }

    /// The record.
    #[must_use]
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// Every cookie that anybody was given.
    #[must_use]
    pub fn known(&self) -> Vec<Token> {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The cookie that a browser holds.
    #[must_use]
    pub fn held(&self, browser: usize) -> Option<Token> {
        self.jars.get(browser).and_then(Jar::get)
    }

    /// Nobody begins another request.
    pub fn stop(&self) {
        self.is_over.store(true, Ordering::SeqCst);
    }

    /// All clients do what they want to do, until they are done or stopped.
    pub async fn run(self: &Arc<Self>, load: &Load) {
        let mut rng = Rng::with_seed(load.seed);
        self.begin(&mut rng).await;
        let mut tabs = JoinSet::new();
        for browser in 0..self.jars.len() {
            for _ in 0..load.tabs {
                let tab = Tab::new(self.clone(), browser, &mut rng, load.longest_wait);
                tabs.spawn(tab.run(load.clone()));
            }
        }
        tabs.join_all().await;
    }

    /// One session, which half of the browsers share at first.
    async fn begin(self: &Arc<Self>, rng: &mut Rng) {
        let mut tab = Tab::new(self.clone(), 0, rng, 0);
        let started = self.recorder.begin();
        let plan = Generator::beginning(started.number());
        tab.send(started, Manner::Navigate, plan, Sender::Browser, None)
            .await;
        let first = self.held(0);
        for jar in self.jars.iter().step_by(2) {
            jar.set(first.clone());
        }
    }

    /// Asks what every session holds that anybody knows of. A server that is down is given time.
    ///
    /// # Errors
    /// A server has not recovered.
    pub async fn audit(self: &Arc<Self>, seed: u64) -> Result<(), String> {
        let mut tab = Tab::new(self.clone(), 0, &mut Rng::with_seed(seed), 0);
        for token in self.known() {
            let end = Instant::now() + RECOVERY;
            let plan = Plan {
                ops: vec![Op::All],
                ..Plan::default()
            };
            loop {
                let started = self.recorder.begin();
                let sender = Sender::Stranger(Some(token.clone()));
                if tab
                    .send(started, Manner::Poll, plan.clone(), sender, None)
                    .await
                {
                    break;
                }
                if Instant::now() > end {
                    return Err(format!("no answer for {RECOVERY:?} after all was over"));
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(())
    }
}

/// A tab of a browser, with a connection to each server.
struct Tab {
    crowd: Arc<Crowd>,
    browser: usize,
    rng: Rng,
    generator: Generator,
    links: Vec<Link>,
}

/// Whose cookie is sent, and who keeps the answer's.
enum Sender {
    Browser,
    /// Somebody who has got hold of a cookie, or of none.
    Stranger(Option<Token>),
    /// Somebody who has made one up.
    Forger(SessionId),
}

impl Tab {
    fn new(crowd: Arc<Crowd>, browser: usize, rng: &mut Rng, longest_wait: u64) -> Self {
        Self {
            links: crowd
                .servers
                .iter()
                .map(|server| Link::to(*server))
                .collect(),
            crowd,
            browser,
            rng: Rng::with_seed(rng.u64(..)),
            generator: Generator::new(rng.u64(..), longest_wait),
        }
    }

    async fn run(mut self, load: Load) {
        for _ in 0..load.calls {
            let pause = self.rng.u64(..=load.longest_pause);
            tokio::time::sleep(Duration::from_millis(pause)).await;
            if self.crowd.is_over.load(Ordering::SeqCst) {
                return;
            }
            let started = self.crowd.recorder.begin();
            let (manner, plan) = self.generator.next(started.number());
            let leaves = self.rng.u8(..100) < load.leaving;
            let moment = Duration::from_micros(self.rng.u64(..=load.patience));
            let sender = self.sender();
            let leave = leaves.then_some(moment);
            let answered = self.send(started, manner, plan, sender, leave).await;
            if !answered && !leaves {
                // Nobody hammers a server that is down.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }

    fn sender(&mut self) -> Sender {
        match self.rng.u8(..100) {
            0 => Sender::Forger(SessionId::made_up(self.rng.u64(..))),
            1..=3 => Sender::Stranger(self.rng.choice(self.crowd.known())),
            // Another browser of the same user, so that few sessions see much.
            4..=9 => {
                let other = self.rng.usize(..self.crowd.jars.len());
                if let Some(token) = self.crowd.held(other) {
                    self.crowd.jars[self.browser].set(Some(token));
                }
                Sender::Browser
            }
            _ => Sender::Browser,
        }
    }

    /// Sends a request and records what comes of it; whether the handler has answered.
    async fn send(
        &mut self,
        started: Started,
        manner: Manner,
        plan: Plan,
        sender: Sender,
        leave: Option<Duration>,
    ) -> bool {
        let process = self.rng.usize(..self.links.len());
        let crowd = self.crowd.clone();
        let jar = &crowd.jars[self.browser];
        let (token, forged) = match &sender {
            Sender::Browser => (jar.get(), None),
            Sender::Stranger(token) => (token.clone(), None),
            Sender::Forger(id) => (None, Some(*id)),
        };
        let made_up = forged.map(|id| id.forged_cookie());
        let cookie = token
            .as_ref()
            .map(|token| token.value.as_str())
            .or(made_up.as_deref());
        let start = crowd.recorder.now();
        let reply = self.links[process].send(manner, &plan, cookie, leave).await;
        let said = Said::by(reply.head.as_ref());
        if matches!(sender, Sender::Browser) {
            jar.keep(&said);
        }
        if let Said::Set(token) = &said {
            let mut known = crowd.known.lock().unwrap_or_else(PoisonError::into_inner);
            if !known.iter().any(|other| other.id == token.id) {
                known.push(token.clone());
            }
        }
        let call = Call {
            process,
            manner,
            sent: token.map(|token| token.id),
            forged,
            plan,
            start,
            end: crowd.recorder.now(),
            ran: reply.head.as_ref().is_some_and(|head| head.ran),
            answer: answer(&reply),
            cookie: said.cookie(),
        };
        let is_done = matches!(call.answer, Answer::Done { .. });
        crowd.recorder.end(started, call);
        is_done
    }
}
