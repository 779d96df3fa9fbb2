//! An e-process: a bet against a hypothesis whose capital may be looked at whenever one likes.

use crate::Strength;

/// No evidence is reported as greater than this (natural logarithm), so that every number stays finite.
pub(super) const CERTAIN: f64 = 1e6;

/// A weighted average of likelihood-ratio products, one for each alternative. While the hypothesis holds, the
/// chance that it ever reaches 1/error is at most `error` (Ville 1939), however often it is looked at.
#[derive(Debug)]
pub(super) struct Process {
    /// The logarithm of weight times product, by alternative.
    logs: Vec<f64>,
    peak: f64,
    threshold: f64,
}

impl Process {
    /// One alternative for each of `weights`, which add up to 1.
    pub(super) fn new(weights: impl IntoIterator<Item = f64>, error: f64) -> Self {
        Self { logs: weights.into_iter().map(f64::ln).collect(), peak: 0.0, threshold: -error.ln() }
    }

    /// Multiplies in what one window says, as logarithms, in the order of the weights.
    pub(super) fn multiply(&mut self, factors: impl IntoIterator<Item = f64>) {
        for (log, factor) in self.logs.iter_mut().zip(factors) {
            *log += if factor.is_nan() { 0.0 } else { factor.clamp(-CERTAIN, CERTAIN) };
        }
        self.peak = self.peak.max(self.log_e());
    }

    /// The natural logarithm of the evidence now.
    pub(super) fn log_e(&self) -> f64 {
        let greatest = self.logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = self.logs.iter().map(|log| (log - greatest).exp()).sum();
        (greatest + sum.ln()).clamp(-CERTAIN, CERTAIN)
    }

    /// Whether the evidence has sufficed at any look so far.
    pub(super) fn reached(&self) -> bool {
        self.peak >= self.threshold
    }

    pub(super) fn strength(&self) -> Strength {
        Strength { log_e: self.peak, threshold: self.threshold }
    }
}
