//! One hot session: many writers of one session, beside as many writers of one session each. All commits must succeed,
//! and every one must count.

use anyhow::{Context as _, Result};

use super::{Contender, Effort, Place, Servers, cores, in_turn, our_runner, spread};
use crate::{case::Case, figures::Hot, load::Load, tables};

/// Measures and prints it in each place.
///
/// # Errors
/// A commit failed, or did not count.
pub fn run(servers: &Servers, effort: Effort) -> Result<Vec<Hot>> {
    let mut all = Vec::new();
    for &place in servers.places() {
        all.push(measure(place, servers, effort).with_context(|| place.title())?);
        println!("\none hot session: read + write, ours\n");
        print!("{}", tables::hots(&all));
    }
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
