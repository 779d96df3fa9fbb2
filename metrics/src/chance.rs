//! Chance out of a seed.

/// How many of `trials` independent trials are hits, each with the chance `rate`.
///
/// By jumping from hit to hit: the gaps between hits are geometric. Where there are thousands of hits and misses, by
/// the normal law, which is right to a fraction of one then.
pub(crate) fn binomial(chance: &mut fastrand::Rng, trials: u64, rate: f64) -> u64 {
    if rate <= 0.0 {
        return 0;
    }
    if rate > 0.5 {
        return trials - binomial(chance, trials, 1.0 - rate);
    }
    let mean = trials as f64 * rate;
    let variance = mean * (1.0 - rate);
    if variance > 10_000.0 {
        let (one, other) = (1.0 - chance.f64(), chance.f64());
        let normal = (-2.0 * one.ln()).sqrt() * (std::f64::consts::TAU * other).cos();
        return (mean + variance.sqrt() * normal).round().clamp(0.0, trials as f64) as u64;
    }
    let log_miss = (-rate).ln_1p();
    let (mut at, mut count) = (0.0, 0);
    loop {
        // 1 − f64() lies in (0, 1], so that its logarithm is finite.
        at += ((1.0 - chance.f64()).ln() / log_miss).floor() + 1.0;
        if at > trials as f64 {
            return count;
        }
        count += 1;
    }
}
