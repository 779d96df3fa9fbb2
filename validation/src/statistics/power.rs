//! What a number of cases can show, and how many it takes: to be asked before they are.

use statrs::distribution::{ContinuousCDF, Normal};

use super::{
    clustered::student_quantile,
    proportion::{Proportion, beta_quantile, tail, trials_needed},
    quantile::first,
};

/// The chance that `n` trials prove, with `confidence`, that a rate reaches `floor`, if it is `rate`: the power of
/// a [`Gate`](crate::Gate) under [`Rule::Bound`](crate::Rule::Bound). Exact.
///
/// ```
/// # use tidegate_validation::statistics::gate_power;
/// // A model that is right 99 times in 100 passes a floor of 0.95 by 59 trials only every other time.
/// assert!((gate_power(59, 0.95, 0.99, 0.95) - 0.5527).abs() < 1e-4);
/// ```
#[must_use]
pub fn gate_power(n: u64, floor: f64, rate: f64, confidence: f64) -> f64 {
    match fewest_hits(n, floor, confidence) {
        None => 0.0,
        Some(0) => 1.0,
        Some(hits) => tail(hits, n, rate),
    }
}

/// The least rate at which `n` trials prove with a chance of `power`, and with `confidence`, that it reaches
/// `floor`. `None` if so few trials never prove it, or unless `power` is between 0 and 1.
#[must_use]
pub fn detectable_rate(n: u64, floor: f64, confidence: f64, power: f64) -> Option<f64> {
    if !(power > 0.0 && power < 1.0) {
        return None;
    }
    match fewest_hits(n, floor, confidence)? {
        0 => Some(0.0),
        hits => Some(beta_quantile(hits as f64, (n - hits + 1) as f64, power)),
    }
}

/// About the fewest trials that prove with a chance of `power`, and with `confidence`, that a rate reaches `floor`,
/// if it is `rate`. A few trials more may have a little less power, as the number of misses that are forgiven grows
/// by whole ones.
///
/// `None` unless `floor` is below `rate`, or if it takes more than 2³² misses.
#[must_use]
pub fn trials_for_power(floor: f64, rate: f64, confidence: f64, power: f64) -> Option<u64> {
    // Of all numbers of trials with so many misses to forgive the fewest have the most power.
    let power_with = |misses: u64| {
        let n = trials_needed(floor, confidence, misses)?;
        Some((n, gate_power(n, floor, rate, confidence)))
    };
    let enough = |misses: u64| power_with(misses).is_some_and(|(_, reached)| reached >= power);
    if !(floor < rate && power < 1.0) {
        return None;
    }
    let mut high = 1_u64;
    while !enough(high - 1) {
        high = high.checked_mul(2).filter(|&n| n <= 1 << 32)?;
    }
    let misses = first(high, |misses| enough(misses - 1))?;
    power_with(misses - 1).map(|(n, _)| n)
}

/// The least difference of two shares of right answers that `n` cases, asked of both versions, show with a chance
/// of `power` and one-sided `confidence`, if they agree in all but `discordance` of the cases. It is the same for
/// showing that a candidate is better and, as a distance from minus the margin, that it is not worse.
///
/// `None` if not even a candidate that gains in all of those cases is found out.
///
/// Solves `√n·δ = z₁√ψ + z₂√(ψ − δ²)`, a normal approximation: O. S. Miettinen, *The matched pairs design in the
/// case of all-or-none responses*, Biometrics 24(2), 1968.
#[must_use]
pub fn detectable_paired_share(n: u64, discordance: f64, confidence: f64, power: f64) -> Option<f64> {
    let normal = Normal::standard();
    if ![discordance, confidence, power].iter().all(|share| *share > 0.0 && *share < 1.0) {
        return None;
    }
    let (z_1, z_2) = (normal.inverse_cdf(confidence), normal.inverse_cdf(power));
    let shown = |difference: f64| {
        let spread = z_1 * discordance.sqrt() + z_2 * (discordance - difference * difference).max(0.0).sqrt();
        (n as f64).sqrt() * difference >= spread
    };
    if !shown(discordance) {
        return None;
    }
    let (mut low, mut high) = (0.0_f64, discordance);
    for _ in 0..60 {
        let middle = low.midpoint(high);
        if shown(middle) { high = middle } else { low = middle }
    }
    Some(high)
}

/// The least mean difference that `cases` with differences of the standard `deviation` show with a chance of
/// `power` and one-sided `confidence`: `(t₁ + t₂)·deviation/√cases`. For clusters put their number and the standard
/// deviation of their means.
///
/// `None` with fewer than two cases, or unless both chances are between 0 and 1.
///
/// H. S. Bloom, *Minimum detectable effects*, Evaluation Review 19(5), 1995.
#[must_use]
pub fn detectable_mean(cases: u64, deviation: f64, confidence: f64, power: f64) -> Option<f64> {
    if cases < 2 || ![confidence, power].iter().all(|share| *share > 0.0 && *share < 1.0) {
        return None;
    }
    let freedom = (cases - 1) as f64;
    let multiplier = student_quantile(freedom, confidence)? + student_quantile(freedom, power)?;
    Some(multiplier * deviation / (cases as f64).sqrt())
}

/// The least difference of two means, or of two rates, that shows with a chance of `power` and one-sided `confidence`
/// if it is known with this standard error and as many degrees of freedom: `(t₁ + t₂)·error`.
///
/// `None` without an error or a degree of freedom, or unless both chances are between 0 and 1.
///
/// H. S. Bloom, *Minimum detectable effects*, Evaluation Review 19(5), 1995.
#[must_use]
pub fn detectable_gap(standard_error: f64, freedom: f64, confidence: f64, power: f64) -> Option<f64> {
    let chances = [confidence, power].iter().all(|share| *share > 0.0 && *share < 1.0);
    let sound = chances && standard_error > 0.0 && standard_error.is_finite() && freedom > 0.0;
    let quantile = |probability| student_quantile(freedom, probability);
    sound.then(|| Some((quantile(confidence)? + quantile(power)?) * standard_error))?
}

/// About the least distance that shows with a chance of `power` where bounds, each at one-sided `confidence`, are as far
/// apart as these: by the normal law. `None` unless they are apart, the confidence is above ½ and the power between 0 and 1.
pub(crate) fn detectable_between((lower, upper): (f64, f64), confidence: f64, power: f64) -> Option<f64> {
    let normal = Normal::standard();
    let sound = upper > lower && confidence > 0.5 && confidence < 1.0 && power > 0.0 && power < 1.0;
    let ratio = || 1.0 + normal.inverse_cdf(power) / normal.inverse_cdf(confidence);
    sound.then(|| f64::midpoint(upper, -lower) * ratio())
}

/// The fewest hits of `n` trials whose lower bound reaches `floor`; `None` if no number does.
fn fewest_hits(n: u64, floor: f64, confidence: f64) -> Option<u64> {
    let enough = |hits: u64| Proportion::new(hits, n).is_some_and(|share| share.is_above(floor, confidence));
    match floor <= 0.0 {
        true => (n > 0).then_some(0),
        false => first(n, enough),
    }
}
