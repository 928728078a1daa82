//! Counts what each contender allocates for a request; prints JSON.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use arvel_session_benches::{
    allocating::{Allocations, REQUESTS},
    apps::{Contender, contenders},
    case::Case,
    content::{Content, SIZES},
    plan::Plan,
    runtime::Runtime,
};

fn main() -> Result<()> {
    let runtime = Runtime::new()?;
    let mut all = Vec::new();
    for size in SIZES {
        let content = Arc::new(Content::of(size));
        for case in Case::ALL {
            for contender in contenders(case) {
                let counted = count(&runtime, &contender, case, &content);
                all.push(counted.context(contender.name)?);
            }
        }
    }
    println!("{}", serde_json::to_string(&all)?);
    Ok(())
}

fn count(
    runtime: &Runtime,
    contender: &Contender,
    case: Case,
    content: &Arc<Content>,
) -> Result<Allocations> {
    let mut plan = runtime.run(Plan::new(contender, case, content))?;
    // What is allocated once and kept, a library's caches for example, is no cost of a request.
    runtime.run(async { plan.prepare(REQUESTS).await?.await })?;
    let batch = runtime.run(plan.prepare(REQUESTS))?;
    let mut sent = Ok(Default::default());
    let counted = allocation_counter::measure(|| sent = runtime.run(batch));
    sent?;
    let each = |total: u64| total as f64 / REQUESTS as f64;
    Ok(Allocations {
        session: content.bytes(),
        case,
        contender: contender.name.to_owned(),
        count: each(counted.count_total),
        bytes: each(counted.bytes_total),
    })
}
