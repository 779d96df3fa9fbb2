//! Between which bounds the mean of values from 0 to 1 lies, at all times.

use crate::judge::{Passed, Tape};

/// The mean of values from 0 to 1, with a bound on either side: an empirical-Bernstein confidence sequence with
/// predictable plug-ins.
///
/// With a chance of at most `error` the mean is below [`lower`](Self::lower) at any time, however often one looks,
/// and with as much above [`upper`](Self::upper). Nothing is supposed of the values but that each has that mean
/// given the earlier ones. Each takes constant time, and none is kept.
///
/// `lower = (Σ λᵢxᵢ − ln(1/error) − Σ (xᵢ − x̄ᵢ₋₁)²·(−ln(1 − λᵢ) − λᵢ)) / Σ λᵢ`, where `x̄₀ = 0` and
/// `λₜ = min(½, √(2 ln(1/error) / (σ̂²ₜ₋₁·t·ln(1 + t))))`, with `σ̂²ₜ = (¼ + Σ (xᵢ − μ̃ᵢ)²)/(t + 1)` and
/// `μ̃ₜ = (½ + Σ xᵢ)/(t + 1)`; `upper` is one less the same of `1 − xᵢ`. The bounds are those of this moment: they
/// may widen again, and the tightest that there were hold as well.
///
/// I. Waudby-Smith and A. Ramdas, *Estimating means of bounded random variables by betting*, Journal of the Royal
/// Statistical Society B 86(1), 2024, theorem 2.
///
/// ```
/// # use tidegate_metrics::statistics::BoundedMean;
/// let mut quality = BoundedMean::new(0.025);
/// for i in 1..=100 {
///     quality.push(f64::from(37 * i % 101) / 100.0);
/// }
/// let (lower, upper) = quality.interval();
/// assert!((lower - 0.3961310).abs() < 1e-7 && (upper - 0.6144472).abs() < 1e-7);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct BoundedMean {
    /// `ln(1/error)`.
    price: f64,
    count: u64,
    sum: f64,
    /// `Σ (xᵢ − μ̃ᵢ)²`.
    squares: f64,
    weights: f64,
    weighted: f64,
    /// What the bets on values, and those on one less the values, lost to their spread.
    lost: [f64; 2],
}

impl BoundedMean {
    /// No values so far. With an `error` that is not between 0 and 1 the bounds stay at 0 and 1.
    #[must_use]
    pub fn new(error: f64) -> Self {
        let price = (-error.ln()).max(0.0);
        Self { price, count: 0, sum: 0.0, squares: 0.0, weights: 0.0, weighted: 0.0, lost: [0.0; 2] }
    }

    /// Takes the next value. One below 0 counts as 0 and one above 1 as 1, as is right for a value that was scaled
    /// and rounded; `NaN` is left out, and the answer is whether the value was taken.
    pub fn push(&mut self, value: f64) -> bool {
        if value.is_nan() {
            return false;
        }
        let value = value.clamp(0.0, 1.0);
        let before = [self.sum, self.count as f64 - self.sum];
        let predicted = before.map(|sum| sum / (self.count as f64).max(1.0));
        let variance = (0.25 + self.squares) / (self.count as f64 + 1.0);
        self.count += 1;
        let t = self.count as f64;

        let weight = (2.0 * self.price / (variance * t * t.ln_1p())).sqrt().min(0.5);
        let loss = -(-weight).ln_1p() - weight;
        self.weights += weight;
        self.weighted += weight * value;
        for ((lost, value), predicted) in self.lost.iter_mut().zip([value, 1.0 - value]).zip(predicted) {
            *lost += (value - predicted).powi(2) * loss;
        }

        self.sum += value;
        self.squares += (value - (0.5 + self.sum) / (t + 1.0)).powi(2);
        true
    }

    /// How many values were taken.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The mean of the values; ½ before the first.
    #[must_use]
    pub fn mean(&self) -> f64 {
        if self.count == 0 { 0.5 } else { self.sum / self.count as f64 }
    }

    /// What the mean is at least, from 0 to 1.
    #[must_use]
    pub fn lower(&self) -> f64 {
        self.bound(self.weighted, self.lost[0])
    }

    /// What the mean is at most, from 0 to 1.
    #[must_use]
    pub fn upper(&self) -> f64 {
        1.0 - self.bound(self.weights - self.weighted, self.lost[1])
    }

    /// [`lower`](Self::lower) and [`upper`](Self::upper): with a chance of at most twice the error the mean is ever
    /// outside.
    #[must_use]
    pub fn interval(&self) -> (f64, f64) {
        (self.lower(), self.upper())
    }

    pub(crate) fn state(&mut self, tape: &mut Tape<'_>) -> Passed {
        let Self { price: _, count, sum, squares, weights, weighted, lost } = self;
        tape.count(count)?;
        tape.floats([sum, squares, weights, weighted].into_iter().chain(lost))
    }

    fn bound(&self, weighted: f64, lost: f64) -> f64 {
        if self.weights > 0.0 { ((weighted - self.price - lost) / self.weights).clamp(0.0, 1.0) } else { 0.0 }
    }
}
