//! The part "in process": time and allocations of one request, everyone in turn.

use std::{collections::HashMap, sync::Arc};

use anyhow::Result;

use crate::{
    allocating::{self, Allocations},
    apps::{Contender, contenders},
    case::Case,
    content::{Content, SIZES},
    figures::Request,
    runtime::Runtime,
    sample::Spread,
    tables,
    timing::{self, Effort},
};

/// Measures and prints everything.
///
/// # Errors
/// A contender fails.
pub fn run(effort: Effort) -> Result<Vec<Request>> {
    let runtime = Runtime::new()?;
    let allocations = allocating::count()?;
    let mut all = Vec::new();
    for size in SIZES {
        let content = Arc::new(Content::of(size));
        for case in Case::ALL {
            let contenders = contenders(case);
            let spreads = runtime.run(timing::run(&contenders, case, &content, effort))?;
            let requests = requests(&contenders, size, case, &spreads, &allocations);
            print(size, case, &requests);
            all.extend(requests);
        }
    }
    Ok(all)
}

fn requests(
    contenders: &[Contender],
    size: usize,
    case: Case,
    spreads: &[Spread],
    allocations: &[Allocations],
) -> Vec<Request> {
    let medians: HashMap<&str, f64> = contenders
        .iter()
        .zip(spreads)
        .map(|(contender, spread)| (contender.name, spread.median))
        .collect();
    let overhead = |contender: &Contender| medians[contender.name] - medians[contender.floor];
    let ours = |kind| {
        let mut ours = contenders.iter().filter(|one| one.ours && one.kind == kind);
        ours.next().map(overhead).filter(|overhead| *overhead > 0.0)
    };
    let request = |(contender, ns): (&Contender, &Spread)| {
        let compared = !contender.ours && !contender.is_floor();
        let counted = allocations.iter().find(|counted| {
            (counted.session, counted.case) == (size, case) && counted.contender == contender.name
        });
        Request {
            session: size,
            case,
            contender: contender.name.to_owned(),
            kind: contender.kind,
            ours: contender.ours,
            floor: contender.floor.to_owned(),
            ns: *ns,
            overhead_ns: overhead(contender),
            times_ours: ours(contender.kind)
                .filter(|_| compared)
                .map(|ours| overhead(contender) / ours),
            allocations: counted.map_or(0.0, |counted| counted.count),
            allocated_bytes: counted.map_or(0.0, |counted| counted.bytes),
        }
    };
    contenders.iter().zip(spreads).map(request).collect()
}

fn print(size: usize, case: Case, requests: &[Request]) {
    println!("\n{}, a session of {size} B\n", case.title());
    print!("{}", tables::requests(requests));
}
