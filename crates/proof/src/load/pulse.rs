//! When the machine itself stood still: nobody who shares it can be blamed for an answer that came late.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::history::{Micros, Recorder};

/// How often it beats.
const BEAT: Duration = Duration::from_millis(10);

/// A thread that sleeps and notes by how much it was woken too late, for as long as this lives.
#[derive(Debug)]
pub(super) struct Pulse {
    over: Arc<AtomicBool>,
    beating: Option<JoinHandle<()>>,
}

impl Pulse {
    pub(super) fn of(recorder: Arc<Recorder>) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let ended = over.clone();
        let beat = Micros::try_from(BEAT.as_micros()).unwrap_or(Micros::MAX);
        let beating = thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                let start = recorder.now();
                thread::sleep(BEAT);
                let end = recorder.now();
                if end - start > 2 * beat {
                    recorder.note_stall(start + beat, end);
                }
            }
        });
        Self {
            over,
            beating: Some(beating),
        }
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(beating) = self.beating.take() {
            // A thread that has panicked has noted what it has noted.
            drop(beating.join());
        }
    }
}
