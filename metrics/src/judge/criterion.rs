//! What is required of a metric.

use serde::{Deserialize, Serialize};

use super::{Bound, Comparison, Limit, Rule, Statistic};
use crate::Metric;

/// What is required of a metric, and what its evidence must show.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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

/// What windows without an observation mean for the verdict.
///
/// They never carry evidence. Evidence for a failure stands whatever else is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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

    /// The chance of failing a good candidate, where the rule promises one.
    #[must_use]
    pub fn alpha(&self) -> Option<f64> {
        let mut rule = self.rule;
        rule.chances_mut().map(|(alpha, _)| *alpha)
    }

    /// With this chance of failing a good candidate. Rules without one stay as they are.
    #[must_use]
    pub fn with_alpha(mut self, chance: f64) -> Self {
        if let Some((alpha, _)) = self.rule.chances_mut() {
            *alpha = chance;
        }
        self
    }

    /// With this chance of passing a bad candidate. Rules without one stay as they are.
    #[must_use]
    pub fn with_beta(mut self, chance: f64) -> Self {
        if let Some((_, beta)) = self.rule.chances_mut() {
            *beta = chance;
        }
        self
    }

    /// With no pass before so many trials. Rules that need none stay as they are.
    #[must_use]
    pub fn with_min_samples(mut self, count: u64) -> Self {
        if let Some(min_samples) = self.rule.min_samples_mut() {
            *min_samples = count;
        }
        self
    }

    /// Gives each of the required among `criteria` its part of `alpha`, so that a candidate that is good by all of
    /// them is failed by any with that chance at most, over all looks together (Bonferroni). Rules without such a
    /// chance are not counted.
    pub fn share_alpha(criteria: &mut [Self], alpha: f64) {
        let required: Vec<_> = criteria
            .iter_mut()
            .filter(|criterion| criterion.importance == Importance::Required)
            .filter_map(|criterion| criterion.rule.chances_mut())
            .collect();
        let part = alpha / required.len().max(1) as f64;
        required.into_iter().for_each(|(alpha, _)| *alpha = part);
    }

    /// Whether the criterion is compared with a baseline, so that one has to be observed.
    #[must_use]
    pub const fn needs_baseline(&self) -> bool {
        self.rule.needs_baseline()
    }

    /// Whether evidence can be judged by this.
    ///
    /// # Errors
    ///
    /// Names every field that is wrong, not only the first.
    pub fn check(&self) -> Result<(), InvalidCriterion> {
        let mut problems = Problems::default();
        problems.unless(
            !self.metric.as_str().is_empty(),
            "metric is empty, name one that the source knows".to_owned(),
        );
        self.rule.check(&mut problems);
        if problems.0.is_empty() {
            Ok(())
        } else {
            Err(InvalidCriterion { metric: self.metric.clone(), problems: problems.0 })
        }
    }
}

/// One sentence for each field that is wrong.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<String>);

impl Problems {
    pub(super) fn unless(&mut self, good: bool, problem: String) {
        if !good {
            self.0.push(problem);
        }
    }

    pub(super) fn chances(&mut self, alpha: f64, beta: f64) {
        self.unless(inside(alpha), format!("alpha is {alpha}, not between 0 and 1"));
        self.unless(inside(beta), format!("beta is {beta}, not between 0 and 1"));
    }

    /// A number that is not negative.
    pub(super) fn not_negative(&mut self, field: &str, value: f64) {
        self.unless(value.is_finite() && value >= 0.0, format!("{field} is {value}, not a number from 0 up"));
    }
}

pub(super) const fn five_percent() -> f64 {
    0.05
}

pub(super) fn inside(share: f64) -> bool {
    share > 0.0 && share < 1.0
}
