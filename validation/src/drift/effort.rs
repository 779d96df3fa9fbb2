//! How much shuffling may take.

use super::{Permutations, Samples};

/// How much shuffling the test of one feature may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effort {
    permutations: Permutations,
    steps: u64,
}

/// The fewest vectors, of both sides together, that are told apart in any case.
const FEWEST: usize = 40;
/// What it takes to see how far apart two vectors are, beside what shuffling takes.
const APART: u64 = 128;

impl Effort {
    /// So many shuffles, unless they take more steps than this.
    pub(super) const fn new(permutations: Permutations, steps: u64) -> Self {
        Self { permutations, steps }
    }

    pub(super) const fn seed(self) -> u64 {
        self.permutations.seed
    }

    /// As many shuffles as there is room for, of so many steps each.
    pub(super) fn shuffles(self, each: u64) -> Permutations {
        let room = u32::try_from(self.steps / each.max(1)).unwrap_or(u32::MAX);
        Permutations { count: self.count().min(room).max(1), ..self.permutations }
    }

    /// How many vectors of both sides together there is room for.
    pub(super) fn vectors(self) -> usize {
        let shuffles = u64::from(self.count().max(Samples::FEWEST_PERMUTATIONS));
        let fits = |size: &usize| {
            let size = *size as u64;
            training(size) + size * size * (shuffles + APART) <= self.steps
        };
        (FEWEST..=Samples::MOST).rev().find(fits).unwrap_or(FEWEST)
    }

    /// As many shuffles of vectors as there is room for once they were learned from.
    pub(super) fn of_vectors(self, samples: &Samples) -> Permutations {
        let (n, m) = samples.sizes();
        let size = (n + m) as u64;
        let left = Self { steps: self.steps.saturating_sub(training(size)), ..self };
        left.shuffles(size * size)
    }

    fn count(self) -> u32 {
        self.permutations.count.min(Permutations::MOST)
    }
}

/// What it takes to solve for the weights of a classifier.
const fn training(size: u64) -> u64 {
    2 * size * size * size
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is_room_for_is_done_and_no_more() {
        let effort = |steps| Effort::new(Permutations { count: 1_000_000, seed: 7 }, steps);
        assert_eq!(effort(1 << 20).shuffles(1 << 10).count, 1 << 10);
        assert_eq!((effort(1 << 20).shuffles(0).count, effort(0).shuffles(9).count), (1_000_000, 1));
        assert_eq!((effort(0).vectors(), effort(u64::MAX).vectors()), (FEWEST, Samples::MOST));
        for steps in [1_u64 << 33, 1 << 34, 1 << 36, 1 << 40] {
            let size = effort(steps).vectors() as u64;
            let taken = |size: u64| training(size) + size * size * (1_000_000 + APART);
            assert!((FEWEST as u64 + 1..Samples::MOST as u64).contains(&size), "{size}");
            assert!(taken(size) <= steps && taken(size + 1) > steps, "{size}");
        }
    }
}
