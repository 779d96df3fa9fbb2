//! The law of Cramér and von Mises' statistic of two samples.

use std::collections::BTreeMap;

use statrs::function::gamma::ln_gamma;

/// Up to so many numbers a side the law is computed, and not approximated.
const EXACT: u64 = 20;

/// The chance of a statistic of at least `t` for `n` and `m` numbers of the same distribution, if there are no ties.
pub(super) fn p_at_least(t: f64, n: u64, m: u64) -> f64 {
    if n.max(m) <= EXACT {
        return exact(t, n, m);
    }
    let (n, m) = (n as f64, m as f64);
    // Mean and variance of the statistic made to be those of the limit.
    let both = n + m;
    let mean = (1.0 + 1.0 / both) / 6.0;
    let variance = (both + 1.0) * (4.0 * n * m * both - 3.0 * (n * n + m * m) - 2.0 * n * m)
        / (45.0 * both * both * 4.0 * n * m);
    beyond(1.0 / 6.0 + (t - mean) / (45.0 * variance).sqrt())
}

/// By counting in how many orders of the numbers each sum of squares comes about.
///
/// Y. Xiao, A. Gordon, A. Yakovlev, *A C++ program for the Cramér–von Mises two-sample test*, Journal of Statistical
/// Software 17(8), 2007.
fn exact(t: f64, n: u64, m: u64) -> f64 {
    // Sums of (u/n − v/m)² in units of 1/(nm)², so that they are integers.
    let square = |u: u64, v: u64| (u * m).abs_diff(v * n).pow(2);
    // The orders of `u` of the first and `v` of the second, by their sums; one entry for each `v`.
    let mut orders = vec![BTreeMap::<u64, f64>::new(); m as usize + 1];
    for u in 0..=n {
        let mut left = BTreeMap::new();
        for (before, v) in orders.iter_mut().zip(0..) {
            let mut here = BTreeMap::new();
            if (u, v) == (0, 0) {
                here.insert(0, 1.0);
            }
            for (sum, count) in before.iter().chain(&left) {
                *here.entry(sum + square(u, v)).or_insert(0.0) += count;
            }
            left.clone_from(&here);
            *before = here;
        }
    }
    let last = orders.last().into_iter().flatten();
    let (n, m) = (n as f64, m as f64);
    let least = t * n * m * (n + m).powi(2) * (1.0 - 1e-12);
    let (all, beyond) = last.fold((0.0, 0.0), |(all, beyond), (sum, count)| {
        (all + count, if *sum as f64 >= least { beyond + count } else { beyond })
    });
    beyond / all
}

/// The chance of more than `x`, as numbers grow many.
///
/// T. W. Anderson, D. A. Darling, *Asymptotic theory of certain "goodness of fit" criteria based on stochastic
/// processes*, Annals of Mathematical Statistics 23(2), 1952, equation 4.35.
fn beyond(x: f64) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    let term = |k: u32| {
        let k = f64::from(k);
        let y = (4.0 * k + 1.0).powi(2) / (16.0 * x);
        let weight = (ln_gamma(k + 0.5) - ln_gamma(k + 1.0)).exp() / std::f64::consts::PI.powf(1.5);
        weight * ((4.0 * k + 1.0) / x).sqrt() * scaled_bessel(y) * (-2.0 * y).exp()
    };
    (1.0 - (0..20).map(term).sum::<f64>()).clamp(0.0, 1.0)
}

/// The modified Bessel function of the second kind of order ¼, times `e^y`: the integral of
/// `e^(−y(cosh t − 1))·cosh(t/4)` over `t` from 0, by the rule of trapezoids, which for such a function is exact to
/// the last digits.
fn scaled_bessel(y: f64) -> f64 {
    const STEP: f64 = 1.0 / 64.0;
    let at = |i: u32| {
        let t = f64::from(i) * STEP;
        (-y * (t.cosh() - 1.0)).exp() * (t / 4.0).cosh()
    };
    STEP * ((1..2_048).map(at).sum::<f64>() + 0.5)
}
