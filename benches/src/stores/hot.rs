//! One hot session: many writers of one session, beside as many writers of one session each. All commits must succeed,
//! and every one must count.

use anyhow::{Context as _, Result};

use super::{Contender, Effort, Place, Servers, cores, in_turn, our_runner, spread};
use crate::{case::Case, figures::Hot, load::Load, table};

/// Measures and prints it in each place.
///
/// # Errors
/// A commit failed, or did not count.
pub fn run(servers: &Servers, effort: Effort) -> Result<Vec<Hot>> {
    let mut all = Vec::new();
    for &place in servers.places() {
        all.push(measure(place, servers, effort).with_context(|| place.title())?);
    }
    println!("\none hot session: read + write, ours\n");
    let rows: Vec<Vec<String>> = all.iter().map(row).collect();
    print!("{}", table::render(&HEADER, &rows));
    Ok(all)
}

fn measure(place: Place, servers: &Servers, effort: Effort) -> Result<Hot> {
    let writers = place.concurrency();
    let load = |sessions| Load {
        case: Case::ReadWrite,
        session: 300,
        sessions,
        concurrency: writers,
    };
    let mut both = Vec::new();
    for (name, sessions) in [("one session", 1), ("a session each", writers)] {
        let mut runner = our_runner(place, servers, cores())?;
        runner.prepare(load(sessions)).context(name)?;
        both.push(Contender {
            name,
            ours: true,
            runner,
        });
    }
    let rounds = in_turn(&mut both, effort)?;
    let median = |index: usize, p99: bool| {
        let figure = spread(&rounds[index], |round| {
            if p99 { round.p99_us } else { round.per_second }
        });
        figure.median
    };
    Ok(Hot {
        store: place.title().to_owned(),
        writers,
        one_per_second: median(0, false),
        each_per_second: median(1, false),
        one_p99_us: median(0, true),
        each_p99_us: median(1, true),
    })
}

/// The columns of [`row`].
pub const HEADER: [&str; 7] = [
    "store",
    "writers",
    "one session, a second",
    "a session each, a second",
    "×",
    "p99 µs",
    "p99 µs, a session each",
];

/// A place as a line of a table.
pub fn row(hot: &Hot) -> Vec<String> {
    vec![
        hot.store.clone(),
        hot.writers.to_string(),
        table::thousands(hot.one_per_second),
        table::thousands(hot.each_per_second),
        table::times(Some(hot.each_per_second / hot.one_per_second)),
        table::thousands(hot.one_p99_us),
        table::thousands(hot.each_p99_us),
    ]
}
