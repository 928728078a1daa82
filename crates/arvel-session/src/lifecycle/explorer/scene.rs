//! How things stand when the requests come: made by real requests, one after the other.

use std::{rc::Rc, time::Duration};

use super::{
    request::{Progress, Request},
    script::{MOVE, SEED, Script},
    world::{Event, Fate, Sweep, World},
};
use crate::{
    Time,
    lifecycle::{Context, Rules},
    record::{Keyring, Kind},
    store::Capabilities,
};

const LIFETIME: Duration = Duration::from_secs(7200);
const ABSOLUTE: Duration = Duration::from_secs(3600);
const GRACE: Duration = Duration::from_secs(10);

/// How things stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scene {
    /// The browser has just got its session, with data and a flash.
    Fresh,
    /// As that; the store cannot replace in one step.
    Split,
    /// As the first; all requests are of one process, where a commit finds what another one has stored.
    OneProcess,
    /// As that; it finds what another one has sent, which may never be stored.
    Ahead,
    /// It has had it for some time, so that the expiry is to be moved, and the cookie sent again.
    Stale,
    /// It has no cookie.
    FirstVisit,
    /// It holds two cookies of our name, the first of which is dead.
    TwoCookies,
    /// Its only cookie is dead, and leads to a live session.
    Marked,
    /// Handlers are slow: a marker may expire meanwhile.
    Slow,
    /// The session is about to reach the end of its life.
    Ending,
}

impl Scene {
    pub(super) fn context(self) -> Context {
        Context {
            capabilities: Capabilities {
                atomic_replace: self != Self::Split,
                ..Capabilities::new("explorer")
            },
            keys: Keyring::new(&[7; 32], [], "id"),
            rules: Rules {
                cookie_name: "id".to_owned(),
                lifetime: LIFETIME,
                absolute_lifetime: (self == Self::Ending).then_some(ABSOLUTE),
                expire_on_close: false,
                seal: false,
                grace: GRACE,
            },
        }
    }

    /// The world in which these scripts run, with so many faults at most.
    pub(super) fn set(self, cx: &Context, scripts: &[Script], faults: u8) -> World {
        let mut world = World::empty(Time::from_millis(1_790_000_000_000));
        if self != Self::FirstVisit {
            alone(&mut world, cx, SEED, 100);
        }
        match self {
            Self::Fresh | Self::Split | Self::FirstVisit => {}
            Self::OneProcess | Self::Ahead => {
                world.left = Some(Rc::default());
                world.ahead = self == Self::Ahead;
            }
            Self::Stale => world.pass(Duration::from_secs(150), Sweep::No),
            Self::TwoCookies => {
                world.foreign = world.cookie.clone();
                alone(&mut world, cx, MOVE, 101);
            }
            Self::Marked => {
                let dead = world.cookie.clone();
                alone(&mut world, cx, MOVE, 101);
                world.cookie = dead;
            }
            Self::Slow => world.jumps = vec![GRACE],
            Self::Ending => {
                world.pass(ABSOLUTE - Duration::from_secs(1), Sweep::No);
                world.jumps = vec![Duration::from_millis(1500)];
            }
        }
        world.ghost = super::ghost::Ghost::default();
        for (key, record) in &world.shelf.0 {
            if let Kind::Regenerated(next) = record.kind {
                world.ghost.dead.insert(*key);
                world.ghost.next.insert(*key, next);
            }
        }
        let requests = scripts.iter().enumerate();
        world.requests = requests
            .map(|(index, script)| {
                Rc::new(Request::new(*script, format!("r{index}"), index as u64))
            })
            .collect();
        world.faults = faults;
        world
    }
}

/// One request, with nobody else there.
fn alone(world: &mut World, cx: &Context, script: Script, stream: u64) {
    world.requests = vec![Rc::new(Request::new(script, format!("s{stream}"), stream))];
    world.apply(cx, Event::Start(0)).unwrap();
    while !matches!(world.requests[0].progress, Progress::Ended) {
        world.apply(cx, Event::Call(0, Fate::Answered)).unwrap();
    }
    world.apply(cx, Event::Arrive(0)).unwrap();
}
