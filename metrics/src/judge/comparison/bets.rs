//! The two bets on a row of two-by-two tables.
//!
//! Two sides without a single hit cannot be compared, and yet nothing is wrong with them. So half of the bet
//! for a pass is on the candidate's own share being [negligible](Comparison::negligible). The null of that
//! bet is that the odds ratio is intolerable *and* the share is not negligible; either half is a
//! supermartingale under it, and so is their average.

use super::{Comparison, Method, likelihood::Likelihood};
use crate::{
    Table,
    judge::{
        GRID, Process,
        limit::LogRatio,
        tape::{Passed, Tape},
    },
};

/// The odds ratios, in units of the tolerated one, in whose favour the bet for a pass is, and their weights.
const GOOD: [(f64, f64); 3] = [(0.5, 0.1), (0.8, 0.2), (1.0, 0.7)];

/// How strongly the symmetric bet goes on the candidate's having more hits, one alternative each.
const STAKES: [f64; 6] = [0.05, 0.1, 0.2, 0.4, 0.8, 1.6];

/// A bet that the candidate is too bad, and one that it is good enough.
#[derive(Clone, Debug)]
pub(super) struct Bets {
    method: Method,
    negligible: f64,
    /// Likelihood ratios are taken to the power of its inverse.
    temper: f64,
    fail: Process,
    pass: Process,
    likelihood: Likelihood,
    /// The alternatives to the negligible share.
    shares: [LogRatio; GRID.len()],
    logs: Vec<f64>,
}

impl Bets {
    pub(super) fn new(comparison: &Comparison) -> Self {
        let &Comparison { tolerated, margin, negligible, method, dispersion, .. } = comparison;
        let null = [tolerated, tolerated * (1.0 + margin)];
        let worse = GRID.map(|times| tolerated * times);
        let good = GOOD.map(|(times, _)| tolerated * times);
        let on_share = if negligible > 0.0 { 0.5 } else { 0.0 };
        let odds = GOOD.map(|(_, weight)| weight * (1.0 - on_share));
        let share = GRID.map(|_| on_share / GRID.len() as f64);
        Self {
            method,
            negligible,
            temper: dispersion,
            fail: match method {
                Method::Conditional => equal(GRID.len()),
                Method::Symmetric => equal(STAKES.len()),
            },
            pass: Process::new(odds.into_iter().chain(share)),
            shares: GRID.map(|times| LogRatio::new(negligible, 1.0 / times)),
            logs: Vec::new(),
            likelihood: Likelihood::at(null.into_iter().chain(worse).chain(good)),
        }
    }

    /// Takes in the tables of one window, a stratum each.
    pub(super) fn take(&mut self, tables: &[Table]) {
        let mut lead = 0.0;
        let mut own = (0, 0);
        for table in tables {
            self.likelihood.take(*table, &mut self.logs);
            let (null, logs) = self.logs.split_at(2);
            let (worse, good) = logs.split_at(GRID.len());
            if self.method == Method::Conditional {
                self.fail.multiply(worse.iter().map(|log| (log - null[0]) / self.temper));
            }
            // The alternatives on the share follow; they are one bet on all strata together.
            self.pass.multiply(good.iter().map(|log| (log - null[1]) / self.temper));
            lead += table.candidate().0 as f64 - table.baseline().0 as f64;
            own = (own.0 + table.candidate().0, own.1 + table.candidate().1);
        }
        if self.method == Method::Symmetric {
            self.fail.multiply(STAKES.map(|stake| stake * lead - log_cosh(stake * lead)));
        }
        if self.negligible > 0.0 {
            let share = self.shares.map(|ratio| ratio.log(own.0, own.1) / self.temper);
            self.pass.multiply(GOOD.map(|_| 0.0).into_iter().chain(share));
        }
    }

    /// The natural logarithm of the evidence that the candidate is too bad.
    pub(super) fn log_e_fail(&self) -> f64 {
        self.fail.log_e()
    }

    /// The natural logarithm of the evidence that it is good enough.
    pub(super) fn log_e_pass(&self) -> f64 {
        self.pass.log_e()
    }

    pub(super) fn state(&mut self, tape: &mut Tape<'_>) -> Passed {
        self.fail.state(tape)?;
        self.pass.state(tape)?;
        self.likelihood.state(tape)
    }

    /// The common odds ratio.
    pub(super) fn estimate(&self) -> Option<f64> {
        self.likelihood.estimate()
    }

    /// The odds ratios that the evidence leaves open, at these thresholds for the lower and the upper bound.
    pub(super) fn interval(&self, thresholds: (f64, f64)) -> (Option<f64>, Option<f64>) {
        self.likelihood.interval(&GRID, thresholds, self.temper)
    }
}

fn equal(alternatives: usize) -> Process {
    Process::new((0..alternatives).map(|_| 1.0 / alternatives as f64))
}

/// ln cosh, without overflow.
fn log_cosh(x: f64) -> f64 {
    let x = x.abs();
    x + (-2.0 * x).exp().ln_1p() - std::f64::consts::LN_2
}
