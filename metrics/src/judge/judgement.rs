//! What the evidence of one criterion says, with the numbers behind it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Importance, Metric, Verdict};

/// What the evidence of one criterion says, with the numbers behind it.
///
/// Every number is finite, so a judgement can be written to a journal and reads back the same. `Display` is
/// one line for a person who watches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Judgement {
    /// The metric.
    pub metric: Metric,
    /// Whether the verdict counts.
    pub importance: Importance,
    /// What the evidence says.
    pub verdict: Verdict,
    /// Evidence that the candidate is too bad.
    pub fail: Strength,
    /// Evidence that it is good enough.
    pub pass: Strength,
    /// How likely so much evidence for a failure is by chance, over all looks together: the least 1/e so far, or the
    /// p-value of the last look that was declared. `None` where no chance can be stated.
    #[serde(default)]
    pub p: Option<f64>,
    /// How large the difference is, or where the statistic lies.
    #[serde(default)]
    pub effect: Option<Effect>,
    /// What was counted on the candidate.
    pub candidate: Tally,
    /// What was counted on the baseline, where there is one.
    pub baseline: Option<Tally>,
    /// Closed windows so far, those without an observation included.
    pub windows: u64,
    /// What else decided or stood in the way, in words: missing observations, a wrong shape, too few samples.
    pub reason: Option<String>,
}

/// How large a difference is, or where a statistic lies. Its bounds hold at all looks together where the rule may
/// be looked at whenever one likes, with the chances of error of the rule: `alpha` for the bound that a failure
/// needs, `beta` for the one that a pass needs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Effect {
    /// What is measured.
    pub measure: Measure,
    /// The estimate; `None` where there is none yet, or it is infinite.
    pub estimate: Option<f64>,
    /// The lower bound; `None` where there is none yet.
    pub lower: Option<f64>,
    /// The upper bound; `None` where there is none yet.
    pub upper: Option<f64>,
}

/// What an [`Effect`] measures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Measure {
    /// How many times as fast as allowed the error budget burns.
    BurnRate,
    /// The candidate's mean less the baseline's, in the metric's unit.
    Difference,
    /// The candidate's mean, or the last reading, in the metric's unit.
    Mean,
    /// The odds of a hit on the candidate in units of those on the baseline.
    OddsRatio,
    /// The odds of a value beyond this edge, on the bad side of it.
    OddsRatioBeyond(f64),
    /// The candidate's share of hits, or of values beyond the bound.
    Share,
    /// By how much the candidate's values are greater, in the metric's unit (Hodges and Lehmann).
    Shift,
}

/// How strong evidence is, and how strong it has to be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Strength {
    /// The natural logarithm of the strongest e-value that any look so far has shown, at least 0. What it is
    /// now is in the [`trajectory`](crate::trajectory()).
    pub log_e: f64,
    /// The natural logarithm of what it takes, ln(1/α). 0 where the rule is not one of evidence
    /// ([`Statistic::Mean`](crate::Statistic::Mean)) or cannot be used.
    pub threshold: f64,
}

/// What was counted, over all windows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::exhaustive_structs, reason = "so many of so many")]
pub struct Tally {
    /// Trials that were hits. For a quantile, values that lie or may lie beyond the bound; for a mean, none.
    pub hits: u64,
    /// Trials or values.
    pub trials: u64,
}

impl Strength {
    /// Whether it suffices.
    #[must_use]
    pub fn suffices(&self) -> bool {
        self.threshold > 0.0 && self.log_e >= self.threshold
    }
}

impl Tally {
    pub(super) fn add(&mut self, other: Self) {
        self.hits = self.hits.saturating_add(other.hits);
        self.trials = self.trials.saturating_add(other.trials);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.hits, self.trials)
    }
}
