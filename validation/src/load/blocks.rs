//! What happens in a load, by when it was due.

use std::{ops::AddAssign, time::Duration};

use crate::statistics::WeightedShare;

/// What happens in a load, summed up over blocks of time of the same length.
///
/// There are 10 to 20 of them once a load is 10 ms old: they begin with a millisecond, and are put together two by two
/// whenever there are more (Y. Yeh, B. W. Schmeiser, *Simulation output analysis via dynamic batch means*, Proceedings of
/// the Winter Simulation Conference, 2000). So nothing of a load need be known beforehand, and little is kept of it.
#[derive(Clone, Debug)]
pub(super) struct Blocks<T> {
    width: Duration,
    blocks: Vec<T>,
}

/// Trials of requests, by when those were due. A request of several trials, as of the gaps between the parts of its
/// answer, is one cluster of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Trials {
    /// Requests whose trials are known.
    pub(super) requests: u64,
    pub(super) trials: u64,
    /// The sum of the squares of their trials.
    squares: f64,
    /// Requests whose trials nobody knows.
    unknown: u64,
    blocks: Blocks<Lot>,
}

/// All that is held against a floor.
#[derive(Clone, Debug, Default)]
pub(super) struct ByTime {
    /// Of each limit, in their order: times that keep it.
    pub(super) limits: Vec<Trials>,
    /// Requests that were answered.
    pub(super) answered: Trials,
    /// Requests that were answered within every limit.
    pub(super) good: Trials,
}

/// The trials of a block.
#[derive(Clone, Copy, Debug, Default)]
struct Lot {
    hits: u64,
    misses: u64,
    /// Requests whose trials nobody knows.
    unknown: u64,
}

/// What trials that nobody knows are taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    /// They are left out.
    None,
    Hits,
    Misses,
}

impl<T: Default + AddAssign> Blocks<T> {
    /// The most there are.
    pub(super) const MOST: usize = 20;

    /// The block of what was due so long after the beginning.
    pub(super) fn at(&mut self, due: Duration) -> &mut T {
        let place = |width: Duration| due.as_nanos() / width.as_nanos().max(1);
        while place(self.width) >= Self::MOST as u128 {
            self.width = self.width.saturating_mul(2);
            let mut pairs = Vec::with_capacity(Self::MOST);
            for (i, block) in std::mem::take(&mut self.blocks).into_iter().enumerate() {
                match pairs.last_mut() {
                    Some(pair) if i % 2 == 1 => *pair += block,
                    _ => pairs.push(block),
                }
            }
            self.blocks = pairs;
        }
        let at = place(self.width) as usize;
        if self.blocks.len() <= at {
            self.blocks.resize_with(at + 1, T::default);
        }
        &mut self.blocks[at]
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, T> {
        self.blocks.iter()
    }
}

impl<T> Default for Blocks<T> {
    fn default() -> Self {
        Self { width: Duration::from_millis(1), blocks: Vec::new() }
    }
}

impl Trials {
    /// Counts the trials of a request.
    pub(super) fn count(&mut self, due: Duration, hits: u64, misses: u64) {
        let trials = hits + misses;
        self.requests += 1;
        self.trials += trials;
        self.squares += (trials as f64).powi(2);
        *self.blocks.at(due) += Lot { hits, misses, unknown: 0 };
    }

    /// Counts a request whose trials nobody knows.
    pub(super) fn unknown(&mut self, due: Duration) {
        self.unknown += 1;
        *self.blocks.at(due) += Lot { unknown: 1, ..Lot::default() };
    }

    /// The share of hits, and how many independent trials it is worth; what is unknown weighs as much as a request does
    /// on average. `None` without a trial.
    pub(super) fn share(&self, unknown: Unknown, confidence: f64) -> Option<WeightedShare> {
        let each = if self.requests == 0 { 1.0 } else { self.trials as f64 / self.requests as f64 };
        let counted = if unknown == Unknown::None { 0.0 } else { each };
        let blocks = self.blocks.iter().map(|lot| {
            let open = lot.unknown as f64 * counted;
            let hits = lot.hits as f64 + if unknown == Unknown::Hits { open } else { 0.0 };
            (hits, (lot.hits + lot.misses) as f64 + open)
        });
        let open = self.unknown as f64 * counted;
        let trials = self.trials as f64 + open;
        let clusters = trials * trials / (self.squares + open * counted);
        WeightedShare::in_blocks(blocks, clusters, trials.round() as u64, confidence)
    }
}

impl ByTime {
    /// Counts a request of which nobody knows what would have become.
    pub(super) fn unknown(&mut self, due: Duration) {
        let all = self.limits.iter_mut().chain([&mut self.answered, &mut self.good]);
        all.for_each(|trials| trials.unknown(due));
    }
}

impl AddAssign for Lot {
    fn add_assign(&mut self, other: Self) {
        self.hits += other.hits;
        self.misses += other.misses;
        self.unknown += other.unknown;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_few_and_hold_everything() {
        let mut blocks = Blocks::<u64>::default();
        for due in 0..300_000_u64 {
            *blocks.at(Duration::from_millis(due)) += 1;
            let now = blocks.iter().len();
            assert!(now <= 20 && (due < 10 || now >= 10), "{now} blocks after {due} ms");
        }
        assert_eq!(blocks.iter().sum::<u64>(), 300_000);
        // Each of 16 384 ms, but the last.
        assert_eq!(blocks.iter().take(18).copied().collect::<Vec<_>>(), [16_384; 18]);
        *blocks.at(Duration::MAX) += 1;
        assert_eq!(blocks.iter().sum::<u64>(), 300_001);
    }

    #[test]
    fn what_is_unknown_weighs_as_a_request() {
        let mut gaps = Trials::default();
        for second in 0..100 {
            gaps.count(Duration::from_secs(second), 30, 0);
        }
        for second in 100..110 {
            gaps.unknown(Duration::from_secs(second));
        }
        let share = |unknown| gaps.share(unknown, 0.95).unwrap();
        // Ten of a hundred and ten answers, however many gaps each of them has.
        assert!((share(Unknown::Misses).share - 100.0 / 110.0).abs() < 1e-12);
        assert_eq!((share(Unknown::Hits).share, share(Unknown::None).share), (1.0, 1.0));
        assert!((share(Unknown::None).effective - 100.0).abs() < 1e-9);
        assert!((share(Unknown::Hits).effective - 110.0).abs() < 1e-9);
    }

    /// SciPy 1.17, with `h`, `w` the hits and trials of blocks, `n = w.sum()`, `p = h.sum()/n`, `c` blocks, and
    /// `s` the sum of squares of the trials of requests:
    /// `v = c/(c-1)*((h-p*w)**2).sum()/n**2`, `e = p*(1-p)/v*(t.ppf(.95,n-1)/t.ppf(.95,c-1))**2`, `kish = n*n/s`, and
    /// `min(beta.ppf(.05,p*e,e-p*e+1), .05**(1/kish))`, `max(beta.ppf(.95,p*e+1,e-p*e), 1-.05**(1/kish))`.
    #[test]
    fn bounds_are_those_of_the_formula() {
        let mut gaps = Trials::default();
        for (block, hits) in (0..).zip([50, 50, 49, 50, 48, 50, 30, 50, 50, 47, 50, 50]) {
            // Five answers of ten gaps each, in blocks of 1.024 s.
            let mut misses = 50 - hits;
            for answer in 0..5 {
                let missed = 10.min(misses);
                misses -= missed;
                gaps.count(Duration::from_millis(block * 1024 + answer * 200), 10 - missed, missed);
            }
        }
        let found = |gaps: &Trials, unknown| {
            let share = gaps.share(unknown, 0.95).unwrap();
            [share.share, share.effective, share.kish, share.lower(0.95), share.upper(0.95)]
        };
        let near = |found: [f64; 5], expected: [f64; 5]| {
            let off = found.into_iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(off < 1e-5, "{found:?} {expected:?}");
        };
        near(found(&gaps, Unknown::None), [0.956_667, 32.185_491, 60.0, 0.843_095, 0.995_496]);
        gaps.unknown(Duration::from_millis(6 * 1024));
        gaps.unknown(Duration::from_millis(6 * 1024 + 200));
        near(found(&gaps, Unknown::None), [0.956_667, 32.185_491, 60.0, 0.843_095, 0.995_496]);
        near(found(&gaps, Unknown::Misses), [0.925_806, 15.284_834, 62.0, 0.713_494, 0.994_884]);
        near(found(&gaps, Unknown::Hits), [0.958_065, 36.271_861, 62.0, 0.854_821, 0.994_944]);
    }
}
