//! A store that notes what it is asked, and fails when it is told to.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use arvel_session::{
    Error, ErrorKind, Time,
    store::{
        At, Capabilities, Expect, Key, Kind, MemoryStore, Record, Reply, Revision, Saved,
        SessionStore, Write,
    },
};
use futures_util::FutureExt;

use super::Gate;

/// A [`MemoryStore`] behind a script; clones are the same store.
#[derive(Clone)]
pub(crate) struct Script {
    shared: Arc<Shared>,
    capabilities: Capabilities,
}

struct Shared {
    memory: MemoryStore,
    log: Mutex<Vec<Entry>>,
    keys: Mutex<BTreeSet<Key>>,
    faults: Mutex<VecDeque<(Call, Fault)>>,
    always: Mutex<Option<(Call, Fault)>>,
}

/// What a store can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Load,
    Save,
    Replace,
    Touch,
    Sweep,
}

/// One call.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) call: Call,
    pub(crate) key: Key,
    pub(crate) expect: Option<Expect>,
    pub(crate) write: Option<Write>,
}

/// How a call goes wrong.
#[derive(Clone)]
pub(crate) struct Fault {
    executed: Executed,
    wait: Wait,
    error: Option<Error>,
    /// Somebody else saves just before.
    overtaken: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Executed {
    Never,
    AtOnce,
    Late,
}

#[derive(Clone)]
enum Wait {
    No,
    For(Duration),
    Until(Gate),
    Forever,
}

impl Fault {
    /// No fault: for a call that is to go well before the next one fails.
    pub(crate) const NONE: Self = Self {
        executed: Executed::AtOnce,
        wait: Wait::No,
        error: None,
        overtaken: false,
    };

    /// An error; nothing has happened.
    pub(crate) fn refused() -> Self {
        Self::error(Error::new(ErrorKind::Store, "scripted: refused"))
    }

    /// An error of another kind; nothing has happened.
    pub(crate) fn error(error: Error) -> Self {
        Self {
            executed: Executed::Never,
            error: Some(error),
            ..Self::NONE
        }
    }

    /// An error, although it has happened.
    pub(crate) fn lost() -> Self {
        Self {
            executed: Executed::AtOnce,
            error: Some(Error::new(ErrorKind::Store, "scripted: answer lost")),
            ..Self::NONE
        }
    }

    /// Nothing happens, and no answer ever comes.
    pub(crate) const SILENT: Self = Self {
        executed: Executed::Never,
        wait: Wait::Forever,
        ..Self::NONE
    };

    /// Somebody else saves the same content just before, so that it meets a conflict.
    pub(crate) const OVERTAKEN: Self = Self {
        overtaken: true,
        ..Self::NONE
    };

    /// It happens at once; the answer comes after a while.
    pub(crate) const fn slow(time: Duration) -> Self {
        Self {
            wait: Wait::For(time),
            ..Self::NONE
        }
    }

    /// The answer comes when the gate opens.
    pub(crate) fn held(mut self, gate: &Gate) -> Self {
        self.wait = Wait::Until(gate.clone());
        self
    }

    /// The answer comes after a while.
    pub(crate) fn after(mut self, time: Duration) -> Self {
        self.wait = Wait::For(time);
        self
    }

    /// It happens only when the answer comes.
    pub(crate) fn late(mut self) -> Self {
        self.executed = Executed::Late;
        self
    }
}

impl Script {
    pub(crate) fn new() -> Self {
        let mut capabilities = Capabilities::new("script");
        capabilities.shared = false;
        capabilities.persistent = false;
        Self {
            shared: Arc::new(Shared {
                memory: MemoryStore::new(),
                log: Mutex::default(),
                keys: Mutex::default(),
                faults: Mutex::default(),
                always: Mutex::default(),
            }),
            capabilities,
        }
    }

    /// The records outlive the process, so they are sealed.
    pub(crate) fn persistent(mut self) -> Self {
        self.capabilities.persistent = true;
        self
    }

    /// There is no atomic replace.
    pub(crate) fn without_replace(mut self) -> Self {
        self.capabilities.atomic_replace = false;
        self
    }

    /// Records are kept up to this size.
    pub(crate) fn at_most(mut self, bytes: usize) -> Self {
        self.capabilities.max_bytes = bytes;
        self
    }

    /// The columns are looked at.
    pub(crate) fn with_columns(mut self) -> Self {
        self.capabilities.columns = true;
        self
    }

    /// The next calls of this kind go wrong, one after the other.
    pub(crate) fn script(&self, call: Call, faults: impl IntoIterator<Item = Fault>) {
        let faults = faults.into_iter().map(|fault| (call, fault));
        self.faults().extend(faults);
    }

    /// From now on, every call of this kind goes wrong like this.
    pub(crate) fn always(&self, call: Call, fault: Fault) {
        *self.shared.always.lock().unwrap() = Some((call, fault));
    }

    fn next_fault(&self, call: Call) -> Option<Fault> {
        let mut faults = self.faults();
        let next = faults.iter().position(|(of, _)| *of == call);
        let next = next.and_then(|next| faults.remove(next));
        let always = self.shared.always.lock().unwrap().clone();
        let fault = next.or(always.filter(|(of, _)| *of == call));
        fault.map(|(_, fault)| fault)
    }

    /// Saves what is there under another revision, as another process might.
    fn overtake(&self, key: &Key) {
        if let Some(mut record) = self.record(key) {
            let expect = Expect::Revision(record.revision);
            record.revision = Revision::from_u64(record.revision.as_u64().wrapping_add(1));
            let write = Write::new(record, Time::from_millis(0));
            let saved = self.shared.memory.save(key, expect, write).now_or_never();
            assert!(matches!(saved, Some(Ok(Saved::Done))));
        }
    }

    fn faults(&self) -> MutexGuard<'_, VecDeque<(Call, Fault)>> {
        self.shared.faults.lock().unwrap()
    }

    /// Forgets what was to go wrong and did not.
    pub(crate) fn clear(&self) {
        self.faults().clear();
    }

    /// Whether all that was to go wrong has done so.
    #[track_caller]
    pub(crate) fn has_run(&self) {
        assert!(self.faults().is_empty(), "the script was not played");
    }

    /// Everything that was asked since the last look.
    pub(crate) fn take_log(&self) -> Vec<Entry> {
        std::mem::take(&mut self.shared.log.lock().unwrap())
    }

    /// What was asked since the last look, in short.
    pub(crate) fn take_calls(&self) -> Vec<Call> {
        let log = self.take_log();
        log.into_iter().map(|entry| entry.call).collect()
    }

    /// All that is stored now.
    pub(crate) fn records(&self) -> Vec<(Key, Record)> {
        let keys = self.shared.keys.lock().unwrap().clone();
        let records = keys.into_iter().map(|key| Some((key, self.record(&key)?)));
        records.flatten().collect()
    }

    /// What is stored under this key.
    pub(crate) fn record(&self, key: &Key) -> Option<Record> {
        let loaded = self.shared.memory.load(At::Key(key)).now_or_never();
        loaded.unwrap().unwrap()
    }

    /// The sessions that are stored, markers aside.
    pub(crate) fn live(&self) -> Vec<(Key, Record)> {
        let mut live = self.records();
        live.retain(|(_, record)| record.kind.is_live());
        live
    }

    /// The one session that is stored.
    #[track_caller]
    pub(crate) fn only_live(&self) -> (Key, Record) {
        let live = self.live();
        assert_eq!(live.len(), 1, "{live:?}");
        live.into_iter().next().unwrap()
    }

    /// Puts a record in place of another, behind everybody's back.
    pub(crate) fn overwrite(&self, key: &Key, record: Record) {
        self.shared.keys.lock().unwrap().insert(*key);
        let expect = match self.record(key) {
            Some(there) => Expect::Revision(there.revision),
            None => Expect::Absent,
        };
        let write = Write::new(record, Time::from_millis(0));
        let saved = self.shared.memory.save(key, expect, write).now_or_never();
        assert!(matches!(saved, Some(Ok(Saved::Done))), "{saved:?}");
    }

    /// Loses a live record.
    pub(crate) fn lose(&self, key: &Key) {
        let mut record = self.record(key).unwrap();
        record.expires = Time::from_millis(0);
        self.overwrite(key, record);
        let swept = self.shared.memory.sweep(Time::from_millis(0), usize::MAX);
        assert_eq!(swept.now_or_never().unwrap().unwrap(), 1);
    }

    fn run<T: Send + 'static>(
        &self,
        entry: Entry,
        run: impl FnOnce(&MemoryStore) -> Reply<T> + Send + 'static,
    ) -> Reply<T> {
        let (call, key) = (entry.call, entry.key);
        self.shared.log.lock().unwrap().push(entry);
        let Some(fault) = self.next_fault(call) else {
            return run(&self.shared.memory);
        };
        if fault.overtaken {
            self.overtake(&key);
        }
        if fault.error.is_none() && matches!(fault.wait, Wait::No) {
            return run(&self.shared.memory);
        }
        let mut run = Some(run);
        let mut reply = None;
        if fault.executed == Executed::AtOnce {
            reply = run.take().map(|run| run(&self.shared.memory));
        }
        let shared = self.shared.clone();
        Reply::later(async move {
            match fault.wait {
                Wait::No => {}
                Wait::For(time) => tokio::time::sleep(time).await,
                Wait::Until(gate) => gate.pass().await,
                Wait::Forever => std::future::pending().await,
            }
            if fault.executed == Executed::Late {
                reply = run.take().map(|run| run(&shared.memory));
            }
            match (fault.error, reply) {
                (Some(error), _) => Err(error),
                (None, Some(reply)) => reply.await,
                (None, None) => unreachable!("without execution there is an error or no answer"),
            }
        })
    }

    fn know(&self, key: &Key) {
        self.shared.keys.lock().unwrap().insert(*key);
    }
}

impl SessionStore for Script {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn load(&self, at: At<'_>) -> Reply<Option<Record>> {
        let At::Key(key) = at else {
            return Reply::ready(Ok(None));
        };
        let key = *key;
        let entry = Entry {
            call: Call::Load,
            key,
            expect: None,
            write: None,
        };
        self.run(entry, move |memory| memory.load(At::Key(&key)))
    }

    fn save(&self, key: &Key, expect: Expect, write: Write) -> Reply<Saved> {
        self.know(key);
        let key = *key;
        let entry = Entry {
            call: Call::Save,
            key,
            expect: Some(expect),
            write: Some(write.clone()),
        };
        self.run(entry, move |memory| memory.save(&key, expect, write))
    }

    fn replace(
        &self,
        old: &Key,
        expect: Revision,
        marker: Record,
        new: &Key,
        write: Write,
    ) -> Reply<Saved> {
        self.know(old);
        self.know(new);
        assert!(self.capabilities.atomic_replace, "it was not declared");
        assert_eq!(marker.kind, Kind::Regenerated(*new));
        let (old, new) = (*old, *new);
        let entry = Entry {
            call: Call::Replace,
            key: old,
            expect: Some(Expect::Revision(expect)),
            write: Some(write.clone()),
        };
        self.run(entry, move |memory| {
            memory.replace(&old, expect, marker, &new, write)
        })
    }

    fn touch(&self, key: &Key, expires: Time, now: Time) -> Reply<()> {
        let key = *key;
        let entry = Entry {
            call: Call::Touch,
            key,
            expect: None,
            write: None,
        };
        self.run(entry, move |memory| memory.touch(&key, expires, now))
    }

    fn sweep(&self, now: Time, max: usize) -> Reply<usize> {
        let entry = Entry {
            call: Call::Sweep,
            key: Key::new([0; 2], [0; 32]),
            expect: None,
            write: None,
        };
        self.run(entry, move |memory| memory.sweep(now, max))
    }
}
