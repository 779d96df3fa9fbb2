//! What chance alone does: shuffling which values are of the reference.

use fastrand::Rng;
use serde::{Deserialize, Serialize};
use statrs::{
    distribution::{ContinuousCDF, Normal},
    function::factorial::ln_factorial,
};

/// How often to shuffle, and where chance begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in with a literal")]
pub struct Permutations {
    /// How often: a chance can be found no less than 1 over this and one. At least once, at most
    /// [`MOST`](Self::MOST) times.
    pub count: u32,
    /// The same seed gives the same chances.
    pub seed: u64,
}

impl Permutations {
    /// The most often to shuffle.
    pub const MOST: u32 = 1_000_000;

    pub(super) fn at_least(self, count: u32) -> Self {
        Self { count: self.count.max(count), ..self }
    }

    /// The share of shuffles, what was seen counted as one, that are as extreme: `(b + 1)/(B + 1)`, with which a test
    /// errs no more often than it says (B. Phipson, G. K. Smyth, *Permutation p-values should never be zero*,
    /// Statistical Applications in Genetics and Molecular Biology 9(1), 2010).
    pub(super) fn p(self, mut is_as_extreme: impl FnMut(&mut Rng) -> bool) -> f64 {
        let count = self.count.clamp(1, Self::MOST);
        let mut rng = Rng::with_seed(self.seed);
        let extreme = (0..count).filter(|_| is_as_extreme(&mut rng)).count();
        (extreme as f64 + 1.0) / (f64::from(count) + 1.0)
    }
}

impl Default for Permutations {
    fn default() -> Self {
        Self { count: 999, seed: 7 }
    }
}

/// Counts as they could be had all values been dealt out anew, as many to either side.
pub(super) fn shuffled(reference: &[u64], current: &[u64], rng: &mut Rng) -> (Vec<u64>, Vec<u64>) {
    let mut to_deal: u64 = reference.iter().sum();
    let mut left: u64 = to_deal + current.iter().sum::<u64>();
    let both = reference.iter().zip(current).map(|(one, other)| one + other);
    both.map(|count| {
        let dealt = dealt(count, to_deal, left, rng);
        to_deal -= dealt;
        left -= count;
        (dealt, count - dealt)
    })
    .unzip()
}

/// How many steps it takes to [shuffle](shuffled) counts, and to see how far apart they are, about.
pub(super) fn steps(reference: &[u64], current: &[u64]) -> u64 {
    let to_deal: u64 = reference.iter().sum();
    let left = to_deal + current.iter().sum::<u64>();
    let each = |(one, other): (&u64, &u64)| {
        let count = one + other;
        let variance = variance(count, to_deal, left);
        let dealing = match count {
            0..=FEW => count + 1,
            _ if variance > WIDE => 16,
            // Hardly ever further away.
            _ => 16 + (4.0 * variance.sqrt()) as u64,
        };
        dealing + STATISTIC
    };
    reference.iter().zip(current).map(each).fold(0, u64::saturating_add)
}

/// What a statistic takes of each count: logarithms and divisions.
const STATISTIC: u64 = 20;
/// Up to so many values are dealt one by one.
const FEW: u64 = 16;
/// Beyond this variance the law is the normal one to more digits than matter.
const WIDE: f64 = 1e8;

/// Of how many of `count` values are among `to_deal` drawn out of `left`.
fn variance(count: u64, to_deal: u64, left: u64) -> f64 {
    let (k, n, all) = (count as f64, to_deal as f64, left as f64);
    n * (k / all) * (1.0 - k / all) * ((all - n) / (all - 1.0))
}

/// How many of `count` values are among `to_deal` drawn out of `left`: a number of the hypergeometric law.
fn dealt(count: u64, to_deal: u64, left: u64, rng: &mut Rng) -> u64 {
    if count <= FEW {
        let mut dealt = 0;
        for drawn in 0..count {
            dealt += u64::from(rng.u64(..left - drawn) < to_deal - dealt);
        }
        return dealt;
    }
    // From the likeliest number outwards, so that it takes as many steps as the law is wide.
    let (least, most) = ((to_deal + count).saturating_sub(left), to_deal.min(count));
    let (k, n, all) = (count as f64, to_deal as f64, left as f64);
    let variance = variance(count, to_deal, left);
    if variance > WIDE {
        // Never 0, of which the quantile is infinite.
        let z = Normal::standard().inverse_cdf(1.0 - rng.f64());
        return ((n * (k / all) + z.max(-40.0) * variance.sqrt()).round() as u64).clamp(least, most);
    }
    let mode = (((n + 1.0) * (k + 1.0) / (all + 2.0)) as u64).clamp(least, most);
    let choose = |n: u64, k: u64| ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k);
    let at_mode = (choose(count, mode) + choose(left - count, to_deal - mode) - choose(left, to_deal)).exp();
    // The ratio of the chance of x + 1 to that of x.
    let ratio = |x: u64| {
        let x = x as f64;
        (k - x) * (n - x) / ((x + 1.0) * (all - k - n + x + 1.0))
    };
    let mut remaining = rng.f64() - at_mode;
    let (mut low, mut high, mut at_low, mut at_high) = (mode, mode, at_mode, at_mode);
    while remaining > 0.0 && (low > least || high < most) {
        if high < most {
            at_high *= ratio(high);
            high += 1;
            remaining -= at_high;
            if remaining <= 0.0 {
                return high;
            }
        }
        if low > least {
            low -= 1;
            at_low /= ratio(low);
            remaining -= at_low;
            if remaining <= 0.0 {
                return low;
            }
        }
        // What rounding leaves over is nobody's.
        if at_low.max(at_high) < 1e-300 {
            break;
        }
    }
    mode
}
