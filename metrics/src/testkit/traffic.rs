//! Traffic out of a seed.

use crate::{Observation, chance::binomial};

/// Requests with errors among them, the same for the same seed.
///
/// ```
/// # use tidegate_metrics::testkit::Traffic;
/// let mut traffic = Traffic::new(7, 0.01);
/// assert_eq!(traffic.window(1000).trials(), 1000);
/// ```
#[derive(Clone, Debug)]
pub struct Traffic {
    chance: fastrand::Rng,
    rate: f64,
    burst: u64,
}

impl Traffic {
    /// Independent requests, each an error with the chance `rate`, in \[0, 1\].
    #[must_use]
    pub fn new(seed: u64, rate: f64) -> Self {
        Self { chance: fastrand::Rng::with_seed(seed), rate, burst: 1 }
    }

    /// Requests come in groups of `burst`, all of which are errors or none: the variance of a count is
    /// `burst` times that of independent requests. This is what breaks tests that take requests for
    /// independent.
    #[must_use]
    pub fn in_bursts_of(mut self, burst: u64) -> Self {
        self.burst = burst.max(1);
        self
    }

    /// From now on errors have the chance `rate`.
    pub const fn drift_to(&mut self, rate: f64) {
        self.rate = rate;
    }

    /// The next `trials` requests, at most [`Observation::MAX_TRIALS`].
    pub fn window(&mut self, trials: u64) -> Observation {
        let (groups, rest) = (trials / self.burst, trials % self.burst);
        let last = if rest > 0 && self.chance.f64() < self.rate { rest } else { 0 };
        let hits = binomial(&mut self.chance, groups, self.rate) * self.burst + last;
        Observation::proportion(hits, trials).expect("groups have at most all trials between them")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(observation: &Observation) -> u64 {
        match observation {
            Observation::Proportion { hits, .. } => *hits,
            _ => 0,
        }
    }

    #[test]
    fn the_rate_and_the_variance_are_as_promised() {
        for (burst, seed) in [(1, 3), (5, 4)] {
            let mut traffic = Traffic::new(seed, 0.1).in_bursts_of(burst);
            let counts: Vec<f64> = (0..4000).map(|_| hits(&traffic.window(200)) as f64).collect();
            let mean = counts.iter().sum::<f64>() / counts.len() as f64;
            let variance =
                counts.iter().map(|count| (count - mean).powi(2)).sum::<f64>() / counts.len() as f64;
            assert!((mean - 20.0).abs() < 0.8, "{mean}");
            assert!((variance / (18.0 * burst as f64) - 1.0).abs() < 0.1, "{variance}");
        }
    }

    #[test]
    fn the_ends_of_the_scale_are_exact() {
        assert_eq!(hits(&Traffic::new(1, 0.0).window(100)), 0);
        assert_eq!(hits(&Traffic::new(1, 1.0).window(103)), 103);
        assert_eq!(hits(&Traffic::new(1, 1.0).in_bursts_of(10).window(103)), 103);
    }
}
