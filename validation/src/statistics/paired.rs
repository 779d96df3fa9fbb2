//! Two versions asked the same cases: which of them is right more often, and by how much?

use super::{proportion::tail, score};

/// What became of cases that two versions were both asked, counted by who was right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paired {
    n: u64,
    gained: u64,
    lost: u64,
}

impl Paired {
    /// `n` cases, of which the candidate alone was right in `gained` and the baseline alone in `lost`. In the
    /// others they were both right or both wrong, which says nothing about which is better. `None` without a case,
    /// or with more of those than cases.
    #[must_use]
    pub fn new(n: u64, gained: u64, lost: u64) -> Option<Self> {
        let unlike = gained.checked_add(lost)?;
        (n > 0 && unlike <= n).then_some(Self { n, gained, lost })
    }

    /// Counts cases, of which each is the pair of whether the candidate and whether the baseline was right.
    #[must_use]
    pub fn count(cases: impl IntoIterator<Item = (bool, bool)>) -> Option<Self> {
        let (mut n, mut gained, mut lost) = (0, 0, 0);
        for (candidate, baseline) in cases {
            n += 1;
            gained += u64::from(candidate && !baseline);
            lost += u64::from(baseline && !candidate);
        }
        Self::new(n, gained, lost)
    }

    /// Cases.
    #[must_use]
    pub const fn n(self) -> u64 {
        self.n
    }

    /// The candidate's share of right answers less the baseline's.
    #[must_use]
    pub fn difference(self) -> f64 {
        (self.gained as f64 - self.lost as f64) / self.n as f64
    }

    /// The share of cases in which exactly one of the two was right.
    #[must_use]
    pub fn discordance(self) -> f64 {
        (self.gained + self.lost) as f64 / self.n as f64
    }

    /// McNemar's test, exact: the chance of so unequal numbers of gained and lost cases, or more unequal ones,
    /// if both versions are right equally often.
    ///
    /// Q. McNemar, *Note on the sampling error of the difference between correlated proportions or percentages*,
    /// Psychometrika 12(2), 1947.
    ///
    /// ```
    /// # use tidegate_validation::statistics::Paired;
    /// let cases = Paired::new(200, 15, 5).unwrap();
    /// assert!((cases.mcnemar() - 0.041_389).abs() < 1e-6);
    /// ```
    #[must_use]
    pub fn mcnemar(self) -> f64 {
        (2.0 * self.mcnemar_better().min(self.mcnemar_worse())).min(1.0)
    }

    /// The chance of so many gained cases or more, if the candidate is right no more often: small where it is the
    /// better one.
    #[must_use]
    pub fn mcnemar_better(self) -> f64 {
        if self.gained == 0 { 1.0 } else { tail(self.gained, self.gained + self.lost, 0.5) }
    }

    /// The chance of so many lost cases or more, if the candidate is right no less often: small where it is the worse
    /// one.
    #[must_use]
    pub fn mcnemar_worse(self) -> f64 {
        Self { gained: self.lost, lost: self.gained, ..self }.mcnemar_better()
    }

    /// Between which bounds the true difference of the shares lies at `level`, by inverting the score test.
    ///
    /// A candidate is not worse than its baseline by more than a margin if the lower bound is above minus the
    /// margin: at a level of 0.9 the chance that this is said wrongly is 5 %, as near as score tests come to what
    /// they promise. Without an unlike case the bounds are `±z²/(n + z²)`, and not 0. `None` if `level` is not
    /// between 0 and 1.
    ///
    /// T. Tango, *Equivalence test and confidence interval for the difference in proportions for the
    /// paired-sample design*, Statistics in Medicine 17(8), 1998.
    ///
    /// ```
    /// # use tidegate_validation::statistics::Paired;
    /// let (least, most) = Paired::new(200, 4, 6).unwrap().tango(0.9).unwrap();
    /// assert!((least + 0.039_720).abs() < 1e-6 && (most - 0.017_978).abs() < 1e-6);
    /// ```
    #[must_use]
    pub fn tango(self, level: f64) -> Option<(f64, f64)> {
        let swapped = Self { gained: self.lost, lost: self.gained, ..self };
        score::interval(level, |difference| self.z(difference), |difference| swapped.z(difference))
    }

    /// The chance of what was seen, or of what speaks even more for the candidate, if it is worse by `margin`: the
    /// score test of which [`tango`](Self::tango) is the inverse.
    #[must_use]
    pub fn p_not_worse(self, margin: f64) -> f64 {
        score::upper_tail(self.z(-margin))
    }

    /// How many standard deviations the difference is above `difference`, if that is the true one.
    fn z(self, difference: f64) -> f64 {
        let (n, b, c, d) = (self.n as f64, self.gained as f64, self.lost as f64, difference);
        // The likeliest rate of lost cases given the difference: a root of 2n·x² + second·x + third.
        let (second, third) = ((2.0 * n - b + c) * d - b - c, -c * d * (1.0 - d));
        let root = (second * second - 8.0 * n * third).max(0.0).sqrt();
        let lost = match second > 0.0 {
            true => -2.0 * third / (second + root),
            false => (root - second) / (4.0 * n),
        };
        let variance = n * (2.0 * lost.max(0.0).max(-d) + d * (1.0 - d));
        score::z(b - c - n * d, variance)
    }
}
