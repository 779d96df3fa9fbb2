//! Between which bounds a rate lies, at all times.

use std::f64::consts::TAU;

use statrs::function::gamma::ln_gamma;

/// Between which bounds the chance of success lies, after so many `successes` in so many `trials`: with a chance
/// of at most `error` it is outside at any time, however often one looks.
///
/// The bounds are shares from 0 to 1. They are the rates `p` for which
/// `B(κp + successes, κ(1 − p) + failures) / (B(κp, κ(1 − p)) · pˢ · (1 − p)ᶠ) < 1/error`: the likelihood of all
/// rates together, weighed by a beta distribution around `p`, over that of `p`. If `p` is the true rate, this is a
/// martingale. For `optimal_trials` of about that size the interval is as narrow as it gets, which decides on
/// `κ = optimal_trials/(2 ln 20 + ln(1 + 2 ln 20)) − 1`, but 0.001 at least; any size is valid if it was chosen
/// before. This is `bernoulli_confidence_interval` of the package confseq, with its default `alpha_opt`.
///
/// The trials have to be independent given the earlier ones, as those of a burst are not. Without trials the
/// interval is all from 0 to 1, and so it is if `error` is not a number above 0; more successes than trials count
/// as that many.
///
/// S. R. Howard, A. Ramdas, J. McAuliffe, J. Sekhon, *Time-uniform, nonparametric, nonasymptotic confidence
/// sequences*, Annals of Statistics 49(2), 2021.
///
/// ```
/// # use tidegate_metrics::statistics::bernoulli_interval;
/// let (lower, upper) = bernoulli_interval(700, 1000, 0.05, 100.0);
/// assert!((lower - 0.651629).abs() < 1e-6 && (upper - 0.745949).abs() < 1e-6);
/// ```
#[must_use]
pub fn bernoulli_interval(successes: u64, trials: u64, error: f64, optimal_trials: f64) -> (f64, f64) {
    /// `2 ln 20 + ln(1 + 2 ln 20)`: confseq optimises for an error of 5 % by default.
    const AT_FIVE_PERCENT: f64 = 7.936_154_601_737_565;
    if trials == 0 || error.is_nan() || error <= 0.0 {
        return (0.0, 1.0);
    }
    let successes = successes.min(trials);
    let failures = trials - successes;
    // Beyond the greatest the interval is one of no use, but not one that is wrong; NaN counts as 0.
    let concentration = (optimal_trials.max(0.0) / AT_FIVE_PERCENT - 1.0).clamp(1e-3, 1e15);
    let threshold = (-error.ln()).max(0.0);
    let estimate = successes as f64 / trials as f64;
    let excess = |rate: f64| log_evidence(rate, concentration, successes, failures) - threshold;
    // Evidence is convex in the rate, and negative in the estimate. Towards 0 it grows beyond all bounds if there
    // are two successes or more, and never comes to 0 again if there is one or none.
    let bound = |count: u64, end: f64| if count < 2 { end } else { crossing(estimate, end, excess) };
    (bound(successes, 0.0), bound(failures, 1.0))
}

/// Where `excess`, negative at `inside` and convex, comes to 0 on the way to `outside`.
fn crossing(mut inside: f64, mut outside: f64, excess: impl Fn(f64) -> f64) -> f64 {
    /// What evidence is exact to, for a few million trials.
    const CLOSE: f64 = 1e-11;
    /// From where on it is straight enough for chords.
    const NEAR: f64 = 100.0;
    let (mut at_inside, mut at_outside) = (excess(inside), f64::INFINITY);
    let mut was_inside = false;
    for _ in 0..100 {
        let chord = (inside * at_outside - outside * at_inside) / (at_outside - at_inside);
        let is_between = inside.min(outside) < chord && chord < inside.max(outside);
        let next = if at_outside < NEAR && is_between { chord } else { f64::midpoint(inside, outside) };
        if next == inside || next == outside {
            break;
        }
        let at_next = excess(next);
        if at_next.abs() < CLOSE {
            return next;
        }
        // The Illinois rule: an end that stays twice counts half, so that both move.
        let is_inside = at_next < 0.0;
        let share = if is_inside == was_inside { 0.5 } else { 1.0 };
        if is_inside {
            (inside, at_inside, at_outside) = (next, at_next, at_outside * share);
        } else {
            (outside, at_outside, at_inside) = (next, at_next, at_inside * share);
        }
        was_inside = is_inside;
    }
    outside
}

/// The natural logarithm of `B(κp + hits, κq + misses) / (B(κp, κq) · p^hits · q^misses)` with `q = 1 − p`: the
/// evidence that the chance of a hit is not `p`, which lies between 0 and 1.
///
/// With Stirling's formula for each Γ the great terms cancel on paper, and not in numbers that have 16 digits:
/// what remains is the deviance and terms of the size of a logarithm.
pub(super) fn log_evidence(p: f64, concentration: f64, hits: u64, misses: u64) -> f64 {
    let q = 1.0 - p;
    let (hits, misses) = (hits as f64, misses as f64);
    let (prior_p, prior_q) = (concentration * p, concentration * q);
    let (x, y) = (hits + prior_p, misses + prior_q);
    let all = x + y;
    // What x is more than expected, and y less: κ is in neither.
    let more = hits * q - misses * p;
    let deviance = half_deviance(x, all * p, more) + half_deviance(y, all * q, -more);
    let spread = (TAU * all / x / y).ln() - (TAU / concentration / p / q).ln();
    let rest = beyond_stirling(x) + beyond_stirling(y) - beyond_stirling(all);
    let rest_of_prior = beyond_stirling(prior_p) + beyond_stirling(prior_q) - beyond_stirling(concentration);
    deviance + spread / 2.0 + rest - rest_of_prior
}

/// `x ln(x/m) + m − x`, where `x = m + more`.
fn half_deviance(x: f64, m: f64, more: f64) -> f64 {
    let share = more / m;
    if share.abs() > 0.1 {
        return x * (x / m).ln() - more;
    }
    // (1 + u)·ln(1 + u) − u = Σ (−u)ᵏ/(k(k − 1)) from k = 2 on.
    let (mut power, mut sum) = (-share, 0.0);
    for k in 2..=18 {
        let k = f64::from(k);
        power *= -share;
        sum += power / (k * (k - 1.0));
    }
    m * sum
}

/// `ln Γ(x)` less Stirling's `(x − ½) ln x − x + ½ ln 2π`.
fn beyond_stirling(x: f64) -> f64 {
    if x < 16.0 {
        return ln_gamma(x) - ((x - 0.5) * x.ln() - x + TAU.ln() / 2.0);
    }
    // DLMF 5.11.1; the next term is below 10⁻¹³.
    let square = 1.0 / (x * x);
    (1.0 / 12.0 - square * (1.0 / 360.0 - square * (1.0 / 1260.0 - square / 1680.0))) / x
}
