//! The targets, and what was reached.

use crate::{
    apps::Kind,
    case::Case,
    figures::{Figures, Request, Throughput},
    table,
};

/// A target, and what was reached.
struct Line {
    case: String,
    target: String,
    /// What was reached, and whether that is enough; `None` where nothing was measured.
    reached: Option<(String, bool)>,
}

/// The targets as a table.
pub(super) fn table(figures: &Figures) -> String {
    let targets = Targets(figures);
    let mut lines = targets.in_process();
    lines.extend(targets.stores());
    lines.extend(targets.hot());
    lines.extend(targets.many());
    lines.extend(targets.sockets());
    let rows: Vec<Vec<String>> = lines.into_iter().map(row).collect();
    table::render(&["case", "target", "reached", ""], &rows)
}

fn row(line: Line) -> Vec<String> {
    let (reached, held) = match line.reached {
        Some((reached, true)) => (reached, "✓"),
        Some((reached, false)) => (reached, "✗"),
        None => ("not measured".to_owned(), ""),
    };
    vec![line.case, line.target, reached, held.to_owned()]
}

const READ_AND_WRITE: [Case; 2] = [Case::Read, Case::ReadWrite];

struct Targets<'a>(&'a Figures);

impl Targets<'_> {
    fn in_process(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        for (size, least) in [(300, 4.0), (2048, 10.0)] {
            for case in READ_AND_WRITE {
                let peer = self.requests(size, case);
                let peer = peer.filter(|one| one.contender == "tower-sessions memory");
                lines.push(Line {
                    case: format!("memory driver, {size} B: {}", case.title()),
                    target: format!("overhead ≤ 1/{least} of tower-sessions'"),
                    reached: part(peer, least),
                });
            }
        }
        for (size, least) in [(300, 5.0), (2048, 6.0)] {
            for case in READ_AND_WRITE {
                let peers = self.requests(size, case);
                let peers = peers.filter(|one| one.kind == Kind::Cookie && !one.ours);
                lines.push(Line {
                    case: format!("cookie driver, {size} B: {}", case.title()),
                    target: format!("overhead ≤ 1/{least} of the best peer's private cookie"),
                    reached: part(peers, least),
                });
            }
        }
        lines.push(self.untouched());
        lines
    }

    fn requests(&self, size: usize, case: Case) -> impl Iterator<Item = &Request> {
        let all = self.0.in_process.iter();
        all.filter(move |one| one.session == size && one.case == case)
    }

    fn untouched(&self) -> Line {
        let no_op = self
            .requests(300, Case::NoCookie)
            .find(|one| one.contender == "no-op layer");
        let ours = self.requests(300, Case::NoCookie).filter(|one| one.ours);
        let slowest = ours.max_by(|a, b| a.ns.median.total_cmp(&b.ns.median));
        let reached = no_op.zip(slowest).map(|(no_op, ours)| {
            let ns = ours.ns.median - no_op.ns.median;
            let allocations = ours.allocations - no_op.allocations;
            let said = format!(
                "{} ns, {allocations:.1} allocations more",
                table::thousands(ns)
            );
            (said, ns <= 150.0 && allocations < 0.05)
        });
        Line {
            case: "no cookie, untouched".to_owned(),
            target: "≤ 150 ns over a no-op layer, and no allocation more".to_owned(),
            reached,
        }
    }

    fn stores(&self) -> Vec<Line> {
        let sqlx = "tower-sessions-sqlx-store";
        let relaxed = "PostgreSQL, synchronous_commit off";
        [
            ("Redis", Case::Read, "tower-sessions-redis-store", 2.5),
            ("Redis", Case::ReadWrite, "tower-sessions-redis-store", 2.5),
            ("Redis", Case::Read, "bare redis-rs", 0.8),
            ("Redis", Case::ReadWrite, "bare redis-rs", 0.8),
            ("PostgreSQL", Case::Read, sqlx, 5.0),
            ("PostgreSQL", Case::ReadWrite, sqlx, 2.5),
            (relaxed, Case::Read, sqlx, 5.0),
            (relaxed, Case::ReadWrite, sqlx, 4.0),
            ("MariaDB", Case::Read, sqlx, 1.0),
            ("MariaDB", Case::ReadWrite, sqlx, 1.0),
            ("SQLite", Case::Read, sqlx, 4.0),
            ("SQLite", Case::ReadWrite, sqlx, 8.0),
            ("file", Case::ReadWrite, "temporary + rename", 3.0),
        ]
        .into_iter()
        .map(|(store, case, peer, least)| self.store(store, case, peer, least))
        .collect()
    }

    /// Against the best of the peers whose names begin so.
    fn store(&self, store: &str, case: Case, peer: &str, least: f64) -> Line {
        let named = |one: &&Throughput| one.store == store && one.contender.starts_with(peer);
        let peers = self
            .0
            .stores
            .iter()
            .filter(|one| one.case == case)
            .filter(named);
        let times = peers
            .filter_map(|one| one.ours_times)
            .min_by(f64::total_cmp);
        Line {
            case: format!("{store}: {}", case.title()),
            target: format!("≥ {least} × {peer}"),
            reached: times.map(|times| (format!("{times:.2} ×"), times >= least)),
        }
    }

    fn hot(&self) -> Vec<Line> {
        let line = |store: &str| {
            let hot = self.0.hot.iter().find(|hot| hot.store == store);
            Line {
                case: format!("one hot session, {store}"),
                target: "all commits succeed; within 3 × of a session each".to_owned(),
                reached: hot.map(|hot| {
                    let times = hot.each_per_second / hot.one_per_second;
                    let p99 = table::thousands(hot.one_p99_us);
                    (format!("all; {times:.2} ×; p99 {p99} µs"), times <= 3.0)
                }),
            }
        };
        vec![line("memory"), line("Redis")]
    }

    fn many(&self) -> Vec<Line> {
        let line = |many: &crate::figures::Many| {
            let scale = &many.scale;
            let times = scale.sweeping_read_p99_us / scale.read_p99_us;
            let sessions = table::thousands(scale.sessions as f64);
            Line {
                case: format!("{sessions} sessions, {}", many.store),
                target: "read p99 during the sweep of half of them ≤ 2 ×".to_owned(),
                reached: Some((
                    format!("{times:.2} ×; swept in {:.2} s", scale.sweep_seconds),
                    times <= 2.0,
                )),
            }
        };
        self.0.many.iter().map(line).collect()
    }

    fn sockets(&self) -> Vec<Line> {
        let line = |driver: &str| {
            let socket = self.0.sockets.iter().find(|one| one.driver == driver);
            Line {
                case: format!("over sockets, {driver}: read"),
                target: "≥ 95 % of the requests a second without the layer".to_owned(),
                reached: socket.map(|one| (format!("{:.1} %", 100.0 * one.part), one.part >= 0.95)),
            }
        };
        vec![line("memory"), line("cookie")]
    }
}

/// What part of the least overhead of these ours is.
fn part<'a>(peers: impl Iterator<Item = &'a Request>, least: f64) -> Option<(String, bool)> {
    let times = peers
        .filter_map(|one| one.times_ours)
        .min_by(f64::total_cmp)?;
    Some((format!("1/{times:.2}"), times >= least))
}
