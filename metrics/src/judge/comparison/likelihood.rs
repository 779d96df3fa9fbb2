//! How the likelihood of many two-by-two tables depends on their common odds ratio.

use crate::{
    Table,
    judge::{
        process::log_sum_exp,
        table::Odds,
        tape::{Passed, Tape},
    },
};

/// The likelihood of all tables so far as a function of the odds ratio: exactly where the bets are, and on a
/// grid around for confidence sequences.
#[derive(Clone, Debug)]
pub(super) struct Likelihood {
    at: Odds,
    /// How many of the odds ratios are exact ones; the grid follows them.
    exact: usize,
    /// The logarithm of the likelihood at each node of the grid, but for `pending`.
    logs: Vec<f64>,
    /// A product of inverse likelihoods that is not yet in `logs`: one logarithm serves many tables.
    pending: Vec<f64>,
    /// Numerator and denominator of the Mantel–Haenszel estimate.
    mantel_haenszel: (f64, f64),
}

/// The natural logarithms of the least and the greatest odds ratio of the grid are ∓`REACH`.
const REACH: f64 = 5.5;
/// Between its nodes six-point interpolation is right to about 1e-6 a hit.
const STEP: f64 = 0.25;
const NODES: usize = 45;
/// More than this is carried over into logarithms, so that products never overflow.
const FULL: f64 = 1e150;

impl Likelihood {
    /// Of no table yet; exact at `ratios`.
    pub(super) fn at(ratios: impl IntoIterator<Item = f64>) -> Self {
        let mut at: Vec<f64> = ratios.into_iter().collect();
        let exact = at.len();
        at.extend((0..NODES).map(|node| node_at(node).exp()));
        Self {
            pending: vec![1.0; at.len() - exact],
            logs: vec![0.0; at.len() - exact],
            at: Odds::new(&at),
            exact,
            mantel_haenszel: (0.0, 0.0),
        }
    }

    /// Takes one more table in, and puts the logarithm of its own likelihood at each exact odds ratio into `exact`.
    pub(super) fn take(&mut self, table: Table, exact: &mut Vec<f64>) {
        self.mantel_haenszel.0 += table.mantel_haenszel().0;
        self.mantel_haenszel.1 += table.mantel_haenszel().1;
        table.inverse_likelihoods(&mut self.at);
        exact.clear();
        exact.extend(
            self.at
                .sums()
                .take(self.exact)
                .map(|(ratio, sum)| if sum.is_finite() { -sum.ln() } else { table.log_likelihood(ratio) }),
        );
        let grid = self.at.sums().skip(self.exact);
        for ((pending, log), (_, sum)) in self.pending.iter_mut().zip(&mut self.logs).zip(grid) {
            // What a float cannot hold is out of the question by hundreds of orders of magnitude. A table of too
            // many terms is that everywhere, and so adds nothing to the interval.
            *pending *= sum.min(FULL);
            if *pending > FULL {
                *log -= pending.ln();
                *pending = 1.0;
            }
        }
    }

    /// The estimate of the common odds ratio (Mantel and Haenszel 1959); `None` where it is not finite.
    pub(super) fn estimate(&self) -> Option<f64> {
        let (above, below) = self.mantel_haenszel;
        (below > 0.0).then(|| above / below)
    }

    pub(super) fn state(&mut self, tape: &mut Tape<'_>) -> Passed {
        tape.floats(self.logs.iter_mut().chain(&mut self.pending))?;
        tape.floats([&mut self.mantel_haenszel.0, &mut self.mantel_haenszel.1])
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
        let grid: Vec<f64> =
            self.logs.iter().zip(&self.pending).map(|(log, pending)| log - pending.ln()).collect();
        let best = (0..NODES).max_by(|&a, &b| grid[a].total_cmp(&grid[b])).unwrap_or(NODES / 2);
        let likeliest =
            greatest(node_at(best) - STEP, node_at(best) + STEP, |theta| interpolate(&grid, theta));
        let steps: Vec<f64> = alternatives.iter().map(|times| times.ln()).collect();
        let evidence = |theta: f64, sign: f64| {
            let here = interpolate(&grid, theta);
            let bets: Vec<f64> = steps
                .iter()
                .map(|step| theta + sign * step)
                .filter(|there| there.abs() <= REACH)
                .map(|there| (interpolate(&grid, there) - here) / temper)
                .collect();
            log_sum_exp(&bets) - (steps.len() as f64).ln()
        };
        let search = |nodes: &mut dyn Iterator<Item = usize>, sign: f64, threshold: f64| {
            let mut open = likeliest;
            for node in nodes {
                let theta = node_at(node);
                if sign * (likeliest - theta) <= 0.0 {
                    continue;
                }
                if evidence(theta, sign) >= threshold {
                    return Some(crossing(open, theta, |theta| evidence(theta, sign) - threshold).exp());
                }
                open = theta;
            }
            None
        };
        (search(&mut (0..NODES).rev(), 1.0, lower_threshold), search(&mut (0..NODES), -1.0, upper_threshold))
    }
}

fn node_at(node: usize) -> f64 {
    node as f64 * STEP - REACH
}

/// Lagrange's polynomial through the six nodes around `theta`.
fn interpolate(grid: &[f64], theta: f64) -> f64 {
    let place = (theta + REACH) / STEP;
    let first = (place.floor() as isize - 2).clamp(0, grid.len() as isize - 6) as usize;
    let d: [f64; 6] = std::array::from_fn(|node| place - (first + node) as f64);
    let (left, right) = (d[0] * d[1] * d[2], d[3] * d[4] * d[5]);
    let weights = [
        -d[1] * d[2] * right / 120.0,
        d[0] * d[2] * right / 24.0,
        -d[0] * d[1] * right / 12.0,
        left * d[4] * d[5] / 12.0,
        -left * d[3] * d[5] / 24.0,
        left * d[3] * d[4] / 120.0,
    ];
    grid[first..first + 6].iter().zip(weights).map(|(value, weight)| value * weight).sum()
}

/// Where between `low` and `high` a function with one maximum has it.
fn greatest(low: f64, high: f64, height: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (low.max(-REACH), high.min(REACH));
    for _ in 0..40 {
        let (left, right) = ((2.0 * low + high) / 3.0, (low + 2.0 * high) / 3.0);
        if height(left) < height(right) { low = left } else { high = right }
    }
    f64::midpoint(low, high)
}

/// Where between two ends, below 0 at the first and not at the second, `height` reaches 0: the method of false
/// position in its Illinois variant.
fn crossing(mut low: f64, mut high: f64, height: impl Fn(f64) -> f64) -> f64 {
    const ENOUGH: f64 = 1e-9;
    let (mut at_low, mut at_high) = (height(low), height(high));
    let mut last = 0.0;
    for _ in 0..60 {
        if (high - low).abs() < ENOUGH || at_high == at_low {
            break;
        }
        let between = (low * at_high - high * at_low) / (at_high - at_low);
        let here = height(between);
        if here < 0.0 {
            (low, at_low) = (between, here);
            // An end that stays for twice is pulled in.
            if last < 0.0 {
                at_high /= 2.0;
            }
        } else {
            (high, at_high) = (between, here);
            if last > 0.0 {
                at_low /= 2.0;
            }
            if here == 0.0 {
                break;
            }
        }
        last = if here < 0.0 { -1.0 } else { 1.0 };
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_nodes_it_is_as_good_as_exact() {
        let tables = [(3, 100, 9, 900), (0, 50, 7, 500), (40, 400, 30, 600)]
            .map(|(x_c, n_c, x_b, n_b)| Table::new((x_c, n_c), (x_b, n_b)).unwrap());
        let mut likelihood = Likelihood::at([1.0]);
        let mut exact = Vec::new();
        for table in tables {
            likelihood.take(table, &mut exact);
        }
        let grid: Vec<f64> = likelihood
            .logs
            .iter()
            .zip(&likelihood.pending)
            .map(|(log, pending)| log - pending.ln())
            .collect();
        for theta in [-5.4, -1.9, -0.3, 0.111, 0.8, 2.6, 5.49] {
            let known: f64 = tables.iter().map(|table| table.log_likelihood(f64::exp(theta))).sum();
            let between = interpolate(&grid, theta);
            assert!((between - known).abs() < 1e-4, "{theta}: {between} {known}");
        }
    }

    #[test]
    fn between_nodes_there_is_room_for_a_narrow_interval() {
        // An odds ratio of 1.1 from two hundred thousand hits: both bounds lie between two nodes.
        let table = Table::new((5238, 10_000), (5000, 10_000)).unwrap();
        let mut likelihood = Likelihood::at([1.0]);
        for _ in 0..20 {
            likelihood.take(table, &mut Vec::new());
        }
        let (alternatives, threshold) = ([1.1, 1.25, 1.5, 2.0], 20_f64.ln());
        let (lower, upper) = likelihood.interval(&alternatives, (threshold, threshold), 1.0);
        let evidence = |null: f64, power: i32| {
            let bets = alternatives
                .map(|times| (20.0 * table.log_likelihood_ratio(null * times.powi(power), null)).exp());
            bets.iter().sum::<f64>() / 4.0
        };
        let (lower, upper) = (lower.unwrap(), upper.unwrap());
        assert!((1.0..1.1).contains(&lower) && (1.1..1.2).contains(&upper), "{lower} {upper}");
        for at_bound in [evidence(lower, 1), evidence(upper, -1)] {
            assert!((at_bound / 20.0 - 1.0).abs() < 0.05, "{at_bound}");
        }
    }

    #[test]
    fn the_bounds_are_where_the_bets_would_decide() {
        let table = Table::new((12, 100), (40, 900)).unwrap();
        let mut likelihood = Likelihood::at([1.0]);
        likelihood.take(table, &mut Vec::new());
        let alternatives = [1.1, 1.5, 2.0, 5.0];
        let threshold = 20_f64.ln();
        let (lower, upper) = likelihood.interval(&alternatives, (threshold, threshold), 1.0);
        let evidence = |null: f64, power: i32| {
            let bets =
                alternatives.map(|times| table.log_likelihood_ratio(null * times.powi(power), null).exp());
            bets.iter().sum::<f64>() / 4.0
        };
        assert!((evidence(lower.unwrap(), 1) - 20.0).abs() < 1e-3, "{lower:?}");
        assert!((evidence(upper.unwrap(), -1) - 20.0).abs() < 1e-3, "{upper:?}");
        let estimate = likelihood.estimate().unwrap();
        assert!((estimate - 12.0 * 860.0 / (40.0 * 88.0)).abs() < 1e-12);
    }
}
