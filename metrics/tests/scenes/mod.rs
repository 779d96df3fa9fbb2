//! Simulated rollouts of two versions, out of a seed: for the tests of error rates, and in full size for the bench
//! that prints their table.

#![allow(dead_code, clippy::unwrap_used, reason = "the tests and the bench each use some of it")]

use std::time::{Duration, SystemTime};

use fastrand::Rng;
use tidegate_metrics::{Criterion, Judge, Observation, Pair, Verdict, Window};

/// How a simulated rollout goes: windows of so many requests on either side, at an error rate that both share.
#[derive(Clone, Copy)]
pub(crate) struct Scene {
    pub(crate) name: &'static str,
    pub(crate) windows: u32,
    /// Requests of candidate and baseline in a window.
    pub(crate) split: fn(u32) -> (u64, u64),
    /// The baseline's error rate in a window.
    pub(crate) rate: fn(u32) -> f64,
    /// The candidate's odds of an error in units of the baseline's.
    pub(crate) odds: f64,
    /// How much the errors of one side in one window depend on each other: the correlation of a beta-binomial.
    pub(crate) correlation: f64,
}

pub(crate) const STEADY: Scene = Scene {
    name: "1 % errors, 10 % weight, 1000 requests a window",
    windows: 200,
    split: |_| (100, 900),
    rate: |_| 0.01,
    odds: 1.0,
    correlation: 0.0,
};

pub(crate) const HALF: Scene = Scene { name: "1 % errors, 50 % weight", split: |_| (500, 500), ..STEADY };

pub(crate) const DRIFT: Scene = Scene {
    name: "daily drift and shared spikes",
    rate: |window| {
        let day = (f64::from(window) / 48.0 * std::f64::consts::TAU).sin();
        0.01 + 0.006 * day + if window % 17 == 3 { 0.03 } else { 0.0 }
    },
    ..STEADY
};

pub(crate) const RAMP: Scene = Scene {
    name: "ramp 1, 5, 10, 25, 50 % with drift",
    split: |window| [(10, 990), (50, 950), (100, 900), (250, 750), (500, 500)][(window / 40).min(4) as usize],
    rate: |window| 0.005 + 0.000_15 * f64::from(window) + if window % 17 == 3 { 0.03 } else { 0.0 },
    ..STEADY
};

pub(crate) const FREQUENT: Scene =
    Scene { name: "20 % errors, 200 requests a window", split: |_| (20, 180), rate: |_| 0.2, ..STEADY };

pub(crate) const LITTLE: Scene =
    Scene { name: "low traffic, 5 + 45 requests a window", split: |_| (5, 45), rate: |_| 0.01, ..STEADY };

pub(crate) const BETTER: Scene = Scene { name: "the candidate is better (odds 0.7)", odds: 0.7, ..STEADY };

pub(crate) const BURSTS: Scene =
    Scene { name: "errors in bursts (correlation 0.02)", correlation: 0.02, ..STEADY };

pub(crate) const EVEN_BURSTS: Scene =
    Scene { name: "errors in bursts, sides of equal size", split: |_| (100, 100), ..BURSTS };

pub(crate) fn window(number: u32) -> Window {
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + u64::from(number) * 60);
    Window::new(start, start + Duration::from_secs(60)).unwrap()
}

impl Scene {
    /// The candidate's error rate in a window.
    fn worse(&self, rate: f64) -> f64 {
        rate * self.odds / (1.0 - rate + rate * self.odds)
    }

    /// `(errors, requests)` of candidate and baseline in each window.
    pub(crate) fn run(&self, seed: u64) -> Vec<[(u64, u64); 2]> {
        let mut chance = Rng::with_seed(seed);
        (0..self.windows)
            .map(|number| {
                let (candidate, baseline) = (self.split)(number);
                let rate = (self.rate)(number);
                [(candidate, self.worse(rate)), (baseline, rate)]
                    .map(|(requests, rate)| (self.errors(&mut chance, requests, rate), requests))
            })
            .collect()
    }

    fn errors(&self, chance: &mut Rng, requests: u64, rate: f64) -> u64 {
        if self.correlation == 0.0 {
            return binomial(chance, requests, rate);
        }
        let size = 1.0 / self.correlation - 1.0;
        let (a, b) = (gamma(chance, rate * size), gamma(chance, (1.0 - rate) * size));
        binomial(chance, requests, a / (a + b))
    }
}

pub(crate) fn pair([candidate, baseline]: [(u64, u64); 2]) -> Pair {
    let side = |(hits, trials)| Observation::proportion(hits, trials).unwrap().into();
    Pair::new(side(candidate), Some(side(baseline)))
}

/// After how many windows, looked at after each, a judge by `criterion` comes to `verdict`.
pub(crate) fn decided(
    criterion: &Criterion,
    pairs: impl IntoIterator<Item = Pair>,
    verdict: Verdict,
) -> Option<u32> {
    let mut judge = Judge::new(criterion.clone()).unwrap();
    pairs.into_iter().zip(0..).find_map(|(pair, number)| {
        judge.take(window(number), &pair);
        (judge.verdict() == verdict).then_some(number + 1)
    })
}

/// What most tools do: a one-sided pooled z test at 5 % on everything so far, after every window.
pub(crate) fn peeked_z(windows: &[[(u64, u64); 2]]) -> bool {
    let mut sums = [(0.0, 0.0); 2];
    windows.iter().any(|window| {
        for (sum, (hits, trials)) in sums.iter_mut().zip(window) {
            *sum = (sum.0 + *hits as f64, sum.1 + *trials as f64);
        }
        let [(x_c, n_c), (x_b, n_b)] = sums;
        let pooled = (x_c + x_b) / (n_c + n_b);
        let error = (pooled * (1.0 - pooled) * (1.0 / n_c + 1.0 / n_b)).sqrt();
        error > 0.0 && (x_c / n_c - x_b / n_b) / error > 1.645
    })
}

/// Binomial, one trial at a time where hits are likely and by geometric gaps where they are not.
pub(crate) fn binomial(chance: &mut Rng, trials: u64, rate: f64) -> u64 {
    if rate <= 0.0 {
        return 0;
    }
    if rate > 0.1 {
        return (0..trials).filter(|_| chance.f64() < rate).count() as u64;
    }
    let log_miss = (-rate).ln_1p();
    let (mut at, mut count) = (0.0, 0);
    loop {
        at += ((1.0 - chance.f64()).ln() / log_miss).floor() + 1.0;
        if at > trials as f64 {
            return count;
        }
        count += 1;
    }
}

/// Standard normal, by Box and Muller.
pub(crate) fn normal(chance: &mut Rng) -> f64 {
    let (radius, angle) = ((-2.0 * (1.0 - chance.f64()).ln()).sqrt(), chance.f64() * std::f64::consts::TAU);
    radius * angle.cos()
}

/// Gamma of this shape and scale 1 (Marsaglia and Tsang 2000).
pub(crate) fn gamma(chance: &mut Rng, shape: f64) -> f64 {
    if shape < 1.0 {
        let boost = (1.0 - chance.f64()).powf(1.0 / shape);
        return gamma(chance, shape + 1.0) * boost;
    }
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = normal(chance);
        let v = (1.0 + c * x).powi(3);
        if v > 0.0 && (1.0 - chance.f64()).ln() < 0.5 * x * x + d - d * v + d * v.ln() {
            return d * v;
        }
    }
}

/// So many latencies in seconds, log-normal around 300 ms, `slower` times as long.
pub(crate) fn latencies(chance: &mut Rng, requests: u64, slower: f64) -> Vec<f64> {
    (0..requests).map(|_| slower * 0.3 * (0.5 * normal(chance)).exp()).collect()
}

/// The counts of values by upper edge.
pub(crate) fn histogram(edges: &[f64], values: &[f64]) -> Observation {
    let mut counts = vec![0; edges.len() + 1];
    for value in values {
        counts[edges.partition_point(|edge| edge < value)] += 1;
    }
    Observation::histogram(edges.to_vec(), counts).unwrap()
}

/// The middle and the 90th percentile of times to a decision out of `runs`; `None` where too few came to one.
pub(crate) fn quantiles(mut after: Vec<u32>, runs: u64) -> [Option<u32>; 2] {
    after.sort_unstable();
    [0.5, 0.9].map(|share| after.get((share * runs as f64).ceil() as usize - 1).copied())
}
