//! Times the contenders in process: all of one case in turn, in short batches, for many rounds.

use std::sync::Arc;

use anyhow::{Context as _, Result};

use crate::{apps::Contender, case::Case, content::Content, plan::Plan, sample::Spread};

/// How long a measurement is.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// How many rounds are counted.
    pub rounds: usize,
    /// How many requests each contender gets in a round.
    pub batch: usize,
}

impl Effort {
    /// For figures.
    pub const FULL: Self = Self {
        rounds: 200,
        batch: 200,
    };

    /// To see that it works.
    pub const QUICK: Self = Self {
        rounds: 3,
        batch: 20,
    };

    /// The one or the other.
    pub const fn quick_or_full(quick: bool) -> Self {
        if quick { Self::QUICK } else { Self::FULL }
    }

    const WARM_UP: usize = 2;
}

/// Nanoseconds a request, for each contender in its order.
///
/// # Errors
/// A contender fails.
pub async fn run(
    contenders: &[Contender],
    case: Case,
    content: &Arc<Content>,
    effort: Effort,
) -> Result<Vec<Spread>> {
    let mut plans = Vec::new();
    for contender in contenders {
        let plan = Plan::new(contender, case, content).await;
        plans.push(plan.context(contender.name)?);
    }
    let mut samples = vec![Vec::with_capacity(effort.rounds); plans.len()];
    for round in 0..Effort::WARM_UP + effort.rounds {
        for turn in 0..plans.len() {
            // Nobody always follows the same neighbour from the first round to the last.
            let index = (turn + round) % plans.len();
            let plan = &mut plans[index];
            let took = async { plan.prepare(effort.batch).await?.await }.await;
            let took = took.context(plans[index].contender.name)?;
            if round >= Effort::WARM_UP {
                samples[index].push(took.as_nanos() as f64 / effort.batch as f64);
            }
        }
    }
    for plan in plans {
        let name = plan.contender.name;
        plan.finish().await.context(name)?;
    }
    Ok(samples.into_iter().map(Spread::of).collect())
}
