//! The candidate alone, against a fixed bound.
//!
//! A share of trials is tested by the likelihood ratio of Bernoulli trials: with `x` hits of `n`, a null rate
//! `p` and an alternative whose odds are `r` times those of `p`, it is `rˣ / (1 − p + p·r)ⁿ`. Its expectation
//! under any rate on the null's side is at most 1 even if the rate changes from window to window (Ramdas et
//! al. 2023), so that the product over windows may be looked at whenever one likes.
//!
//! "At least" is "at most" of the complement, and a quantile is a share: of values beyond the bound.

use serde::{Deserialize, Serialize};

use super::{
    GRID, Looks, Process, Seen, Standing, Tally, Test,
    criterion::{Problems, five_percent, inside},
    decided,
    judgement::{Effect, Measure},
    mean::Mean,
    process::CERTAIN,
    tape::{Passed, Tape},
    too_few,
};
use crate::{Measurement, Observation, Pair, Verdict, Window, statistics::bernoulli_interval};

/// A statistic of the candidate alone, against a fixed bound.
///
/// [`Statistic::Share`] and [`Statistic::Quantile`] fail on evidence that the bound is broken and pass on
/// evidence that it is kept, at any look. [`Statistic::Mean`] is a heuristic, see there. Strata are added up.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "a plan's author writes it as a literal")]
pub struct Limit {
    /// What of the metric.
    pub statistic: Statistic,
    /// Where it must lie.
    pub bound: Bound,
    /// The chance of failing a candidate that keeps the bound, over all looks together; in (0, 1), default
    /// 0.05.
    #[serde(default = "five_percent")]
    #[cfg_attr(feature = "schema", schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1)))]
    pub alpha: f64,
    /// The chance of passing a candidate that breaks the bound, over all looks together; in (0, 1), default
    /// 0.05.
    #[serde(default = "five_percent")]
    #[cfg_attr(feature = "schema", schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1)))]
    pub beta: f64,
    /// No pass before so many trials, however good they look; default 30.
    #[serde(default = "Limit::default_min_samples")]
    pub min_samples: u64,
}

/// What of a metric is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Statistic {
    /// The mean of [`Values`](crate::Observation::Values) or of a [`Total`](crate::Observation::Total), in the metric's
    /// unit.
    ///
    /// A heuristic: the mean of all values so far decides as soon as there are
    /// [`min_samples`](Limit::min_samples), with no guarantee against chance and no memory of how it looked
    /// before. `alpha` and `beta` have no part in it.
    Mean,
    /// The value that this share of all values does not exceed, in (0, 1): `Quantile(0.95)` is the 95th
    /// percentile of a histogram or of values, in the metric's unit.
    ///
    /// What counts is how many values lie beyond the bound. In a histogram, only buckets that lie beyond it
    /// whole speak for a failure, and every bucket that reaches beyond it speaks against a pass.
    Quantile(f64),
    /// Hits per trial of a [`Proportion`](crate::Observation::Proportion).
    Share,
}

/// Where a statistic must lie.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[expect(clippy::exhaustive_enums, reason = "a number is bounded from above or from below")]
pub enum Bound {
    /// At this or below.
    AtMost(f64),
    /// At this or above.
    AtLeast(f64),
}

impl Limit {
    /// The bound on the statistic, with the default chances of error and number of samples.
    #[must_use]
    pub const fn new(statistic: Statistic, bound: Bound) -> Self {
        let min_samples = Self::default_min_samples();
        Self { statistic, bound, alpha: five_percent(), beta: five_percent(), min_samples }
    }

    const fn default_min_samples() -> u64 {
        30
    }

    pub(super) fn check(&self, problems: &mut Problems) {
        let value = self.bound.value();
        problems.chances(self.alpha, self.beta);
        problems.unless(value.is_finite(), format!("bound is {value}, not a finite number"));
        match self.statistic {
            Statistic::Share => problems.unless(
                (0.0..=1.0).contains(&value) || !value.is_finite(),
                format!("bound is {value}, but a share lies between 0 and 1"),
            ),
            Statistic::Quantile(q) => {
                problems.unless(inside(q), format!("quantile is {q}, not between 0 and 1"));
            }
            Statistic::Mean => {}
        }
    }

    pub(super) fn test(self) -> Box<dyn Test> {
        if self.statistic == Statistic::Mean {
            return Box::new(Mean::new(self));
        }
        let equal = || Process::new(GRID.map(|_| 1.0 / GRID.len() as f64));
        let tolerated = self.tolerated_share();
        Box::new(Limiting {
            worse: GRID.map(|times| LogRatio::new(tolerated, times)),
            better: GRID.map(|times| LogRatio::new(tolerated, 1.0 / times)),
            fail: (equal(), Looks::new(self.alpha)),
            pass: (equal(), Looks::new(self.beta)),
            shown: Tally::default(),
            surely: 0,
            possibly: 0,
            limit: self,
        })
    }
}

impl Bound {
    /// The number that bounds.
    #[must_use]
    pub const fn value(self) -> f64 {
        match self {
            Self::AtMost(value) | Self::AtLeast(value) => value,
        }
    }
}

/// A limit on a share of trials under way.
#[derive(Clone, Debug)]
struct Limiting {
    limit: Limit,
    /// The alternatives to the share that is tolerated.
    worse: [LogRatio; GRID.len()],
    better: [LogRatio; GRID.len()],
    fail: (Process, Looks),
    pass: (Process, Looks),
    /// What is counted for people.
    shown: Tally,
    surely: u64,
    possibly: u64,
}

impl Test for Limiting {
    fn take(&mut self, _: Window, pair: &Pair) -> Seen {
        let observation = match &pair.candidate {
            Measurement::Missing(missing) => return Seen::Missing(missing.to_string()),
            Measurement::Observed(observation) => observation.overall(),
        };
        let Some(against) = self.limit.against(&observation) else {
            let takes = match self.limit.statistic {
                Statistic::Mean => "a mean takes values or totals",
                Statistic::Quantile(_) => "a quantile takes a histogram or values",
                Statistic::Share => "a share takes a proportion",
            };
            return Seen::Unusable(format!("{takes}, but the source gave {observation}"));
        };
        let tolerated = self.limit.tolerated_share();
        let Against { surely, possibly, trials } = against;
        self.fail.0.multiply(self.worse.map(|ratio| log_failing(surely, trials, tolerated, ratio)));
        self.pass.0.multiply(self.better.map(|ratio| log_passing(possibly, trials, tolerated, ratio)));
        self.fail.1.look(self.fail.0.log_e());
        self.pass.1.look(self.pass.0.log_e());
        let hits = match &*observation {
            Observation::Proportion { hits, .. } => *hits,
            _ => possibly,
        };
        self.shown.add(Tally { hits, trials });
        self.surely = self.surely.saturating_add(surely);
        self.possibly = self.possibly.saturating_add(possibly);
        Seen::Counted
    }

    fn verdict(&self) -> Verdict {
        decided(self.fail.1.reached(), self.pass.1.reached() && self.shown.trials >= self.limit.min_samples)
    }

    fn standing(&self) -> Standing {
        let verdict = self.verdict();
        let early = verdict == Verdict::Inconclusive && self.pass.1.reached();
        Standing {
            verdict,
            reason: early.then(|| too_few(self.shown.trials, self.limit.min_samples)),
            candidate: self.shown,
            effect: self.effect(),
            ..Standing::of(&self.fail.1, &self.pass.1)
        }
    }

    fn state(&mut self, tape: &mut Tape<'_>) -> Passed {
        for (process, looks) in [&mut self.fail, &mut self.pass] {
            process.state(tape)?;
            looks.state(tape)?;
        }
        tape.tally(&mut self.shown)?;
        tape.count(&mut self.surely)?;
        tape.count(&mut self.possibly)
    }
}

impl Limiting {
    /// The share of hits or of values beyond the bound, with a confidence sequence for either end.
    fn effect(&self) -> Option<Effect> {
        let trials = self.shown.trials;
        if trials == 0 {
            return None;
        }
        /// The number of trials at which the confidence sequence is narrowest; any number holds at all times.
        const OPTIMAL: f64 = 1000.0;
        let least = bernoulli_interval(self.surely, trials, self.limit.alpha, OPTIMAL).0;
        let most = bernoulli_interval(self.possibly, trials, self.limit.beta, OPTIMAL).1;
        let against = self.possibly as f64 / trials as f64;
        let (estimate, lower, upper) = match (self.limit.statistic, self.limit.bound) {
            (Statistic::Share, Bound::AtLeast(_)) => (1.0 - against, 1.0 - most, 1.0 - least),
            _ => (against, least, most),
        };
        Some(Effect {
            measure: Measure::Share,
            estimate: Some(estimate),
            lower: Some(lower),
            upper: Some(upper),
        })
    }
}

/// Hits that speak against the candidate: so many for sure, and so many possibly, where buckets hide it.
struct Against {
    surely: u64,
    possibly: u64,
    trials: u64,
}

impl Limit {
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
fn log_failing(hits: u64, trials: u64, tolerated: f64, ratio: LogRatio) -> f64 {
    if tolerated <= 0.0 && hits > 0 { CERTAIN } else { ratio.log(hits, trials) }
}

/// At the ends of the scale a bound cannot be undercut, so evidence for it cannot grow: there it is taken to
/// be kept until it is broken.
fn log_passing(hits: u64, trials: u64, tolerated: f64, ratio: LogRatio) -> f64 {
    let kept = tolerated >= 1.0 || (tolerated <= 0.0 && hits == 0);
    match (trials, kept) {
        (0, _) => 0.0,
        (_, true) => CERTAIN,
        (_, false) => ratio.log(hits, trials),
    }
}

/// Odds `times` those of a null share against that share.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogRatio {
    of_a_hit: f64,
    of_a_trial: f64,
}

impl LogRatio {
    pub(super) fn new(null: f64, times: f64) -> Self {
        Self { of_a_hit: times.ln(), of_a_trial: (null * (times - 1.0)).ln_1p() }
    }

    /// The logarithm of the likelihood ratio of `hits` in `trials`.
    pub(super) fn log(self, hits: u64, trials: u64) -> f64 {
        hits as f64 * self.of_a_hit - trials as f64 * self.of_a_trial
    }
}
