//! What was proved: the table at the end of a run.

use std::{
    fmt::Write as _,
    ops::AddAssign,
    time::{Duration, Instant},
};

use crate::{field::Driver, parts::Part};

/// What came of one part on one driver.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Histories that were judged.
    pub histories: usize,
    /// Requests in them.
    pub calls: usize,
    /// Operations in those.
    pub operations: usize,
    /// Requests of which nobody learned what became of them.
    pub unknown: usize,
    /// Writes of those that are known to have taken effect.
    pub took_effect: usize,
    /// Faults that were injected.
    pub faults: usize,
    /// Acknowledged writes that the store has lost where its documentation says that it may.
    pub lost: usize,
    /// Everything that is wrong.
    pub violations: Vec<String>,
    /// What is worth saying, besides.
    pub notes: Vec<String>,
}

impl AddAssign for Outcome {
    fn add_assign(&mut self, other: Self) {
        self.histories += other.histories;
        self.calls += other.calls;
        self.operations += other.operations;
        self.unknown += other.unknown;
        self.took_effect += other.took_effect;
        self.faults += other.faults;
        self.lost += other.lost;
        self.violations.extend(other.violations);
        self.notes.extend(other.notes);
    }
}

/// All that was run.
#[derive(Debug)]
pub struct Report {
    seed: u64,
    begun: Instant,
    rows: Vec<(Driver, Part, Outcome, Duration)>,
}

impl Report {
    /// Nothing yet.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            begun: Instant::now(),
            rows: Vec::new(),
        }
    }

    /// Notes what came of a part.
    pub fn add(&mut self, driver: Driver, part: Part, outcome: Outcome, took: Duration) {
        self.rows.push((driver, part, outcome, took));
    }

    /// How many violations there are.
    #[must_use]
    pub fn violations(&self) -> usize {
        self.rows
            .iter()
            .map(|(_, _, outcome, _)| outcome.violations.len())
            .sum()
    }

    /// The table, with the totals and the seed below it.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = String::new();
        let _ = writeln!(
            text,
            "{:<10} {:<10} {:>9} {:>9} {:>10} {:>8} {:>7} {:>6} {:>10} {:>8}",
            "part",
            "driver",
            "histories",
            "requests",
            "operations",
            "unknown",
            "faults",
            "lost",
            "violations",
            "seconds"
        );
        let mut total = Outcome::default();
        for (driver, part, outcome, took) in &self.rows {
            let (part, driver) = (part.to_string(), driver.to_string());
            row(&mut text, &part, &driver, outcome, *took);
            total += outcome.clone();
        }
        row(&mut text, "all", "", &total, self.begun.elapsed());
        for note in &total.notes {
            let _ = writeln!(text, "{note}");
        }
        let _ = writeln!(text, "seed {}", self.seed);
        text
    }
}

fn row(text: &mut String, part: &str, driver: &str, outcome: &Outcome, took: Duration) {
    let _ = writeln!(
        text,
        "{part:<10} {driver:<10} {:>9} {:>9} {:>10} {:>8} {:>7} {:>6} {:>10} {:>8.1}",
        outcome.histories,
        outcome.calls,
        outcome.operations,
        outcome.unknown,
        outcome.faults,
        outcome.lost,
        outcome.violations.len(),
        took.as_secs_f64()
    );
}
