//! The probe: whether a store keeps what it is given, and lets go of it again.

use std::error;

use bytes::Bytes;

use crate::{
    Clock, Error, ErrorKind, Result, Store, Time,
    record::Id,
    store::{At, Expect, Key, Kind, Record, Reply, Revision, Saved, Write},
};

const BODY: &[u8] = b"probe";
/// How many expired records the probe may sweep with its own; the application's sweeper does the rest.
const BATCH: usize = 500;

impl Store {
    /// Writes a record under a random key, reads it back and removes it: a check of the whole way, for a tool.
    ///
    /// [`ping`](Self::ping) does for a health check, since it writes nothing. What the probe writes expires after a few
    /// times the setting `timeout`, so little stays where it is cut short; removing it sweeps other expired records too.
    ///
    /// # Errors
    /// The message names the step that failed, and the store's own error is the source.
    ///
    /// ```
    /// use arvel_session::{Secret, SessionConfig, SessionManager};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> arvel_session::Result<()> {
    /// let config = SessionConfig::new().driver("memory").secret_key(Secret::generate());
    /// SessionManager::new(config)?.store()?.probe().await?;
    /// # Ok(()) }
    /// ```
    pub async fn probe(&self) -> Result<()> {
        let key = Id::random().key();
        let now = self.clock.now();
        let expires = now.after(self.config.settings().timeout * 4);
        let record = Record::new(Kind::Plain, Revision::random(), expires, BODY);

        let saved = self.save(&key, Expect::Absent, record.clone(), now);
        let token = match self.step("written", saved).await? {
            Saved::Done => None,
            Saved::Token(token) => Some(token),
            Saved::Conflict(_) => {
                return Err(self.failed("written", ErrorKind::Store, "the store has it already"));
            }
        };
        let at = token.as_deref().map_or(At::Key(&key), At::Payload);
        let found = self.step("read back", self.driver.load(at)).await?;
        if found.as_ref() != Some(&record) {
            return Err(self.failed(
                "read back",
                ErrorKind::Store,
                "the store has something else",
            ));
        }
        match token {
            None => self.remove(&key, record.revision, now).await,
            Some(_) => Ok(()),
        }
    }

    /// A store deletes nothing on demand. So the record becomes a marker that has expired, and is swept.
    async fn remove(&self, key: &Key, revision: Revision, now: Time) -> Result<()> {
        let marker = Record::new(Kind::Destroyed, Revision::random(), now, Bytes::new());
        let saved = self.save(key, Expect::Revision(revision), marker, now);
        if !matches!(self.step("removed", saved).await?, Saved::Done) {
            return Err(self.failed("removed", ErrorKind::Store, "the store has something else"));
        }
        if self.capabilities().sweeps {
            let swept = self.driver.sweep(self.clock.now(), BATCH);
            self.step("swept", swept).await?;
        }
        let left = self.step("removed", self.driver.load(At::Key(key))).await?;
        match left {
            Some(record) if record.kind.is_live() => {
                Err(self.failed("removed", ErrorKind::Store, "the store still has it"))
            }
            _ => Ok(()),
        }
    }

    fn save(&self, key: &Key, expect: Expect, record: Record, now: Time) -> Reply<Saved> {
        self.driver.save(key, expect, Write::new(record, now))
    }

    async fn step<T>(&self, step: &str, answer: Reply<T>) -> Result<T> {
        let answer = self.in_time(answer).await;
        answer.map_err(|error| self.failed(step, error.kind(), error))
    }

    fn failed(
        &self,
        step: &str,
        kind: ErrorKind,
        why: impl Into<Box<dyn error::Error + Send + Sync>>,
    ) -> Error {
        let driver = self.capabilities().name;
        let message = format!("the {driver} session store: a probe could not be {step}");
        Error::new(kind, message).with_source(why)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        ManualClock, Secret, SessionConfig, SessionManager,
        store::{Capabilities, MemoryStore, SessionStore},
    };

    /// A store with a fault of its own.
    #[derive(Clone)]
    struct Faulty {
        inner: Arc<MemoryStore>,
        fault: Fault,
    }

    #[derive(Clone, Copy, PartialEq)]
    enum Fault {
        None,
        ForgetsSaves,
        KeepsDead,
        CannotSweep,
        NeverAnswers,
    }

    impl SessionStore for Faulty {
        fn capabilities(&self) -> Capabilities {
            self.inner.capabilities()
        }

        fn load(&self, at: At<'_>) -> Reply<Option<Record>> {
            self.inner.load(at)
        }

        fn save(&self, key: &Key, expect: Expect, write: Write) -> Reply<Saved> {
            let is_marker = !write.record.kind.is_live();
            match self.fault {
                Fault::ForgetsSaves => Reply::ready(Ok(Saved::Done)),
                Fault::KeepsDead if is_marker => Reply::ready(Ok(Saved::Done)),
                Fault::NeverAnswers => Reply::later(std::future::pending()),
                _ => self.inner.save(key, expect, write),
            }
        }

        fn touch(&self, key: &Key, expires: Time, now: Time) -> Reply<()> {
            self.inner.touch(key, expires, now)
        }

        fn sweep(&self, now: Time, max: usize) -> Reply<usize> {
            match self.fault {
                Fault::CannotSweep => Reply::ready(Err(Error::store("faulty: sweep", "read-only"))),
                _ => self.inner.sweep(now, max),
            }
        }
    }

    /// How a probe of such a store ends, how many records it leaves, and how many when its own have expired.
    async fn probe(fault: Fault) -> (Result<()>, usize, usize) {
        let store = Faulty {
            inner: Arc::default(),
            fault,
        };
        let config = SessionConfig::new()
            .driver("faulty")
            .timeout(std::time::Duration::from_secs(2))
            .secret_key(Secret::generate());
        let clock = ManualClock::default();
        let manager = SessionManager::with_clock(config, clock.clone()).unwrap();
        let made = store.clone();
        manager.extend("faulty", move |_| Ok(made.clone())).unwrap();
        let ended = manager.store().unwrap().probe().await;
        let left = store.inner.len();
        clock.advance(std::time::Duration::from_secs(10));
        store.inner.sweep(clock.now(), BATCH).await.unwrap();
        (ended, left, store.inner.len())
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_leaves_nothing() {
        let (ended, left, _) = probe(Fault::None).await;
        ended.unwrap();
        assert_eq!(left, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_fault_is_named_by_its_step_and_leaves_nothing_for_long() {
        for (fault, step, kind) in [
            (Fault::ForgetsSaves, "read back", ErrorKind::Store),
            (Fault::KeepsDead, "removed", ErrorKind::Store),
            (Fault::CannotSweep, "swept", ErrorKind::Store),
            (Fault::NeverAnswers, "written", ErrorKind::Timeout),
        ] {
            let (ended, _, left) = probe(fault).await;
            let error = ended.unwrap_err();
            assert_eq!(error.kind(), kind);
            let expected = format!("the memory session store: a probe could not be {step}");
            assert_eq!(error.to_string(), expected);
            assert!(error::Error::source(&error).is_some());
            assert_eq!(left, 0, "{expected}");
        }
    }

    #[tokio::test]
    async fn what_the_browser_keeps_is_read_back_and_left() {
        let config = SessionConfig::new().secret_key(Secret::generate());
        let store = SessionManager::new(config).unwrap().store().unwrap();
        assert_eq!(store.capabilities().name, "cookie");
        store.probe().await.unwrap();
    }
}
