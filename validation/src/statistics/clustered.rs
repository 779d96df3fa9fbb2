//! A mean of scores that come in clusters, and the difference of two: repeats of one case are not new cases.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// The scores of one case, of all its repeats; or of all cases from one document.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct Cluster {
    /// The sum of the scores.
    pub sum: f64,
    /// How many there are.
    pub count: u64,
}

/// A mean over clusters of scores, and how well it is known.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct ClusteredMean {
    /// The mean of all scores.
    pub mean: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// Clusters.
    pub clusters: u64,
    /// Scores.
    pub n: u64,
}

/// The difference of two means of independent clusters.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct MeanGap {
    /// The first mean less the second.
    pub difference: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// Degrees of freedom.
    pub freedom: f64,
}

impl Cluster {
    /// The cluster of `scores`.
    #[must_use]
    pub fn of(scores: &[f64]) -> Self {
        Self { sum: scores.iter().sum(), count: scores.len() as u64 }
    }

    /// Takes one more score.
    pub fn push(&mut self, score: f64) {
        self.sum += score;
        self.count += 1;
    }
}

impl ClusteredMean {
    /// The mean of the scores of `clusters`, empty ones left out, with the standard error
    /// `√(C/(C − 1) · Σ(Σ(s − mean))²)/n`, the inner sum over the scores `s` of one of the `C` clusters.
    ///
    /// Where clusters hold one score each this is the standard error of independent scores. `None` with fewer
    /// than two clusters, however many scores are in it, or with a sum that is not finite.
    ///
    /// K.-Y. Liang, S. L. Zeger, *Longitudinal data analysis using generalized linear models*, Biometrika 73(1),
    /// 1986. E. Miller, *Adding error bars to evals*, arXiv:2411.00640, 2024, there without `C/(C − 1)`.
    ///
    /// ```
    /// # use tidegate_validation::statistics::{Cluster, ClusteredMean};
    /// let repeats = [[1.0, 1.0, 0.0], [1.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 1.0]];
    /// let mean = ClusteredMean::new(repeats.iter().map(|scores| Cluster::of(scores))).unwrap();
    /// assert!((mean.standard_error - 0.136_083).abs() < 1e-6);
    /// ```
    #[must_use]
    pub fn new<I>(clusters: I) -> Option<Self>
    where
        I: IntoIterator<Item = Cluster, IntoIter: Clone>,
    {
        let clusters = clusters.into_iter().filter(|cluster| cluster.count > 0);
        let (mut count, mut n, mut sum) = (0_u64, 0_u64, 0.0);
        for cluster in clusters.clone() {
            count += 1;
            n = n.checked_add(cluster.count)?;
            sum += cluster.sum;
        }
        if count < 2 || !sum.is_finite() {
            return None;
        }
        let mean = sum / n as f64;
        let squares: f64 = clusters.map(|c| (c.sum - c.count as f64 * mean).powi(2)).sum();
        let standard_error = (count as f64 / (count - 1) as f64 * squares).sqrt() / n as f64;
        // What rounding leaves of scores that are all the same.
        let standard_error = if standard_error <= 1e-14 * mean.abs() { 0.0 } else { standard_error };
        standard_error.is_finite().then_some(Self { mean, standard_error, clusters: count, n })
    }

    /// Between which bounds the mean lies at `level`, by Student's law with one degree of freedom less than there
    /// are clusters.
    ///
    /// With few clusters of skewed scores it holds less often than it says; below a hundred of them prefer
    /// [`Proportion`](super::Proportion) for shares, and [`Bootstrap`](super::Bootstrap) otherwise. `None` if all
    /// clusters are the same, which leaves nothing to measure chance by, or if `level` is not between 0 and 1.
    #[must_use]
    pub fn interval(&self, level: f64) -> Option<(f64, f64)> {
        around(self.mean, self.standard_error, (self.clusters - 1) as f64, level)
    }

    /// This mean less `other`, which comes of other clusters. Where both come of the same cases, the mean of the
    /// cases' differences is known better.
    ///
    /// The degrees of freedom are those of B. L. Welch, *The generalization of "Student's" problem when several
    /// different population variances are involved*, Biometrika 34, 1947. `None` if neither side varies.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Option<MeanGap> {
        let of = |mean: &Self| (mean.standard_error.powi(2), (mean.clusters - 1) as f64);
        let ((v_1, f_1), (v_2, f_2)) = (of(self), of(other));
        let variance = v_1 + v_2;
        (variance > 0.0).then(|| MeanGap {
            difference: self.mean - other.mean,
            standard_error: variance.sqrt(),
            freedom: variance.powi(2) / (v_1.powi(2) / f_1 + v_2.powi(2) / f_2),
        })
    }
}

impl MeanGap {
    /// Between which bounds the difference lies at `level`. `None` if that is not between 0 and 1.
    #[must_use]
    pub fn interval(&self, level: f64) -> Option<(f64, f64)> {
        around(self.difference, self.standard_error, self.freedom, level)
    }

    /// The chance of a difference at least as far away from 0, on either side, if there is none.
    #[must_use]
    pub fn p_two_sided(&self) -> f64 {
        let t = (self.difference / self.standard_error).abs();
        if t.is_nan() {
            return f64::NAN;
        }
        StudentsT::new(0.0, 1.0, self.freedom).map_or(f64::NAN, |student| 2.0 * student.sf(t))
    }
}

fn around(middle: f64, standard_error: f64, freedom: f64, level: f64) -> Option<(f64, f64)> {
    if !(standard_error > 0.0 && level > 0.0 && level < 1.0) {
        return None;
    }
    let half = student_quantile(freedom, f64::midpoint(1.0, level))? * standard_error;
    Some((middle - half, middle + half))
}

pub(super) fn student_quantile(freedom: f64, probability: f64) -> Option<f64> {
    Some(StudentsT::new(0.0, 1.0, freedom).ok()?.inverse_cdf(probability))
}
