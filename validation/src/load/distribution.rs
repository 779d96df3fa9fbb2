//! Times, counted so that quantiles can be asked for afterwards.

use std::{fmt, time::Duration};

use hdrhistogram::Histogram;

use crate::statistics::{lower_rank, sample_rank, upper_rank};

/// Times, counted in an HDR histogram of fixed size: each is known to 0.1 % and to a microsecond, and what is longer
/// than an hour counts as an hour.
#[derive(Clone)]
pub struct Distribution(Histogram<u64>);

impl Distribution {
    /// How far a quantile may be off for being counted in classes: a thousandth of it, and no less than a microsecond.
    pub const PRECISION: f64 = 1e-3;

    const DIGITS: u8 = 3;
    const LONGEST: u64 = 3_600_000_000;

    /// No times yet.
    #[must_use]
    pub fn new() -> Self {
        Self(
            Histogram::new_with_bounds(1, Self::LONGEST, Self::DIGITS)
                .expect("from 1 µs to an hour with three digits is a histogram"),
        )
    }

    /// Counts one time.
    pub fn record(&mut self, time: Duration) {
        self.0.saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX).min(Self::LONGEST));
    }

    /// How many were counted.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Whether none was.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The mean; `None` without any.
    #[must_use]
    pub fn mean(&self) -> Option<Duration> {
        (!self.is_empty()).then(|| Duration::from_secs_f64(self.0.mean() / 1e6))
    }

    /// The longest; `None` without any.
    #[must_use]
    pub fn max(&self) -> Option<Duration> {
        (!self.is_empty()).then(|| Duration::from_micros(self.0.max()))
    }

    /// The sample's own quantile; `None` without any time.
    #[must_use]
    pub fn quantile(&self, quantile: f64) -> Option<Duration> {
        self.at_rank(sample_rank(self.len(), quantile), Edge::Middle)
    }

    /// What the quantile is above of with `confidence`; `None` if there are too few times to say.
    #[must_use]
    pub fn lower(&self, quantile: f64, confidence: f64) -> Option<Duration> {
        self.at_rank(lower_rank(self.len(), quantile, confidence)?, Edge::Lower)
    }

    /// What the quantile is below of with `confidence`; `None` if there are too few times to say.
    #[must_use]
    pub fn upper(&self, quantile: f64, confidence: f64) -> Option<Duration> {
        self.at_rank(upper_rank(self.len(), quantile, confidence)?, Edge::Upper)
    }

    /// How many times there are up to each of `edges`, which ascend, and above the one before; at the end those above
    /// all.
    #[must_use]
    pub fn between(&self, edges: &[Duration]) -> Vec<u64> {
        let mut counts = vec![0; edges.len() + 1];
        for step in self.0.iter_recorded() {
            let time = Duration::from_micros(step.value_iterated_to());
            counts[edges.partition_point(|edge| *edge < time)] += step.count_at_value();
        }
        counts
    }

    /// The time of this rank, from 1, at this edge of its class.
    fn at_rank(&self, rank: u64, edge: Edge) -> Option<Duration> {
        let mut below = 0;
        let step = self.0.iter_recorded().find(|step| {
            below += step.count_at_value();
            below >= rank
        })?;
        let value = step.value_iterated_to();
        Some(Duration::from_micros(match edge {
            Edge::Lower => self.0.lowest_equivalent(value),
            Edge::Middle => self.0.median_equivalent(value),
            Edge::Upper => self.0.highest_equivalent(value),
        }))
    }
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
}
