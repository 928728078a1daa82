//! What a call has done to its session, as far as its answer tells.

use std::{fmt, ops::Range};

use crate::{
    history::{Answer, Call},
    plan::{Ending, Op},
};

/// The list of stamps in a session.
pub(super) const LOG: &str = "log";

/// Begins the names of loose keys.
const LOOSE: char = 'x';

/// Who has written: the number of the call, and which part of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Stamp {
    pub(super) call: usize,
    pub(super) part: usize,
}

impl Stamp {
    /// Reads `call.part`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (call, part) = text.split_once('.')?;
        Some(Self {
            call: call.parse().ok()?,
            part: part.parse().ok()?,
        })
    }
}

impl fmt::Debug for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.call, self.part)
    }
}

/// Whether something has taken effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Acked,
    /// Acknowledged by a store that may have lost it since, as it says itself.
    Doubtful,
    Unknown,
    Never,
}

/// What is to become of the id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Intent {
    #[default]
    Keep,
    Regenerate,
    Invalidate,
}

/// What is committed in one step.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// The operations that are committed, by their places in the plan; the body's follow those of the handler.
    pub(super) ops: Vec<usize>,
    pub(super) fate: Fate,
    pub(super) stamp: Option<Stamp>,
    /// It puts these keys, without a stamp.
    pub(super) loose: Vec<String>,
    pub(super) flushes: bool,
    pub(super) intent: Intent,
}

/// What a call has done.
#[derive(Clone, Debug)]
pub(super) struct Deed {
    pub(super) parts: Vec<Part>,
    /// Which part is committed with the response's head.
    pub(super) head: usize,
    pub(super) intent: Intent,
    /// Of the intent.
    pub(super) fate: Fate,
}

impl Deed {
    pub(super) fn of(call: &Call, quiet: bool, doubtful: bool) -> Self {
        let all: Vec<&Op> = call.plan.ops.iter().chain(&call.plan.body).collect();
        let head = call.plan.ops.len();
        let mut parts: Vec<Part> = Vec::new();
        for range in ranges(&all, head) {
            let in_body = range.start >= head && head < all.len();
            let saved = range.end < head;
            let fate = match fate(call, quiet, saved, in_body) {
                Fate::Acked if doubtful => Fate::Doubtful,
                fate => fate,
            };
            parts.push(Part::new(&all, range, fate));
        }
        let saves = call.plan.ops.iter().filter(|op| **op == Op::Save);
        let strongest = parts.iter().filter(|part| part.fate != Fate::Never);
        let strongest = strongest.max_by_key(|part| part.intent);
        Self {
            intent: strongest.map_or(Intent::Keep, |part| part.intent),
            fate: strongest.map_or(Fate::Never, |part| part.fate),
            head: saves.count(),
            parts,
        }
    }

    /// Whether it ends the session that its cookie stands for, or may.
    pub(super) fn kills(&self) -> bool {
        self.intent != Intent::Keep && self.fate != Fate::Never
    }

    pub(super) fn part(&self, stamp: Stamp) -> Option<&Part> {
        let part = self.parts.get(stamp.part)?;
        part.stamp.filter(|own| *own == stamp).map(|_| part)
    }
}

/// The parts of a plan: up to each `save`, up to the end of the handler, and the body.
fn ranges(ops: &[&Op], head: usize) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut start = 0;
    for (at, op) in ops.iter().enumerate() {
        if **op == Op::Save {
            ranges.push(start..at);
            start = at + 1;
        }
        if at + 1 == head && head < ops.len() {
            ranges.push(start..head);
            start = head;
        }
    }
    ranges.push(start..ops.len());
    ranges
}

fn fate(call: &Call, quiet: bool, saved: bool, in_body: bool) -> Fate {
    match call.answer {
        // A commit at the end of a body can fail, and nobody can be told.
        Answer::Done { .. } if in_body && !quiet => Fate::Unknown,
        Answer::Begun if in_body => Fate::Unknown,
        Answer::Done { .. } | Answer::Begun => Fate::Acked,
        Answer::Refused if saved && quiet => Fate::Acked,
        Answer::Refused if saved => Fate::Unknown,
        Answer::Refused => Fate::Never,
        Answer::Left | Answer::Cut if call.plan.ending == Ending::Panic && !saved => Fate::Never,
        Answer::Left | Answer::Cut | Answer::Failed(_) => Fate::Unknown,
    }
}

impl Part {
    fn new(all: &[&Op], range: Range<usize>, fate: Fate) -> Self {
        let mut part = Self {
            ops: Vec::new(),
            fate,
            stamp: None,
            loose: Vec::new(),
            flushes: false,
            intent: Intent::Keep,
        };
        for at in range {
            part.add(at, all[at]);
        }
        part
    }

    fn add(&mut self, at: usize, op: &Op) {
        match op {
            Op::Discard | Op::Invalidate => {
                let intent = match op {
                    Op::Discard => Intent::Keep,
                    _ => Intent::Invalidate,
                };
                *self = Self {
                    ops: Vec::new(),
                    fate: self.fate,
                    stamp: None,
                    loose: Vec::new(),
                    flushes: false,
                    intent,
                };
                return;
            }
            Op::Regenerate => self.intent = self.intent.max(Intent::Regenerate),
            Op::Flush => self.flushes = true,
            Op::Push(key, stamp) if key == LOG => {
                self.stamp = stamp.as_str().and_then(Stamp::parse);
            }
            Op::Put(key, _) if key.starts_with(LOOSE) => self.loose.push(key.clone()),
            _ => {}
        }
        self.ops.push(at);
    }
}
