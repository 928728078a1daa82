//! What the parts have in common: servers on a store, a crowd, and the judgement afterwards.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use fastrand::Rng;
use tokio::time::{Instant, sleep};
use xtask::error::{Context, Error, Result};

use super::Ground;
use crate::{
    checker::{Verdict, census, check, untold},
    field::{self, Driver, Place, Process, Servers},
    history::{History, Micros, SessionId},
    load::{Crowd, Load},
    report::Outcome,
};

/// Application servers on a store of their own.
pub(super) struct Stage {
    pub(super) place: Place,
    pub(super) processes: Vec<Process>,
    pub(super) outcome: Outcome,
    timeout: Duration,
    seed: u64,
    /// The names under which the store keeps the sessions that somebody knows.
    known: BTreeSet<String>,
    /// Requests that may have made a session of which nobody knows.
    untold: usize,
}

/// How long a dead id leaves a marker, at least.
const GRACE: Duration = Duration::from_secs(10);
/// What a busy machine may take for a request, on top of the deadline.
const SLACK: Duration = Duration::from_secs(5);
/// How long everything may take to be well again when a fault is over.
const RECOVERY: Duration = Duration::from_secs(60);

pub(super) fn micros(duration: Duration) -> Micros {
    Micros::try_from(duration.as_micros()).unwrap_or(Micros::MAX)
}

impl Stage {
    /// Servers on a new store.
    pub(super) fn set(
        ground: &Ground,
        servers: &Servers,
        driver: Driver,
        timeout: Duration,
        processes: usize,
    ) -> Result<Self> {
        let root = ground.guard.folder();
        let place = Place::new(driver, servers, root, timeout)?;
        Self::at(ground, place, timeout, processes)
    }

    /// Servers on this store.
    pub(super) fn at(
        ground: &Ground,
        place: Place,
        timeout: Duration,
        processes: usize,
    ) -> Result<Self> {
        let processes = (0..processes).map(|number| ground.server(number, &place));
        let processes = processes.collect::<Result<_>>()?;
        Ok(Self::of(ground, place, timeout, processes))
    }

    /// These servers on this store.
    pub(super) fn of(
        ground: &Ground,
        place: Place,
        timeout: Duration,
        processes: Vec<Process>,
    ) -> Self {
        Self {
            processes,
            place,
            outcome: Outcome::default(),
            timeout,
            seed: ground.seed,
            known: BTreeSet::new(),
            untold: 0,
        }
    }

    /// Another seed for each history.
    pub(super) fn next_seed(&mut self) -> u64 {
        self.seed = Rng::with_seed(self.seed).u64(..);
        self.seed
    }

    pub(super) fn crowd(&self, load: &Load) -> Arc<Crowd> {
        let servers = self.processes.iter().map(Process::address).collect();
        Crowd::new(servers, load.browsers)
    }

    /// The world of a history without a fault.
    pub(super) fn quiet(&self) -> History {
        History {
            quiet: true,
            grace: micros(GRACE.max(self.timeout * 2)),
            lifetime: micros(self.place.lifetime()),
            ..History::default()
        }
    }

    /// The world of a history with faults that every answer has to be in time for.
    pub(super) fn faulty(&self) -> History {
        History {
            quiet: false,
            deadline: micros(self.timeout),
            slack: micros(SLACK),
            ..self.quiet()
        }
    }

    /// Waits until every server is well, by itself, and serves newcomers.
    ///
    /// A store has several connections, which come back one by one, so once is not enough.
    pub(super) async fn recover(&mut self) {
        let end = Instant::now() + RECOVERY;
        for (number, process) in self.processes.iter().enumerate() {
            let mut in_a_row = 0;
            while in_a_row < 5 {
                let is_well = process.is_well().await;
                in_a_row = if is_well { in_a_row + 1 } else { 0 };
                if Instant::now() > end {
                    let what = format!("server {number} is not well {RECOVERY:?} after the fault");
                    self.outcome.violations.push(what);
                    return;
                }
                if !is_well {
                    sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    /// Asks what is left of every session, and judges what has happened.
    pub(super) async fn judge(&mut self, ground: &Ground, crowd: &Arc<Crowd>, world: History) {
        let known = crowd.known();
        self.known
            .extend(known.iter().map(|token| field::name(&token.id)));
        let seed = self.next_seed();
        if let Err(why) = crowd.audit(seed).await {
            self.outcome.violations.push(why);
        }
        let history = History {
            calls: crowd.recorder().take(),
            stalls: crowd.recorder().stalls(),
            ..world
        };
        let verdict = tokio::task::block_in_place(|| check(&history));
        self.untold += untold(&history);
        self.outcome.histories += 1;
        self.outcome.calls += history.calls.len();
        self.outcome.operations += verdict.operations;
        self.outcome.lost += verdict.lost.len();
        self.outcome.unknown += history.calls.iter().filter(|call| !call.is_done()).count();
        self.outcome.took_effect += verdict.took_effect;
        if !verdict.violations.is_empty() || !verdict.lost.is_empty() {
            let kept = self.keep_evidence(ground, &history, &verdict);
            let kept = kept.unwrap_or_else(|error| format!("{error:?}"));
            let found = verdict.violations.iter();
            let found = found.map(|violation| format!("{violation} ({kept})"));
            self.outcome.violations.extend(found);
        }
    }

    fn keep_evidence(
        &self,
        ground: &Ground,
        history: &History,
        verdict: &Verdict,
    ) -> Result<String> {
        std::fs::create_dir_all(&ground.evidence).context("making a folder for evidence")?;
        let (name, number) = (&self.place.name, self.outcome.histories);
        let path = ground.evidence.join(format!(
            "{}-{}-{name}-{number}.txt",
            ground.seed, self.place.driver
        ));
        let found: Vec<String> = verdict.violations.iter().map(ToString::to_string).collect();
        let (found, lost) = (found.join("\n"), verdict.lost.join("\n"));
        let text = format!("{}\n{found}\nlost:\n{lost}\n", history.print());
        std::fs::write(&path, text).context("keeping evidence")?;
        Ok(path.display().to_string())
    }

    /// Counts what is alive in the store, ends the servers, and says what came of it all.
    pub(super) async fn close(mut self, servers: &Servers) -> Result<Outcome> {
        let live = field::live(&self.place, servers).await?;
        let violation = census(&live, &self.known, self.untold);
        let violation = violation.map(|violation| violation.to_string());
        self.outcome.violations.extend(violation);
        for process in &mut self.processes {
            process.kill()?;
        }
        Ok(self.outcome)
    }

    /// A history with faults: the load runs until `fault` has done what it does.
    pub(super) async fn play(
        &mut self,
        ground: &Ground,
        load: &Load,
        mut world: History,
        fault: impl AsyncFnOnce(Arc<Crowd>, &mut [Process]) -> Result<Befallen>,
    ) -> Result<()> {
        let crowd = self.crowd(load);
        // A task of its own: a fault may block the one that it is in, which must make nobody's answer look late.
        let running = tokio::spawn({
            let (crowd, load) = (crowd.clone(), load.clone());
            async move { crowd.run(&load).await }
        });
        let befallen = fault(crowd.clone(), &mut self.processes).await;
        crowd.stop();
        running.await.context("running a crowd")?;
        let befallen = befallen?;
        self.outcome.faults += befallen.faults;
        world.lossy = befallen.lossy;
        world.ruined = befallen.ruined;
        world.glimpses = befallen.glimpses;
        self.recover().await;
        self.judge(ground, &crowd, world).await;
        Ok(())
    }
}

/// What has happened while the clients ran.
#[derive(Default)]
pub(super) struct Befallen {
    pub(super) faults: usize,
    pub(super) lossy: Vec<(Micros, Micros)>,
    pub(super) ruined: Vec<(SessionId, Micros)>,
    pub(super) glimpses: Vec<(Micros, Micros)>,
}

impl Befallen {
    pub(super) fn faults(faults: usize) -> Self {
        Self {
            faults,
            ..Self::default()
        }
    }
}

/// A load that lasts until it is stopped.
pub(super) fn lasting(seed: u64) -> Load {
    Load {
        seed,
        calls: usize::MAX,
        browsers: 3,
        tabs: 2,
        leaving: 1,
        longest_pause: 20,
        ..Load::default()
    }
}

/// Fails a part that cannot be run, and says why.
pub(super) fn no_server(driver: Driver) -> Error {
    Error::new(format!("{driver} has no server of its own"))
}
