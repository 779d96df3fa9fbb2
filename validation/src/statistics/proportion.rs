//! Hits of trials, and what they say about the rate behind them.

use statrs::function::{beta::beta_reg, erf::erf_inv};

/// So many hits of so many trials; at least one trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proportion {
    hits: u64,
    trials: u64,
}

impl Proportion {
    /// `hits` of `trials`; `None` without a trial or with more hits than trials.
    #[must_use]
    pub const fn new(hits: u64, trials: u64) -> Option<Self> {
        if trials == 0 || hits > trials { None } else { Some(Self { hits, trials }) }
    }

    /// Hits.
    #[must_use]
    pub const fn hits(self) -> u64 {
        self.hits
    }

    /// Trials.
    #[must_use]
    pub const fn trials(self) -> u64 {
        self.trials
    }

    /// The share of hits.
    #[must_use]
    pub fn share(self) -> f64 {
        self.hits as f64 / self.trials as f64
    }

    /// The exact one-sided lower bound: the rate is above it with at least this confidence.
    ///
    /// Clopper and Pearson, "The use of confidence or fiducial limits", Biometrika 26 (1934).
    #[must_use]
    pub fn lower(self, confidence: f64) -> f64 {
        if self.hits == 0 {
            return 0.0;
        }
        beta_quantile(self.hits as f64, (self.trials - self.hits + 1) as f64, 1.0 - confidence)
    }

    /// The exact one-sided upper bound: the rate is below it with at least this confidence.
    #[must_use]
    pub fn upper(self, confidence: f64) -> f64 {
        if self.hits == self.trials {
            return 1.0;
        }
        beta_quantile((self.hits + 1) as f64, (self.trials - self.hits) as f64, confidence)
    }

    /// The exact two-sided interval at `level`: both one-sided bounds at `(1 + level) / 2`.
    #[must_use]
    pub fn clopper_pearson(self, level: f64) -> (f64, f64) {
        let confidence = f64::midpoint(1.0, level);
        (self.lower(confidence), self.upper(confidence))
    }

    /// Wilson's score interval at `level`: closer to the level on average than the exact one, so
    /// better to look at and worse to decide by.
    ///
    /// Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).
    #[must_use]
    pub fn wilson(self, level: f64) -> (f64, f64) {
        let (n, p) = (self.trials as f64, self.share());
        let z2 = 2.0 * erf_inv(level).powi(2);
        let centre = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
        let half = (z2 * (p * (1.0 - p) / n + z2 / (4.0 * n * n))).sqrt() / (1.0 + z2 / n);
        ((centre - half).max(0.0), (centre + half).min(1.0))
    }

    /// The chance of a share at least as far from `rate` on its side, doubled for the other, if that is the rate. Exact.
    #[must_use]
    pub fn p_two_sided(self, rate: f64) -> f64 {
        let at_least = if self.hits == 0 { 1.0 } else { tail(self.hits, self.trials, rate) };
        let at_most =
            if self.hits == self.trials { 1.0 } else { 1.0 - tail(self.hits + 1, self.trials, rate) };
        (2.0 * at_least.min(at_most)).clamp(0.0, 1.0)
    }

    /// Whether the lower bound reaches `floor`: P(at least so many hits | rate = floor) ≤ 1 − confidence.
    pub(crate) fn is_above(self, floor: f64, confidence: f64) -> bool {
        floor <= 0.0 || self.hits > 0 && tail(self.hits, self.trials, floor) <= 1.0 - confidence
    }

    /// Whether the upper bound is below `floor`: P(at most so many hits | rate = floor) < 1 − confidence.
    pub(crate) fn is_below(self, floor: f64, confidence: f64) -> bool {
        self.hits < self.trials && 1.0 - tail(self.hits + 1, self.trials, floor) < 1.0 - confidence
    }
}

/// The fewest trials, `misses` of them missing, whose lower bound reaches `floor`. `None` where no
/// number does: a rate of 1 cannot be proven by trials.
#[must_use]
pub fn trials_needed(floor: f64, confidence: f64, misses: u64) -> Option<u64> {
    const MOST: u64 = 1 << 40;
    let enough = |n: u64| Proportion::new(n - misses, n).is_some_and(|p| p.is_above(floor, confidence));
    let mut high = misses.checked_add(1)?;
    while !enough(high) {
        high = high.checked_mul(2).filter(|&n| n < MOST)?;
    }
    let mut low = misses;
    while high - low > 1 {
        let middle = low.midpoint(high);
        if enough(middle) { high = middle } else { low = middle }
    }
    Some(high)
}

/// P(X ≥ hits) for X of Binomial(trials, rate); `hits` from 1.
pub(crate) fn tail(hits: u64, trials: u64, rate: f64) -> f64 {
    match rate {
        ..=0.0 => 0.0,
        1.0.. => 1.0,
        // Nothing is above it, and nothing below.
        rate if rate.is_nan() => f64::NAN,
        rate => beta_reg(hits as f64, (trials - hits + 1) as f64, rate),
    }
}

/// Inverse of the regularised incomplete beta function, by bisection: slow and never astray.
pub(super) fn beta_quantile(a: f64, b: f64, probability: f64) -> f64 {
    if probability.is_nan() {
        return f64::NAN;
    }
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    for _ in 0..64 {
        let middle = low.midpoint(high);
        if beta_reg(a, b, middle) < probability { low = middle } else { high = middle }
    }
    low.midpoint(high)
}
