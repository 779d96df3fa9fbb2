//! What the evidence of a metric must show.

use serde::{Deserialize, Serialize};

use super::{
    BurnRate, Comparison, Limit, MeanComparison, RankComparison, Readings, ScoreComparison, Test,
    criterion::Problems,
};

/// What the evidence of a metric must show.
///
/// | metric | rule |
/// |---|---|
/// | errors, refusals: counts | [`Compare`](Self::Compare), [`Limit`](Self::Limit), [`BurnRate`](Self::BurnRate) |
/// | latency: histograms, values | [`Compare`](Self::Compare), [`Limit`](Self::Limit), [`CompareRanks`](Self::CompareRanks) |
/// | scores between two bounds | [`CompareScores`](Self::CompareScores) |
/// | cost, tokens: values or totals without bound | [`CompareMeans`](Self::CompareMeans) |
/// | gauges | [`Readings`](Self::Readings) |
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub enum Rule {
    /// How fast a promised share of good requests is used up.
    BurnRate(BurnRate),
    /// Compared with what is in service, over the same windows.
    Compare(Comparison),
    /// Means of values without bound, compared.
    CompareMeans(MeanComparison),
    /// Ranks of values, compared at fixed looks.
    CompareRanks(RankComparison),
    /// Means of values between two bounds, compared.
    CompareScores(ScoreComparison),
    /// Against a fixed limit.
    Limit(Limit),
    /// Readings of a gauge against a bound: a heuristic.
    Readings(Readings),
}

impl Rule {
    pub(super) fn test(&self) -> Box<dyn Test> {
        match *self {
            Self::BurnRate(rule) => rule.test(),
            Self::Compare(rule) => rule.test(),
            Self::CompareMeans(rule) => rule.test(),
            Self::CompareRanks(rule) => rule.test(),
            Self::CompareScores(rule) => rule.test(),
            Self::Limit(rule) => rule.test(),
            Self::Readings(rule) => rule.test(),
        }
    }

    pub(super) fn check(&self, problems: &mut Problems) {
        match self {
            Self::BurnRate(rule) => rule.check(problems),
            Self::Compare(rule) => rule.check(problems),
            Self::CompareMeans(rule) => rule.check(problems),
            Self::CompareRanks(rule) => rule.check(problems),
            Self::CompareScores(rule) => rule.check(problems),
            Self::Limit(rule) => rule.check(problems),
            Self::Readings(rule) => rule.check(problems),
        }
    }

    pub(super) const fn needs_baseline(&self) -> bool {
        match self {
            Self::BurnRate(_) | Self::Limit(_) | Self::Readings(_) => false,
            Self::Compare(_) | Self::CompareMeans(_) | Self::CompareRanks(_) | Self::CompareScores(_) => true,
        }
    }

    /// `alpha` and `beta`, where there are such chances.
    pub(super) const fn chances_mut(&mut self) -> Option<(&mut f64, &mut f64)> {
        match self {
            Self::Compare(Comparison { alpha, beta, .. })
            | Self::CompareMeans(MeanComparison { alpha, beta, .. })
            | Self::CompareRanks(RankComparison { alpha, beta, .. })
            | Self::CompareScores(ScoreComparison { alpha, beta, .. })
            | Self::Limit(Limit { alpha, beta, .. }) => Some((alpha, beta)),
            Self::BurnRate(_) | Self::Readings(_) => None,
        }
    }

    pub(super) const fn min_samples_mut(&mut self) -> Option<&mut u64> {
        match self {
            Self::BurnRate(BurnRate { min_samples, .. }) | Self::Limit(Limit { min_samples, .. }) => {
                Some(min_samples)
            }
            _ => None,
        }
    }
}
