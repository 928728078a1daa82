//! The background task that removes what has expired.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::Notify,
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::{
    Clock, Error, ErrorKind, Result, clock::Monotonic, observe, record::random, store::SessionStore,
};

/// How many records one call removes: few enough that nobody waits for it.
const BATCH: usize = 500;

/// The same for a store in this process, which has its thread to itself meanwhile.
const BATCH_IN_PROCESS: usize = 10;

/// How long one call may take. Looking through a large folder takes longer than a visitor may wait, and nobody waits.
const PATIENCE: Duration = Duration::from_secs(30);

/// Sweeps a store, from the first request on until it is dropped or shut down.
pub(crate) struct Sweeper {
    job: Job,
    interval: Option<Duration>,
    started: AtomicBool,
    stop: Arc<Notify>,
    task: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Clone)]
struct Job {
    store: Arc<dyn SessionStore>,
    clock: Arc<Monotonic>,
    timeout: Duration,
}

impl Sweeper {
    /// A sweeper that is not started; with no interval, or for a store that needs none, it never will be.
    pub(crate) fn new(
        store: Arc<dyn SessionStore>,
        clock: Arc<Monotonic>,
        timeout: Duration,
        interval: Option<Duration>,
    ) -> Self {
        let interval = interval.filter(|_| store.capabilities().sweeps);
        Self {
            job: Job {
                store,
                clock,
                timeout,
            },
            interval,
            started: AtomicBool::new(interval.is_none()),
            stop: Arc::default(),
            task: Mutex::default(),
        }
    }

    /// Starts the task, the first time that there is a runtime to start it in.
    pub(crate) fn start(&self) {
        if self.started.load(Ordering::Relaxed) {
            return;
        }
        let (Some(interval), Ok(runtime)) = (self.interval, Handle::try_current()) else {
            return;
        };
        if !self.started.swap(true, Ordering::Relaxed) {
            let (job, stop) = (self.job.clone(), self.stop.clone());
            *self.task() = Some(runtime.spawn(async move {
                tokio::select! {
                    () = job.sweep_forever(interval) => {}
                    () = stop.notified() => {}
                }
            }));
        }
    }

    /// Removes what has expired, now.
    pub(crate) async fn sweep(&self) -> Result<usize> {
        self.job.sweep().await
    }

    /// Stops the task and waits for its end; it does not start again.
    pub(crate) async fn shutdown(&self) {
        self.started.store(true, Ordering::Relaxed);
        self.stop.notify_one();
        let task = self.task().take();
        if let Some(task) = task {
            // It ends by itself, or has been ended with its runtime.
            let _ = task.await;
        }
    }

    fn task(&self) -> std::sync::MutexGuard<'_, Option<JoinHandle<()>>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        if let Some(task) = self.task().take() {
            task.abort();
        }
    }
}

impl Job {
    async fn sweep_forever(self, interval: Duration) {
        let driver = self.store.capabilities().name;
        loop {
            sleep(jittered(interval)).await;
            // An error ends this sweep, not the sweeping.
            if let Err(error) = self.sweep().await {
                observe::failed(driver, "sweep", &error);
            }
        }
    }

    async fn sweep(&self) -> Result<usize> {
        let capabilities = self.store.capabilities();
        let most = if capabilities.is_in_process() {
            BATCH_IN_PROCESS
        } else {
            BATCH
        };
        let patience = self.timeout.max(PATIENCE);
        let mut removed = 0;
        loop {
            let batch = timeout(patience, self.store.sweep(self.clock.now(), most)).await;
            let batch = batch.map_err(|_| {
                Error::new(
                    ErrorKind::Timeout,
                    format!(
                        "the {} session store did not sweep in time",
                        capabilities.name
                    ),
                )
            })??;
            removed += batch;
            if batch < most {
                observe::swept(capabilities.name, removed);
                return Ok(removed);
            }
            tokio::task::yield_now().await;
        }
    }
}

/// Between three and five quarters of it, so that many processes do not sweep at once.
fn jittered(interval: Duration) -> Duration {
    let [byte] = random();
    interval.mul_f64(0.75 + f64::from(byte) / 510.0)
}
