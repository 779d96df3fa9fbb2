//! An e-process: a bet against a hypothesis whose capital may be looked at whenever one likes.

use super::tape::{Passed, Tape};
use crate::Strength;

/// No evidence is reported as greater than this (natural logarithm), so that every number stays finite.
pub(super) const CERTAIN: f64 = 1e6;

/// Evidence over time, as the logarithm of an e-value, and the strongest that any look has shown. While the
/// hypothesis holds, the chance that it ever reaches 1/error is at most `error` (Ville 1939), however often it
/// is looked at.
#[derive(Clone, Debug)]
pub(super) struct Looks {
    now: f64,
    peak: f64,
    threshold: f64,
}

/// A weighted average of likelihood-ratio products, one for each alternative.
#[derive(Clone, Debug)]
pub(super) struct Process {
    /// The logarithm of weight times product, by alternative.
    logs: Vec<f64>,
}

impl Looks {
    pub(super) fn new(error: f64) -> Self {
        Self { now: 0.0, peak: 0.0, threshold: -error.ln() }
    }

    /// Takes down what the evidence is after one more window.
    pub(super) const fn look(&mut self, log_e: f64) {
        self.now = log_e.clamp(-CERTAIN, CERTAIN);
        self.peak = self.peak.max(self.now);
    }

    /// The natural logarithm of the evidence now.
    pub(super) const fn now(&self) -> f64 {
        self.now
    }

    pub(super) const fn threshold(&self) -> f64 {
        self.threshold
    }

    /// Whether the evidence has sufficed at any look so far.
    pub(super) fn reached(&self) -> bool {
        self.peak >= self.threshold
    }

    pub(super) const fn strength(&self) -> Strength {
        Strength { log_e: self.peak, threshold: self.threshold }
    }

    /// The p-value that holds at all looks together: the least 1/e so far.
    pub(super) fn p(&self) -> f64 {
        (-self.peak).exp()
    }

    pub(super) fn state(&mut self, tape: &mut Tape<'_>) -> Passed {
        tape.float(&mut self.now)?;
        tape.float(&mut self.peak)
    }
}

impl Process {
    /// One alternative for each of `weights`, which add up to 1.
    pub(super) fn new(weights: impl IntoIterator<Item = f64>) -> Self {
        Self { logs: weights.into_iter().map(f64::ln).collect() }
    }

    /// Multiplies in what one window says, as logarithms, in the order of the weights.
    pub(super) fn multiply(&mut self, factors: impl IntoIterator<Item = f64>) {
        for (log, factor) in self.logs.iter_mut().zip(factors) {
            *log += if factor.is_nan() { 0.0 } else { factor.clamp(-CERTAIN, CERTAIN) };
        }
    }

    /// The natural logarithm of the evidence now.
    pub(super) fn log_e(&self) -> f64 {
        log_sum_exp(&self.logs).clamp(-CERTAIN, CERTAIN)
    }

    pub(super) fn state(&mut self, tape: &mut Tape<'_>) -> Passed {
        tape.floats(&mut self.logs)
    }
}

/// ln Σ exp, without overflow. Minus infinity of nothing.
pub(super) fn log_sum_exp(logs: &[f64]) -> f64 {
    let greatest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if greatest.is_infinite() {
        return greatest;
    }
    // What is smaller by this much does not change a float.
    const NEGLIGIBLE: f64 = -40.0;
    let terms = logs.iter().map(|log| log - greatest).filter(|log| *log > NEGLIGIBLE);
    greatest + terms.map(f64::exp).sum::<f64>().ln()
}
