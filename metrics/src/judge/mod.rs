//! What observations mean: pure functions from evidence to a judgement.

mod comparison;
mod criterion;
mod evidence;
mod judgement;
mod limit;
mod mean;
mod process;
mod table;

use std::time::SystemTime;

pub use criterion::{
    Bound, Comparison, Criterion, Importance, InvalidCriterion, Limit, OnMissing, Rule, Statistic,
};
pub use evidence::{Evidence, Pair};
pub use judgement::{Judgement, Strength, Tally};
use process::{CERTAIN, Process};
use serde::{Deserialize, Serialize};
pub use table::Table;

use crate::Verdict;

/// The odds ratios, in units of the null's, in whose favour the bets for a failure are, with equal weights.
const GRID: [f64; 8] = [1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0];

/// Where the evidence stood after one window.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Point {
    /// The window's end.
    #[serde(with = "humantime_serde")]
    pub end: SystemTime,
    /// The natural logarithm of the evidence that the candidate is too bad.
    pub fail: f64,
    /// The natural logarithm of the evidence that it is good enough.
    pub pass: f64,
}

/// What `evidence` says of `criterion`.
///
/// Pure and total: the same windows give the same judgement to the last bit (on one platform), no input
/// panics, and every number is finite. It may be asked after every window, and decided on whenever one likes;
/// an error bound of 5 % is one of all looks together. So that it is, evidence that has once sufficed
/// suffices for good: what later windows say cannot take it back, and a failure outweighs a pass.
///
/// A criterion that [`check`](Criterion::check) refuses is inconclusive, and so is an observation of a shape
/// that the rule cannot use.
#[must_use]
pub fn judge(criterion: &Criterion, evidence: &Evidence) -> Judgement {
    if let Err(invalid) = criterion.check() {
        return unjudged(criterion, evidence, invalid.to_string());
    }
    if let Rule::Limit(limit @ Limit { statistic: Statistic::Mean, .. }) = &criterion.rule {
        return mean::judge(criterion, limit, evidence);
    }
    let (mut fail, mut pass) = criterion.rule.processes();
    let mut gaps = Gaps::default();
    let (mut candidate, mut baseline) = (Tally::default(), None::<Tally>);
    for (_, pair) in evidence.windows() {
        if let Some(counts) = gaps.note(criterion.rule.counts(pair)) {
            fail.multiply(counts.fail);
            pass.multiply(counts.pass);
            candidate.add(counts.candidate);
            if let Some(more) = counts.baseline {
                baseline.get_or_insert_default().add(more);
            }
        }
    }
    let need = match criterion.rule {
        Rule::Compare(_) => 0,
        Rule::Limit(limit) => limit.min_samples,
    };
    let decided = match (fail.reached(), pass.reached()) {
        (true, _) => (Verdict::Fail, None),
        (false, true) if candidate.trials < need => {
            (Verdict::Inconclusive, Some(too_few(candidate.trials, need)))
        }
        (false, true) => (Verdict::Pass, None),
        (false, false) => (Verdict::Inconclusive, None),
    };
    let (verdict, reason) = gaps.temper(criterion.on_missing, decided);
    Judgement {
        verdict,
        fail: fail.strength(),
        pass: pass.strength(),
        candidate,
        baseline,
        ..unjudged(criterion, evidence, reason)
    }
}

/// Where the evidence stood after each window, for plots. Unlike [`Strength::log_e`] it falls as well as it
/// rises. Empty where there is no e-process: for [`Statistic::Mean`] and for an invalid criterion.
#[must_use]
pub fn trajectory(criterion: &Criterion, evidence: &Evidence) -> Vec<Point> {
    if criterion.check().is_err()
        || matches!(criterion.rule, Rule::Limit(Limit { statistic: Statistic::Mean, .. }))
    {
        return Vec::new();
    }
    let (mut fail, mut pass) = criterion.rule.processes();
    let mut after = |(window, pair): (&crate::Window, &Pair)| {
        if let Seen::Counts(counts) = criterion.rule.counts(pair) {
            fail.multiply(counts.fail);
            pass.multiply(counts.pass);
        }
        Point { end: window.end(), fail: fail.log_e(), pass: pass.log_e() }
    };
    evidence.windows().map(&mut after).collect()
}

/// What one window shows.
#[derive(Debug)]
enum Seen {
    Counts(Counts),
    /// Nothing, for this reason.
    Missing(String),
    /// Something that the rule cannot use.
    Unusable(String),
}

/// What was counted in one window, and the logarithm of what each alternative of a bet makes of it.
#[derive(Debug)]
struct Counts {
    candidate: Tally,
    baseline: Option<Tally>,
    fail: Vec<f64>,
    pass: Vec<f64>,
}

impl Rule {
    fn processes(&self) -> (Process, Process) {
        match self {
            Self::Compare(comparison) => comparison.processes(),
            Self::Limit(limit) => limit.processes(),
        }
    }

    fn counts(&self, pair: &Pair) -> Seen {
        let sides = [Some(&pair.candidate), pair.baseline.as_ref()];
        let observed = sides.into_iter().flatten().filter_map(crate::Measurement::observed);
        if let Some(impossible) = observed.into_iter().find(|observation| !observation.is_valid()) {
            return Seen::Unusable(format!("{impossible} cannot have been observed"));
        }
        match self {
            Self::Compare(comparison) => comparison.counts(pair),
            Self::Limit(limit) => limit.counts(pair),
        }
    }
}

/// What stands in the way of a verdict from evidence alone.
#[derive(Debug, Default)]
struct Gaps {
    any: bool,
    missing: Option<String>,
    newest_is_missing: bool,
    unusable: Option<String>,
}

impl Gaps {
    /// Takes down what the next window shows, and gives its counts if there are any.
    fn note(&mut self, seen: Seen) -> Option<Counts> {
        self.note_observed();
        match seen {
            Seen::Counts(counts) => return Some(counts),
            Seen::Missing(reason) => {
                self.newest_is_missing = true;
                self.missing = Some(reason);
            }
            Seen::Unusable(reason) => self.unusable = Some(reason),
        }
        None
    }

    fn note_observed(&mut self) {
        self.any = true;
        self.newest_is_missing = false;
    }

    /// The verdict that is left of what evidence `decided`, see [`OnMissing`].
    fn temper(self, on_missing: OnMissing, decided: (Verdict, Option<String>)) -> (Verdict, Option<String>) {
        if decided.0 == Verdict::Fail {
            return decided;
        }
        if !self.any {
            return (Verdict::Inconclusive, Some("no window has closed yet".to_owned()));
        }
        match (on_missing, self.missing) {
            (OnMissing::Fail, Some(reason)) => {
                (Verdict::Fail, Some(format!("an observation is missing: {reason}")))
            }
            _ if self.unusable.is_some() => (Verdict::Inconclusive, self.unusable),
            (OnMissing::Pass, Some(reason)) if self.newest_is_missing => (Verdict::Pass, Some(reason)),
            (_, Some(reason)) if self.newest_is_missing => (Verdict::Inconclusive, Some(reason)),
            _ => decided,
        }
    }
}

fn too_few(have: u64, need: u64) -> String {
    format!("{}", crate::Missing::TooFew { have, need })
}

fn unjudged(criterion: &Criterion, evidence: &Evidence, reason: impl Into<Option<String>>) -> Judgement {
    let none = Strength { log_e: 0.0, threshold: 0.0 };
    Judgement {
        metric: criterion.metric.clone(),
        importance: criterion.importance,
        verdict: Verdict::Inconclusive,
        fail: none,
        pass: none,
        candidate: Tally::default(),
        baseline: None,
        windows: evidence.windows().len() as u64,
        reason: reason.into(),
    }
}
