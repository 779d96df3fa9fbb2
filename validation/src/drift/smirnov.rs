//! The law of the greatest distance between two distribution functions.

/// Up to so many pairs of numbers the law is computed, and not approximated.
const EXACT_PAIRS: u64 = 10_000;

/// The chance that the functions of `n` and `m` numbers of the same distribution are at least `distance` apart, on
/// either side, if there are no ties; with ties it is less.
pub(super) fn p_at_least(distance: f64, n: u64, m: u64) -> f64 {
    if n.saturating_mul(m) <= EXACT_PAIRS {
        return (1.0 - below(distance, n.min(m), n.max(m))).clamp(0.0, 1.0);
    }
    let (n, m) = (n as f64, m as f64);
    limit_law((n * m / (n + m)).sqrt() * distance)
}

/// The chance of a lesser distance, over all orders in which `few` and `many` numbers can lie: the share of paths
/// through a lattice that never leave a band around its diagonal.
///
/// J. L. Hodges, *The significance probability of the Smirnov two-sample test*, Arkiv för Matematik 3(5), 1958.
fn below(distance: f64, few: u64, many: u64) -> f64 {
    let (n, m) = (few as f64, many as f64);
    // Half a step below what rounding makes of the distance, so that equality is none of its matters.
    let band = (0.5 + (distance * n * m - 1e-7).floor()) / (n * m);
    let within = |i: u64, j: u64| (i as f64 / n - j as f64 / m).abs() <= band;
    let mut paths: Vec<f64> = (0..=many).map(|j| f64::from(u8::from(within(0, j)))).collect();
    for i in 1..=few {
        // The factors make shares of what would be numbers of paths, too great to be told.
        let weight = i as f64 / (i as f64 + m);
        let mut before = 0.0;
        for (path, j) in paths.iter_mut().zip(0..) {
            *path = if within(i, j) { weight * *path + before } else { 0.0 };
            before = *path;
        }
    }
    paths.last().copied().unwrap_or(0.0)
}

/// The chance of more than `x`, as numbers grow many: `2·Σ(−1)^(k − 1)·e^(−2k²x²)`.
///
/// A. Kolmogorov, *Sulla determinazione empirica di una legge di distribuzione*, Giornale dell'Istituto Italiano degli
/// Attuari 4, 1933.
fn limit_law(x: f64) -> f64 {
    // Below, it is 1 to the last digit, and the sum takes long.
    if x < 0.2 {
        return 1.0;
    }
    let term = |k: i32| (if k % 2 == 1 { 2.0 } else { -2.0 }) * (-2.0 * f64::from(k * k) * x * x).exp();
    (1..=20).map(term).sum::<f64>().clamp(0.0, 1.0)
}
