//! Clients leave at any moment: before the load, in the handler, in the commit, in the body. Nothing leaks, nothing is
//! half written, and everybody who stays is served.

use std::time::Duration;

use tokio::{
    task::block_in_place,
    time::{Instant, sleep},
};
use xtask::error::Result;

use super::{Ground, PATIENT, Scale, stage::Stage};
use crate::{
    field::{self, Driver, Servers},
    history::History,
    load::Load,
    report::Outcome,
    server::{Left, Stats},
};

/// At least so many waves; what leaks grows with each.
const WAVES: usize = 4;
/// How many in ten leave before they are answered, more or less.
const IN_TEN: usize = 4;
/// What may be left of a wave's connections to the store: they are opened as they are needed, and kept.
const FILES: usize = 40;
const TASKS: usize = 40;
/// What memory may grow by, for each client, and at all: allocators keep pages.
const MEMORY_FOR_EACH: usize = 512;
const MEMORY: usize = 2 << 20;
/// How long what was left behind may take to end.
const SETTLING: Duration = Duration::from_secs(30);

pub(super) async fn run(ground: &Ground, servers: &Servers, driver: Driver) -> Result<Outcome> {
    let mut stage = Stage::set(ground, servers, driver, PATIENT, 1)?;
    let clients = ground.scale.pick(400, 10_000, 40_000);
    let mut held = Vec::new();
    let each = clients / WAVES;
    while stage.outcome.faults < clients || held.len() < WAVES {
        wave(&mut stage, ground, each * 10 / IN_TEN).await;
        held.push(settled(&mut stage, servers).await?);
    }
    for what in leaks(&held, each) {
        stage.outcome.violations.push(format!("{what} of {held:?}"));
    }
    let moments = held.last().map(|stats| stats.left).unwrap_or_default();
    if ground.scale != Scale::Short && misses_a_moment(driver, moments) {
        let what = format!("nobody has left at one of the moments: {moments:?}");
        stage.outcome.violations.push(what);
    }
    // Who stays is served: no lock is held, no queue is stuck.
    let load = Load {
        seed: stage.next_seed(),
        leaving: 0,
        ..Load::default()
    };
    let crowd = stage.crowd(&load);
    crowd.run(&load).await;
    let world = stage.quiet();
    stage.judge(ground, &crowd, world).await;
    let (left, stored) = (stage.outcome.faults, stage.outcome.took_effect);
    let memory: Vec<usize> = held.iter().map(|stats| stats.memory / 1024).collect();
    stage.outcome.notes.push(format!(
        "cancel, {driver}: {left} have left ({}), {stored} of their writes are stored; KiB held after each wave: {memory:?}",
        said(moments)
    ));
    stage.close(servers).await
}

/// Many clients, most of whom are about to leave, at any moment; the others keep the sessions going.
async fn wave(stage: &mut Stage, ground: &Ground, clients: usize) {
    let (browsers, tabs) = (5, 5);
    let load = Load {
        seed: stage.next_seed(),
        browsers,
        tabs,
        calls: clients.div_ceil(browsers * tabs),
        leaving: 75,
        patience: 6_000,
        longest_pause: 2,
        ..Load::default()
    };
    let crowd = stage.crowd(&load);
    crowd.run(&load).await;
    let world = History {
        quiet: false,
        ..stage.quiet()
    };
    let before = stage.outcome.unknown;
    stage.judge(ground, &crowd, world).await;
    stage.outcome.faults += stage.outcome.unknown - before;
}

/// What the server holds when everything that was left behind has ended. A lock that nobody gives back is a violation.
async fn settled(stage: &mut Stage, servers: &Servers) -> Result<Stats> {
    let end = Instant::now() + SETTLING;
    let process = &stage.processes[0];
    let mut last = process.stats().await?;
    let (mut unchanged, mut locks) = (0, usize::MAX);
    while (unchanged < 5 || locks > 0) && Instant::now() < end {
        sleep(Duration::from_millis(100)).await;
        let stats = process.stats().await?;
        let same = (stats.tasks, stats.files) == (last.tasks, last.files);
        unchanged = if same { unchanged + 1 } else { 0 };
        last = stats;
        if unchanged >= 5 {
            // A sweep may be at work just now, and is over a moment later.
            let process = process.id().unwrap_or_default();
            locks = block_in_place(|| field::locks(&stage.place, servers, process))?;
        }
    }
    if locks > 0 {
        let what = format!("{locks} locks are held {SETTLING:?} after everybody has left");
        stage.outcome.violations.push(what);
    }
    Ok(last)
}

/// Whether the clients have left at some of the moments only. Short reads from a file are done at once: nobody can leave then.
fn misses_a_moment(driver: Driver, left: Left) -> bool {
    let loads_at_once = matches!(driver, Driver::File | Driver::Sqlite);
    [left.handler, left.commit, left.body].contains(&0) || (left.load == 0 && !loads_at_once)
}

fn said(left: Left) -> String {
    let Left {
        load,
        handler,
        commit,
        body,
    } = left;
    format!(
        "{load} in the load, {handler} in the handler, {commit} in the commit, {body} in the body"
    )
}

/// What has grown with the waves. The first one warms up: connections are opened, pages are fetched.
fn leaks(held: &[Stats], clients: usize) -> Vec<String> {
    let [_, second, .., last] = held else {
        return vec!["too few waves to tell".to_owned()];
    };
    let waves = held.len() - 2;
    let mut leaks = Vec::new();
    let mut grown = |what: &str, before: usize, after: usize, most: usize| {
        if after > before + most {
            leaks.push(format!("{what} grew from {before} to {after}"));
        }
    };
    grown("tasks", second.tasks, last.tasks, TASKS);
    grown("open files", second.files, last.files, FILES);
    let memory = MEMORY.max(MEMORY_FOR_EACH * clients * waves);
    grown("memory", second.memory, last.memory, memory);
    leaks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(tasks: usize, files: usize, memory: usize) -> Stats {
        Stats {
            tasks,
            files,
            memory,
            left: Left::default(),
        }
    }

    #[test]
    fn what_grows_with_the_waves_is_a_leak() {
        let waves = |last: Stats| [held(9, 30, 4 << 20), held(20, 60, 9 << 20), last];
        assert!(leaks(&waves(held(25, 70, 10 << 20)), 2500).is_empty());
        assert_eq!(leaks(&waves(held(120, 70, 10 << 20)), 2500).len(), 1);
        assert_eq!(leaks(&waves(held(25, 170, 10 << 20)), 2500).len(), 1);
        assert_eq!(leaks(&waves(held(25, 70, 12 << 20)), 2500).len(), 1);
    }
}
