//! Bounds of a quantile from order statistics, whatever the distribution.
//!
//! David and Nagaraja, "Order Statistics", 3rd edition, section 7.1: of `n` values the `k`-th
//! smallest is at least the `q`-quantile with probability P(Bin(n, q) < k).

use super::proportion::tail;

/// The rank, from 1, of the value of `n` sorted ones that is an upper bound of the `quantile` with
/// `confidence`; `None` if there are too few values for one.
#[must_use]
pub fn upper_rank(n: u64, quantile: f64, confidence: f64) -> Option<u64> {
    // The least k with P(Bin < k) ≥ confidence, that is P(Bin ≥ k) ≤ 1 − confidence.
    first(n, |k| tail(k, n, quantile) <= 1.0 - confidence)
}

/// The rank, from 1, of the value of `n` sorted ones that is a lower bound of the `quantile` with
/// `confidence`; `None` if there are too few values for one.
#[must_use]
pub fn lower_rank(n: u64, quantile: f64, confidence: f64) -> Option<u64> {
    // The greatest k with P(Bin ≥ k) ≥ confidence.
    let too_high = first(n, |k| tail(k, n, quantile) < confidence).unwrap_or_else(|| n.saturating_add(1));
    (too_high > 1 && !quantile.is_nan() && !confidence.is_nan()).then(|| too_high - 1)
}

/// The rank, from 1, of the value of `n` sorted ones that is the sample's own `quantile`.
#[must_use]
pub fn sample_rank(n: u64, quantile: f64) -> u64 {
    // 0.07 · 100 is a little more than 7 in floating point, and no higher rank for that.
    let exact = quantile * n as f64 * (1.0 - 4.0 * f64::EPSILON);
    (exact.ceil() as u64).clamp(1, n.max(1))
}

/// The least of `1..=n` for which `holds`, which once true stays true.
pub(super) fn first(n: u64, holds: impl Fn(u64) -> bool) -> Option<u64> {
    let (mut low, mut high) = (0, n.saturating_add(1));
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if holds(middle) { high = middle } else { low = middle }
    }
    (high <= n).then_some(high)
}
