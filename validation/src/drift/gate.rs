//! From comparisons of columns to a verdict.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Binning, Column, Comparison, Drift, Embedded, Gaps, Histogram, Permutations, Samples, Summary,
    drifted::{Measured, Unjudged},
};
use crate::{
    Finding, Method, Reason, Unit,
    statistics::{Proportion, Unpaired},
};

/// How far two distributions over bins or categories are apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Effect {
    /// [`Histogram::cramers_v`].
    CramersV,
    /// [`Histogram::jensen_shannon_nats`].
    JensenShannon,
    /// [`Histogram::psi`].
    Psi,
    /// [`Histogram::total_variation`].
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
    /// [`Gaps::kolmogorov_smirnov`].
    KolmogorovSmirnov,
    /// [`Gaps::wasserstein_normed`]; its chance is that of Kolmogorov and Smirnov.
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
    /// How far apart, as [`Gaps::kolmogorov_smirnov`], the [features](super::TextColumn::FEATURES) of texts may be.
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
    /// `alpha`: by fewer none could ever be small enough.
    pub fn compare<'a>(&self, features: impl IntoIterator<Item = Feature<'a>>) -> Drift {
        let features: Vec<Feature<'a>> = features.into_iter().collect();
        let comparisons = features.iter().map(|feature| match feature.reference {
            Column::Categorical(_) | Column::Numeric(_) => 2.0,
            Column::Text(_) => 9.0,
        });
        let needed = (comparisons.sum::<f64>() / self.alpha).ceil();
        let gate = Self {
            permutations: self.permutations.at_least(needed.min(MOST_SHUFFLES) as u32),
            ..self.clone()
        };
        Drift::judged(features.into_iter().map(|feature| gate.feature(feature)).collect(), self.alpha)
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

    fn feature(&self, feature: Feature<'_>) -> Unjudged {
        let Feature { name, reference, current, embedded } = feature;
        let comparison = match reference.compare(current, self.binning) {
            Ok(comparison) => comparison,
            Err(unlike) => return Unjudged::unlike(name, &unlike),
        };
        let (counts, missing) = (comparison.counts, comparison.missing);
        let have = counts.0.min(counts.1);
        let mut measured = Vec::new();
        let unmeasured = if have < self.least {
            Some(Reason::TooFewRows { have, need: self.least })
        } else if let (Column::Text(reference), Column::Text(current)) = (reference, current) {
            measured.extend(
                comparison.parts.iter().filter_map(|(part, comparison)| self.part(name, part, comparison)),
            );
            let bags = reference.bags(current).map(|bags| (bags, "words"));
            measured.extend(bags.and_then(|(bags, what)| self.told_apart(name, what, &bags)));
            if let Some(embedded) = embedded {
                measured.extend(self.embedded(name, embedded));
            }
            None
        } else {
            let exact = [reference, current].iter().all(|column| match column {
                Column::Categorical(column) => column.is_exact(),
                _ => true,
            });
            self.values(name, &comparison, exact, &mut measured)
        };
        measured.extend(self.missing(name, counts, missing));
        Unjudged { name: name.to_owned(), comparison: Some(comparison), measured, unmeasured }
    }

    fn values(
        &self,
        name: &str,
        comparison: &Comparison,
        exact: bool,
        measured: &mut Vec<Measured>,
    ) -> Option<Reason> {
        let Comparison { counts, missing, histogram, gaps, .. } = comparison;
        if gaps.is_some_and(|gaps| gaps.rank_error > Self::COARSE) {
            return Some(Reason::TooCoarse);
        }
        let Some(histogram) = histogram else {
            return Some(Reason::TooFewRows { have: counts.0.min(counts.1), need: self.least });
        };
        let (what, estimate, limit, p, method) = self.effect(histogram, gaps.as_ref());
        // Of categories that are counted as one no more drift is found than there is, and maybe less.
        if !exact && estimate <= limit {
            return Some(Reason::TooCoarse);
        }
        let (n, unknown) = (counts.0.saturating_add(counts.1), missing.0.saturating_add(missing.1));
        let measure = format!("{what} of `{name}`");
        measured.push(Measured { measure, estimate, limit, p, method, n, unknown, unit: Unit::Plain });
        None
    }

    /// What was counted of each text.
    fn part(&self, name: &str, part: &str, comparison: &Comparison) -> Option<Measured> {
        let gaps = comparison.gaps?;
        Some(Measured {
            measure: format!("Kolmogorov-Smirnov distance of {part} of `{name}`"),
            estimate: gaps.kolmogorov_smirnov,
            limit: self.text_limit,
            p: gaps.kolmogorov_smirnov_p,
            method: Method::KolmogorovSmirnov,
            n: gaps.reference.saturating_add(gaps.current),
            unknown: 0,
            unit: Unit::Plain,
        })
    }

    /// How well a classifier can tell whose a text is.
    fn told_apart(&self, name: &str, by: &str, samples: &Samples) -> Option<Measured> {
        let test = samples.classifier(self.permutations)?;
        let (n, m) = samples.sizes();
        Some(Measured {
            measure: format!("`{name}` told apart by {by}, area under the curve"),
            estimate: test.statistic,
            limit: self.classifier_limit,
            p: test.p,
            method: Method::Permutation,
            n: (n + m) as u64,
            unknown: 0,
            unit: Unit::Plain,
        })
    }

    fn embedded(&self, name: &str, Embedded { by, samples }: &Embedded) -> Vec<Measured> {
        let (n, m) = samples.sizes();
        let discrepancy = samples.mmd(self.permutations).map(|test| Measured {
            measure: format!("mean discrepancy of `{name}` embedded by {by}"),
            estimate: test.statistic,
            limit: self.discrepancy_limit,
            p: test.p,
            method: Method::Permutation,
            n: (n + m) as u64,
            unknown: 0,
            unit: Unit::Plain,
        });
        let told_apart = self.told_apart(name, &format!("embeddings of {by}"), samples);
        discrepancy.into_iter().chain(told_apart).collect()
    }

    /// The rank error beyond which a summary is no longer compared.
    const COARSE: f64 = 0.02;

    fn missing(&self, name: &str, counts: (u64, u64), missing: (u64, u64)) -> Option<Measured> {
        let side = |count: u64, missing: u64| Proportion::new(missing, count.checked_add(missing)?);
        let (candidate, baseline) = (side(counts.1, missing.1)?, side(counts.0, missing.0)?);
        if candidate.trials().min(baseline.trials()) < self.least || missing == (0, 0) {
            return None;
        }
        let shares = Unpaired { candidate, baseline };
        Some(Measured {
            measure: format!("rows without `{name}`, more or fewer by"),
            estimate: shares.difference().abs(),
            limit: self.missing_limit,
            p: shares.p_two_sided(),
            method: Method::Score,
            n: candidate.trials().saturating_add(baseline.trials()),
            unknown: 0,
            unit: Unit::Share,
        })
    }

    /// What is measured, how much it is, how much it may be, and by chance how often it is as much.
    fn effect(&self, histogram: &Histogram, gaps: Option<&Gaps>) -> (&'static str, f64, f64, f64, Method) {
        let by_ranks = Method::KolmogorovSmirnov;
        let (effect, limit) = match (gaps, self.numeric) {
            (Some(gaps), NumericEffect::KolmogorovSmirnov) => {
                let (distance, p) = (gaps.kolmogorov_smirnov, gaps.kolmogorov_smirnov_p);
                return ("Kolmogorov-Smirnov distance", distance, self.numeric_limit, p, by_ranks);
            }
            // Where there is no deviation to measure by, as the reference does not vary or without measure, there is a
            // share that is elsewhere.
            (Some(gaps), NumericEffect::Wasserstein) if gaps.wasserstein_normed.is_infinite() => {
                let (distance, p) = (gaps.kolmogorov_smirnov, gaps.kolmogorov_smirnov_p);
                return ("Kolmogorov-Smirnov distance", distance, self.numeric_limit, p, by_ranks);
            }
            (Some(gaps), NumericEffect::Wasserstein) => {
                let (distance, p) = (gaps.wasserstein_normed, gaps.kolmogorov_smirnov_p);
                return ("Wasserstein distance in deviations", distance, self.numeric_limit, p, by_ranks);
            }
            (Some(_), NumericEffect::Binned(effect)) => (effect, self.numeric_limit),
            (None, _) => (self.categorical, self.categorical_limit),
        };
        let chi_square = || (histogram.chi_square_p(self.permutations), Method::ChiSquare);
        let (what, estimate, (p, method)) = match effect {
            Effect::CramersV => ("Cramér's V", histogram.cramers_v(), chi_square()),
            Effect::JensenShannon => {
                ("Jensen-Shannon distance in nats", histogram.jensen_shannon_nats(), chi_square())
            }
            Effect::Psi => {
                ("PSI", histogram.psi(), (histogram.psi_p(self.permutations), Method::Permutation))
            }
            Effect::TotalVariation => ("total variation", histogram.total_variation(), chi_square()),
        };
        (what, estimate, limit, p, method)
    }
}
