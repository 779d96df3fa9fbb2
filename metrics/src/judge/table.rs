//! Hits and misses on two sides, and how likely they are given their totals.

/// A two-by-two table: hits and misses of the candidate and of the baseline in one window.
///
/// Given how many trials each side had and how many hits there were in all, the number that fell to the
/// candidate has Fisher's noncentral hypergeometric distribution, which depends on the odds ratio alone:
/// whatever moved the rate of both sides in that window (a spike, the time of day, another split of traffic)
/// has no part in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    candidate_hits: u64,
    candidate_trials: u64,
    baseline_trials: u64,
    /// Hits on both sides.
    hits: u64,
}

/// So many odds ratios are computed at once, in the registers of the processor.
const LANE: usize = 16;

/// Odds ratios at which many tables are looked at, and room for what they say there.
#[derive(Clone, Debug)]
pub(super) struct Odds {
    count: usize,
    ratios: Vec<[f64; LANE]>,
    inverses: Vec<[f64; LANE]>,
    sums: Vec<[f64; LANE]>,
    above: Vec<f64>,
    below: Vec<f64>,
}

impl Odds {
    pub(super) fn new(ratios: &[f64]) -> Self {
        let lanes: Vec<_> = ratios
            .chunks(LANE)
            .map(|chunk| {
                let mut lane = [1.0; LANE];
                lane[..chunk.len()].copy_from_slice(chunk);
                lane
            })
            .collect();
        Self {
            count: ratios.len(),
            inverses: lanes.iter().map(|lane| lane.map(|ratio| 1.0 / ratio)).collect(),
            sums: vec![[1.0; LANE]; lanes.len()],
            ratios: lanes,
            above: Vec::new(),
            below: Vec::new(),
        }
    }

    /// Each odds ratio, with what the last table said there.
    pub(super) fn sums(&self) -> impl Iterator<Item = (f64, f64)> {
        self.ratios
            .as_flattened()
            .iter()
            .copied()
            .zip(self.sums.as_flattened().iter().copied())
            .take(self.count)
    }
}

/// `Σ coefficients[i] · powersⁱ⁺¹`.
fn horner(coefficients: &[f64], powers: &[f64; LANE]) -> [f64; LANE] {
    let mut sums = [0.0; LANE];
    for coefficient in coefficients.iter().rev() {
        for (sum, power) in sums.iter_mut().zip(powers) {
            *sum = (*sum + coefficient) * power;
        }
    }
    sums
}

impl Table {
    /// `(hits, trials)` of each side. `None` if there are more hits than trials, or more trials than
    /// [`Observation::MAX_TRIALS`](crate::Observation::MAX_TRIALS).
    #[must_use]
    pub fn new(candidate: (u64, u64), baseline: (u64, u64)) -> Option<Self> {
        let possible = |(hits, trials)| hits <= trials && trials <= crate::Observation::MAX_TRIALS;
        (possible(candidate) && possible(baseline)).then(|| Self {
            candidate_hits: candidate.0,
            candidate_trials: candidate.1,
            baseline_trials: baseline.1,
            hits: candidate.0 + baseline.0,
        })
    }

    /// The natural logarithm of how much likelier the table is at the odds ratio `alternative` than at
    /// `null`, both positive and finite:
    ///
    /// `(r/r₀)^x · P₀(r₀)/P₀(r)` with `P₀(r) = Σₖ C(n_c,k)·C(n_b,e−k)·rᵏ`, where `x` of `n_c` are the
    /// candidate's, `n_b` the baseline's trials, and `e` the hits of both. It is 0 where the totals leave no
    /// choice.
    ///
    /// Takes time in proportion to the square root of the hits, or to how unlikely the table is.
    ///
    /// ```
    /// # use tidegate_metrics::Table;
    /// let table = Table::new((3, 100), (9, 900)).unwrap();
    /// assert!((table.log_likelihood_ratio(2.0, 1.0).exp() - 2.561552218).abs() < 1e-9);
    /// ```
    #[must_use]
    pub fn log_likelihood_ratio(&self, alternative: f64, null: f64) -> f64 {
        self.log_likelihood(alternative) - self.log_likelihood(null)
    }

    /// The mean and the variance of the candidate's hits, given the totals, if both sides have the same odds
    /// (hypergeometric). `None` where the totals leave no choice.
    pub(crate) fn central(&self) -> Option<(f64, f64)> {
        let [hits, candidate, baseline] =
            [self.hits, self.candidate_trials, self.baseline_trials].map(|n| n as f64);
        let all = candidate + baseline;
        let variance = hits * (candidate / all) * (baseline / all) * ((all - hits) / (all - 1.0));
        (variance > 0.0).then_some((hits * candidate / all, variance))
    }

    /// Hits and trials of the candidate.
    pub(crate) const fn candidate(&self) -> (u64, u64) {
        (self.candidate_hits, self.candidate_trials)
    }

    /// Hits and trials of the baseline.
    pub(crate) const fn baseline(&self) -> (u64, u64) {
        (self.hits - self.candidate_hits, self.baseline_trials)
    }

    /// What the table adds to the numerator and the denominator of the Mantel–Haenszel estimate of a common odds
    /// ratio.
    pub(super) fn mantel_haenszel(&self) -> (f64, f64) {
        let trials = (self.candidate_trials + self.baseline_trials) as f64;
        if trials == 0.0 {
            return (0.0, 0.0);
        }
        let baseline_hits = (self.hits - self.candidate_hits) as f64;
        let candidate_misses = (self.candidate_trials - self.candidate_hits) as f64;
        (
            self.candidate_hits as f64 * (self.baseline_trials as f64 - baseline_hits) / trials,
            baseline_hits * candidate_misses / trials,
        )
    }

    /// `1/P(r)` for each of the odds ratios `r`, where `P` is how likely the table is given its totals: the sum of
    /// all terms in units of the observed one, so at least 1. Infinite where a float cannot hold it.
    ///
    /// One walk over the terms serves all odds ratios, by Horner's scheme from either end towards the observed
    /// term: in `r` from above it, in `1/r` from below.
    ///
    /// A table of more terms than anybody's traffic has is infinite throughout, so that time and memory are bounded.
    pub(super) fn inverse_likelihoods(&self, odds: &mut Odds) {
        const MOST_TERMS: u64 = 1 << 16;
        if self.most() - self.least() > MOST_TERMS {
            odds.sums.as_flattened_mut().fill(f64::INFINITY);
            return;
        }
        odds.above.clear();
        odds.below.clear();
        let observed = self.candidate_hits;
        if self.least() < self.most() {
            let mut coefficient = 1.0;
            odds.above.extend((observed..self.most()).map(|k| {
                coefficient *= self.ratio(k);
                coefficient
            }));
            coefficient = 1.0;
            odds.below.extend((self.least()..observed).rev().map(|k| {
                coefficient /= self.ratio(k);
                coefficient
            }));
        }
        for (lane, sums) in odds.sums.iter_mut().enumerate() {
            let above = horner(&odds.above, &odds.ratios[lane]);
            let below = horner(&odds.below, &odds.inverses[lane]);
            for ((sum, above), below) in sums.iter_mut().zip(above).zip(below) {
                *sum = 1.0 + above + below;
            }
        }
    }

    /// The natural logarithm of how likely the table is, given its totals.
    pub(super) fn log_likelihood(&self, odds_ratio: f64) -> f64 {
        if self.least() == self.most() {
            return 0.0;
        }
        let mode = self.mode(odds_ratio);
        self.log_term(mode, odds_ratio) - self.sum(mode, odds_ratio).ln()
    }

    /// The logarithm of the observed term, in units of the greatest.
    fn log_term(&self, mode: u64, odds_ratio: f64) -> f64 {
        /// Beyond this the terms are far smaller than anything that matters, so that logarithms of
        /// factorials, which are exact to a few thousandths there, save the walk.
        const WALK: u64 = 1 << 16;
        let observed = self.candidate_hits;
        let (from, to) = (mode.min(observed), mode.max(observed));
        let (mut log, mut product) = (0.0, 1.0_f64);
        if to - from > WALK {
            let upward = self.log_count(to) - self.log_count(from) + (to - from) as f64 * odds_ratio.ln();
            return if observed > mode { upward } else { -upward };
        }
        for k in from..to {
            product *= self.ratio(k) * odds_ratio;
            if !(1e-200..1e200).contains(&product) {
                log += product.ln();
                product = 1.0;
            }
        }
        log += product.ln();
        if observed > mode { log } else { -log }
    }

    /// The sum of all terms, in units of the greatest. Terms fall ever faster on both sides of it.
    fn sum(&self, mode: u64, odds_ratio: f64) -> f64 {
        const NEGLIGIBLE: f64 = 1e-20;
        let mut sum = 1.0;
        let mut term = 1.0;
        for k in mode..self.most() {
            term *= self.ratio(k) * odds_ratio;
            sum += term;
            if term < NEGLIGIBLE {
                break;
            }
        }
        term = 1.0;
        for k in (self.least()..mode).rev() {
            term /= self.ratio(k) * odds_ratio;
            sum += term;
            if term < NEGLIGIBLE {
                break;
            }
        }
        sum
    }

    /// The number of candidate's hits whose term is the greatest.
    fn mode(&self, odds_ratio: f64) -> u64 {
        let (mut low, mut high) = (self.least(), self.most());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.ratio(middle) * odds_ratio > 1.0 { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// How many more ways there are for `k + 1` hits to fall to the candidate than for `k`.
    fn ratio(&self, k: u64) -> f64 {
        let more = (self.candidate_trials - k) as f64 * (self.hits - k) as f64;
        let fewer = (k + 1) as f64 * (self.baseline_trials + k + 1 - self.hits) as f64;
        more / fewer
    }

    fn log_count(&self, k: u64) -> f64 {
        log_choose(self.candidate_trials, k) + log_choose(self.baseline_trials, self.hits - k)
    }

    fn least(&self) -> u64 {
        self.hits.saturating_sub(self.baseline_trials)
    }

    fn most(&self) -> u64 {
        self.hits.min(self.candidate_trials)
    }
}

fn log_choose(n: u64, k: u64) -> f64 {
    log_factorial(n) - log_factorial(k) - log_factorial(n - k)
}

/// Stirling's series (DLMF 5.11.1), exact to the last digits from 10 on.
fn log_factorial(n: u64) -> f64 {
    if n < 10 {
        return (2..=n).map(|k| (k as f64).ln()).sum();
    }
    let x = n as f64;
    let tail = (1.0 / 12.0 - (1.0 / 360.0 - 1.0 / (1260.0 * x * x)) / (x * x)) / x;
    x * x.ln() - x + 0.5 * (std::f64::consts::TAU * x).ln() + tail
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_walk_for_many_odds_says_the_same() {
        let mut odds = Odds::new(&[0.01, 0.5, 0.9, 1.0, 1.1, 1.5, 2.0, 30.0, 200.0]);
        for table in [
            ((3, 100), (9, 900)),
            ((0, 50), (7, 20)),
            ((5, 5), (0, 1)),
            ((0, 9), (0, 9)),
            ((60, 70), (2, 900)),
        ] {
            let table = Table::new(table.0, table.1).unwrap();
            table.inverse_likelihoods(&mut odds);
            assert_eq!(odds.sums().count(), 9);
            for (ratio, sum) in odds.sums() {
                let (walked, known) = (-sum.ln(), table.log_likelihood(ratio));
                assert!(
                    (walked - known).abs() < 1e-11 * known.abs().max(1.0),
                    "{walked} {known} {ratio} {table:?}"
                );
            }
        }
    }

    #[test]
    fn the_greatest_counts_take_no_memory() {
        let most = crate::Observation::MAX_TRIALS;
        let mut odds = Odds::new(&[0.5, 2.0]);
        Table::new((most / 3, most), (most / 2, most)).unwrap().inverse_likelihoods(&mut odds);
        assert!(odds.sums().all(|(_, sum)| sum == f64::INFINITY));
        assert!(odds.above.is_empty() && odds.below.is_empty());
    }

    #[test]
    fn walking_and_factorials_agree() {
        let table = Table::new((40_000, 200_000), (20_000, 900_000)).unwrap();
        let (from, to) = (10_000, 40_000);
        let walked: f64 = (from..to).map(|k| table.ratio(k).ln()).sum();
        let counted = table.log_count(to) - table.log_count(from);
        assert!((walked - counted).abs() < 1e-6, "{walked} {counted}");
    }

    #[test]
    fn the_greatest_counts_end_in_finite_numbers_soon() {
        let most = crate::Observation::MAX_TRIALS;
        for table in [((most, most), (0, most)), ((0, most), (most / 1000, most)), ((1, 1), (most, most))] {
            let table = Table::new(table.0, table.1).unwrap();
            assert!(table.log_likelihood_ratio(30.0, 1.0).is_finite());
        }
    }
}
