//! Which of two samples tends to be greater, and by how much, from ranks alone.

use statrs::distribution::{ContinuousCDF, Normal};

/// Up to this size of the smaller sample the distribution of U is computed, and not approximated.
const EXACT_FEW: usize = 8;

/// Beyond this size of the greater sample it is approximated after all. At the limit computing it takes some
/// hundredths of a second and 10 MiB, and all counts lie below 2¹²⁸.
const EXACT_MANY: usize = 100_000;

/// What the Mann–Whitney test (Wilcoxon's rank-sum test) says of two samples; made by [`mann_whitney`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct RankTest {
    /// U of the first sample: in how many pairs its value is the greater, ties counted as halves.
    pub u: f64,
    /// How many standard deviations U is away from what it is expected to be without a difference, less the
    /// continuity correction of ½. Positive where the first sample tends to be greater; 0 if all values are
    /// equal.
    pub z: f64,
    /// The chance of a U at least as far away, on either side, if there is no difference.
    pub p_two_sided: f64,
    /// The chance of a U at least as great if there is no difference: small where the first sample tends to be
    /// greater. For the other side swap the samples.
    pub p_greater: f64,
    /// The common-language effect size: the share of pairs in which the first sample's value is the greater,
    /// ties counted as halves. ½ without a difference.
    pub common_language: f64,
    /// Cliff's δ: the share of pairs in which the first sample's value is the greater, less the share in which
    /// it is the lesser. From −1 to 1.
    pub cliff_delta: f64,
    /// Whether the chances come from the distribution of U itself rather than from the normal law.
    pub exact: bool,
}

/// Compares two samples of independent values by their ranks, once.
///
/// Tied values share their mean rank, and lessen the variance of U:
/// `σ² = n₁n₂/12 · ((n + 1) − Σ(t³ − t)/(n(n − 1)))` over groups of `t` tied values out of `n = n₁ + n₂`. If
/// all values are equal there is no difference, with certainty.
///
/// Chances are exact if there are no ties and one side has 8 values or fewer (and the other at most 100 000);
/// otherwise they come from the normal law with continuity correction, to nine digits. Both are what SciPy
/// gives as `mannwhitneyu(first, second, method="auto")`.
///
/// The guarantee is that of one look at independent values. It is void for values that resemble their
/// predecessors, as the points of a time series do, and for a test that is repeated as values come in, unless
/// its threshold is one of [`pocock`](super::pocock) or [`obrien_fleming`](super::obrien_fleming).
///
/// `None` if a sample is empty or holds a value that is not finite.
///
/// H. B. Mann, D. R. Whitney, *On a test of whether one of two random variables is stochastically larger than
/// the other*, Annals of Mathematical Statistics 18(1), 1947. N. Cliff, *Dominance statistics*, Psychological
/// Bulletin 114(3), 1993. K. O. McGraw, S. P. Wong, *A common language effect size statistic*, Psychological
/// Bulletin 111(2), 1992.
///
/// ```
/// # use tidegate_metrics::statistics::mann_whitney;
/// let test = mann_whitney(&[1.3, 2.9, 4.1], &[0.2, 0.7, 1.1, 2.3, 0.9]).unwrap();
/// assert_eq!((test.u, test.exact), (14.0, true));
/// // Two of the 56 ways in which three values can lie among eight come to 14 or more.
/// assert!((test.p_greater - 2.0 / 56.0).abs() < 1e-12);
/// ```
#[must_use]
pub fn mann_whitney(first: &[f64], second: &[f64]) -> Option<RankTest> {
    let (x, y) = (sorted(first)?, sorted(second)?);
    let Merged { twice_u, ties, .. } = Merged::new(&x, &y);
    let (n_x, n_y) = (x.len() as u128, y.len() as u128);
    let (pairs, n) = (n_x * n_y, n_x + n_y);

    // All of it in integers up to the last division, so that nothing is lost where most values are tied.
    let untied = n * n * n - n - ties;
    let sigma = (pairs as f64 / 12.0 * untied as f64 / (n * (n - 1)) as f64).sqrt();
    let away = (twice_u as f64 - pairs as f64) / 2.0;
    let z = if untied == 0 { 0.0 } else { ((away.abs() - 0.5).max(0.0) / sigma).copysign(away) };

    let (few, many) = (x.len().min(y.len()), x.len().max(y.len()));
    let exact = ties == 0 && few <= EXACT_FEW && many <= EXACT_MANY;
    let (p_two_sided, p_greater) = if exact {
        // Without ties it is even.
        let u = (twice_u / 2) as usize;
        let lesser = u.min(few * many - u);
        let tails = Tails::new(few, many, lesser);
        let greater = match u {
            0 => 1.0,
            _ if u > lesser => tails.at_most(lesser),
            _ => 1.0 - tails.at_most(u - 1),
        };
        (2.0 * tails.at_most(lesser), greater)
    } else if untied == 0 {
        (1.0, 1.0)
    } else {
        let normal = Normal::standard();
        (2.0 * normal.sf((away.abs() - 0.5) / sigma), normal.sf((away - 0.5) / sigma))
    };
    Some(RankTest {
        u: twice_u as f64 / 2.0,
        z,
        p_two_sided: p_two_sided.min(1.0),
        p_greater,
        common_language: twice_u as f64 / 2.0 / pairs as f64,
        cliff_delta: away * 2.0 / pairs as f64,
        exact,
    })
}

/// By how much the first sample is greater: the median of all differences of a value of the first and one of
/// the second, which is the mean of the two middle ones if their number is even.
///
/// Takes time in proportion to the number of values, not of pairs, but for sorting; as much for memory.
///
/// `None` if a sample is empty or holds a value that is not finite, or if the difference is too great for a
/// number.
///
/// J. L. Hodges, E. L. Lehmann, *Estimates of location based on rank tests*, Annals of Mathematical Statistics
/// 34(2), 1963.
///
/// ```
/// # use tidegate_metrics::statistics::hodges_lehmann;
/// assert_eq!(hodges_lehmann(&[12.0, 15.0, 11.0], &[10.0, 9.0]), Some(2.5));
/// ```
#[must_use]
pub fn hodges_lehmann(first: &[f64], second: &[f64]) -> Option<f64> {
    let differences = Differences::new(first, second)?;
    let pairs = differences.count();
    let middle = f64::midpoint(differences.nth(pairs.div_ceil(2)), differences.nth(pairs / 2 + 1));
    middle.is_finite().then_some(middle)
}

/// The least and the greatest shift between the samples that the rank test does not reject, with
/// `confidence` (0.95, say) that the true one lies between: the `C`-th least and the `C`-th greatest of all
/// differences of a value of the first and one of the second.
///
/// With 8 values or fewer on a side (and at most 100 000 on the other) `C` comes from the distribution of U,
/// and otherwise from the normal law: `C = ⌊n₁n₂/2 − z·√(n₁n₂(n₁ + n₂ + 1)/12)⌋`, without the correction for
/// ties, which makes the interval the wider.
///
/// It supposes that both samples have the same distribution but for the shift.
///
/// `None` if a sample is empty or holds a value that is not finite, if the confidence is not between 0 and 1,
/// if there are too few values for so much confidence, or if a bound is too great for a number.
///
/// M. Hollander, D. A. Wolfe, E. Chicken, *Nonparametric Statistical Methods*, third edition, 2014, section
/// 4.3.
///
/// ```
/// # use tidegate_metrics::statistics::shift_interval;
/// let (before, after) = ([3.1, 2.8, 3.4, 2.9, 3.0], [4.0, 4.4, 3.9, 4.6, 4.2]);
/// let (least, greatest) = shift_interval(&after, &before, 0.95).unwrap();
/// assert!(0.75 < least && greatest < 1.65);
/// // Of two values on each side nothing can be said at 95 %.
/// assert_eq!(shift_interval(&after[..2], &before[..2], 0.95), None);
/// ```
#[must_use]
pub fn shift_interval(first: &[f64], second: &[f64], confidence: f64) -> Option<(f64, f64)> {
    if !(confidence > 0.0 && confidence < 1.0) {
        return None;
    }
    let differences = Differences::new(first, second)?;
    let rank = rank_of_bound(differences.x.len(), differences.y.len(), (1.0 - confidence) / 2.0)?;
    let least = differences.nth(rank);
    let greatest = differences.nth(differences.count() + 1 - rank);
    (least.is_finite() && greatest.is_finite()).then_some((least, greatest))
}

/// The greatest `C` for which fewer than `C` differences are positive with a chance of at most `tail`, if there
/// is no shift. `None` if there is none.
fn rank_of_bound(n_x: usize, n_y: usize, tail: f64) -> Option<u64> {
    let (few, many) = (n_x.min(n_y), n_x.max(n_y));
    let rank = if few <= EXACT_FEW && many <= EXACT_MANY {
        let tails = Tails::new(few, many, few * many / 2);
        // A chance that is the given one but for rounding is not beyond it.
        tails.0.partition_point(|chance| *chance <= tail * (1.0 + 1e-12)) as u64
    } else {
        let (n_x, n_y) = (n_x as f64, n_y as f64);
        let sigma = (n_x * n_y * (n_x + n_y + 1.0) / 12.0).sqrt();
        // Saturates at 0.
        (n_x * n_y / 2.0 + Normal::standard().inverse_cdf(tail) * sigma) as u64
    };
    (rank > 0).then_some(rank)
}

/// The keys of the values, in order; `None` if there are none or one is not finite. Integers sort faster.
fn sorted(values: &[f64]) -> Option<Vec<u64>> {
    if values.is_empty() || !values.iter().all(|value| value.is_finite()) {
        return None;
    }
    let mut keys: Vec<u64> = values.iter().copied().map(to_key).collect();
    keys.sort_unstable();
    Some(keys)
}

/// What is learned from the sorted keys of two samples by going through both at once, in one order. Nothing in
/// it is a branch on a value: nobody could predict it.
struct Merged {
    /// Twice U of the first sample, which is an integer.
    twice_u: u128,
    /// `Σ(t³ − t)` over the groups of tied values of both samples together.
    ties: u128,
    last: u64,
    /// How many values before the last are tied with it.
    tied: u64,
    /// How many values of the second sample there were, and how many of them are tied with the last.
    second: u64,
    second_tied: u64,
}

impl Merged {
    fn new(x: &[u64], y: &[u64]) -> Self {
        let mut merged = Self { twice_u: 0, ties: 0, last: NAN, tied: 0, second: 0, second_tied: 0 };
        let (mut i, mut j) = (0, 0);
        while i < x.len() && j < y.len() {
            let is_second = y[j] <= x[i];
            merged.next(if is_second { y[j] } else { x[i] }, is_second);
            i += usize::from(!is_second);
            j += usize::from(is_second);
        }
        x[i..].iter().for_each(|value| merged.next(*value, false));
        y[j..].iter().for_each(|value| merged.next(*value, true));
        merged
    }

    /// Takes the next key. Of those that are tied, the second sample's come before the first's.
    fn next(&mut self, value: u64, is_second: bool) {
        let (is_tied, is_second) = (u64::from(value == self.last), u64::from(is_second));
        self.last = value;
        self.tied = (self.tied + 1) * is_tied;
        // What a group's t³ − t grows by with one value more.
        self.ties += u128::from(3 * self.tied * (self.tied + 1));
        self.second += is_second;
        self.second_tied = self.second_tied * is_tied + is_second;
        self.twice_u += u128::from((2 * self.second - self.second_tied) * (1 - is_second));
    }
}

/// The chances that U is at most 0, 1, 2 and so on, if there are neither differences nor ties.
struct Tails(Vec<f64>);

impl Tails {
    /// Up to U = `most`. How many of the `C(few + many, few)` orders come to each U are the coefficients of the
    /// Gaussian binomial `Πᵢ (1 − q^(many + i))/(1 − qⁱ)`, for `i` from 1 to `few`.
    fn new(few: usize, many: usize, most: usize) -> Self {
        let mut counts = vec![0_u128; most + 1];
        counts[0] = 1;
        let mut orders = 1_u128;
        for i in 1..=few {
            // A product may be negative for the time until it is divided, which wrapping undoes.
            for u in (many + i..=most).rev() {
                counts[u] = counts[u].wrapping_sub(counts[u - many - i]);
            }
            for u in i..=most {
                counts[u] = counts[u].wrapping_add(counts[u - i]);
            }
            orders = orders * (many + i) as u128 / i as u128;
        }
        let mut sum = 0;
        let chance = |count| {
            sum += count;
            sum as f64 / orders as f64
        };
        Self(counts.into_iter().map(chance).collect())
    }

    fn at_most(&self, u: usize) -> f64 {
        self.0[u]
    }
}

/// All differences of a value of `x` and one of `y`, which are sorted and not empty. There may be far too many
/// to keep.
struct Differences {
    x: Vec<f64>,
    y: Vec<f64>,
}

impl Differences {
    fn new(first: &[f64], second: &[f64]) -> Option<Self> {
        let values = |keys: Vec<u64>| keys.into_iter().map(from_key).collect();
        Some(Self { x: values(sorted(first)?), y: values(sorted(second)?) })
    }

    fn count(&self) -> u64 {
        self.x.len() as u64 * self.y.len() as u64
    }

    /// The `rank`-th least, from 1 to [`count`](Self::count).
    ///
    /// Halves the range in which it must lie by counting, until few enough are in it to look at each. As it is
    /// the patterns of bits that are halved, this ends after 64 times, whatever the values are.
    fn nth(&self, rank: u64) -> f64 {
        let enough = (self.x.len() + self.y.len()) as u64;
        let (mut low, mut high) = (to_key(self.least()), to_key(self.greatest()));
        let (mut below, mut up_to) = (0, self.count());
        while low < high && up_to - below > enough {
            let middle = u64::midpoint(low, high);
            let count = self.at_most(from_key(middle));
            if count >= rank {
                (high, up_to) = (middle, count);
            } else {
                (low, below) = (middle + 1, count);
            }
        }
        if low == high {
            return from_key(low);
        }
        let mut within = self.within(from_key(low), from_key(high));
        *within.select_nth_unstable_by((rank - below - 1) as usize, f64::total_cmp).1
    }

    /// How many are not above `bound`. Subtraction rounds, but never changes the order, so the least `y` for
    /// which the difference is not above it only grows with `x`.
    fn at_most(&self, bound: f64) -> u64 {
        let (mut i, mut j, mut count) = (0, 0, 0);
        // Both advance without a branch on a value.
        while i < self.x.len() && j < self.y.len() {
            let above = self.x[i] - self.y[j] > bound;
            count += if above { 0 } else { (self.y.len() - j) as u64 };
            j += usize::from(above);
            i += usize::from(!above);
        }
        count
    }

    /// Those from `low` to `high`.
    fn within(&self, low: f64, high: f64) -> Vec<f64> {
        let mut within = Vec::new();
        let mut from = 0;
        for x in &self.x {
            while from < self.y.len() && x - self.y[from] > high {
                from += 1;
            }
            within.extend(self.y[from..].iter().map(|y| x - y).take_while(|difference| *difference >= low));
        }
        within
    }

    fn least(&self) -> f64 {
        self.x[0] - self.y[self.y.len() - 1]
    }

    fn greatest(&self) -> f64 {
        self.x[self.x.len() - 1] - self.y[0]
    }
}

/// An integer for each finite or infinite number, in the same order; one for both zeros.
fn to_key(value: f64) -> u64 {
    let magnitude = value.abs().to_bits();
    if value.is_sign_negative() { ZERO - magnitude } else { ZERO + magnitude }
}

fn from_key(key: u64) -> f64 {
    if key < ZERO { -f64::from_bits(ZERO - key) } else { f64::from_bits(key - ZERO) }
}

/// The key of 0.
const ZERO: u64 = 1 << 63;

/// The key of no number.
const NAN: u64 = 0;
