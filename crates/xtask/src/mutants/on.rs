//! Which mutant is switched on. This is put into the copy of the library, not into this program.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

const COUNT: usize = 1;

static STATE: OnceLock<(usize, Option<File>)> = OnceLock::new();
static ASKED: [AtomicBool; COUNT] = [const { AtomicBool::new(false) }; COUNT];

fn state() -> (usize, Option<File>) {
    let number = std::env::var("MUTANT").ok().and_then(|it| it.parse().ok());
    let asked = std::env::var_os("MUTANTS_ASKED");
    let asked = asked.and_then(|path| OpenOptions::new().append(true).open(path).ok());
    (number.unwrap_or(0), asked)
}

pub(crate) fn on(mutant: usize) -> bool {
    let (number, asked) = STATE.get_or_init(state);
    if let Some(mut asked) = asked.as_ref()
        && !ASKED[mutant].swap(true, Ordering::Relaxed)
    {
        let _ = asked.write_all(format!("{mutant}\n").as_bytes());
    }
    *number == mutant
}
