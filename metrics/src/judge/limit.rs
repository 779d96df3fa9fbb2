//! The candidate alone, against a fixed bound.
//!
//! A share of trials is tested by the likelihood ratio of Bernoulli trials: with `x` hits of `n`, a null rate
//! `p` and an alternative whose odds are `r` times those of `p`, it is `rˣ / (1 − p + p·r)ⁿ`. Its expectation
//! under any rate on the null's side is at most 1 even if the rate changes from window to window (Ramdas et
//! al. 2023), so that the product over windows may be looked at whenever one likes.
//!
//! "At least" is "at most" of the complement, and a quantile is a share: of values beyond the bound.

use super::{CERTAIN, Counts, GRID, Pair, Process, Seen, Tally};
use crate::{Bound, Limit, Measurement, Observation, Statistic};

/// Hits that speak against the candidate: so many for sure, and so many possibly, where buckets hide it.
struct Against {
    surely: u64,
    possibly: u64,
    trials: u64,
}

impl Limit {
    pub(super) fn processes(&self) -> (Process, Process) {
        let weights = GRID.map(|_| 1.0 / GRID.len() as f64);
        (Process::new(weights, self.alpha), Process::new(weights, self.beta))
    }

    pub(super) fn counts(&self, pair: &Pair) -> Seen {
        let observation = match &pair.candidate {
            Measurement::Missing(missing) => return Seen::Missing(missing.to_string()),
            Measurement::Observed(observation) => observation,
        };
        let Some(against) = self.against(observation) else {
            let takes = match self.statistic {
                Statistic::Mean => "a mean takes values",
                Statistic::Quantile(_) => "a quantile takes a histogram or values",
                Statistic::Share => "a share takes a proportion",
            };
            return Seen::Unusable(format!("{takes}, but the source gave {observation}"));
        };
        let tolerated = self.tolerated_share();
        let hits = match observation {
            Observation::Proportion { hits, .. } => *hits,
            _ => against.possibly,
        };
        Seen::Counts(Counts {
            candidate: Tally { hits, trials: against.trials },
            baseline: None,
            fail: GRID.map(|times| log_failing(against.surely, against.trials, tolerated, times)).to_vec(),
            pass: GRID.map(|times| log_passing(against.possibly, against.trials, tolerated, times)).to_vec(),
        })
    }

    /// The share of trials that may speak against the candidate while it keeps its bound.
    fn tolerated_share(&self) -> f64 {
        match (self.statistic, self.bound) {
            (Statistic::Quantile(q), Bound::AtMost(_)) => 1.0 - q,
            (Statistic::Quantile(q), Bound::AtLeast(_)) => q,
            (_, Bound::AtMost(share)) => share,
            (_, Bound::AtLeast(share)) => 1.0 - share,
        }
    }

    fn against(&self, observation: &Observation) -> Option<Against> {
        let (surely, possibly) = match (self.statistic, observation) {
            (Statistic::Share, Observation::Proportion { hits, trials }) => {
                let against = match self.bound {
                    Bound::AtMost(_) => *hits,
                    Bound::AtLeast(_) => trials.checked_sub(*hits)?,
                };
                (against, against)
            }
            (Statistic::Quantile(_), Observation::Values(values)) => {
                let beyond = values.iter().filter(|&&value| match self.bound {
                    Bound::AtMost(most) => value > most,
                    Bound::AtLeast(least) => value < least,
                });
                let count = beyond.count() as u64;
                (count, count)
            }
            (Statistic::Quantile(_), Observation::Histogram { edges, counts }) => self.beyond(edges, counts),
            _ => return None,
        };
        Some(Against { surely, possibly, trials: observation.trials() })
    }

    /// Values beyond the bound, surely and possibly. A bucket holds what is above its lower and at most its
    /// upper edge.
    fn beyond(&self, edges: &[f64], counts: &[u64]) -> (u64, u64) {
        let lower = std::iter::once(f64::NEG_INFINITY).chain(edges.iter().copied());
        let upper = edges.iter().copied().chain(std::iter::once(f64::INFINITY));
        let buckets = lower.zip(upper).zip(counts);
        buckets.fold((0, 0), |(surely, possibly), ((lower, upper), &count)| {
            let (whole, part) = match self.bound {
                Bound::AtMost(most) => (lower >= most, upper > most),
                Bound::AtLeast(least) => (upper < least, lower < least),
            };
            (surely + if whole { count } else { 0 }, possibly + if part { count } else { 0 })
        })
    }
}

/// One hit too many against a share of nothing is all it takes; against a share of everything nothing can
/// speak.
fn log_failing(hits: u64, trials: u64, tolerated: f64, times: f64) -> f64 {
    if tolerated <= 0.0 && hits > 0 { CERTAIN } else { log_ratio(hits, trials, tolerated, times) }
}

/// At the ends of the scale a bound cannot be undercut, so evidence for it cannot grow: there it is taken to
/// be kept until it is broken.
fn log_passing(hits: u64, trials: u64, tolerated: f64, times: f64) -> f64 {
    let kept = tolerated >= 1.0 || (tolerated <= 0.0 && hits == 0);
    match (trials, kept) {
        (0, _) => 0.0,
        (_, true) => CERTAIN,
        (_, false) => log_ratio(hits, trials, tolerated, 1.0 / times),
    }
}

/// The logarithm of the likelihood ratio of `hits` in `trials`: odds `times` those of `null` against `null`.
pub(super) fn log_ratio(hits: u64, trials: u64, null: f64, times: f64) -> f64 {
    hits as f64 * times.ln() - trials as f64 * (null * (times - 1.0)).ln_1p()
}
