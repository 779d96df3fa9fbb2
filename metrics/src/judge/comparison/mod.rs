//! Candidate against baseline, by counts.
//!
//! Each window, each stratum of a window, and each edge of a latency histogram is a two-by-two [`Table`]. The
//! product of their likelihood ratios is a nonnegative martingale under the null odds ratio, and a
//! supermartingale on its far side, because likelihood ratios of Fisher's noncentral hypergeometric
//! distribution are monotone. Averaging over a grid of alternatives keeps that and spares guessing how bad the
//! candidate is.

mod bets;
mod exceedance;
mod likelihood;
mod shape;

use bets::Bets;
use exceedance::Exceedance;
use serde::{Deserialize, Serialize};
use shape::Shape;

use super::{
    Looks, Seen, Standing, Tally, Test,
    criterion::{Problems, five_percent},
    decided,
    judgement::{Effect, Measure},
    tape::{Passed, Tape},
};
use crate::{
    Measurement, Observation, Pair, Table, Verdict, Window,
    statistics::{Mismatch, Split},
};

/// The odds of a hit (an error, a refusal) on the candidate, compared with those on the baseline.
///
/// Fails on evidence that their ratio is above [`tolerated`](Self::tolerated); passes on evidence that it is
/// below `tolerated · (1 + margin)`.
///
/// Of a [`Proportion`](Observation::Proportion) hits are compared; of a
/// [`Histogram`](Observation::Histogram) or of [`Values`](Observation::Values) the values beyond a few edges
/// near the baseline's quantiles from the median to the 99th percentile, see [the module](crate#latency). Of
/// [`Strata`](Observation::Strata) each stratum is compared with its own.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[expect(clippy::exhaustive_structs, reason = "a plan's author writes it as a literal")]
pub struct Comparison {
    /// The chance of failing a candidate whose odds ratio is tolerable, over all looks together; in (0, 1),
    /// default 0.05.
    #[cfg_attr(feature = "schema", schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1)))]
    pub alpha: f64,
    /// The chance of passing a candidate that is worse than the margin allows, over all looks together; in
    /// (0, 1), default 0.05.
    #[cfg_attr(feature = "schema", schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1)))]
    pub beta: f64,
    /// The greatest odds ratio of candidate to baseline that is no failure; positive, default 1.
    pub tolerated: f64,
    /// How far above `tolerated` the odds ratio must be ruled out for a pass, as a share of it; positive,
    /// default 1, that is, evidence that the odds are not doubled.
    pub margin: f64,
    /// A share that nobody minds; in [0, 1), default 0.01. Evidence that the candidate's own share is below it
    /// is evidence for a pass, too: two sides without hits cannot be compared. 0 turns it off. Of histograms and
    /// values it is the share beyond an edge.
    pub negligible: f64,
    /// Which way is better; default lower.
    #[serde(skip_serializing_if = "Better::is_lower")]
    pub better: Better,
    /// What the chances of a window are taken to be; default conditional.
    #[serde(skip_serializing_if = "Method::is_conditional")]
    pub method: Method,
    /// By how much counts vary more than those of independent requests, as a ratio of variances; at least 1,
    /// default 1. [`calibrate`](crate::calibrate()) finds it in the history of a service. Likelihood ratios are taken
    /// to the power of its inverse.
    #[serde(skip_serializing_if = "is_one")]
    pub dispersion: f64,
    /// The candidate's share of the requests of both sides, as the router was told; default none. If given, nothing
    /// passes while the requests of either side say that the router does otherwise
    /// ([`Split`](crate::statistics::Split)).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
}

/// Which way is better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[expect(clippy::exhaustive_enums, reason = "there is no third way")]
pub enum Better {
    /// More hits or greater values: successes, tokens per second.
    Higher,
    /// Fewer hits or smaller values: errors, latency.
    #[default]
    Lower,
}

/// What the chances of a window are taken to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Method {
    /// Requests are independent of each other, or vary `dispersion` times as much: given its totals, a table is
    /// Fisher's noncentral hypergeometric. For sides of any size.
    #[default]
    Conditional,
    /// Both sides get the same traffic, and while the versions are the same either is as likely as the other to
    /// have so many hits more: exact for errors that come in bursts of any size, and slower to find a
    /// difference. For a baseline of the candidate's size; windows whose sides differ by more than chance, by
    /// themselves or with all before them, are not used. A pass is by the conditional chances with `dispersion`.
    Symmetric,
}

impl Better {
    fn is_lower(&self) -> bool {
        *self == Self::Lower
    }
}

impl Method {
    fn is_conditional(&self) -> bool {
        *self == Self::Conditional
    }
}

/// Defaults that came later are not written, so that plans read and are written as before.
fn is_one(dispersion: &f64) -> bool {
    *dispersion == 1.0
}

impl Default for Comparison {
    fn default() -> Self {
        Self {
            alpha: five_percent(),
            beta: five_percent(),
            tolerated: 1.0,
            margin: 1.0,
            negligible: 0.01,
            better: Better::default(),
            method: Method::default(),
            dispersion: 1.0,
            weight: None,
        }
    }
}

impl Comparison {
    pub(super) fn check(&self, problems: &mut Problems) {
        let Self { alpha, beta, tolerated, margin, negligible, method, dispersion, weight, .. } = *self;
        problems.chances(alpha, beta);
        problems.unless(
            (0.0..1.0).contains(&negligible),
            format!("negligible is {negligible}, not a share below 1"),
        );
        problems.unless(usable(tolerated), format!("tolerated is {tolerated}, not a positive odds ratio"));
        problems.unless(usable(margin), format!("margin is {margin}, not a positive number"));
        problems.unless(
            (1.0..=1e6).contains(&dispersion),
            format!("dispersion is {dispersion}, not a ratio of variances from 1 up"),
        );
        problems.unless(
            weight.is_none_or(|weight| weight > 0.0 && weight < 1.0),
            format!("weight is {}, not a share between 0 and 1", weight.unwrap_or_default()),
        );
        problems.unless(
            method == Method::Conditional || tolerated == 1.0,
            format!("tolerated is {tolerated}, but the symmetric method knows no odds ratio but 1"),
        );
    }

    pub(super) fn test(self) -> Box<dyn Test> {
        Box::new(Comparing {
            fail: Looks::new(self.alpha),
            pass: Looks::new(self.beta),
            shape: Shape::Unknown,
            candidate: Tally::default(),
            baseline: Tally::default(),
            sizes: Vec::new(),
            split: Split::new(),
            mismatch: None,
            comparison: self,
        })
    }
}

/// Far beyond what anybody tolerates, and far from where the arithmetic ends.
fn usable(ratio: f64) -> bool {
    (1e-6..=1e6).contains(&ratio)
}

/// A comparison under way.
#[derive(Clone, Debug)]
struct Comparing {
    comparison: Comparison,
    shape: Shape,
    fail: Looks,
    pass: Looks,
    candidate: Tally,
    baseline: Tally,
    /// Trials of both sides in each stratum, of the windows that were looked at.
    sizes: Vec<(u64, u64)>,
    split: Split,
    mismatch: Option<Mismatch>,
}

/// Both sides of a stratum, either of which may not have been there.
type Sides<'a> = (Option<&'a Observation>, Option<&'a Observation>);

impl Test for Comparing {
    fn take(&mut self, _: Window, pair: &Pair) -> Seen {
        let (candidate, baseline) = match sides(pair) {
            Ok(sides) => sides,
            Err(seen) => return seen,
        };
        let strata = match strata(candidate, baseline) {
            Ok(strata) => strata,
            Err(problem) => return Seen::Unusable(problem),
        };
        if let Err(problem) = self.sizes(&strata) {
            return Seen::Unused(problem);
        }
        let all = |is: fn(&Observation) -> bool| {
            strata.iter().flat_map(|(one, other)| [one, other]).flatten().all(|side| is(side))
        };
        let all_counts = all(|side| matches!(side, Observation::Proportion { .. }));
        let all_values = all(|side| matches!(side, Observation::Histogram { .. } | Observation::Values(_)));
        if !all_counts && !all_values {
            return Seen::Unusable(format!(
                "a comparison takes counts, histograms or values, not {candidate} and {baseline}"
            ));
        }
        if matches!(self.shape, Shape::Unknown) {
            self.shape = if all_counts {
                Shape::Counts(Box::new(Bets::new(&self.comparison)))
            } else {
                Shape::Beyond(Exceedance::new(self.comparison))
            };
        }
        let taken = match &mut self.shape {
            Shape::Counts(bets) if all_counts => self.comparison.tables(&strata).map(|tables| {
                bets.take(&tables);
                let hits = |observation| hits(observation);
                (hits(candidate), hits(baseline))
            }),
            Shape::Beyond(exceedance) if all_values => exceedance.take(&strata),
            _ => {
                Err("the metric changed from counts to values or back; judge it from a new start".to_owned())
            }
        };
        let (candidate, baseline) = match taken {
            Ok(tallies) => tallies,
            Err(problem) => return Seen::Unusable(problem),
        };
        self.candidate.add(candidate);
        self.baseline.add(baseline);
        if let Some(weight) = self.comparison.weight {
            self.mismatch = self.split.take(weight, candidate.trials, baseline.trials);
        }
        let (fail, pass) = self.shape.log_e();
        self.fail.look(fail);
        self.pass.look(pass);
        Seen::Counted
    }

    fn verdict(&self) -> Verdict {
        decided(self.fail.reached(), self.pass.reached() && self.mismatch.is_none())
    }

    fn standing(&self) -> Standing {
        let thresholds = (self.fail.threshold(), self.pass.threshold());
        let (effect, reason) = match &self.shape {
            Shape::Counts(bets) => (Some(bets.effect(Measure::OddsRatio, thresholds)), None),
            Shape::Beyond(exceedance) => (exceedance.effect(thresholds), exceedance.reason()),
            Shape::Unknown => (None, None),
        };
        let mismatch = self.mismatch.map(|mismatch| format!("the router is not honest: {mismatch}"));
        Standing {
            verdict: self.verdict(),
            effect,
            reason: mismatch.or(reason),
            candidate: self.candidate,
            baseline: Some(self.baseline),
            ..Standing::of(&self.fail, &self.pass)
        }
    }

    fn state(&mut self, tape: &mut Tape<'_>) -> Passed {
        self.shape.state(&self.comparison, tape)?;
        self.fail.state(tape)?;
        self.pass.state(tape)?;
        tape.tally(&mut self.candidate)?;
        tape.tally(&mut self.baseline)?;
        tape.list(&mut self.sizes, Default::default, |tape, (candidate, baseline)| {
            tape.count(candidate)?;
            tape.count(baseline)
        })?;
        self.split.state(tape)?;
        let honest = || Mismatch { share: 0.0, weight: 0.0, log_e: 0.0 };
        tape.option(&mut self.mismatch, honest, |tape, Mismatch { share, weight, log_e }| {
            tape.floats([share, weight, log_e])
        })
    }
}

impl Comparing {
    /// Whether the symmetric method may look at a window of these strata: neither it nor all before it together
    /// may be uneven, in any stratum. That depends on how much was asked alone, not on how it was answered.
    fn sizes(&mut self, strata: &[Sides<'_>]) -> Result<(), String> {
        if self.comparison.method != Method::Symmetric {
            return Ok(());
        }
        let trials = |side: Option<&Observation>| side.map_or(0, Observation::trials);
        self.sizes.resize(strata.len().max(self.sizes.len()), (0, 0));
        let mut even = true;
        for (&(candidate, baseline), all) in strata.iter().zip(&mut self.sizes) {
            let (candidate, baseline) = (trials(candidate), trials(baseline));
            *all = (all.0.saturating_add(candidate), all.1.saturating_add(baseline));
            even &= is_even(candidate, baseline) && is_even(all.0, all.1);
        }
        if even {
            return Ok(());
        }
        let (candidate, baseline) = self
            .sizes
            .iter()
            .fold((0, 0), |sum: (u64, u64), one| (sum.0.saturating_add(one.0), sum.1.saturating_add(one.1)));
        Err(format!(
            "the symmetric method takes sides of equal size, not {candidate} and {baseline} so far; route as much to \
             the baseline"
        ))
    }
}

impl Comparison {
    /// A table for each stratum.
    fn tables(&self, strata: &[Sides<'_>]) -> Result<Vec<Table>, String> {
        let tables = strata.iter().map(|&(candidate, baseline)| {
            let [candidate, baseline] = [candidate, baseline].map(|side| {
                let Tally { hits, trials } = side.map(hits).unwrap_or_default();
                match self.better {
                    Better::Higher => (trials - hits, trials),
                    Better::Lower => (hits, trials),
                }
            });
            Table::new(candidate, baseline)
        });
        tables.collect::<Option<_>>().ok_or_else(|| "the counts are impossible".to_owned())
    }
}

/// What was observed on both sides.
pub(super) fn sides(pair: &Pair) -> Result<(&Observation, &Observation), Seen> {
    let Some(baseline) = &pair.baseline else {
        return Err(Seen::Unusable("a comparison needs a baseline, and none was observed".to_owned()));
    };
    Ok((observed("the candidate", &pair.candidate)?, observed("the baseline", baseline)?))
}

fn observed<'a>(side: &str, measurement: &'a Measurement) -> Result<&'a Observation, Seen> {
    match measurement {
        Measurement::Missing(missing) => Err(Seen::Missing(format!("{side}: {missing}"))),
        Measurement::Observed(observation) => Ok(observation),
    }
}

/// The strata of both sides next to each other; without strata, one.
fn strata<'a>(candidate: &'a Observation, baseline: &'a Observation) -> Result<Vec<Sides<'a>>, String> {
    match (candidate, baseline) {
        (Observation::Strata(candidate), Observation::Strata(baseline)) => {
            let names = candidate.keys().chain(baseline.keys().filter(|name| !candidate.contains_key(*name)));
            Ok(names.map(|name| (candidate.get(name), baseline.get(name))).collect())
        }
        (Observation::Strata(_), _) | (_, Observation::Strata(_)) => {
            Err("one side was observed by strata and the other was not; observe both alike".to_owned())
        }
        (candidate, baseline) => Ok(vec![(Some(candidate), Some(baseline))]),
    }
}

/// Hits of counts; none of anything else.
fn hits(observation: &Observation) -> Tally {
    match observation {
        Observation::Proportion { hits, trials } => Tally { hits: *hits, trials: *trials },
        Observation::Strata(strata) => strata.values().map(hits).fold(Tally::default(), |mut sum, more| {
            sum.add(more);
            sum
        }),
        other => Tally { hits: 0, trials: other.trials() },
    }
}

/// Whether two sides may have been meant to be of one size: they differ by no more than four standard deviations
/// of a fair split.
pub(crate) fn is_even(one: u64, other: u64) -> bool {
    one.abs_diff(other) as f64 <= 4.0 * ((one + other) as f64).sqrt()
}

impl Bets {
    fn effect(&self, measure: Measure, thresholds: (f64, f64)) -> Effect {
        let (lower, upper) = self.interval(thresholds);
        Effect { measure, estimate: self.estimate(), lower, upper }
    }
}
