//! Counts of values that are told apart as finely as memory allows.

use std::borrow::Cow;

/// How often each key occurred, in order of the keys. There are never more than a limit: where there would be, the
/// lowest bits of all keys are dropped, one after the other, until there are few enough.
///
/// How many bits are dropped depends on which keys there are and on nothing else, as keys that differ in what is kept
/// of them differ before as well. Therefore parts that were counted apart and merged, in any order, are **the same to
/// the bit** as all counted at once.
///
/// The idea of collapsing all cells alike: I. Epicoco, C. Melle, M. Cafaro, M. Pulimeno, G. Morleo, *UDDSketch:
/// accurate tracking of quantiles in data streams*, IEEE Access 8, 2020.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cells {
    dropped: u32,
    keys: Vec<u64>,
    counts: Vec<u64>,
}

impl Cells {
    /// Of keys in order, each occurring so often; `None` if they are out of order, have bits that are dropped, or do
    /// not occur, or if all together occur more often than a number can say.
    pub(super) fn new(dropped: u32, keys: Vec<u64>, counts: Vec<u64>) -> Option<Self> {
        let sound = dropped < u64::BITS
            && keys.len() == counts.len()
            && keys.is_sorted_by(|one, other| one < other)
            && keys.iter().all(|key| *key == kept(*key, dropped))
            && counts.iter().all(|count| *count > 0)
            && counts.iter().try_fold(0_u64, |sum, count| sum.checked_add(*count)).is_some();
        sound.then_some(Self { dropped, keys, counts })
    }

    /// How many bits are dropped.
    pub(super) const fn dropped(&self) -> u32 {
        self.dropped
    }

    pub(super) fn keys(&self) -> &[u64] {
        &self.keys
    }

    pub(super) fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// How many values there are.
    pub(super) fn total(&self) -> u64 {
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Takes keys in any order, which are left in order.
    pub(super) fn take(&mut self, keys: &mut [u64], limit: usize) {
        let dropped = self.dropped;
        keys.iter_mut().for_each(|key| *key = kept(*key, dropped));
        keys.sort_unstable();
        let mut run = Self { dropped, ..Self::default() };
        keys.iter().for_each(|key| run.append(*key, 1));
        self.merge(&run, limit);
    }

    /// Takes all that `other` has.
    pub(super) fn merge(&mut self, other: &Self, limit: usize) {
        let dropped = self.dropped.max(other.dropped);
        let mut merged = Self { dropped, ..Self::default() };
        let cells = self.keys.len() + other.keys.len();
        merged.keys.reserve(cells);
        merged.counts.reserve(cells);
        for (key, one, another) in Both::new(self, other) {
            merged.append(key, one.saturating_add(another));
        }
        merged.shrink(limit);
        *self = merged;
    }

    /// Drops bits until there are no more than `limit` cells.
    pub(super) fn shrink(&mut self, limit: usize) {
        while self.keys.len() > limit.max(2) {
            let mut dropped = self.dropped + 1;
            // Each bit less is a pass, so those that change too little are counted and not made.
            while distinct(&self.keys, dropped) > limit.max(2) {
                dropped += 1;
            }
            *self = self.at(dropped).into_owned();
        }
    }

    /// The same with so many bits dropped, if they were fewer.
    pub(super) fn at(&self, dropped: u32) -> Cow<'_, Self> {
        if dropped <= self.dropped {
            return Cow::Borrowed(self);
        }
        let mut coarse = Self { dropped, ..Self::default() };
        let cells = self.keys.iter().zip(&self.counts);
        cells.for_each(|(key, count)| coarse.append(kept(*key, dropped), *count));
        Cow::Owned(coarse)
    }

    /// Counts a key that is not below any before.
    fn append(&mut self, key: u64, count: u64) {
        match (self.keys.last(), self.counts.last_mut()) {
            (Some(last), Some(counted)) if *last == key => *counted = counted.saturating_add(count),
            _ => {
                self.keys.push(key);
                self.counts.push(count);
            }
        }
    }
}

/// The cells of two in one order: each key, and how often it occurs in either.
#[derive(Debug)]
pub(super) struct Both<'a> {
    first: Cow<'a, Cells>,
    second: Cow<'a, Cells>,
    i: usize,
    j: usize,
}

impl<'a> Both<'a> {
    /// With the bits dropped that either has dropped.
    pub(super) fn new(first: &'a Cells, second: &'a Cells) -> Self {
        let dropped = first.dropped.max(second.dropped);
        Self { first: first.at(dropped), second: second.at(dropped), i: 0, j: 0 }
    }
}

impl Iterator for Both<'_> {
    type Item = (u64, u64, u64);

    fn next(&mut self) -> Option<Self::Item> {
        let (one, another) = (self.first.keys.get(self.i), self.second.keys.get(self.j));
        let key = match (one, another) {
            (Some(one), Some(another)) => *one.min(another),
            (one, another) => *one.or(another)?,
        };
        let (in_first, in_second) = (one == Some(&key), another == Some(&key));
        let count = |has: bool, counts: &[u64], at: usize| if has { counts[at] } else { 0 };
        let item =
            (key, count(in_first, &self.first.counts, self.i), count(in_second, &self.second.counts, self.j));
        self.i += usize::from(in_first);
        self.j += usize::from(in_second);
        Some(item)
    }
}

/// A key without its lowest bits.
pub(super) const fn kept(key: u64, dropped: u32) -> u64 {
    (key >> dropped) << dropped
}

/// How many cells there are of keys in order with so many bits dropped.
fn distinct(keys: &[u64], dropped: u32) -> usize {
    1 + keys.windows(2).filter(|pair| pair[0] >> dropped != pair[1] >> dropped).count()
}
