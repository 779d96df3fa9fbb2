//! Thresholds for a test that is looked at a given number of times while the values come in.

use std::f64::consts::{PI, TAU};

use statrs::distribution::{ContinuousCDF, Normal};

/// For how many looks there are thresholds.
const MOST_LOOKS: u32 = 50;

/// Up to how many looks the chance of crossing is computed; for the greatest number it takes about a second.
const MOST_BOUNDARIES: usize = 1_000;

/// The chance that a test which is looked at several times ever finds something where there is nothing: that
/// the standardised sum `|z|` exceeds `boundaries[k]` at look `k`, for any of them, if `z` is normal and the
/// looks come after equal amounts of new values.
///
/// The density of sums that have crossed nothing is carried from look to look by numerical integration, as
/// Armitage, McPherson and Rowe did. The result is correct to nine digits, or to 10⁻¹⁵ if that is more; it
/// takes less than a millisecond for ten looks, and a hundredth of a second for 200. A boundary that is 0 or
/// negative is always crossed, and one that is infinite never, as if there were no look.
///
/// `NaN` if a boundary is `NaN` or if there are more than 1 000.
///
/// P. Armitage, C. K. McPherson, B. C. Rowe, *Repeated significance tests on accumulating data*, Journal of the
/// Royal Statistical Society A 132(2), 1969.
///
/// ```
/// # use tidegate_metrics::statistics::crossing_probability;
/// // A test at 5 % that is looked at five times is one at 14 %.
/// assert!((crossing_probability(&[1.96; 5]) - 0.142).abs() < 0.0005);
/// ```
#[must_use]
pub fn crossing_probability(boundaries: &[f64]) -> f64 {
    if boundaries.len() > MOST_BOUNDARIES || boundaries.iter().any(|boundary| boundary.is_nan()) {
        return f64::NAN;
    }
    if boundaries.iter().any(|boundary| *boundary <= 0.0) {
        return 1.0;
    }
    /// No sum is this many deviations from its mean, so there the integral ends, whatever the boundary.
    const CERTAIN: f64 = 12.0;
    let rule = gauss_legendre::<8>();
    let mut crossed = 0.0;
    let mut density: Option<Density> = None;
    for (k, boundary) in boundaries.iter().enumerate() {
        let deviation = ((k + 1) as f64).sqrt();
        crossed += match &density {
            None => 2.0 * upper_tail(*boundary),
            Some(density) => density.beyond(boundary * deviation),
        };
        let inside = boundary.min(CERTAIN) * deviation;
        density = Some(match density {
            None => Density::new(&rule, inside, bell),
            Some(before) => Density::new(&rule, inside, |sum| before.after(sum)),
        });
    }
    crossed.min(1.0)
}

/// Pocock's boundary: the threshold for `|z|` that, at each of `looks` equally spaced looks, keeps the chance
/// of ever crossing it without a difference at `alpha`.
///
/// `None` unless there are 1 to 50 looks and `alpha` is from 10⁻⁹ to below 1.
///
/// S. J. Pocock, *Group sequential methods in the design and analysis of clinical trials*, Biometrika 64(2),
/// 1977.
///
/// ```
/// # use tidegate_metrics::statistics::pocock;
/// assert!((pocock(5, 0.05).unwrap() - 2.413).abs() < 0.0005);
/// ```
#[must_use]
pub fn pocock(looks: u32, alpha: f64) -> Option<f64> {
    let boundaries = |z| vec![z; looks as usize];
    // As strict as one look needs it at least; at most as a share of `alpha` for each look would be.
    solve(looks, alpha, (alpha, alpha / f64::from(looks)), boundaries)
}

/// O'Brien and Fleming's boundaries: the thresholds for `|z|` at each of `looks` equally spaced looks that
/// together keep the chance of ever crossing one without a difference at `alpha`. They fall as `c·√(K/k)`:
/// next to nothing is spent on the first looks, and the last is little stricter than a single one would be.
///
/// `None` unless there are 1 to 50 looks and `alpha` is from 10⁻⁹ to below 1.
///
/// P. C. O'Brien, T. R. Fleming, *A multiple testing procedure for clinical trials*, Biometrics 35(3), 1979.
///
/// ```
/// # use tidegate_metrics::statistics::obrien_fleming;
/// let boundaries = obrien_fleming(3, 0.05).unwrap();
/// let table = [3.471, 2.454, 2.004];
/// assert!(boundaries.iter().zip(table).all(|(boundary, known)| (boundary - known).abs() < 0.0015));
/// ```
#[must_use]
pub fn obrien_fleming(looks: u32, alpha: f64) -> Option<Vec<f64>> {
    let boundaries = |z| (1..=looks).map(|k| z * f64::from(looks).sqrt() / f64::from(k).sqrt()).collect();
    // By reflection, a sum that ever crosses a level ends beyond it half of the times.
    solve(looks, alpha, (alpha, alpha / 2.0), boundaries).map(boundaries)
}

/// The number for which `boundaries` are crossed with a chance of `alpha`. It lies between the thresholds of
/// single looks at the two levels of `between`.
fn solve(looks: u32, alpha: f64, between: (f64, f64), boundaries: impl Fn(f64) -> Vec<f64>) -> Option<f64> {
    /// What the chance of crossing is exact to.
    const CLOSE: f64 = 1e-10;
    const ROUNDS: usize = 60;
    if !(1..=MOST_LOOKS).contains(&looks) || !(1e-9..1.0).contains(&alpha) {
        return None;
    }
    let single = |level: f64| -Normal::standard().inverse_cdf(level / 2.0);
    if looks == 1 {
        return Some(single(alpha));
    }
    // Logarithms, since chances fall as the bell curve does.
    let excess = |z: f64| (crossing_probability(&boundaries(z)) / alpha).ln();
    let (mut low, mut high) = (single(between.0), single(between.1));
    let (mut at_low, mut at_high) = (excess(low), excess(high));
    let mut moved = None;
    for _ in 0..ROUNDS {
        if high - low < CLOSE {
            break;
        }
        let z = (low * at_high - high * at_low) / (at_high - at_low);
        let z = if low < z && z < high { z } else { f64::midpoint(low, high) };
        let at_z = excess(z);
        if at_z.abs() < CLOSE {
            return Some(z);
        }
        // False position with the Illinois rule: an end that stays twice counts half, so that both move.
        let end = if at_z > 0.0 { End::Low } else { End::High };
        let share = if moved == Some(end) { 0.5 } else { 1.0 };
        match end {
            End::High => (high, at_high, at_low) = (z, at_z, at_low * share),
            End::Low => (low, at_low, at_high) = (z, at_z, at_high * share),
        }
        moved = Some(end);
    }
    Some(f64::midpoint(low, high))
}

#[derive(Clone, Copy, PartialEq)]
enum End {
    High,
    Low,
}

/// The density of a sum of standard normal values that has not crossed anything so far, in the points that its
/// integral needs. It is even, so those from 0 on are enough.
struct Density {
    /// Each sum, in order, and the density times the weight there.
    points: Vec<(f64, f64)>,
}

impl Density {
    /// From 0 to `inside`, beyond which it is 0.
    fn new(rule: &[(f64, f64)], inside: f64, of: impl Fn(f64) -> f64) -> Self {
        /// On a piece of this length the product of two bell curves is a polynomial, for all that can be told.
        const PIECE: f64 = 2.0;
        let pieces = (inside / PIECE).ceil().max(1.0);
        let half = inside / pieces / 2.0;
        let points = (0..pieces as u32).flat_map(|piece| {
            let middle = (2.0 * f64::from(piece) + 1.0) * half;
            rule.iter().map(move |(at, weight)| (middle + at * half, weight * half))
        });
        Self { points: points.map(|(sum, weight)| (sum, weight * of(sum))).collect() }
    }

    /// The density, after one more value, at `sum`.
    fn after(&self, sum: f64) -> f64 {
        let from_above: f64 = self.near(sum).iter().map(|(from, mass)| mass * bell(sum - from)).sum();
        let from_below: f64 = self.near(-sum).iter().map(|(from, mass)| mass * bell(sum + from)).sum();
        from_above + from_below
    }

    /// The chance that one more value takes the sum beyond `boundary` on either side.
    fn beyond(&self, boundary: f64) -> f64 {
        let above = |(from, mass): &(f64, f64)| mass * upper_tail(boundary - from);
        let below = |(from, mass): &(f64, f64)| mass * upper_tail(boundary + from);
        let above: f64 = self.near(boundary).iter().map(above).sum();
        let below: f64 = self.near(-boundary).iter().map(below).sum();
        2.0 * (above + below)
    }

    /// The points from which one value may lead to `sum`.
    fn near(&self, sum: f64) -> &[(f64, f64)] {
        /// Nothing is that far from its mean.
        const REACH: f64 = 10.0;
        let from = self.points.partition_point(|point| point.0 < sum - REACH);
        let to = self.points.partition_point(|point| point.0 <= sum + REACH);
        &self.points[from..to]
    }
}

/// The density of the standard normal law.
fn bell(z: f64) -> f64 {
    (-0.5 * z * z).exp() / TAU.sqrt()
}

/// The chance that a standard normal value exceeds `z`.
fn upper_tail(z: f64) -> f64 {
    Normal::standard().sf(z)
}

/// Points and weights of the Gauss–Legendre rule from −1 to 1: the roots of the Legendre polynomial of that
/// degree, found by Newton's method, and `2/((1 − x²)·P′(x)²)` (DLMF 3.5.15 with 18.3.1).
fn gauss_legendre<const N: usize>() -> [(f64, f64); N] {
    let degree = N as f64;
    std::array::from_fn(|i| {
        let mut x = -(PI * (i as f64 + 0.75) / (degree + 0.5)).cos();
        let mut slope = 1.0;
        // From this start Newton's method is exact after four rounds.
        for _ in 0..8 {
            let (mut before, mut value) = (1.0, x);
            for n in 2..=N {
                let n = n as f64;
                (before, value) = (value, ((2.0 * n - 1.0) * x * value - (n - 1.0) * before) / n);
            }
            slope = degree * (before - x * value) / (1.0 - x * x);
            x -= value / slope;
        }
        (x, 2.0 / ((1.0 - x * x) * slope * slope))
    })
}
