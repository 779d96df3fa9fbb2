//! How far two samples of numbers lie apart, by their distribution functions.

use statrs::distribution::{ContinuousCDF, Normal};

use super::{
    NumericColumn, cramer, smirnov,
    steps::{Step, steps},
};

/// How far the distributions of two columns of numbers lie apart. Where a column was
/// [summarised](NumericColumn::rank_error) each is taken of the summary.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Gaps {
    /// How many numbers the reference has.
    pub reference: u64,
    /// How many numbers the current column has.
    pub current: u64,
    /// Kolmogorov and Smirnov's D: the greatest distance of the distribution functions, from 0 to 1. That of the
    /// numbers themselves is at most [`rank_error`](Self::rank_error) greater, and never less.
    pub kolmogorov_smirnov: f64,
    /// The chance of a D at least as great without drift: exact for up to 10 000 pairs of numbers without ties, and
    /// by the limiting law beyond.
    pub kolmogorov_smirnov_p: f64,
    /// The 1-Wasserstein (earth mover's) distance, in the unit of the numbers: the area between the distribution
    /// functions.
    pub wasserstein: f64,
    /// The same in standard deviations of the reference (of the population, not corrected for the sample). Infinite
    /// where the reference does not vary, or too much for a number to say, and the other is apart from it.
    pub wasserstein_normed: f64,
    /// The same in the lesser of that deviation and of what the quartiles of the reference say of it, `IQR/1.349`,
    /// which it is of a normal law and which one number that is far off does not change (B. W. Silverman, *Density
    /// Estimation for Statistics and Data Analysis*, 1986, section 3.4.2). With one number between both quartiles it
    /// is the deviation.
    pub wasserstein_robust: f64,
    /// The energy distance (G. J. Székely, M. L. Rizzo, *Energy statistics*, Journal of Statistical Planning and
    /// Inference 143(8), 2013): the root of twice the area between the functions, squared before it is summed.
    pub energy: f64,
    /// Cramér and von Mises' T, ties sharing their mean rank (T. W. Anderson, *On the distribution of the two-sample Cramér–von Mises criterion*,
    /// Annals of Mathematical Statistics 33(3), 1962).
    pub cramer_von_mises: f64,
    /// The chance of a T at least as great without drift: exact for up to 20 numbers a side without ties, and by the
    /// limiting law beyond.
    pub cramer_von_mises_p: f64,
    /// Mann and Whitney's U of the reference: in how many pairs its number is the greater, ties counted as halves.
    pub mann_whitney: f64,
    /// The chance of a U at least as far from its middle without drift, by the normal law with continuity and tie
    /// corrections: good from some ten numbers a side on.
    pub mann_whitney_p: f64,
    /// By how much shares of numbers below some number may be off, in either column.
    pub rank_error: f64,
}

impl Gaps {
    /// Compares two columns; `None` if either has no numbers.
    ///
    /// ```
    /// # use tidegate_validation::drift::{Gaps, NumericColumn};
    /// let (mut reference, mut current) = (NumericColumn::new(), NumericColumn::new());
    /// reference.extend([0.1, 0.4, 0.7, 1.1, 1.5, 1.9, 2.2, 2.8, 3.3, 4.0]);
    /// current.extend([0.3, 0.9, 1.4, 1.8, 2.5, 3.1, 3.6, 4.2, 4.9, 5.5]);
    /// let gaps = Gaps::between(&reference, &current).unwrap();
    /// assert!((gaps.wasserstein - 1.02).abs() < 1e-12 && (gaps.kolmogorov_smirnov - 0.3).abs() < 1e-12);
    /// ```
    #[must_use]
    pub fn between(reference: &NumericColumn, current: &NumericColumn) -> Option<Self> {
        let (n, m) = (reference.count(), current.count());
        if n == 0 || m == 0 {
            return None;
        }
        let mut sweep = Sweep::new(n, m);
        steps(reference, current).into_iter().for_each(|step| sweep.step(step));
        Some(sweep.finish())
    }
}

/// Both distribution functions, from the least number on.
struct Sweep {
    n: f64,
    m: f64,
    last: f64,
    /// Numbers so far.
    counts: (u64, u64),
    distance: f64,
    area: f64,
    squared_area: f64,
    /// Of how far ranks among all are from ranks among their own, times the size of their sample.
    squares: f64,
    twice_u: f64,
    ties: f64,
    /// Of the reference: the mean, and the sum of squares around it.
    mean: f64,
    spread: f64,
    /// Of the reference, once it is there.
    quartiles: (Option<f64>, Option<f64>),
    /// The greatest share of either that is counted as one number and is not known to be one.
    coarsest: f64,
}

impl Sweep {
    const fn new(n: u64, m: u64) -> Self {
        Self {
            n: n as f64,
            m: m as f64,
            last: 0.0,
            counts: (0, 0),
            distance: 0.0,
            area: 0.0,
            squared_area: 0.0,
            squares: 0.0,
            twice_u: 0.0,
            ties: 0.0,
            mean: 0.0,
            spread: 0.0,
            quartiles: (None, None),
            coarsest: 0.0,
        }
    }

    /// Goes on to the next greater value.
    fn step(&mut self, Step { value, counts: (in_reference, in_current), is_coarse }: Step) {
        if self.counts != (0, 0) {
            let apart = self.apart();
            // The least and the greatest number may be further apart than a number can say.
            let width = (value - self.last).min(f64::MAX);
            self.area += apart.abs() * width;
            self.squared_area += apart * apart * width;
        }
        let (a, b) = (in_reference as f64, in_current as f64);
        // Of what is tied, each has the mean rank among all, and a rank of its own among its own.
        let rank = self.counts.0 as f64 + self.counts.1 as f64 + (a + b + 1.0) / 2.0;
        let squares = |own: f64, before: u64| {
            let away = rank - before as f64;
            own * (away * away - away * (own + 1.0) + (own + 1.0) * (2.0 * own + 1.0) / 6.0)
        };
        self.squares += self.n * squares(a, self.counts.0) + self.m * squares(b, self.counts.1);
        self.twice_u += a * (2.0 * self.counts.1 as f64 + b);
        self.counts.0 = self.counts.0.saturating_add(in_reference);
        self.counts.1 = self.counts.1.saturating_add(in_current);
        self.distance = self.distance.max(self.apart().abs());
        let tied = a + b;
        self.ties += tied * tied * tied - tied;
        if in_reference > 0 {
            let away = value - self.mean;
            self.mean += away * (a / self.counts.0 as f64);
            self.spread += a * away * (value - self.mean);
            let share = self.counts.0 as f64 / self.n;
            let reached =
                |quartile: Option<f64>, at: f64| quartile.or_else(|| (share >= at).then_some(value));
            self.quartiles = (reached(self.quartiles.0, 0.25), reached(self.quartiles.1, 0.75));
        }
        if is_coarse {
            self.coarsest = self.coarsest.max(a / self.n).max(b / self.m);
        }
        self.last = value;
    }

    fn apart(&self) -> f64 {
        self.counts.0 as f64 / self.n - self.counts.1 as f64 / self.m
    }

    /// The deviation of the reference by its quartiles; `None` if those are one number.
    fn between_quartiles(&self) -> Option<f64> {
        /// How many deviations of a normal law lie between its quartiles.
        const OF_NORMAL: f64 = 1.349;
        let (lower, upper) = (self.quartiles.0?, self.quartiles.1?);
        (upper > lower).then(|| upper / OF_NORMAL - lower / OF_NORMAL)
    }

    fn finish(self) -> Gaps {
        let (n, m) = (self.n, self.m);
        let (pairs, both) = (n * m, n + m);
        let deviation = (self.spread / n).sqrt();
        let in_deviations = |deviation: f64| match self.area {
            0.0 => 0.0,
            // Of squares that are beyond all numbers nothing can be said, and not that all is well.
            _ if !deviation.is_finite() => f64::INFINITY,
            area => area / deviation,
        };
        let robust = self.between_quartiles().map_or(deviation, |other| other.min(deviation));
        let u = self.twice_u / 2.0;
        let variance = pairs / 12.0 * (both + 1.0 - self.ties / (both * (both - 1.0)));
        let away = (u - pairs / 2.0).abs() - 0.5;
        let mann_whitney_p =
            if variance > 0.0 { (2.0 * Normal::standard().sf(away / variance.sqrt())).min(1.0) } else { 1.0 };
        let cramer_von_mises = self.squares / (pairs * both) - (4.0 * pairs - 1.0) / (6.0 * both);
        Gaps {
            reference: self.counts.0,
            current: self.counts.1,
            kolmogorov_smirnov: self.distance,
            kolmogorov_smirnov_p: smirnov::p_at_least(self.distance, self.counts.0, self.counts.1),
            wasserstein: self.area,
            wasserstein_normed: in_deviations(deviation),
            wasserstein_robust: in_deviations(robust),
            energy: (2.0 * self.squared_area).sqrt(),
            cramer_von_mises,
            cramer_von_mises_p: cramer::p_at_least(cramer_von_mises, self.counts.0, self.counts.1),
            mann_whitney: u,
            mann_whitney_p,
            rank_error: self.coarsest,
        }
    }
}
