//! Random requests: every operation of a session, in the mixture that makes them meet.

use fastrand::Rng;
use serde_json::json;

use crate::plan::{Ending, Manner, Op, Plan};

/// What a request is about. The numbers are how often, in a thousand.
const KINDS: [(Kind, u32); 14] = [
    (Kind::Read, 250),
    (Kind::Write, 330),
    (Kind::Loose, 70),
    (Kind::Flash, 90),
    (Kind::Keep, 30),
    (Kind::Flush, 20),
    (Kind::Login, 60),
    (Kind::Logout, 20),
    (Kind::Token, 20),
    (Kind::Discard, 20),
    (Kind::Save, 40),
    (Kind::Stream, 30),
    (Kind::Fail, 10),
    (Kind::Panic, 10),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Read,
    Write,
    /// Without a stamp, under keys of its own.
    Loose,
    Flash,
    Keep,
    Flush,
    Login,
    Logout,
    Token,
    Discard,
    Save,
    Stream,
    Fail,
    Panic,
}

/// The plans of one client.
#[derive(Debug)]
pub struct Generator {
    rng: Rng,
    /// The longest that a handler waits, in milliseconds.
    longest: u64,
}

/// One plan under way: the writes of a request bear its number.
struct Draft<'g> {
    rng: &'g mut Rng,
    longest: u64,
    number: usize,
    values: usize,
    part: usize,
    ops: Vec<Op>,
}

impl Generator {
    /// The same plans for the same seed.
    #[must_use]
    pub fn new(seed: u64, longest: u64) -> Self {
        Self {
            rng: Rng::with_seed(seed),
            longest,
        }
    }

    /// The next request of this client.
    pub fn next(&mut self, number: usize) -> (Manner, Plan) {
        let kind = self.kind();
        let manner = self.manner(kind);
        let mut draft = Draft {
            rng: &mut self.rng,
            longest: self.longest,
            number,
            values: 0,
            part: 0,
            ops: Vec::new(),
        };
        let mut plan = draft.plan(kind);
        plan.ops = draft.ops;
        (manner, plan)
    }

    /// The first request of a session.
    #[must_use]
    pub fn beginning(number: usize) -> Plan {
        Plan {
            ops: vec![
                Op::All,
                Op::Put("k0".to_owned(), json!(format!("v{number}"))),
                stamp(number, 0),
            ],
            ..Plan::default()
        }
    }

    fn kind(&mut self) -> Kind {
        let mut left = self.rng.u32(..1000);
        for (kind, share) in KINDS {
            if left < share {
                return kind;
            }
            left -= share;
        }
        Kind::Read
    }

    fn manner(&mut self, kind: Kind) -> Manner {
        let all = [
            Manner::Navigate,
            Manner::Fetch,
            Manner::Poll,
            Manner::Prefetch,
            Manner::Head,
        ];
        let choice = match kind {
            Kind::Read => &all[..],
            // Whether a `HEAD` has pulled or remembered something nobody could tell.
            Kind::Write | Kind::Loose | Kind::Flash => &all[..3],
            _ => &all[..2],
        };
        self.rng.choice(choice).copied().unwrap_or_default()
    }
}

fn stamp(number: usize, part: usize) -> Op {
    Op::Push("log".to_owned(), json!(format!("{number}.{part}")))
}

impl Draft<'_> {
    fn plan(&mut self, kind: Kind) -> Plan {
        let mut plan = Plan::default();
        // Some look at nothing, which must make no difference.
        if !matches!(kind, Kind::Write) || self.rng.u8(..20) > 0 {
            self.ops.push(Op::All);
        }
        self.read();
        self.wait();
        match kind {
            Kind::Read => self.read(),
            Kind::Write => self.write(),
            Kind::Loose => self.loose(),
            Kind::Flash => self.flash(),
            Kind::Keep => self.keep(),
            Kind::Flush => self.flush(),
            Kind::Login => self.log_in(),
            Kind::Logout => return self.log_out(),
            Kind::Token => self.token(),
            Kind::Discard => self.discard(),
            Kind::Save => return self.save(),
            Kind::Stream => plan.body = self.stream(),
            Kind::Fail => plan.ending = self.fail(),
            Kind::Panic => plan.ending = self.panic(),
        }
        self.read();
        self.wait();
        if self.rng.bool() {
            self.ops.push(Op::All);
        }
        plan
    }

    fn key(&mut self, kind: char, count: usize) -> String {
        format!("{kind}{}", self.rng.usize(..count))
    }

    /// Any key that there may be.
    fn any_key(&mut self) -> String {
        match self.rng.u8(..5) {
            0 => self.key('n', 2),
            1 => self.key('l', 1),
            2 => self.key('u', 1),
            3 => self.key('f', 2),
            _ => self.key('k', 3),
        }
    }

    fn keys(&mut self) -> Vec<String> {
        (0..self.rng.usize(1..4)).map(|_| self.any_key()).collect()
    }

    fn value(&mut self) -> serde_json::Value {
        self.values += 1;
        json!(format!("v{}-{}", self.number, self.values))
    }

    fn wait(&mut self) {
        if self.longest > 0 && self.rng.bool() {
            let wait = self.rng.u64(..=self.longest);
            self.ops.push(Op::Wait(wait));
        }
    }

    fn stamp(&mut self) {
        self.ops.push(stamp(self.number, self.part));
    }

    fn read(&mut self) {
        for _ in 0..self.rng.usize(..3) {
            let op = match self.rng.u8(..9) {
                0 => Op::All,
                1 => Op::Keys,
                2 => Op::Has(self.any_key()),
                3 => Op::Missing(self.any_key()),
                4 => Op::Only(self.keys()),
                5 => Op::Except(self.keys()),
                6 => Op::GetOr(self.any_key(), json!("default")),
                7 => Op::Id,
                _ => Op::Get(self.any_key()),
            };
            self.ops.push(op);
        }
    }

    fn change(&mut self) {
        let op = match self.rng.u8(..11) {
            0..=2 => Op::Put(self.key('k', 3), self.value()),
            3 => Op::Forget(self.any_key()),
            4 => Op::Pull(self.key('k', 3)),
            5 => Op::Remember(self.key('k', 3), self.value()),
            6 => Op::Push(self.key('l', 1), self.value()),
            7 | 8 => Op::Increment(self.key('n', 2), self.rng.i64(1..6)),
            9 => Op::Decrement(self.key('n', 2), self.rng.i64(1..6)),
            _ => Op::Update(self.key('u', 1), self.rng.i64(1..100)),
        };
        self.ops.push(op);
    }

    fn write(&mut self) {
        for _ in 0..self.rng.usize(1..4) {
            self.change();
            if self.rng.u8(..4) == 0 {
                self.read();
                self.wait();
            }
        }
        if self.rng.u8(..10) == 0 {
            let user = format!("user {}", self.number);
            self.ops.push(Op::SetUser(user));
        }
        self.stamp();
    }

    fn loose(&mut self) {
        let (key, value) = (format!("x{}", self.number), self.value());
        self.ops.push(Op::Put(key, value));
        if self.rng.u8(..4) == 0 {
            let older = self.number.saturating_sub(self.rng.usize(1..40));
            self.ops.push(Op::Forget(format!("x{older}")));
        }
    }

    fn flash(&mut self) {
        let (key, value) = (self.key('f', 2), self.value());
        if self.rng.u8(..5) == 0 {
            self.ops.push(Op::Now(key, value));
            if self.rng.bool() {
                self.ops.push(Op::Reflash);
            }
        } else {
            self.ops.push(Op::Flash(key, value));
        }
        self.stamp();
    }

    fn keep(&mut self) {
        let op = if self.rng.bool() {
            Op::Reflash
        } else {
            Op::Keep(vec![self.key('f', 2)])
        };
        self.ops.push(op);
        if self.rng.bool() {
            self.stamp();
        }
    }

    fn flush(&mut self) {
        self.ops.push(Op::Flush);
        self.change();
        self.stamp();
    }

    fn log_in(&mut self) {
        if self.rng.bool() {
            self.change();
        }
        self.ops.push(Op::Regenerate);
        if self.rng.bool() {
            self.change();
        }
        self.stamp();
    }

    /// Nothing comes after a plain logout, not even a look.
    fn log_out(&mut self) -> Plan {
        self.change();
        self.ops.push(Op::Invalidate);
        if self.rng.bool() {
            self.change();
            self.stamp();
        }
        Plan::default()
    }

    fn token(&mut self) {
        self.ops.push(Op::Token);
        if self.rng.u8(..3) == 0 {
            self.ops.push(Op::RegenerateToken);
            self.stamp();
        }
    }

    fn discard(&mut self) {
        self.change();
        self.stamp();
        self.ops.push(Op::Discard);
    }

    /// Two parts. What the session holds after a save may be merged, so nothing is looked at any more.
    fn save(&mut self) -> Plan {
        self.write();
        self.ops.push(Op::Save);
        self.part += 1;
        self.wait();
        self.change();
        self.stamp();
        Plan::default()
    }

    /// The body writes one thing alone: what a client that leaves has not waited for is stored as far as it was.
    fn stream(&mut self) -> Vec<Op> {
        self.change();
        self.stamp();
        let head = std::mem::take(&mut self.ops);
        self.part += 1;
        self.wait();
        self.stamp();
        self.wait();
        std::mem::replace(&mut self.ops, head)
    }

    fn fail(&mut self) -> Ending {
        self.write();
        Ending::Status(self.rng.choice([400, 404, 418, 500, 502]).unwrap_or(500))
    }

    fn panic(&mut self) -> Ending {
        self.write();
        Ending::Panic
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_are_of_a_thousand_and_a_seed_is_a_load() {
        assert_eq!(KINDS.iter().map(|(_, share)| share).sum::<u32>(), 1000);
        let plans = |seed| {
            let mut generator = Generator::new(seed, 9);
            (0..50)
                .map(|number| generator.next(number).1)
                .collect::<Vec<_>>()
        };
        assert_eq!(plans(1), plans(1));
        assert_ne!(plans(1), plans(2));
    }
}
