//! Intervals that are what a score test does not reject.

use statrs::distribution::{ContinuousCDF, Normal};

/// The differences, from −1 to 1, that a test does not reject at `level`: `z` falls in the difference and says how
/// many standard deviations what was seen lies above it, and `swapped` says that of the sides exchanged.
pub(super) fn interval(
    level: f64,
    z: impl Fn(f64) -> f64,
    swapped: impl Fn(f64) -> f64,
) -> Option<(f64, f64)> {
    if !(level > 0.0 && level < 1.0) {
        return None;
    }
    let critical = Normal::standard().inverse_cdf(f64::midpoint(1.0, level));
    Some((least(critical, z), -least(critical, swapped)))
}

/// The least difference from which on `z` is at most `critical`.
fn least(critical: f64, z: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (-1.0_f64, 1.0_f64);
    for _ in 0..64 {
        let middle = low.midpoint(high);
        if z(middle) > critical { low = middle } else { high = middle }
    }
    if low == -1.0 { -1.0 } else { low.midpoint(high) }
}

/// `distance` in standard deviations, also where there is no variance.
pub(super) fn z(distance: f64, variance: f64) -> f64 {
    match variance > 0.0 {
        true => distance / variance.sqrt(),
        false if distance.is_nan() => f64::NAN,
        false if distance == 0.0 => 0.0,
        false => f64::INFINITY.copysign(distance),
    }
}

pub(super) fn upper_tail(z: f64) -> f64 {
    Normal::standard().sf(z)
}
