//! Golden values from scipy 1.17.1 and statsmodels 0.15.0, and what the statistics promise, simulated.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bootstrap;
mod calibration;
mod clustered;
mod counts;
mod judges;
mod numbers;
mod paired;
mod power;
mod proportion;
mod sequence;
mod sprt;
mod unpaired;

use fastrand::Rng;

fn close(actual: f64, golden: f64) {
    assert!((actual - golden).abs() < 1e-6, "{actual} is not {golden}");
}

fn near(actual: (f64, f64), golden: (f64, f64)) {
    close(actual.0, golden.0);
    close(actual.1, golden.1);
}

/// How many of `n` trials hit.
fn binomial(random: &mut Rng, n: u64, rate: f64) -> u64 {
    (0..n).filter(|_| random.f64() < rate).count() as u64
}

/// A value of the standard normal law (Box and Muller).
fn normal(random: &mut Rng) -> f64 {
    let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.f64()).cos()
}

/// The share of `runs` in which what is simulated is true. Seeded, so that a failure is the same one again.
fn share(runs: u32, mut run: impl FnMut(&mut Rng) -> bool) -> f64 {
    let mut random = Rng::with_seed(0x7469_6465);
    f64::from((0..runs).map(|_| u32::from(run(&mut random))).sum::<u32>()) / f64::from(runs)
}

/// Whether the interval contains the truth.
fn holds(interval: Option<(f64, f64)>, truth: f64) -> bool {
    interval.is_some_and(|(least, most)| (least..=most).contains(&truth))
}
