//! Broken stores: an honest one with one fault each.

mod declaring;
mod moving;
mod racing;
mod replacing;
mod storing;

use std::sync::{Arc, Mutex, MutexGuard};

use arvel_session::{
    Error, ErrorKind, Time,
    conformance::Opener,
    store::{At, Capabilities, Expect, Key, Record, Reply, Revision, Saved, SessionStore, Write},
};

use crate::honest::{Shelf, shared};

/// A fault's name, the checks that are meant to catch it (with spaces between), and a store that has it.
pub(crate) type Fault = (&'static str, &'static str, Opener);

pub(crate) fn all() -> Vec<Fault> {
    let mut faults = declaring::faults();
    faults.extend(storing::faults());
    faults.extend(replacing::faults());
    faults.extend(moving::faults());
    faults.extend(racing::faults());
    faults
}

type OnLoad = dyn Fn(&Shelf, At<'_>) -> Reply<Option<Record>> + Send + Sync;
type OnSave = dyn Fn(&Shelf, &Key, Expect, Write) -> Reply<Saved> + Send + Sync;
type OnReplace = dyn Fn(&Shelf, Replace) -> Reply<Saved> + Send + Sync;
type OnTouch = dyn Fn(&Shelf, &Key, Time) -> Reply<()> + Send + Sync;
type OnSweep = dyn Fn(&Shelf, Time, usize) -> Reply<usize> + Send + Sync;

/// The arguments of a replace.
#[derive(Clone)]
pub(crate) struct Replace {
    pub(crate) old: Key,
    pub(crate) expect: Revision,
    pub(crate) marker: Record,
    pub(crate) new: Key,
    pub(crate) write: Write,
}

impl Replace {
    /// As it should be.
    pub(crate) fn on(self, shelf: &Shelf) -> Reply<Saved> {
        let Self {
            old,
            expect,
            marker,
            new,
            write,
        } = self;
        shelf.replace(&old, expect, marker, &new, write)
    }

    pub(crate) fn conflict(&self, shelf: &Shelf) -> Option<Saved> {
        let there = shelf.get(&self.old);
        let expected = Shelf::expected(there.as_ref(), Expect::Revision(self.expect));
        (!expected).then_some(Saved::Conflict(there))
    }

    pub(crate) fn do_it(self, shelf: &Shelf) -> Saved {
        shelf.put(self.old, self.marker);
        shelf.put(self.new, self.write.record);
        Saved::Done
    }
}

/// An honest store, of which some calls do something else.
#[derive(Clone)]
pub(crate) struct Broken {
    honest: Shelf,
    /// Held during a call, so that a fault of one kind is not one of concurrency too, unless it waits.
    turn: Arc<Mutex<()>>,
    declared: Arc<dyn Fn(&Shelf) -> Capabilities + Send + Sync>,
    load: Option<Arc<OnLoad>>,
    save: Option<Arc<OnSave>>,
    replace: Option<Arc<OnReplace>>,
    touch: Option<Arc<OnTouch>>,
    sweep: Option<Arc<OnSweep>>,
}

impl Broken {
    pub(crate) fn new(honest: Shelf) -> Self {
        Self {
            honest,
            turn: Arc::default(),
            declared: Arc::new(|shelf| shelf.capabilities),
            load: None,
            save: None,
            replace: None,
            touch: None,
            sweep: None,
        }
    }

    pub(crate) fn declares(mut self, change: fn(&mut Capabilities)) -> Self {
        self.declared = Arc::new(move |shelf| {
            let mut declared = shelf.capabilities;
            change(&mut declared);
            declared
        });
        self
    }

    pub(crate) fn changes(mut self, declared: fn(&Shelf) -> Capabilities) -> Self {
        self.declared = Arc::new(declared);
        self
    }

    pub(crate) fn load<F>(mut self, load: F) -> Self
    where
        F: Fn(&Shelf, At<'_>) -> Reply<Option<Record>> + Send + Sync + 'static,
    {
        self.load = Some(Arc::new(load));
        self
    }

    /// Changes what is found.
    pub(crate) fn finds<F>(self, find: F) -> Self
    where
        F: Fn(&Shelf, &Key, Option<Record>) -> Option<Record> + Send + Sync + 'static,
    {
        self.load(move |shelf, at| match at {
            At::Key(key) => Reply::ready(Ok(find(shelf, key, shelf.get(key)))),
            At::Payload(_) => Reply::ready(Ok(None)),
        })
    }

    pub(crate) fn save<F>(mut self, save: F) -> Self
    where
        F: Fn(&Shelf, &Key, Expect, Write) -> Reply<Saved> + Send + Sync + 'static,
    {
        self.save = Some(Arc::new(save));
        self
    }

    pub(crate) fn replace<F>(mut self, replace: F) -> Self
    where
        F: Fn(&Shelf, Replace) -> Reply<Saved> + Send + Sync + 'static,
    {
        self.replace = Some(Arc::new(replace));
        self
    }

    pub(crate) fn touch<F>(mut self, touch: F) -> Self
    where
        F: Fn(&Shelf, &Key, Time) -> Reply<()> + Send + Sync + 'static,
    {
        self.touch = Some(Arc::new(touch));
        self
    }

    /// Touches only where something is, and as the fault says.
    pub(crate) fn moves(self, change: fn(&mut Record, Time)) -> Self {
        self.touch(move |shelf, key, expires| {
            if let Some(record) = shelf.records().get_mut(key) {
                change(record, expires);
            }
            Reply::ready(Ok(()))
        })
    }

    pub(crate) fn sweep<F>(mut self, sweep: F) -> Self
    where
        F: Fn(&Shelf, Time, usize) -> Reply<usize> + Send + Sync + 'static,
    {
        self.sweep = Some(Arc::new(sweep));
        self
    }

    /// Keeps something else than what it was given, wherever a record comes in.
    pub(crate) fn spoils(self, spoil: fn(&mut Record)) -> Self {
        self.save(move |shelf, key, expect, mut write| {
            spoil(&mut write.record);
            shelf.save(key, expect, write)
        })
        .replace(move |shelf, mut replace| {
            spoil(&mut replace.write.record);
            spoil(&mut replace.marker);
            replace.on(shelf)
        })
    }

    /// Also saves where the fault says so; told what is there, what is expected, and the write.
    pub(crate) fn also_saves(
        self,
        wrongly: fn(Option<&Record>, Option<Revision>, &Write) -> bool,
    ) -> Self {
        self.save(move |shelf, key, expect, write| {
            let expected = match expect {
                Expect::Revision(revision) => Some(revision),
                Expect::Absent => None,
            };
            if wrongly(shelf.get(key).as_ref(), expected, &write) {
                shelf.put(*key, write.record);
                return Reply::ready(Ok(Saved::Done));
            }
            shelf.save(key, expect, write)
        })
    }

    /// Answers conflicts in another way.
    pub(crate) fn conflicts(
        self,
        change: fn(&Shelf, &Key, Option<Record>) -> Option<Record>,
    ) -> Self {
        self.save(move |shelf, key, expect, write| {
            match shelf.save_now(key, expect, write.record) {
                Saved::Conflict(there) => {
                    Reply::ready(Ok(Saved::Conflict(change(shelf, key, there))))
                }
                done => Reply::ready(Ok(done)),
            }
        })
    }
}

impl Broken {
    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap()
    }
}

impl SessionStore for Broken {
    fn capabilities(&self) -> Capabilities {
        (self.declared)(&self.honest)
    }

    fn load(&self, at: At<'_>) -> Reply<Option<Record>> {
        let _turn = self.turn();
        match &self.load {
            Some(load) => load(&self.honest, at),
            None => self.honest.load(at),
        }
    }

    fn save(&self, key: &Key, expect: Expect, write: Write) -> Reply<Saved> {
        let _turn = self.turn();
        match &self.save {
            Some(save) => match self.capabilities().check_size(&write.record) {
                Ok(()) => save(&self.honest, key, expect, write),
                Err(error) => Reply::ready(Err(error)),
            },
            None => self.honest.save(key, expect, write),
        }
    }

    fn replace(
        &self,
        old: &Key,
        expect: Revision,
        marker: Record,
        new: &Key,
        write: Write,
    ) -> Reply<Saved> {
        let replace = Replace {
            old: *old,
            expect,
            marker,
            new: *new,
            write,
        };
        let _turn = self.turn();
        match &self.replace {
            Some(faulty) => match self.capabilities().check_size(&replace.write.record) {
                Ok(()) => faulty(&self.honest, replace),
                Err(error) => Reply::ready(Err(error)),
            },
            None => replace.on(&self.honest),
        }
    }

    fn touch(&self, key: &Key, expires: Time, now: Time) -> Reply<()> {
        let _turn = self.turn();
        match &self.touch {
            Some(touch) => touch(&self.honest, key, expires),
            None => self.honest.touch(key, expires, now),
        }
    }

    fn sweep(&self, now: Time, max: usize) -> Reply<usize> {
        let _turn = self.turn();
        match &self.sweep {
            Some(sweep) => sweep(&self.honest, now, max),
            None => self.honest.sweep(now, max),
        }
    }
}

/// A store that can do everything, with this fault.
pub(crate) fn fault(
    name: &'static str,
    meant: &'static str,
    broken: impl FnOnce(Broken) -> Broken,
) -> Fault {
    (name, meant, shared(broken(Broken::new(Shelf::server()))))
}

pub(crate) fn failure<T>() -> Reply<T> {
    Reply::ready(Err(Error::new(ErrorKind::Store, "it broke")))
}
