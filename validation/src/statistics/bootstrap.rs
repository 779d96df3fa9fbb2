//! What a mean could have been, had other cases been asked: resampling of clusters.

use fastrand::Rng;
use statrs::distribution::{ContinuousCDF, Normal};

use super::Cluster;

/// Draws clusters with replacement, over and over, to see how the mean of their scores varies.
///
/// For the paired comparison of two versions a cluster is a case (or the document that it comes of), and its scores
/// are the candidate's less the baseline's.
///
/// ```
/// # use tidegate_validation::statistics::{Bootstrap, Cluster};
/// let differences = [0.2, 0.0, 0.1, 0.3, -0.1, 0.2, 0.4, 0.1, 0.0, 0.2];
/// let bootstrap = Bootstrap { resamples: 10_000, seed: 7 };
/// let means = bootstrap.mean(differences.map(|d| Cluster { sum: d, count: 1 })).unwrap();
/// let (least, most) = means.bca(0.95).unwrap();
/// assert!(0.0 < least && least < 0.14 && 0.14 < most && most < 0.25);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in with a literal")]
pub struct Bootstrap {
    /// How often to draw: 10 000 is usual. From 1 to [`MOST`](Self::MOST).
    pub resamples: u32,
    /// Where chance begins. The same seed gives the same numbers.
    pub seed: u64,
}

/// A number, and what it came to in resamples.
#[derive(Clone, Debug, PartialEq)]
pub struct Resampled {
    estimate: f64,
    acceleration: f64,
    sorted: Vec<f64>,
}

impl Bootstrap {
    /// The most resamples.
    pub const MOST: u32 = 1_000_000;

    /// Resamples the mean of all scores of `clusters`, empty ones left out. `None` with fewer than two clusters or
    /// more than 2³² − 1, with a sum that is not finite, or with a number of resamples that is not allowed.
    #[must_use]
    pub fn mean(self, clusters: impl IntoIterator<Item = Cluster>) -> Option<Resampled> {
        let clusters: Vec<Cluster> = clusters.into_iter().filter(|cluster| cluster.count > 0).collect();
        let picks = u32::try_from(clusters.len()).ok().filter(|n| *n > 1)?;
        let sum: f64 = clusters.iter().map(|cluster| cluster.sum).sum();
        let count: f64 = clusters.iter().map(|cluster| cluster.count as f64).sum();
        if !(1..=Self::MOST).contains(&self.resamples) || !sum.is_finite() {
            return None;
        }
        let without = |cluster: &Cluster| (sum - cluster.sum) / (count - cluster.count as f64);
        let acceleration = acceleration(clusters.iter().map(without));
        let mut rng = Rng::with_seed(self.seed);
        let draws = 0..self.resamples;
        let sums: Vec<f64> = clusters.iter().map(|cluster| cluster.sum).collect();
        let means = if clusters.iter().all(|cluster| cluster.count == clusters[0].count) {
            draws.map(|_| total(&mut rng, picks, |i| sums[i]) / count).collect()
        } else {
            draws
                .map(|_| {
                    // Both totals are over the same picks.
                    let mut again = rng.clone();
                    let sum = total(&mut rng, picks, |i| sums[i]);
                    sum / total(&mut again, picks, |i| clusters[i].count as f64)
                })
                .collect()
        };
        Some(Resampled::new(sum / count, acceleration, means))
    }
}

impl Resampled {
    /// None of `resamples` may be `NaN`.
    pub(super) fn new(estimate: f64, acceleration: f64, mut resamples: Vec<f64>) -> Self {
        resamples.sort_unstable_by(f64::total_cmp);
        Self { estimate, acceleration, sorted: resamples }
    }

    /// The number itself.
    #[must_use]
    pub const fn estimate(&self) -> f64 {
        self.estimate
    }

    /// The resamples' numbers, in order.
    #[must_use]
    pub fn resamples(&self) -> &[f64] {
        &self.sorted
    }

    /// Between which bounds `level` of the resamples lie. `None` if they are all the same, which leaves nothing to
    /// measure chance by, or if `level` is not between 0 and 1.
    #[must_use]
    pub fn percentile(&self, level: f64) -> Option<(f64, f64)> {
        let tail = self.tail(level)?;
        Some((self.quantile(tail), self.quantile(1.0 - tail)))
    }

    /// The same, corrected for bias and skewness: holds more nearly as often as it says where scores are skewed.
    /// `None` also if all resamples lie on one side of the number itself.
    ///
    /// B. Efron, *Better bootstrap confidence intervals*, JASA 82(397), 1987.
    #[must_use]
    pub fn bca(&self, level: f64) -> Option<(f64, f64)> {
        let normal = Normal::standard();
        let tail = self.tail(level)?;
        let (below, up_to) = (
            self.sorted.partition_point(|mean| *mean < self.estimate),
            self.sorted.partition_point(|mean| *mean <= self.estimate),
        );
        let share = (below + up_to) as f64 / (2 * self.sorted.len()) as f64;
        let bias = (share > 0.0 && share < 1.0).then(|| normal.inverse_cdf(share))?;
        let corrected = |tail: f64| {
            let z = bias + normal.inverse_cdf(tail);
            self.quantile(normal.cdf(bias + z / (1.0 - self.acceleration * z)))
        };
        Some((corrected(tail), corrected(1.0 - tail)))
    }

    fn tail(&self, level: f64) -> Option<f64> {
        let varies = self.sorted.first() != self.sorted.last();
        (varies && level > 0.0 && level < 1.0).then_some((1.0 - level) / 2.0)
    }

    fn quantile(&self, probability: f64) -> f64 {
        let rank = probability * (self.sorted.len() - 1) as f64;
        let below = self.sorted[rank as usize];
        let above = self.sorted[rank.ceil() as usize];
        below + (above - below) * rank.fract()
    }
}

/// The skewness of an estimate, from its values without each of the clusters.
fn acceleration(without: impl Iterator<Item = f64> + Clone) -> f64 {
    let (count, sum) = without.clone().fold((0.0, 0.0), |(count, sum), value| (count + 1.0, sum + value));
    let mean: f64 = sum / count;
    let (squares, cubes) = without.fold((0.0, 0.0), |(squares, cubes), value| {
        let away = mean - value;
        (squares + away.powi(2), cubes + away.powi(3))
    });
    if squares > 0.0 { cubes / (6.0 * f64::powf(squares, 1.5)) } else { 0.0 }
}

/// The sum of `picks` values of indices below `picks`, drawn with replacement.
fn total(rng: &mut Rng, picks: u32, value: impl Fn(usize) -> f64) -> f64 {
    let n = u64::from(picks);
    // Half a random word, taken as a fraction of `n`: off by 2⁻³² at most.
    let at = |half: u64| value(((half * n) >> 32) as usize);
    // Sums apart, so that none waits for another.
    let mut sums = [0.0; 4];
    for _ in 0..picks / 4 {
        let words = [rng.u64(..), rng.u64(..)];
        sums[0] += at(words[0] >> 32);
        sums[1] += at(words[0] & 0xffff_ffff);
        sums[2] += at(words[1] >> 32);
        sums[3] += at(words[1] & 0xffff_ffff);
    }
    for _ in 0..picks % 4 {
        sums[0] += at(rng.u64(..) >> 32);
    }
    (sums[0] + sums[1]) + (sums[2] + sums[3])
}
