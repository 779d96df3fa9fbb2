//! Candidate against baseline: the window-stratified exact conditional e-process.
//!
//! Each window is a two-by-two [`Table`]. The product of its likelihood ratios over windows is a nonnegative
//! martingale under the null odds ratio, and a supermartingale on its far side, because likelihood ratios of
//! Fisher's noncentral hypergeometric distribution are monotone. Averaging over a grid of alternatives keeps
//! that and spares guessing how bad the candidate is.
//!
//! Two sides without a single hit cannot be compared, and yet nothing is wrong with them. So half of the bet
//! for a pass is on the candidate's own share being [negligible](Comparison::negligible). The null of that
//! bet is that the odds ratio is intolerable *and* the share is not negligible; either half is a
//! supermartingale under it, and so is their average.

use super::{Counts, GRID, Pair, Process, Seen, Tally, limit::log_ratio};
use crate::{Comparison, Measurement, Observation, Table};

/// The odds ratios, in units of the tolerated one, in whose favour the bet for a pass is, and their weights.
const GOOD: [(f64, f64); 3] = [(0.5, 0.1), (0.8, 0.2), (1.0, 0.7)];

/// One alternative of the bet for a pass.
enum Bet {
    /// The odds ratio is so many times the tolerated one.
    Odds(f64),
    /// The odds of the candidate's own share are so many times those of the negligible one.
    Share(f64),
}

impl Comparison {
    pub(super) fn processes(&self) -> (Process, Process) {
        (
            Process::new(GRID.map(|_| 1.0 / GRID.len() as f64), self.alpha),
            Process::new(self.bets().map(|(_, weight)| weight), self.beta),
        )
    }

    /// The bets for a pass, with their weights.
    fn bets(&self) -> impl Iterator<Item = (Bet, f64)> {
        let negligible = if self.negligible > 0.0 { 0.5 } else { 0.0 };
        let odds = GOOD.map(|(times, weight)| (Bet::Odds(times), weight * (1.0 - negligible)));
        let share = GRID.map(|times| (Bet::Share(1.0 / times), negligible / GRID.len() as f64));
        odds.into_iter().chain(share)
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
        let intolerable = against(self.tolerated * (1.0 + self.margin));
        let pass = self.bets().map(|(bet, _)| match bet {
            Bet::Odds(times) => intolerable(times),
            Bet::Share(times) => log_ratio(candidate.hits, candidate.trials, self.negligible, times),
        });
        Seen::Counts(Counts {
            candidate,
            baseline: Some(baseline),
            fail: GRID.map(against(self.tolerated)).to_vec(),
            pass: pass.collect(),
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
