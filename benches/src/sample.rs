//! Medians: what a noisy machine cannot flatter.

use serde::{Deserialize, Serialize};

/// How a figure came out over many rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Half of the rounds were below it.
    pub median: f64,
    /// A tenth of them.
    pub p10: f64,
    /// A quarter.
    pub p25: f64,
    /// Three quarters.
    pub p75: f64,
    /// How many rounds.
    pub rounds: usize,
}

impl Spread {
    /// Of these, in any order.
    pub fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        Self {
            median: quantile(&figures, 0.5),
            p10: quantile(&figures, 0.1),
            p25: quantile(&figures, 0.25),
            p75: quantile(&figures, 0.75),
            rounds: figures.len(),
        }
    }
}

/// Of sorted figures; 0 where there are none.
pub fn quantile(sorted: &[f64], part: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return 0.0;
    };
    let place = part * last as f64;
    let (low, high) = (
        sorted[place.floor() as usize],
        sorted[place.ceil() as usize],
    );
    low + (high - low) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_lies_in_the_middle() {
        assert_eq!(Spread::of(vec![3.0, 1.0, 2.0]).median, 2.0);
        assert_eq!(Spread::of(vec![4.0, 1.0, 2.0, 3.0]).median, 2.5);
        assert_eq!(Spread::of(Vec::new()).median, 0.0);
    }
}
