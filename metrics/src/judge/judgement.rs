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
    /// What was counted on the candidate.
    pub candidate: Tally,
    /// What was counted on the baseline, where there is one.
    pub baseline: Option<Tally>,
    /// Closed windows so far, those without an observation included.
    pub windows: u64,
    /// What else decided or stood in the way, in words: missing observations, a wrong shape, too few samples.
    pub reason: Option<String>,
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

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.metric)?;
        if self.fail.threshold > 0.0 {
            write!(f, " {}", self.candidate)?;
        }
        if let Some(baseline) = self.baseline {
            write!(f, " against {baseline}")?;
        }
        let (worse, good) = (self.fail, self.pass);
        if worse.suffices() {
            write!(f, ": evidence for worse {worse}")?;
        } else if good.suffices() {
            write!(f, ": evidence for good {good}")?;
        } else if worse.threshold > 0.0 {
            let [worse, worse_needs] = [worse.log_e, worse.threshold].map(Exponential);
            let [good, good_needs] = [good.log_e, good.threshold].map(Exponential);
            write!(f, ": evidence for worse {worse} of {worse_needs}, for good {good} of {good_needs}")?;
        }
        write!(f, ": {}", self.verdict)?;
        self.reason.as_ref().map_or(Ok(()), |reason| write!(f, " ({reason})"))
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.hits, self.trials)
    }
}

impl fmt::Display for Strength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, needs {}", Exponential(self.log_e), Exponential(self.threshold))
    }
}

/// e to this power, short, also where it is too great for an `f64`.
struct Exponential(f64);

impl fmt::Display for Exponential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.0.exp();
        if value < 1e4 {
            // Two decimals below ten, none above a hundred.
            let rounded =
                if value < 10.0 { (value * 100.0).round() / 100.0 } else { (value * 10.0).round() / 10.0 };
            return write!(f, "{}", if value < 100.0 { rounded } else { value.round() });
        }
        let log10 = self.0 / std::f64::consts::LN_10;
        let tenths = (10_f64.powf(log10 - log10.floor()) * 10.0).round();
        let (tenths, exponent) =
            if tenths < 100.0 { (tenths, log10.floor()) } else { (10.0, log10.floor() + 1.0) };
        write!(f, "{}e{exponent}", tenths / 10.0)
    }
}
