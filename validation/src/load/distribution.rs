//! Times, counted so that quantiles can be asked for afterwards.

use std::{fmt, ops::AddAssign, time::Duration};

use hdrhistogram::Histogram;

use super::blocks::Blocks;
use crate::statistics::{WeightedShare, lower_rank, sample_rank, upper_rank};

/// Times, counted in an HDR histogram of fixed size: each is known to 0.1 % and to a microsecond, and what is longer
/// than an hour counts as an hour.
///
/// Times that a load measured are known by request and by when it was due. Bounds of their quantiles are those of
/// as many independent times as they are worth: R. S. Woodruff, *Confidence intervals for medians and other position
/// measures*, Journal of the American Statistical Association 47, 1952, with what the share of times up to the quantile
/// varies [from block to block](WeightedShare::in_blocks). However little that is, times of a few requests have no bounds of
/// quantiles beyond which another request of its own kind could lie.
#[derive(Clone)]
pub struct Distribution {
    times: Histogram<u64>,
    /// What was recorded with the request that it is of.
    requests: Requests,
}

/// Times by request, and by when it was due.
#[derive(Clone, Default)]
struct Requests {
    times: u64,
    /// The sum of the squares of how many times each has.
    squares: f64,
    blocks: Blocks<Classes>,
}

/// Times counted in classes, each at most a sixteenth longer than the one before.
#[derive(Clone, Default)]
struct Classes(Vec<u64>);

impl Distribution {
    /// How far a quantile may be off for being counted in classes: a thousandth of it, and no less than a microsecond.
    pub const PRECISION: f64 = 1e-3;

    const DIGITS: u8 = 3;
    const LONGEST: u64 = 3_600_000_000;

    /// No times yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            times: Histogram::new_with_bounds(1, Self::LONGEST, Self::DIGITS)
                .expect("from 1 µs to an hour with three digits is a histogram"),
            requests: Requests::default(),
        }
    }

    /// Counts one time, which is taken for independent of all others.
    pub fn record(&mut self, time: Duration) {
        self.times.saturating_record(micros(time));
    }

    /// Counts the times of a request that was due so long after the beginning.
    pub(super) fn record_of(&mut self, due: Duration, times: &[Duration]) {
        if times.is_empty() {
            return;
        }
        times.iter().for_each(|time| self.record(*time));
        let Requests { times: all, squares, blocks } = &mut self.requests;
        *all += times.len() as u64;
        *squares += (times.len() as f64).powi(2);
        let classes = blocks.at(due);
        times.iter().for_each(|time| classes.count(micros(*time)));
    }

    /// How many were counted.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.times.len()
    }

    /// Whether none was.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// The mean; `None` without any.
    #[must_use]
    pub fn mean(&self) -> Option<Duration> {
        (!self.is_empty()).then(|| Duration::from_secs_f64(self.times.mean() / 1e6))
    }

    /// The longest; `None` without any.
    #[must_use]
    pub fn max(&self) -> Option<Duration> {
        (!self.is_empty()).then(|| Duration::from_micros(self.times.max()))
    }

    /// The sample's own quantile; `None` without any time.
    #[must_use]
    pub fn quantile(&self, quantile: f64) -> Option<Duration> {
        self.at_rank(sample_rank(self.len(), quantile), Edge::Middle)
    }

    /// What the quantile is above of with `confidence`; `None` if there are too few times to say.
    #[must_use]
    pub fn lower(&self, quantile: f64, confidence: f64) -> Option<Duration> {
        let worth = self.worth(quantile, confidence);
        let rank = lower_rank(worth, quantile, confidence)
            .filter(|_| quantile >= 1.0 - self.all_alike(confidence))?;
        self.at_rank(scaled(rank - 1, self.len(), worth) + 1, Edge::Lower)
    }

    /// What the quantile is below of with `confidence`; `None` if there are too few times to say.
    #[must_use]
    pub fn upper(&self, quantile: f64, confidence: f64) -> Option<Duration> {
        let worth = self.worth(quantile, confidence);
        let rank =
            upper_rank(worth, quantile, confidence).filter(|_| quantile <= self.all_alike(confidence))?;
        // The first of the times that the rank stands for is above all below it, and the last is no lower.
        let last = self.len() - scaled(worth - rank, self.len(), worth);
        self.at_rank(last, Edge::Upper)
    }

    /// The share of requests that those which were measured show to be like them, if all of them are: no bound of a share
    /// is nearer to all or to none, as in [`WeightedShare`]. 1 where each time has a request of its own, for then the ranks
    /// say as much.
    fn all_alike(&self, confidence: f64) -> f64 {
        match self.clusters().filter(|clusters| *clusters < self.len() as f64) {
            Some(clusters) => (1.0 - confidence).powf(1.0 / clusters),
            None => 1.0,
        }
    }

    /// How many requests the times are of, by Kish's formula if some have more than others; `None` if that is not known of
    /// all.
    fn clusters(&self) -> Option<f64> {
        let Requests { times, squares, .. } = self.requests;
        (times > 0 && times == self.len()).then(|| (times as f64).powi(2) / squares)
    }

    /// How many independent times those up to about this quantile are worth.
    #[must_use]
    pub fn worth(&self, quantile: f64, confidence: f64) -> u64 {
        let (n, requests) = (self.len(), &self.requests);
        let (Some(at), Some(clusters)) = (self.quantile(quantile), self.clusters()) else { return n };
        let class = class(micros(at));
        let up_to = |classes: usize| {
            let blocks = requests.blocks.iter().map(move |block| block.up_to(classes));
            WeightedShare::in_blocks(blocks, clusters, n, confidence)
                .map_or(clusters, |share| share.effective)
        };
        // All times may be in the class of the quantile, or in those before.
        (up_to(class).min(up_to(class + 1)) as u64).clamp(1, n)
    }

    /// How many times there are up to each of `edges`, which ascend, and above the one before; at the end those above
    /// all.
    #[must_use]
    pub fn between(&self, edges: &[Duration]) -> Vec<u64> {
        let mut counts = vec![0; edges.len() + 1];
        for step in self.times.iter_recorded() {
            let time = Duration::from_micros(step.value_iterated_to());
            counts[edges.partition_point(|edge| *edge < time)] += step.count_at_value();
        }
        counts
    }

    /// The time of this rank, from 1, at this edge of its class.
    fn at_rank(&self, rank: u64, edge: Edge) -> Option<Duration> {
        let mut below = 0;
        let step = self.times.iter_recorded().find(|step| {
            below += step.count_at_value();
            below >= rank
        })?;
        let value = step.value_iterated_to();
        Some(Duration::from_micros(match edge {
            Edge::Lower => self.times.lowest_equivalent(value),
            Edge::Middle => self.times.median_equivalent(value),
            Edge::Upper => self.times.highest_equivalent(value),
        }))
    }
}

impl Classes {
    fn count(&mut self, micros: u64) {
        let class = class(micros);
        if self.0.len() <= class {
            self.0.resize(class + 1, 0);
        }
        self.0[class] += 1;
    }

    /// How many times there are in the first `classes`, and in all.
    fn up_to(&self, classes: usize) -> (f64, f64) {
        let sum = |counts: &[u64]| counts.iter().sum::<u64>() as f64;
        (sum(&self.0[..classes.min(self.0.len())]), sum(&self.0))
    }
}

impl AddAssign for Classes {
    fn add_assign(&mut self, other: Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        self.0.iter_mut().zip(other.0).for_each(|(here, there)| *here += there);
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX).min(Distribution::LONGEST)
}

/// The class of a time: sixteen for each doubling.
fn class(micros: u64) -> usize {
    match micros.checked_ilog2() {
        Some(doublings @ 4..) => (doublings as usize - 3) * 16 + (micros >> (doublings - 4)) as usize % 16,
        _ => micros as usize,
    }
}

/// `rank` of `of` as a rank of `n`, rounded down.
fn scaled(rank: u64, n: u64, of: u64) -> u64 {
    u64::try_from(u128::from(rank) * u128::from(n) / u128::from(of.max(1))).unwrap_or(u64::MAX)
}

/// Where in a class of the histogram a time is taken to be.
#[derive(Clone, Copy, Debug)]
enum Edge {
    Lower,
    Middle,
    Upper,
}

impl Default for Distribution {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |quantile| self.quantile(quantile);
        f.debug_struct("Distribution")
            .field("n", &self.len())
            .field("p50", &at(0.5))
            .field("p99", &at(0.99))
            .field("max", &self.max())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against the sorted times themselves, by the same ranks.
        #[test]
        fn quantiles_and_bounds_are_those_of_the_sorted_times(
            mut micros in prop::collection::vec(1_u64..4_000_000_000, 1..400),
            quantile in 0.01..0.999,
        ) {
            let mut counted = Distribution::new();
            for &time in &micros {
                counted.record(Duration::from_micros(time));
            }
            for time in &mut micros {
                *time = (*time).min(Distribution::LONGEST);
            }
            micros.sort_unstable();
            let n = micros.len() as u64;
            let at = |rank: u64| Duration::from_micros(micros[rank as usize - 1]);
            let off = |found: Duration, true_one: Duration| {
                let error = found.abs_diff(true_one).as_secs_f64();
                error <= (true_one.as_secs_f64() * Distribution::PRECISION).max(1e-6)
            };
            prop_assert_eq!(counted.len(), n);
            prop_assert!(off(counted.quantile(quantile).unwrap(), at(sample_rank(n, quantile))));
            let (lower, upper) = (lower_rank(n, quantile, 0.95), upper_rank(n, quantile, 0.95));
            let bounds = (counted.lower(quantile, 0.95), counted.upper(quantile, 0.95));
            prop_assert_eq!((lower.is_some(), upper.is_some()), (bounds.0.is_some(), bounds.1.is_some()));
            // Classes are rounded against whoever wants to prove something.
            prop_assert!(bounds.0.is_none_or(|bound| bound <= at(lower.unwrap()) && off(bound, at(lower.unwrap()))));
            prop_assert!(bounds.1.is_none_or(|bound| bound >= at(upper.unwrap()) && off(bound, at(upper.unwrap()))));
        }
    }

    #[test]
    fn nothing_has_no_quantile() {
        let none = Distribution::new();
        assert_eq!((none.quantile(0.5), none.mean(), none.max()), (None, None, None));
        assert_eq!((none.lower(0.5, 0.95), none.upper(0.5, 0.95)), (None, None));
        assert_eq!(none.between(&[Duration::from_secs(1)]), [0, 0]);
    }

    #[test]
    fn times_are_counted_between_edges() {
        let mut counted = Distribution::new();
        for ms in [1, 5, 5, 20, 400] {
            counted.record(Duration::from_millis(ms));
        }
        let edges = [2, 10, 100].map(Duration::from_millis);
        assert_eq!(counted.between(&edges), [1, 2, 1, 1]);
    }

    #[test]
    fn classes_ascend_and_are_narrow() {
        let mut before = (0, 0);
        for micros in (0..5_000).chain((5_000..Distribution::LONGEST).step_by(999_983)) {
            let class = class(micros);
            assert!(class == before.1 || class > before.1 && micros > before.0, "{micros}: {class}");
            if class > before.1 {
                before = (micros, class);
            }
            assert!(micros as f64 <= (before.0 as f64 * 17.0 / 16.0).max(before.0 as f64) + 1e6);
        }
        assert!(before.1 < 512, "{before:?}");
    }

    /// Gaps that differ, as much in each answer, show little of answers that are otherwise.
    #[test]
    fn many_gaps_of_few_answers_have_no_bounds_of_high_quantiles() {
        let seed = 7;
        let times = |answers: u64| {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut times = Distribution::new();
            for answer in 0..answers {
                let gaps: Vec<_> =
                    (0..100).map(|_| Duration::from_micros(random.u64(10_000..30_000))).collect();
                times.record_of(Duration::from_secs(answer), &gaps);
            }
            times
        };
        let few = times(10);
        assert!(few.worth(0.95, 0.95) > 100, "{} with seed {seed}", few.worth(0.95, 0.95));
        // 0.05^(1/10) is 0.741, and 0.05^(1/59) is above 0.95.
        for (quantile, upper, lower) in [
            (0.05, true, false),
            (0.25, true, false),
            (0.3, true, true),
            (0.7, true, true),
            (0.75, false, true),
            (0.95, false, true),
        ] {
            let found = (few.upper(quantile, 0.95).is_some(), few.lower(quantile, 0.95).is_some());
            assert_eq!(found, (upper, lower), "{quantile} with seed {seed}");
        }
        assert_eq!([58, 59].map(|answers| times(answers).upper(0.95, 0.95).is_some()), [false, true]);
        assert_eq!([58, 59].map(|answers| times(answers).lower(0.05, 0.95).is_some()), [false, true]);
    }

    /// The gaps of which `Trials` has the bounds by SciPy, where 574 of 600 are worth 32 independent ones.
    #[test]
    fn times_of_one_request_are_not_independent() {
        let (mut clustered, mut plain) = (Distribution::new(), Distribution::new());
        for (block, hits) in (0..).zip([50, 50, 49, 50, 48, 50, 30, 50, 50, 47, 50, 50]) {
            let mut times = vec![Duration::from_millis(10); hits];
            times.resize(50, Duration::from_millis(100));
            for (answer, gaps) in (0..).zip(times.chunks(10)) {
                clustered.record_of(Duration::from_millis(block * 1024 + answer * 200), gaps);
                gaps.iter().for_each(|gap| plain.record(*gap));
            }
        }
        assert_eq!((clustered.len(), clustered.worth(0.9, 0.95), plain.worth(0.9, 0.95)), (600, 32, 600));
        let upper = |times: &Distribution| times.upper(0.9, 0.95).map(|bound| bound.as_millis());
        assert_eq!((upper(&clustered), upper(&plain)), (Some(100), Some(10)));
        assert_eq!(clustered.lower(0.9, 0.95), plain.lower(0.9, 0.95));
        // 32 independent times have no upper bound of so high a quantile.
        assert_eq!((upper(&clustered), clustered.upper(0.95, 0.95)), (Some(100), None));
    }
}
