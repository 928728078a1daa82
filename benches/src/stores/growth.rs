//! The part "growth": how the cost grows with a session's size, the number of sessions, of requests at once, and of cores.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result};

use super::{Effort, Place, Servers, contenders, cores, in_turn, our_runner, spread};
use crate::{
    apps::{self, Kind},
    case::Case,
    content::Content,
    figures::{Curve, Point},
    load::{Load, Local},
    ours,
    runtime::Runtime,
    stores::Contender,
    tables, timing,
};

/// Bytes of a session's JSON.
const SIZES: [usize; 8] = [100, 300, 1_000, 2_048, 5_000, 10_240, 30_720, 102_400];

/// What fits into a cookie.
const IN_A_COOKIE: usize = 2_048;

const SESSIONS: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];

const AT_ONCE: [usize; 6] = [1, 4, 16, 64, 256, 1_024];

const CASES: [Case; 2] = [Case::Read, Case::ReadWrite];

/// Measures and prints every curve.
///
/// # Errors
/// A contender fails.
pub fn run(servers: &Servers, quick: bool) -> Result<Vec<Point>> {
    let mut all = sizes(quick)?;
    for &place in servers.places() {
        let growth = Growth {
            place,
            servers,
            quick,
        };
        all.extend(growth.sessions().with_context(|| place.title())?);
        all.extend(growth.at_once().with_context(|| place.title())?);
        all.extend(growth.cores().with_context(|| place.title())?);
    }
    all.extend(cookie_on_cores(quick)?);
    print(&all);
    Ok(all)
}

/// Time of a request in process; beside ours, whoever keeps sessions in memory too.
fn sizes(quick: bool) -> Result<Vec<Point>> {
    let runtime = Runtime::new()?;
    let mut points = Vec::new();
    let (sizes, effort) = if quick {
        (&SIZES[..2], timing::Effort::QUICK)
    } else {
        let effort = timing::Effort {
            rounds: 60,
            batch: 100,
        };
        (&SIZES[..], effort)
    };
    for &size in sizes {
        let content = Arc::new(Content::of(size));
        let fits = |one: &apps::Contender| size <= IN_A_COOKIE || one.kind != Kind::Cookie;
        for case in CASES {
            let all = apps::contenders(case).into_iter();
            let contenders: Vec<_> = all.filter(fits).collect();
            let spreads = runtime.run(timing::run(&contenders, case, &content, effort))?;
            points.extend(contenders.iter().zip(spreads).map(|(one, ns)| Point {
                curve: Curve::Size,
                place: "in process".to_owned(),
                who: one.name.to_owned(),
                case,
                x: size,
                y: ns.median,
            }));
        }
    }
    Ok(points)
}

/// One place's curves; the figures are requests a second.
struct Growth<'a> {
    place: Place,
    servers: &'a Servers,
    quick: bool,
}

impl Growth<'_> {
    fn sessions(&self) -> Result<Vec<Point>> {
        let most = match self.place {
            // Making them takes longer than measuring.
            Place::Postgres | Place::Mysql => 10_000,
            Place::PostgresRelaxed => 100_000,
            _ => 1_000_000,
        };
        let at_once = self.place.concurrency();
        let sessions = SESSIONS.into_iter().filter(|sessions| *sessions <= most);
        self.points(Curve::Sessions, sessions, |sessions| {
            (sessions, at_once, cores())
        })
    }

    fn at_once(&self) -> Result<Vec<Point>> {
        self.points(Curve::AtOnce, AT_ONCE, |at_once| (4_096, at_once, cores()))
    }

    fn cores(&self) -> Result<Vec<Point>> {
        let at_once = self.place.concurrency();
        self.points(Curve::Cores, 1..=cores(), |threads| {
            (4_096, at_once, threads)
        })
    }

    /// A point for each `x`, at so many sessions, requests at once, and threads.
    fn points(
        &self,
        curve: Curve,
        along: impl IntoIterator<Item = usize>,
        at: impl Fn(usize) -> (usize, usize, usize),
    ) -> Result<Vec<Point>> {
        let mut points = Vec::new();
        for x in along
            .into_iter()
            .take(if self.quick { 1 } else { usize::MAX })
        {
            let (sessions, concurrency, threads) = at(x);
            let mut runner = our_runner(self.place, self.servers, threads)?;
            for case in CASES {
                runner.prepare(Load {
                    case,
                    session: 300,
                    sessions,
                    concurrency,
                })?;
                let mut alone = [Contender {
                    name: contenders::OURS,
                    ours: true,
                    runner,
                }];
                let per_second = per_second(&mut alone, self.quick)?;
                let [contender] = alone;
                runner = contender.runner;
                points.push(Point {
                    curve,
                    place: self.place.title().to_owned(),
                    who: contender.name.to_owned(),
                    case,
                    x,
                    y: per_second,
                });
            }
        }
        Ok(points)
    }
}

fn per_second(alone: &mut [Contender; 1], quick: bool) -> Result<f64> {
    let full = Effort {
        rounds: 5,
        time: Duration::from_millis(500),
        sessions_each: 0,
    };
    let effort = if quick { Effort::QUICK } else { full };
    let rounds = in_turn(alone, effort)?;
    Ok(spread(&rounds[0], |round| round.per_second).median)
}

/// The cookie driver has no place, so that its cores are all that can grow.
fn cookie_on_cores(quick: bool) -> Result<Vec<Point>> {
    let mut points = Vec::new();
    for threads in 1..=cores() {
        let mut local = Local::new(threads, ours::cookie())?;
        let load = Load {
            case: Case::Read,
            session: 300,
            sessions: 64,
            concurrency: 64,
        };
        crate::load::Runner::prepare(&mut local, load)?;
        let mut alone = [Contender {
            name: contenders::OURS,
            ours: true,
            runner: Box::new(local),
        }];
        points.push(Point {
            curve: Curve::Cores,
            place: "cookie".to_owned(),
            who: contenders::OURS.to_owned(),
            case: Case::Read,
            x: threads,
            y: per_second(&mut alone, quick)?,
        });
    }
    Ok(points)
}

fn print(points: &[Point]) {
    for curve in Curve::ALL {
        println!("\n{}\n", curve.title());
        print!("{}", tables::curve(points, curve));
    }
}
