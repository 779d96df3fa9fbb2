//! Counts against what was expected of them.

use statrs::distribution::{ChiSquared, ContinuousCDF};

/// Pearson's χ² of some counts.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct ChiSquare {
    /// `Σ(count − expected)²/expected`.
    pub statistic: f64,
    /// Degrees of freedom.
    pub freedom: u64,
    /// The chance of a statistic at least as great, as counts grow many.
    pub p: f64,
    /// The least of the counts that were expected: below 5 the chance is not to be trusted.
    pub least_expected: f64,
}

/// Whether requests were split as they should have been: `counts` for each arm against `shares`, which are made to
/// sum to 1.
///
/// A chance below 0.001 means that something loses or doubles requests of one arm, and then no comparison of the
/// arms is to be believed, whatever it says: A. Fabijan et al., *Diagnosing sample ratio mismatch in online
/// controlled experiments*, KDD 2019.
///
/// `None` with fewer than two arms, with as many shares as there are no counts for, without a request, or unless
/// all shares are positive and finite.
///
/// ```
/// # use tidegate_validation::statistics::sample_ratio;
/// assert!(sample_ratio(&[5_050, 4_950], &[0.5, 0.5]).unwrap().p > 0.3);
/// assert!(sample_ratio(&[821_588, 815_482], &[0.5, 0.5]).unwrap().p < 0.001);
/// ```
#[must_use]
pub fn sample_ratio(counts: &[u64], shares: &[f64]) -> Option<ChiSquare> {
    let whole: f64 = shares.iter().sum();
    let n: f64 = counts.iter().map(|count| *count as f64).sum();
    let sound = shares.iter().all(|share| *share > 0.0) && whole.is_finite();
    if counts.len() < 2 || counts.len() != shares.len() || !sound || n == 0.0 {
        return None;
    }
    let pairs = counts.iter().zip(shares).map(|(count, share)| (*count as f64, n * share / whole));
    ChiSquare::new(pairs, counts.len() as u64 - 1)
}

/// Whether two samples of categories come from the same distribution: `first` and `second` are the counts of each
/// category, without Yates's correction. Categories that neither has are left out.
///
/// `None` unless both are of the same length and have counts, and there are two categories at least.
#[must_use]
pub fn homogeneity(first: &[u64], second: &[u64]) -> Option<ChiSquare> {
    if first.len() != second.len() {
        return None;
    }
    let total = |counts: &[u64]| counts.iter().map(|count| *count as f64).sum::<f64>();
    let (n_1, n_2) = (total(first), total(second));
    let present =
        || first.iter().zip(second).map(|(x, y)| (*x as f64, *y as f64)).filter(|(x, y)| x + y > 0.0);
    let categories = present().count() as u64;
    if n_1 == 0.0 || n_2 == 0.0 || categories < 2 {
        return None;
    }
    let pairs = present().flat_map(|(x, y)| {
        let share = (x + y) / (n_1 + n_2);
        [(x, n_1 * share), (y, n_2 * share)]
    });
    ChiSquare::new(pairs, categories - 1)
}

impl ChiSquare {
    /// Of pairs of a count and what was expected.
    fn new(pairs: impl Iterator<Item = (f64, f64)>, freedom: u64) -> Option<Self> {
        let (statistic, least_expected) =
            pairs.fold((0.0, f64::INFINITY), |(sum, least), (count, expected)| {
                (sum + (count - expected).powi(2) / expected, expected.min(least))
            });
        if statistic.is_nan() {
            return None;
        }
        let p = ChiSquared::new(freedom as f64).ok()?.sf(statistic);
        Some(Self { statistic, freedom, p, least_expected })
    }
}
