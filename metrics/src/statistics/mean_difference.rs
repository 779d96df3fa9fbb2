//! Between which bounds the difference of two means lies, at all times: asymptotically, since values without bounds
//! allow no more.

use crate::judge::{Passed, Tape};

/// The candidate's mean less the baseline's, for values without bounds such as costs, with a bound on either side:
/// an asymptotic confidence sequence.
///
/// With a chance of about `error` at most the true difference is below the interval at any time, however often one
/// looks, and with as much above it; with `α = 2·error/(1 + error)` at most it is ever outside. For an interval of
/// level `α` on both sides together ask for an error of `α/(2 − α)`. That is what the chances come to as values
/// grow many; **no number of values makes it a promise**, since values without bounds may hide any mean in rare
/// ones. Hence nothing is said before the [burn-in](Self::burn_in), and values that are now and then enormous
/// ought to be [capped](Self::capped_at). Simulated for lognormal values (σ = 1) with 200 looks, an error of 5 % and
/// everything else by default, false alarms were at 5 % at most on either side: for 10 values of the candidate
/// between looks, or 100, against as many of the baseline or nine times as many. Planned for a tenth of the default,
/// the last is at 7 %, and 10 against 90 at 8 %: early looks at few values are the ones that err.
///
/// The difference ± `se·√((nρ² + 1)/(nρ²) · (ln(nρ² + 1) + 2 ln(1/α)))`, where `se² = s_c²/n_c + s_b²/n_b`,
/// `n = n_c·n_b/(n_c + n_b)` and `ρ² = (−2 ln α + ln(1 − 2 ln α))/n*`. It is narrowest at the size that is
/// [planned](Self::planned), which decides on `n*`.
///
/// All values of a side are one sample. Where the share of traffic changes while both sides drift together, as in
/// a ramp, that confounds the two; [`PairedDifference`] does not.
///
/// I. Waudby-Smith, D. Arbour, R. Sinha, E. H. Kennedy, A. Ramdas, *Time-uniform central limit theory and
/// asymptotic confidence sequences*, Annals of Statistics 52(6), 2024.
///
/// ```
/// # use tidegate_metrics::statistics::MeanDifference;
/// let mut cost = MeanDifference::new(0.05).planned(300, 300);
/// for i in 0..300 {
///     cost.push_candidate(f64::from(37 * i % 101) + 30.0);
///     cost.push_baseline(f64::from(53 * i % 89));
/// }
/// let (least, most) = cost.interval().unwrap();
/// assert!(25.0 < least && least < 36.0 && 36.0 < most && most < 45.0);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct MeanDifference {
    error: f64,
    planned: f64,
    burn_in: u64,
    most: f64,
    candidate: Moments,
    baseline: Moments,
}

impl MeanDifference {
    /// No values so far, ten thousand planned for either side, and a burn-in of 100. With an `error` that is not
    /// between 0 and 1 there is never an interval.
    #[must_use]
    pub const fn new(error: f64) -> Self {
        let (candidate, baseline) = (Moments::new(), Moments::new());
        Self { error, planned: 5000.0, burn_in: 100, most: f64::INFINITY, candidate, baseline }
    }

    /// At how many values of each side the interval is to be narrowest. Any number is valid that does not come from
    /// the values; one that is wrong by a factor of three costs a few percent of width.
    #[must_use]
    pub fn planned(mut self, candidate: u64, baseline: u64) -> Self {
        self.planned = effective(candidate, baseline).max(1.0);
        self
    }

    /// How many values each side must have before there is an interval: 100 by default, and 2 at least.
    #[must_use]
    pub fn burn_in(mut self, values: u64) -> Self {
        self.burn_in = values.max(2);
        self
    }

    /// Takes greater values as `most`, from now on: the means compared are those of values so capped. It is to be
    /// chosen before there are values.
    #[must_use]
    pub const fn capped_at(mut self, most: f64) -> Self {
        self.most = most;
        self
    }

    /// Takes a value of the candidate. One that is not finite is left out, and the answer is whether it was taken.
    pub fn push_candidate(&mut self, value: f64) -> bool {
        self.candidate.push(value, self.most)
    }

    /// Takes a value of the baseline. One that is not finite is left out, and the answer is whether it was taken.
    pub fn push_baseline(&mut self, value: f64) -> bool {
        self.baseline.push(value, self.most)
    }

    /// How many values of the candidate and of the baseline were taken.
    #[must_use]
    pub const fn counts(&self) -> (u64, u64) {
        (self.candidate.count, self.baseline.count)
    }

    /// The candidate's mean less the baseline's; `None` until both have a value.
    #[must_use]
    pub fn difference(&self) -> Option<f64> {
        (self.candidate.count > 0 && self.baseline.count > 0)
            .then_some(self.candidate.mean - self.baseline.mean)
    }

    /// Between which bounds the difference lies. `None` during the burn-in, while all values of each side are the
    /// same, which leaves nothing to measure chance by, and if values are too great for their squares.
    #[must_use]
    pub fn interval(&self) -> Option<(f64, f64)> {
        if self.candidate.count.min(self.baseline.count) < self.burn_in {
            return None;
        }
        let variance = self.candidate.variance_of_mean() + self.baseline.variance_of_mean();
        let n = effective(self.candidate.count, self.baseline.count);
        let mixture = Mixture::new(self.error, self.planned)?;
        around(self.difference()?, variance, mixture.squared(n))
    }

    pub(crate) fn state(&mut self, tape: &mut Tape<'_>) -> Passed {
        self.candidate.state(tape)?;
        self.baseline.state(tape)
    }
}

/// The mean of the differences that windows show, candidate's mean less baseline's in each, with a bound on either
/// side: a confidence sequence that sees nothing but what both sides met at the same time.
///
/// With a chance of `error` at most the true mean is below the interval at any time, however often one looks, and
/// with as much above it; with `α = 2·error/(1 + error)` at most it is ever outside. For normal differences that
/// are independent this is exact, from the second window on. For others it is asymptotic, and hangs on how skewed
/// they are. Simulated with 200 looks and an error of 5 %, the default burn-in of 20 windows kept false alarms on
/// each side at 2 % for normal differences, 2 % for 100 lognormal values (σ = 1) in a window of the candidate
/// against 900 of the baseline, 4 % for 10 against 90, and 5 % for differences that are lognormal themselves with
/// σ = ½; but 8 % for 2 values against 18, and 15 % for σ = 1. So windows should hold more than a few values, or
/// as many on both sides: equal windows make the differences symmetric, whatever the values.
///
/// The mean of `n` windows ± `s·√(t²/n)` with `t² = (n − 1)(R − 1)/(1 − R/(nρ² + 1))` and
/// `R = (√(nρ² + 1)/α)^(2/n)`, which comes to the formula of [`MeanDifference`] as `n` grows, and is the Bayes
/// factor of a t test at `1/α`. `ρ²` is as there.
///
/// H. Wang, A. Ramdas, *Anytime-valid t-tests and confidence sequences for Gaussian means with unknown variance*,
/// Sequential Analysis 44(1), 2025.
///
/// ```
/// # use tidegate_metrics::statistics::PairedDifference;
/// let mut latency = PairedDifference::new(0.05);
/// for i in 0..30 {
///     latency.push(f64::from(37 * i % 101) / 10.0);
/// }
/// let (least, most) = latency.interval().unwrap();
/// assert!(2.0 < least && least < 4.8 && 4.8 < most && most < 8.0);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct PairedDifference {
    error: f64,
    planned: f64,
    burn_in: u64,
    windows: Moments,
}

impl PairedDifference {
    /// No windows so far, 200 planned, and a burn-in of 20. With an `error` that is not between 0 and 1 there is
    /// never an interval.
    #[must_use]
    pub const fn new(error: f64) -> Self {
        Self { error, planned: 200.0, burn_in: 20, windows: Moments::new() }
    }

    /// At how many windows the interval is to be narrowest; 1 at least.
    #[must_use]
    pub fn planned(mut self, windows: u64) -> Self {
        self.planned = windows.max(1) as f64;
        self
    }

    /// How many windows there must be before there is an interval: 20 by default, and 2 at least.
    #[must_use]
    pub fn burn_in(mut self, windows: u64) -> Self {
        self.burn_in = windows.max(2);
        self
    }

    /// Takes a window's difference. One that is not finite is left out, and the answer is whether it was taken.
    pub fn push(&mut self, difference: f64) -> bool {
        self.windows.push(difference, f64::INFINITY)
    }

    /// How many windows were taken.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.windows.count
    }

    /// The mean of the differences, each window counting the same; `None` before the first.
    #[must_use]
    pub fn difference(&self) -> Option<f64> {
        (self.windows.count > 0).then_some(self.windows.mean)
    }

    /// Between which bounds the mean of differences lies. `None` during the burn-in, while all differences are the
    /// same, and if they are too great for their squares; also with too few windows for so small an error.
    #[must_use]
    pub fn interval(&self) -> Option<(f64, f64)> {
        if self.windows.count < self.burn_in {
            return None;
        }
        let mixture = Mixture::new(self.error, self.planned)?;
        around(self.windows.mean, self.windows.variance_of_mean(), mixture.student(self.windows.count)?)
    }

    pub(crate) fn state(&mut self, tape: &mut Tape<'_>) -> Passed {
        self.windows.state(tape)
    }
}

/// The mixture sequential probability ratio of a difference that is estimated with `variance` (the square of its
/// standard error), against that there is none: `√(V/(V + τ²)) · exp(τ²d²/(2V(V + τ²)))`.
///
/// With a chance of about `α` at most it ever comes to `1/α` if there is no difference, however often one looks:
/// asymptotically, as with [`MeanDifference`], and for a `tau_squared` that was fixed before, which is the square
/// of the differences that are expected where there are any.
///
/// R. Johari, P. Koomen, L. Pekelis, D. Walsh, *Always valid inference: continuous monitoring of A/B tests*,
/// Operations Research 70(3), 2022.
///
/// ```
/// # use tidegate_metrics::statistics::msprt;
/// assert!((msprt(0.5, 0.02, 0.1) - 74.62336).abs() < 1e-5);
/// ```
#[must_use]
pub fn msprt(difference: f64, variance: f64, tau_squared: f64) -> f64 {
    let both = variance + tau_squared;
    (variance / both).sqrt() * (tau_squared * difference * difference / (2.0 * variance * both)).exp()
}

/// For differences of two means: how many values one mean would need for the same standard error.
fn effective(candidate: u64, baseline: u64) -> f64 {
    let (candidate, baseline) = (candidate as f64, baseline as f64);
    candidate * baseline / (candidate + baseline)
}

fn around(estimate: f64, variance: f64, squared: f64) -> Option<(f64, f64)> {
    let half_width = (variance * squared).sqrt();
    let interval = (estimate - half_width, estimate + half_width);
    (variance > 0.0 && interval.0.is_finite() && interval.1.is_finite()).then_some(interval)
}

/// How far away from none an estimate must be, for likelihoods of normal differences of any size together.
struct Mixture {
    /// `ln(1/α)`.
    price: f64,
    /// What share of the spread of a single value differences are expected to have, squared.
    rho_squared: f64,
}

impl Mixture {
    /// `None` if the error is not between 0 and 1.
    fn new(error: f64, planned: f64) -> Option<Self> {
        if !(error > 0.0 && error < 1.0) {
            return None;
        }
        // The evidence for differences of both signs is the mean of that for either, and in the wrong direction
        // there is never more than 1. So where it comes to (1/error + 1)/2 that for one sign is 1/error.
        let price = ((1.0 + error) / (2.0 * error)).ln();
        let rho_squared = (2.0 * price + (2.0 * price).ln_1p()) / planned;
        Some(Self { price, rho_squared })
    }

    /// The square of the number of standard errors after `n` values, if the standard error is known.
    fn squared(&self, n: f64) -> f64 {
        let gain = n * self.rho_squared;
        (gain + 1.0) / gain * (gain.ln_1p() + 2.0 * self.price)
    }

    /// The same if it is estimated from the `n` values. `None` if they are too few.
    fn student(&self, n: u64) -> Option<f64> {
        let n = n as f64;
        let gain = n * self.rho_squared;
        let log_ratio = (gain.ln_1p() + 2.0 * self.price) / n;
        let left = -(log_ratio - gain.ln_1p()).exp_m1();
        (left > 0.0).then(|| (n - 1.0) * log_ratio.exp_m1() / left)
    }
}

/// Count, mean and squared deviations, by Welford's recurrence.
#[derive(Clone, Debug, PartialEq)]
struct Moments {
    count: u64,
    mean: f64,
    squares: f64,
}

impl Moments {
    const fn new() -> Self {
        Self { count: 0, mean: 0.0, squares: 0.0 }
    }

    fn push(&mut self, value: f64, most: f64) -> bool {
        if !value.is_finite() {
            return false;
        }
        let value = value.min(most);
        self.count += 1;
        let away = value - self.mean;
        self.mean += away / self.count as f64;
        self.squares += away * (value - self.mean);
        true
    }

    fn state(&mut self, tape: &mut Tape<'_>) -> Passed {
        tape.count(&mut self.count)?;
        tape.floats([&mut self.mean, &mut self.squares])
    }

    /// Of two values or more.
    fn variance_of_mean(&self) -> f64 {
        let n = self.count as f64;
        self.squares / (n - 1.0) / n
    }
}
