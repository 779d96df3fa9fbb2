//! How the likelihood of many two-by-two tables depends on their common odds ratio.

use crate::{
    Table,
    judge::{process::log_sum_exp, table::Odds},
};

/// The likelihood of all tables so far as a function of the odds ratio: exactly where the bets are, and on a
/// grid around for confidence sequences.
#[derive(Clone, Debug)]
pub(super) struct Likelihood {
    at: Odds,
    /// How many of the odds ratios are exact ones; the grid follows them.
    exact: usize,
    /// The logarithm of the likelihood, but for `pending`.
    logs: Vec<f64>,
    /// A product of inverse likelihoods that is not yet in `logs`: one logarithm serves many tables.
    pending: Vec<f64>,
    scratch: Vec<f64>,
    /// Numerator and denominator of the Mantel–Haenszel estimate.
    mantel_haenszel: (f64, f64),
}

/// The natural logarithms of the least and the greatest odds ratio of the grid are ∓`REACH`.
const REACH: f64 = 5.5;
/// Between its nodes four-point interpolation is right to about 1e-6 a hit.
const STEP: f64 = 0.125;
const NODES: usize = 89;
/// More than this is carried over into logarithms, so that products never overflow.
const FULL: f64 = 1e150;

impl Likelihood {
    /// Of no table yet; exact at `ratios`.
    pub(super) fn at(ratios: impl IntoIterator<Item = f64>) -> Self {
        let mut at: Vec<f64> = ratios.into_iter().collect();
        let exact = at.len();
        at.extend((0..NODES).map(|node| node_at(node).exp()));
        let none = vec![0.0; at.len()];
        Self {
            pending: vec![1.0; at.len()],
            scratch: none.clone(),
            logs: none,
            at: Odds::new(at),
            exact,
            mantel_haenszel: (0.0, 0.0),
        }
    }

    /// Takes one more table in, and gives the logarithm of its own likelihood at each exact odds ratio.
    pub(super) fn take(&mut self, table: Table) -> Vec<f64> {
        self.mantel_haenszel.0 += table.mantel_haenszel().0;
        self.mantel_haenszel.1 += table.mantel_haenszel().1;
        table.inverse_likelihoods(&self.at, &mut self.scratch);
        let exact = (self.at.ratios().iter().zip(&self.scratch).take(self.exact))
            .map(|(&ratio, sum)| if sum.is_finite() { -sum.ln() } else { table.log_likelihood(ratio) })
            .collect();
        for ((pending, log), sum) in self.pending.iter_mut().zip(&mut self.logs).zip(&self.scratch) {
            // What a float cannot hold is out of the question by hundreds of orders of magnitude.
            *pending *= sum.min(FULL);
            if *pending > FULL {
                *log -= pending.ln();
                *pending = 1.0;
            }
        }
        exact
    }

    /// The estimate of the common odds ratio (Mantel and Haenszel 1959); `None` where it is not finite.
    pub(super) fn estimate(&self) -> Option<f64> {
        let (above, below) = self.mantel_haenszel;
        (below > 0.0).then(|| above / below)
    }

    /// The odds ratios that the evidence leaves open: below the first, above the second, a bet of
    /// `alternatives` (times the odds ratio in question, or divided by them) has its capital multiplied by
    /// `exp(threshold)` or more. Where the grid ends there is no bound.
    pub(super) fn interval(
        &self,
        alternatives: &[f64],
        (lower_threshold, upper_threshold): (f64, f64),
        temper: f64,
    ) -> (Option<f64>, Option<f64>) {
        let grid: Vec<f64> = (self.exact..self.logs.len())
            .map(|i| self.logs[i] - self.pending[i].ln())
            .collect();
        let best = (0..NODES).max_by(|&a, &b| grid[a].total_cmp(&grid[b])).unwrap_or(NODES / 2);
        let steps: Vec<f64> = alternatives.iter().map(|times| times.ln()).collect();
        let evidence = |theta: f64, sign: f64| {
            let here = interpolate(&grid, theta);
            let bets: Vec<f64> = steps
                .iter()
                .map(|step| theta + sign * step)
                .filter(|there| there.abs() <= REACH)
                .map(|there| interpolate(&grid, there) - here)
                .collect();
            (log_sum_exp(&bets) - (steps.len() as f64).ln()) / temper
        };
        let search = |nodes: &mut dyn Iterator<Item = usize>, sign: f64, threshold: f64| {
            let mut open = node_at(best);
            for node in nodes {
                let theta = node_at(node);
                if evidence(theta, sign) >= threshold {
                    return Some(bisect(open, theta, |theta| evidence(theta, sign) >= threshold).exp());
                }
                open = theta;
            }
            None
        };
        (
            search(&mut (0..=best).rev(), 1.0, lower_threshold),
            search(&mut (best..NODES), -1.0, upper_threshold),
        )
    }
}

fn node_at(node: usize) -> f64 {
    node as f64 * STEP - REACH
}

/// Lagrange's cubic through the four nodes around `theta`.
fn interpolate(grid: &[f64], theta: f64) -> f64 {
    let place = (theta + REACH) / STEP;
    let first = (place.floor() as isize - 1).clamp(0, grid.len() as isize - 4) as usize;
    let t = place - first as f64;
    let [a, b, c, d] = [grid[first], grid[first + 1], grid[first + 2], grid[first + 3]];
    let (t1, t2, t3) = (t - 1.0, t - 2.0, t - 3.0);
    -a * t1 * t2 * t3 / 6.0 + b * t * t2 * t3 / 2.0 - c * t * t1 * t3 / 2.0 + d * t * t1 * t2 / 6.0
}

/// Where between `open` and `closed` the answer turns to true.
fn bisect(mut open: f64, mut closed: f64, is_closed: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..40 {
        let middle = f64::midpoint(open, closed);
        if is_closed(middle) { closed = middle } else { open = middle }
    }
    f64::midpoint(open, closed)
}
