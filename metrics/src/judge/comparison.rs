//! Candidate against baseline: the window-stratified exact conditional e-process.
//!
//! Each window is a two-by-two [`Table`]. The product of its likelihood ratios over windows is a nonnegative
//! martingale under the null odds ratio, and a supermartingale on its far side, because likelihood ratios of
//! Fisher's noncentral hypergeometric distribution are monotone. Averaging over a grid of alternatives keeps
//! that and spares guessing how bad the candidate is.

use super::{Counts, GRID, Pair, Process, Seen, Tally};
use crate::{Comparison, Measurement, Observation, Table};

/// The odds ratios, in units of the tolerated one, in whose favour the bet for a pass is, and their weights.
const GOOD: [(f64, f64); 3] = [(0.5, 0.1), (0.8, 0.2), (1.0, 0.7)];

impl Comparison {
    pub(super) fn processes(&self) -> (Process, Process) {
        (
            Process::new(GRID.map(|_| 1.0 / GRID.len() as f64), self.alpha),
            Process::new(GOOD.map(|(_, weight)| weight), self.beta),
        )
    }

    pub(super) fn counts(&self, pair: &Pair) -> Seen {
        let candidate = match proportion("the candidate", &pair.candidate) {
            Ok(tally) => tally,
            Err(seen) => return seen,
        };
        let Some(baseline) = &pair.baseline else {
            return Seen::Unusable("a comparison needs a baseline, and none was observed".to_owned());
        };
        let baseline = match proportion("the baseline", baseline) {
            Ok(tally) => tally,
            Err(seen) => return seen,
        };
        let Some(table) = Table::new((candidate.hits, candidate.trials), (baseline.hits, baseline.trials))
        else {
            return Seen::Unusable("the counts are impossible".to_owned());
        };
        let against = |null: f64| {
            let log_null = table.log_likelihood(null);
            move |times: f64| table.log_likelihood(self.tolerated * times) - log_null
        };
        Seen::Counts(Counts {
            candidate,
            baseline: Some(baseline),
            fail: GRID.map(against(self.tolerated)).to_vec(),
            pass: GOOD.map(|(times, _)| times).map(against(self.tolerated * (1.0 + self.margin))).to_vec(),
        })
    }
}

fn proportion(side: &str, measurement: &Measurement) -> Result<Tally, Seen> {
    match measurement {
        Measurement::Missing(missing) => Err(Seen::Missing(format!("{side}: {missing}"))),
        Measurement::Observed(Observation::Proportion { hits, trials }) => {
            Ok(Tally { hits: *hits, trials: *trials })
        }
        Measurement::Observed(other) => {
            Err(Seen::Unusable(format!("a comparison takes proportions, but {side} gave {other}")))
        }
    }
}
