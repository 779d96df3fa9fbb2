//! Golden values from scipy 1.17.1 and evidently 0.7.23, what merging promises, and how often tests err, simulated.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod check;
mod columns;
mod gate;
mod histograms;
#[cfg(feature = "parquet")]
mod hostile;
mod numbers;
mod pictures;
mod real;
mod tables;
mod texts;
mod vectors;

use fastrand::Rng;
use tidegate_validation::drift::NumericColumn;

fn close(actual: f64, golden: f64) {
    assert!((actual - golden).abs() < 1e-6, "{actual} is not {golden}");
}

fn column(values: impl IntoIterator<Item = f64>) -> NumericColumn {
    let mut column = NumericColumn::new();
    column.extend(values);
    column
}

/// Two samples with ties and without an order; of them golden values are known.
fn scattered(n: u32, m: u32, shift: f64) -> (Vec<f64>, Vec<f64>) {
    let first = (0..n).map(|i| f64::from(37 * i % 101) / 10.0).collect();
    (first, (0..m).map(|i| f64::from(53 * i % 89) / 8.0 + shift).collect())
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
