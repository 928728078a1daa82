//! Sequences of operations that nobody would write down, against the plain model: the body of a fuzz target in `fuzz/`.

use std::time::Duration;

use crate::support::{
    App, Browser, config,
    model::{KEYS, Op, Stored, Visit, visit_with},
};

/// More requests than that find nothing that fewer do not.
const MOST_VISITS: usize = 16;

/// Runs what the bytes say on the `memory` or the `cookie` driver; at each step the library must do what the model does.
///
/// Two browsers visit in turn. Before its cookie, a browser may send others of the same name: some that nobody has
/// signed, and, where ids can die, one that it held before. The clock moves, by less than would end a session.
pub(crate) fn operations(data: &[u8]) {
    let mut input = Input(data.iter());
    let driver = input.byte();
    let cookies = driver & 1 == 1;
    let app = App::new(config().driver(if cookies { "cookie" } else { "memory" }));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    runtime.unwrap().block_on(async {
        let mut browsers = [Browser::default(), Browser::default()];
        let mut former = [None, None];
        let mut stored = [Stored::default(), Stored::default()];
        for _ in 0..MOST_VISITS {
            if input.is_empty() {
                break;
            }
            let how = input.byte();
            let who = usize::from(how & 1);
            let browser = &mut browsers[who];
            app.clock.advance(Duration::from_secs(how.into()));
            browser.headers.clear();
            let mut before = Vec::new();
            if how & 2 != 0 {
                before.push(input.junk());
            }
            // Alone, a dead id would see to it that what is written is dropped (R12). The `cookie` driver's do not die.
            let held = browser.jar.get("arvel_session").cloned();
            if how & 4 != 0 && !cookies && held.is_some() {
                before.extend(former[who].clone());
            }
            for value in before {
                let line = format!("arvel_session={value}");
                browser.headers.append("cookie", line.parse().unwrap());
            }
            let visit = input.visit();
            let known = std::mem::take(&mut stored[who]);
            stored[who] = visit_with(&app, browser, known, visit).await;
            if held.as_ref() != browser.jar.get("arvel_session") {
                former[who] = held;
            }
        }
    });
}

/// What is missing is zero.
struct Input<'a>(std::slice::Iter<'a, u8>);

impl Input<'_> {
    fn is_empty(&self) -> bool {
        self.0.len() == 0
    }

    fn byte(&mut self) -> u8 {
        self.0.next().copied().unwrap_or_default()
    }

    /// A cookie's value that nobody has signed: too short for that.
    fn junk(&mut self) -> String {
        let length = self.byte() % 32;
        (0..length)
            .map(|_| char::from(b'!' + self.byte() % 94))
            .collect()
    }

    fn visit(&mut self) -> Visit {
        let how = self.byte();
        let ops = (0..how % 8).map(|_| self.op()).collect();
        Visit {
            ops,
            unseen: how >= 200,
        }
    }

    fn op(&mut self) -> Op {
        let choice = self.byte();
        let key = KEYS[usize::from(choice / 20) % KEYS.len()];
        let mut number = || i64::from(self.byte().cast_signed());
        match choice % 20 {
            0 => Op::Get(key),
            1 => Op::Put(key, number()),
            2 => Op::Forget(key),
            3 => Op::Flush,
            4 => Op::Pull(key),
            5 => Op::Push(key, number()),
            6 => Op::Increment(key, number()),
            7 => Op::Remember(key, number()),
            8 => Op::Update(key, number()),
            9 => Op::Flash(key, number()),
            10 => Op::Now(key, number()),
            11 => Op::Reflash,
            12 => Op::Keep(key),
            13 => Op::Token,
            14 => Op::RegenerateToken,
            15 => Op::Regenerate,
            16 => Op::Invalidate,
            17 => Op::Discard,
            18 => Op::Id,
            _ => Op::Save,
        }
    }
}
