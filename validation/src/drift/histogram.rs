//! How far two distributions over the same bins or categories lie apart.

use std::f64::consts::LN_2;

use super::permutation::{self, Permutations, shuffled};
use crate::statistics::{ChiSquare, homogeneity};

/// How often the reference and the current column have a value in each of some bins, or of each of some categories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    reference: Vec<u64>,
    current: Vec<u64>,
}

impl Histogram {
    /// `None` unless both have as many counts, and something is counted in each, but no more than 2⁵³ in all.
    #[must_use]
    pub fn new(reference: Vec<u64>, current: Vec<u64>) -> Option<Self> {
        let counted = |counts: &[u64]| counts.iter().try_fold(0_u64, |sum, count| sum.checked_add(*count));
        let (n, m) = (counted(&reference)?, counted(&current)?);
        let sound = reference.len() == current.len()
            && n > 0
            && m > 0
            && n.checked_add(m).is_some_and(|all| all <= 1 << 53);
        sound.then_some(Self { reference, current })
    }

    /// The counts of the reference.
    #[must_use]
    pub fn reference(&self) -> &[u64] {
        &self.reference
    }

    /// The counts of the current column.
    #[must_use]
    pub fn current(&self) -> &[u64] {
        &self.current
    }

    /// The population stability index, `Σ(p − q)·ln(p/q)` over shares `p` of the reference and `q` of the other, in
    /// nats. A share of 0 is taken for 0.0001, or for a millionth of the least other one if that is not greater.
    ///
    /// That up to 0.1 nothing has happened and beyond 0.25 much has is custom and has no other ground: without any
    /// drift it is about `(bins − 1)·(1/n + 1/m)`, so ask for its [chance](Self::psi_p) as well.
    ///
    /// ```
    /// # use tidegate_validation::drift::Histogram;
    /// let histogram = Histogram::new(vec![10, 20, 30, 40], vec![40, 40, 50, 70]).unwrap();
    /// assert!((histogram.psi() - 0.085_107).abs() < 1e-6);
    /// ```
    #[must_use]
    pub fn psi(&self) -> f64 {
        psi(&self.reference, &self.current)
    }

    /// The chance of an [index](Self::psi) at least as great without drift, by shuffling which values are whose.
    #[must_use]
    pub fn psi_p(&self, permutations: Permutations) -> f64 {
        self.p(permutations, psi)
    }

    /// The divergence of the reference from the current column, `Σp·ln(p/q)` in nats, with shares of 0 taken for
    /// what [`psi`](Self::psi) takes them for (S. Kullback, R. A. Leibler, *On information and sufficiency*, Annals of
    /// Mathematical Statistics 22(1), 1951).
    #[must_use]
    pub fn kullback_leibler(&self) -> f64 {
        let (p, q) = (floored(&self.reference), floored(&self.current));
        p.iter().zip(&q).map(|(p, q)| p * (p / q).ln()).sum()
    }

    /// The Jensen–Shannon **distance**, the root of the divergence, with natural logarithms: from 0 to √ln 2 ≈ 0.833
    /// (D. M. Endres, J. E. Schindelin, *A new metric for probability distributions*, IEEE Transactions on
    /// Information Theory 49(7), 2003).
    #[must_use]
    pub fn jensen_shannon_nats(&self) -> f64 {
        let half = |p: f64, q: f64| if p > 0.0 { p * (2.0 * p / (p + q)).ln() } else { 0.0 };
        let sum: f64 = self.shares().map(|(p, q)| half(p, q) + half(q, p)).sum();
        (sum.max(0.0) / 2.0).sqrt()
    }

    /// The same with binary logarithms: from 0 to 1.
    #[must_use]
    pub fn jensen_shannon_bits(&self) -> f64 {
        self.jensen_shannon_nats() / LN_2.sqrt()
    }

    /// Hellinger's distance, from 0 to 1.
    #[must_use]
    pub fn hellinger(&self) -> f64 {
        let squares = self.shares().map(|(p, q)| (p.sqrt() - q.sqrt()).powi(2));
        (squares.sum::<f64>() / 2.0).sqrt()
    }

    /// The total variation distance, from 0 to 1: which share of values would have to be others.
    #[must_use]
    pub fn total_variation(&self) -> f64 {
        self.shares().map(|(p, q)| (p - q).abs()).sum::<f64>() / 2.0
    }

    /// Pearson's χ² that both are of one distribution, without Yates's correction. `None` if there is only one
    /// category.
    #[must_use]
    pub fn chi_square(&self) -> Option<ChiSquare> {
        homogeneity(&self.reference, &self.current)
    }

    /// The chance of a [χ²](Self::chi_square) at least as great without drift: by its law where at least 5 are
    /// expected everywhere, and otherwise by shuffling which values are whose. 1 if there is only one category.
    #[must_use]
    pub fn chi_square_p(&self, permutations: Permutations) -> f64 {
        let statistic = |reference: &[u64], current: &[u64]| {
            homogeneity(reference, current).map_or(0.0, |test| test.statistic)
        };
        match self.chi_square() {
            None => 1.0,
            Some(test) if test.least_expected >= 5.0 => test.p,
            Some(_) => self.p(permutations, statistic),
        }
    }

    /// Cramér's V of the category and whose it is, from 0 to 1: how much one says about the other. 0 if there is only
    /// one category.
    #[must_use]
    pub fn cramers_v(&self) -> f64 {
        let n: f64 = self.reference.iter().chain(&self.current).map(|count| *count as f64).sum();
        // Of two columns the lesser number of degrees of freedom is 1.
        self.chi_square().map_or(0.0, |test| (test.statistic / n).sqrt())
    }

    /// How many steps it takes to shuffle it once.
    pub(super) fn steps(&self) -> u64 {
        permutation::steps(&self.reference, &self.current)
    }

    fn shares(&self) -> impl Iterator<Item = (f64, f64)> {
        let (n, m) = (total(&self.reference), total(&self.current));
        self.reference.iter().zip(&self.current).map(move |(p, q)| (*p as f64 / n, *q as f64 / m))
    }

    fn p(&self, permutations: Permutations, statistic: impl Fn(&[u64], &[u64]) -> f64) -> f64 {
        let seen = statistic(&self.reference, &self.current);
        permutations.p(|rng| {
            let (reference, current) = shuffled(&self.reference, &self.current, rng);
            // Sums of the same numbers in another order are the same only but for rounding.
            statistic(&reference, &current) >= seen * (1.0 - 1e-12)
        })
    }
}

fn psi(reference: &[u64], current: &[u64]) -> f64 {
    let (p, q) = (floored(reference), floored(current));
    p.iter().zip(&q).map(|(p, q)| (p - q) * (p / q).ln()).sum()
}

/// Shares, none of them 0.
fn floored(counts: &[u64]) -> Vec<f64> {
    const FLOOR: f64 = 1e-4;
    let n = total(counts);
    let least = counts.iter().filter(|count| **count > 0).min().map_or(1.0, |count| *count as f64 / n);
    let floor = if least <= FLOOR { least / 1e6 } else { FLOOR };
    counts.iter().map(|count| if *count > 0 { *count as f64 / n } else { floor }).collect()
}

fn total(counts: &[u64]) -> f64 {
    counts.iter().map(|count| *count as f64).sum()
}
