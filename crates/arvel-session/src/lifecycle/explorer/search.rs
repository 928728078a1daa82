//! Breadth first through everything that may happen, so that what is found first is shortest.

use std::collections::{HashSet, VecDeque};

use super::{
    check,
    ghost::{Verdict, Violation},
    trace,
    world::{Event, World},
};
use crate::lifecycle::Context;

/// What a search has seen.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    pub(super) states: usize,
    pub(super) ends: usize,
}

impl std::ops::AddAssign for Seen {
    fn add_assign(&mut self, other: Self) {
        self.states += other.states;
        self.ends += other.ends;
    }
}

/// A violation, and how it comes about.
pub(super) struct Found {
    pub(super) violation: Violation,
    pub(super) steps: usize,
    pub(super) trace: String,
}

struct Step {
    parent: usize,
    event: Option<Event>,
}

/// Tries everything that may happen from `start` on.
pub(super) fn search(cx: &Context, start: &World) -> Result<Seen, Box<Found>> {
    let mut visited = HashSet::from([start.fingerprint()]);
    let mut steps = vec![Step {
        parent: 0,
        event: None,
    }];
    let mut queue = VecDeque::from([(0, start.clone())]);
    let mut seen = Seen::default();
    while let Some((at, world)) = queue.pop_front() {
        seen.states += 1;
        for event in world.events() {
            let mut next = world.clone();
            if let Err(violation) = happen(&mut next, cx, event, &mut seen) {
                steps.push(Step {
                    parent: at,
                    event: Some(event),
                });
                let events = path(&steps);
                return Err(Box::new(Found {
                    violation,
                    steps: events.len(),
                    trace: trace::tell(cx, start, &events),
                }));
            }
            if visited.insert(next.fingerprint()) {
                steps.push(Step {
                    parent: at,
                    event: Some(event),
                });
                queue.push_back((steps.len() - 1, next));
            }
        }
    }
    Ok(seen)
}

fn happen(world: &mut World, cx: &Context, event: Event, seen: &mut Seen) -> Verdict {
    world.apply(cx, event)?;
    if world.is_over() {
        seen.ends += 1;
    }
    check::end(world, cx)
}

/// The events that lead to the last step.
fn path(steps: &[Step]) -> Vec<Event> {
    let mut events = Vec::new();
    let mut at = steps.len() - 1;
    while let Some(event) = steps[at].event {
        events.push(event);
        at = steps[at].parent;
    }
    events.reverse();
    events
}
