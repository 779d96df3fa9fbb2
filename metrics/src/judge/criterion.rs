//! What is required of a metric.

use serde::{Deserialize, Serialize};

use crate::Metric;

/// What is required of a metric, and what its evidence must show.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "a plan's author writes it as a literal")]
pub struct Criterion {
    /// The metric.
    pub metric: Metric,
    /// What its evidence must show.
    pub rule: Rule,
    /// What a window without an observation means.
    #[serde(default)]
    pub on_missing: OnMissing,
    /// Whether the verdict counts.
    #[serde(default)]
    pub importance: Importance,
}

/// What the evidence of a metric must show.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub enum Rule {
    /// Compared with what is in service, over the same windows.
    Compare(Comparison),
    /// Against a fixed limit.
    Limit(Limit),
}

/// The odds of a hit (an error, a refusal) on the candidate, compared with those on the baseline.
///
/// Fails on evidence that their ratio is above [`tolerated`](Self::tolerated); passes on evidence that it is
/// below `tolerated · (1 + margin)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[expect(clippy::exhaustive_structs, reason = "a plan's author writes it as a literal")]
pub struct Comparison {
    /// The chance of failing a candidate whose odds ratio is tolerable, over all looks together; in (0, 1),
    /// default 0.05.
    pub alpha: f64,
    /// The chance of passing a candidate that is worse than the margin allows, over all looks together; in
    /// (0, 1), default 0.05.
    pub beta: f64,
    /// The greatest odds ratio of candidate to baseline that is no failure; positive, default 1.
    pub tolerated: f64,
    /// How far above `tolerated` the odds ratio must be ruled out for a pass, as a share of it; positive,
    /// default 1, that is, evidence that the odds are not doubled.
    pub margin: f64,
    /// A share that nobody minds; in [0, 1), default 0.01. Evidence that the candidate's own share is below it
    /// is evidence for a pass, too: two sides without hits cannot be compared. 0 turns it off.
    pub negligible: f64,
}

/// A statistic of the candidate alone, against a fixed bound.
///
/// [`Statistic::Share`] and [`Statistic::Quantile`] fail on evidence that the bound is broken and pass on
/// evidence that it is kept, at any look. [`Statistic::Mean`] is a heuristic, see there.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
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
    pub alpha: f64,
    /// The chance of passing a candidate that breaks the bound, over all looks together; in (0, 1), default
    /// 0.05.
    #[serde(default = "five_percent")]
    pub beta: f64,
    /// No pass before so many trials, however good they look; default 30.
    #[serde(default = "Limit::default_min_samples")]
    pub min_samples: u64,
}

/// What of a metric is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Statistic {
    /// The mean of [`Values`](crate::Observation::Values), in the metric's unit.
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
#[serde(rename_all = "camelCase")]
#[expect(clippy::exhaustive_enums, reason = "a number is bounded from above or from below")]
pub enum Bound {
    /// At this or below.
    AtMost(f64),
    /// At this or above.
    AtLeast(f64),
}

/// What windows without an observation mean for the verdict.
///
/// They never carry evidence. Evidence for a failure stands whatever else is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum OnMissing {
    /// While the newest window is missing, nothing has passed: yesterday's success is not today's health.
    /// When observations return, earlier evidence counts again.
    #[default]
    Inconclusive,
    /// One missing window is a failure.
    Fail,
    /// While the newest window is missing, the verdict is a pass. For metrics that exist only when something
    /// happens; it reads an outage of the source as health.
    Pass,
}

/// Whether a verdict counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Importance {
    /// It is shown and decides nothing.
    Advisory,
    /// It decides.
    #[default]
    Required,
}

/// A criterion that no evidence could be judged by. Mend the fields that it names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the criterion for `{metric}` cannot be used: {}", problems.join("; "))]
#[non_exhaustive]
pub struct InvalidCriterion {
    /// The metric.
    pub metric: Metric,
    /// One sentence for each field that is wrong, beginning with its name.
    pub problems: Vec<String>,
}

impl Criterion {
    /// `metric` by `rule`, required, and inconclusive where observations are missing.
    #[must_use]
    pub fn new(metric: Metric, rule: Rule) -> Self {
        Self { metric, rule, on_missing: OnMissing::default(), importance: Importance::default() }
    }

    /// The candidate's odds of a hit are no higher than the baseline's, by the default [`Comparison`].
    #[must_use]
    pub fn compare(metric: Metric) -> Self {
        Self::new(metric, Rule::Compare(Comparison::default()))
    }

    /// The statistic is at most `bound`, by the default [`Limit`].
    #[must_use]
    pub fn at_most(metric: Metric, statistic: Statistic, bound: f64) -> Self {
        Self::new(metric, Rule::Limit(Limit::new(statistic, Bound::AtMost(bound))))
    }

    /// The statistic is at least `bound`, by the default [`Limit`].
    #[must_use]
    pub fn at_least(metric: Metric, statistic: Statistic, bound: f64) -> Self {
        Self::new(metric, Rule::Limit(Limit::new(statistic, Bound::AtLeast(bound))))
    }

    /// With this meaning of windows without an observation.
    #[must_use]
    pub fn on_missing(mut self, on_missing: OnMissing) -> Self {
        self.on_missing = on_missing;
        self
    }

    /// Shown, but deciding nothing.
    #[must_use]
    pub fn advisory(mut self) -> Self {
        self.importance = Importance::Advisory;
        self
    }

    /// With this chance of failing a good candidate.
    #[must_use]
    pub fn with_alpha(mut self, chance: f64) -> Self {
        match &mut self.rule {
            Rule::Compare(Comparison { alpha, .. }) | Rule::Limit(Limit { alpha, .. }) => *alpha = chance,
        }
        self
    }

    /// With this chance of passing a bad candidate.
    #[must_use]
    pub fn with_beta(mut self, chance: f64) -> Self {
        match &mut self.rule {
            Rule::Compare(Comparison { beta, .. }) | Rule::Limit(Limit { beta, .. }) => *beta = chance,
        }
        self
    }

    /// With no pass before so many trials. Comparisons need none and stay as they are.
    #[must_use]
    pub fn with_min_samples(mut self, count: u64) -> Self {
        if let Rule::Limit(limit) = &mut self.rule {
            limit.min_samples = count;
        }
        self
    }

    /// Whether the criterion is compared with a baseline, so that one has to be observed.
    #[must_use]
    pub const fn needs_baseline(&self) -> bool {
        matches!(self.rule, Rule::Compare(_))
    }

    /// Whether evidence can be judged by this.
    ///
    /// # Errors
    ///
    /// Names every field that is wrong, not only the first.
    pub fn check(&self) -> Result<(), InvalidCriterion> {
        let mut problems = Vec::new();
        if self.metric.as_str().is_empty() {
            problems.push("metric is empty, name one that the source knows".to_owned());
        }
        let (alpha, beta) = match &self.rule {
            Rule::Compare(Comparison { alpha, beta, .. }) | Rule::Limit(Limit { alpha, beta, .. }) => {
                (*alpha, *beta)
            }
        };
        let mut unless = |good: bool, problem: String| {
            if !good {
                problems.push(problem);
            }
        };
        unless(inside(alpha), format!("alpha is {alpha}, not between 0 and 1"));
        unless(inside(beta), format!("beta is {beta}, not between 0 and 1"));
        match &self.rule {
            Rule::Compare(Comparison { tolerated, margin, negligible, .. }) => {
                unless(
                    (0.0..1.0).contains(negligible),
                    format!("negligible is {negligible}, not a share below 1"),
                );
                unless(usable(*tolerated), format!("tolerated is {tolerated}, not a positive odds ratio"));
                unless(usable(*margin), format!("margin is {margin}, not a positive number"));
            }
            Rule::Limit(Limit { statistic, bound, .. }) => {
                let value = bound.value();
                unless(value.is_finite(), format!("bound is {value}, not a finite number"));
                match statistic {
                    Statistic::Share => unless(
                        (0.0..=1.0).contains(&value) || !value.is_finite(),
                        format!("bound is {value}, but a share lies between 0 and 1"),
                    ),
                    Statistic::Quantile(q) => {
                        unless(inside(*q), format!("quantile is {q}, not between 0 and 1"))
                    }
                    Statistic::Mean => {}
                }
            }
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(InvalidCriterion { metric: self.metric.clone(), problems })
        }
    }
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

impl Default for Comparison {
    fn default() -> Self {
        Self { alpha: five_percent(), beta: five_percent(), tolerated: 1.0, margin: 1.0, negligible: 0.01 }
    }
}

const fn five_percent() -> f64 {
    0.05
}

fn inside(share: f64) -> bool {
    share > 0.0 && share < 1.0
}

/// Far beyond what anybody tolerates, and far from where the arithmetic ends.
fn usable(ratio: f64) -> bool {
    (1e-6..=1e6).contains(&ratio)
}
