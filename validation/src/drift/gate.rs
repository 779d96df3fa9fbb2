//! From comparisons of columns to a verdict.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Binning, Column, Drift, Embedded, Permutations, Summary, effort::Effort};
use crate::Finding;

/// How far two distributions over bins or categories are apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Effect {
    /// [`Histogram::cramers_v`](super::Histogram::cramers_v).
    CramersV,
    /// [`Histogram::jensen_shannon_nats`](super::Histogram::jensen_shannon_nats).
    JensenShannon,
    /// [`Histogram::psi`](super::Histogram::psi).
    Psi,
    /// [`Histogram::total_variation`](super::Histogram::total_variation).
    TotalVariation,
}

/// How far two distributions of numbers are apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum NumericEffect {
    /// As far as the numbers of bins are.
    Binned(Effect),
    /// [`Gaps::kolmogorov_smirnov`](super::Gaps::kolmogorov_smirnov).
    KolmogorovSmirnov,
    /// [`Gaps::wasserstein_robust`](super::Gaps::wasserstein_robust), which one number that is far off does not make small; its chance is that of
    /// Kolmogorov and Smirnov.
    Wasserstein,
}

/// How far apart columns may be.
///
/// A feature has drifted if it is further apart than its limit **and** that is not chance. The limit keeps a million
/// rows from making a drift of what nobody minds, and the chance keeps a hundred from making one of nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in with a literal and `..Default::default()`")]
pub struct DriftGate {
    /// What is measured of numbers.
    pub numeric: NumericEffect,
    /// The most that it may be.
    pub numeric_limit: f64,
    /// How numbers are put into bins.
    pub binning: Binning,
    /// What is measured of categories.
    pub categorical: Effect,
    /// The most that it may be.
    pub categorical_limit: f64,
    /// How far apart, as [`Gaps::kolmogorov_smirnov`](super::Gaps::kolmogorov_smirnov), the [features](super::TextColumn::FEATURES) of texts may be.
    pub text_limit: f64,
    /// How well a [classifier](super::Samples::classifier) may tell whose a text is by its words, or by its embedding:
    /// the area under its ROC curve, which is ½ if it can only guess.
    pub classifier_limit: f64,
    /// The greatest [discrepancy](super::Samples::mmd) of embeddings.
    pub discrepancy_limit: f64,
    /// By how much the share of rows without a value may differ, from 0 to 1.
    pub missing_limit: f64,
    /// The chance that any feature is said to have drifted though none has (Holm over features).
    pub alpha: f64,
    /// The fewest values on a side that a feature is judged by.
    pub least: u64,
    /// For chances that are found by shuffling.
    pub permutations: Permutations,
    /// How many steps all shuffling of a comparison may take at most, divided evenly between its features: a step
    /// takes about a nanosecond. By default [`STEPS`](Self::STEPS), some minutes.
    ///
    /// Where that is not enough there are fewer shuffles, and of texts and embeddings fewer are told apart, 40 at
    /// least; a feature that is beyond its limit is inconclusive then if so few cannot show that it is not by chance.
    pub steps: u64,
}

/// Beyond, a chance takes longer than it is worth.
const MOST_SHUFFLES: f64 = 20_000.0;

impl Default for DriftGate {
    fn default() -> Self {
        Self {
            numeric: NumericEffect::Wasserstein,
            numeric_limit: 0.1,
            binning: Binning::Deciles,
            categorical: Effect::JensenShannon,
            categorical_limit: 0.1,
            text_limit: 0.15,
            classifier_limit: 0.65,
            discrepancy_limit: 0.02,
            missing_limit: 0.05,
            alpha: 0.05,
            least: 100,
            permutations: Permutations::default(),
            steps: Self::STEPS,
        }
    }
}

/// Two columns of a feature.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in with a literal")]
pub struct Feature<'a> {
    /// What it is called.
    pub name: &'a str,
    /// What it was.
    pub reference: &'a Column,
    /// What it is.
    pub current: &'a Column,
    /// Of texts, those kept of both as vectors of an embedder, if there is one.
    pub embedded: Option<&'a Embedded>,
}

impl DriftGate {
    /// How many [steps](Self::steps) shuffling takes at most, unless said otherwise.
    pub const STEPS: u64 = 1 << 38;

    /// Compares `current` columns with those of a reference, each pair with its name, and judges whether any has
    /// drifted: the finding named `check` fails if one has. It is inconclusive if a feature has too few values, is
    /// further apart than its limit but maybe by chance, was summarised too coarsely, or is not of one kind.
    ///
    /// ```
    /// # use tidegate_validation::{Verdict, drift::{Column, DriftGate, Value}};
    /// let column = |from: i32| {
    ///     let mut column = Column::numeric();
    ///     (from..from + 500).for_each(|age| column.push(Value::Number(age.into())));
    ///     column
    /// };
    /// let (january, march) = (column(0), column(400));
    /// let finding = DriftGate::default().judge("inputs", [("age", &january, &march)]);
    /// assert_eq!(finding.verdict, Verdict::Fail);
    /// let line = "Wasserstein distance in deviations of `age` 2.771, p < 0.001, n = 1000";
    /// assert_eq!(finding.evidence[0].to_string(), line);
    /// ```
    pub fn judge<'a>(
        &self,
        check: &str,
        features: impl IntoIterator<Item = (&'a str, &'a Column, &'a Column)>,
    ) -> Finding {
        let features = features.into_iter();
        let feature = |(name, reference, current)| Feature { name, reference, current, embedded: None };
        self.compare(features.map(feature)).into_finding(check)
    }

    /// Compares each column of a reference with that of its name in `current`; what the other has no column for is
    /// missing in every row, and columns that only the other has are not compared.
    /// The texts of the columns that `embedded` names are compared as vectors as well.
    #[must_use]
    pub fn compare_summaries(
        &self,
        reference: &Summary,
        current: &Summary,
        embedded: &BTreeMap<String, Embedded>,
    ) -> Drift {
        let missing = reference.missing_in(current);
        let features = reference.columns().zip(&missing).map(|((name, reference), missing)| Feature {
            name,
            reference,
            current: current.column(name).unwrap_or(missing),
            embedded: embedded.get(name),
        });
        self.compare(features)
    }

    /// Compares columns of each of some features, and judges whether it has drifted.
    ///
    /// Chances that are found by shuffling are found by as many shuffles as there are comparisons at least over
    /// `alpha`: by fewer none could ever be small enough. Beyond 20 000, and beyond what [`steps`](Self::steps) leaves
    /// room for, there are no more of them for that.
    pub fn compare<'a>(&self, features: impl IntoIterator<Item = Feature<'a>>) -> Drift {
        let features: Vec<Feature<'a>> = features.into_iter().collect();
        let comparisons = features.iter().map(|feature| match feature.reference {
            Column::Categorical(_) | Column::Numeric(_) => 2.0,
            Column::Text(_) => 9.0,
        });
        let needed = (comparisons.sum::<f64>() / self.alpha).ceil();
        let permutations = self.permutations.at_least(needed.min(MOST_SHUFFLES) as u32);
        let shuffled = features.iter().map(|feature| if feature.embedded.is_some() { 3 } else { 1 });
        let effort = Effort::new(permutations, self.steps / shuffled.sum::<u64>().max(1));
        Drift::judged(features.into_iter().map(|feature| self.feature(feature, effort)).collect(), self.alpha)
    }

    /// What is wrong with the settings, if anything: the field and what would be right.
    pub(crate) fn flaw(&self) -> Option<(&'static str, String)> {
        let limits = [
            ("numeric_limit", self.numeric_limit),
            ("categorical_limit", self.categorical_limit),
            ("text_limit", self.text_limit),
            ("classifier_limit", self.classifier_limit),
            ("discrepancy_limit", self.discrepancy_limit),
            ("missing_limit", self.missing_limit),
        ];
        if let Some((field, limit)) =
            limits.into_iter().find(|(_, limit)| !(limit.is_finite() && *limit >= 0.0))
        {
            return Some((field, format!("{limit} must be a number from 0 on")));
        }
        if !(self.alpha > 0.0 && self.alpha < 1.0) {
            return Some(("alpha", format!("{} must be between 0 and 1", self.alpha)));
        }
        (self.least < 2).then(|| ("least", format!("{} must be at least 2; chances need rows", self.least)))
    }
}
