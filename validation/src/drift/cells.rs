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
    /// Of each cell, once bits are dropped.
    ends: Vec<Ends>,
}

/// The least and the greatest key that are counted in a cell, and how often they are: many values are often one, as
/// zeros are, and those are known exactly however coarse the cell is. Like counts they do not depend on the order in
/// which keys come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) least: u64,
    pub(super) at_least: u64,
    pub(super) greatest: u64,
    pub(super) at_greatest: u64,
}

impl Ends {
    /// Of one key, occurring so often.
    const fn one(key: u64, count: u64) -> Self {
        Self { least: key, at_least: count, greatest: key, at_greatest: count }
    }

    /// Of keys in order, at least one.
    fn of(keys: &[u64]) -> Self {
        let (least, greatest) = (keys[0], keys[keys.len() - 1]);
        let at_least = keys.iter().take_while(|key| **key == least).count() as u64;
        let at_greatest = keys.iter().rev().take_while(|key| **key == greatest).count() as u64;
        Self { least, at_least, greatest, at_greatest }
    }

    /// Of a cell of which nothing is known but where it lies.
    const fn unknown(key: u64, dropped: u32) -> Self {
        Self { least: key, at_least: 0, greatest: key | ((1 << dropped) - 1), at_greatest: 0 }
    }

    /// Of both together.
    pub(super) fn and(self, other: Self) -> Self {
        let least = self.least.min(other.least);
        let greatest = self.greatest.max(other.greatest);
        let (one, another) = (self.counted(least, greatest), other.counted(least, greatest));
        Self {
            least,
            at_least: one.0.saturating_add(another.0),
            greatest,
            at_greatest: one.1.saturating_add(another.1),
        }
    }

    /// How often these keys are counted, as far as is known.
    pub(super) fn counted(self, least: u64, greatest: u64) -> (u64, u64) {
        let count = |key: u64| match key {
            key if key == self.least => self.at_least,
            key if key == self.greatest => self.at_greatest,
            _ => 0,
        };
        (count(least), count(greatest))
    }

    /// How many of `count` values are neither.
    pub(super) fn between(self, count: u64) -> u64 {
        let ends = if self.least == self.greatest {
            self.at_least
        } else {
            self.at_least.saturating_add(self.at_greatest)
        };
        count.saturating_sub(ends)
    }

    fn is_of(self, key: u64, count: u64, dropped: u32) -> bool {
        let ordered = self.least <= self.greatest;
        let inside = kept(self.least, dropped) == key && kept(self.greatest, dropped) == key;
        let counted = match self.least == self.greatest {
            true => self.at_least == count && self.at_greatest == count,
            false => self.at_least.checked_add(self.at_greatest).is_some_and(|ends| ends <= count),
        };
        ordered && inside && counted
    }
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
        let unknown = |key: &u64| Ends::unknown(*key, dropped);
        let ends = if dropped > 0 && sound { keys.iter().map(unknown).collect() } else { Vec::new() };
        sound.then_some(Self { dropped, keys, counts, ends })
    }

    /// These, with what is known of the ends of each; `None` if that cannot be.
    pub(super) fn with_ends(mut self, ends: Vec<Ends>) -> Option<Self> {
        let cells = self.keys.iter().zip(&self.counts).zip(&ends);
        let sound = self.dropped > 0
            && ends.len() == self.keys.len()
            && cells.into_iter().all(|((key, count), ends)| ends.is_of(*key, *count, self.dropped));
        self.ends = ends;
        sound.then_some(self)
    }

    /// What is known of the ends of each, if bits are dropped.
    pub(super) fn ends(&self) -> &[Ends] {
        &self.ends
    }

    /// The greatest number of values of a cell of which it is not known which they are.
    pub(super) fn most_between(&self) -> u64 {
        self.ends.iter().zip(&self.counts).map(|(ends, count)| ends.between(*count)).max().unwrap_or(0)
    }

    fn ends_at(&self, at: usize) -> Ends {
        self.ends.get(at).copied().unwrap_or_else(|| Ends::one(self.keys[at], self.counts[at]))
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
        keys.sort_unstable();
        // What is too much by itself would be too much together, too.
        let dropped = fitting(keys, self.dropped, limit);
        let mut run = Self { dropped, ..Self::default() };
        for cell in keys.chunk_by(|one, other| one >> dropped == other >> dropped) {
            run.append(cell.len() as u64, Ends::of(cell));
        }
        self.merge(&run, limit);
    }

    /// Takes all that `other` has.
    pub(super) fn merge(&mut self, other: &Self, limit: usize) {
        let dropped = self.dropped.max(other.dropped);
        let mut merged = Self { dropped, ..Self::default() };
        let cells = self.keys.len() + other.keys.len();
        merged.keys.reserve(cells);
        merged.counts.reserve(cells);
        let mut both = Both::new(self, other);
        while let Some(cell) = both.next_cell() {
            merged.append(cell.counts.0.saturating_add(cell.counts.1), cell.ends());
        }
        merged.shrink(limit);
        *self = merged;
    }

    /// Drops bits until there are no more than `limit` cells.
    pub(super) fn shrink(&mut self, limit: usize) {
        let dropped = fitting(&self.keys, self.dropped, limit);
        if dropped > self.dropped {
            *self = self.at(dropped).into_owned();
        }
    }

    /// The same with so many bits dropped, if they were fewer.
    pub(super) fn at(&self, dropped: u32) -> Cow<'_, Self> {
        if dropped <= self.dropped {
            return Cow::Borrowed(self);
        }
        let mut coarse = Self { dropped, ..Self::default() };
        self.counts.iter().enumerate().for_each(|(at, count)| coarse.append(*count, self.ends_at(at)));
        Cow::Owned(coarse)
    }

    /// Counts values of a cell that is not below any before.
    fn append(&mut self, count: u64, ends: Ends) {
        let key = kept(ends.least, self.dropped);
        match (self.keys.last(), self.counts.last_mut()) {
            (Some(last), Some(counted)) if *last == key => {
                *counted = counted.saturating_add(count);
                self.ends.last_mut().into_iter().for_each(|last| *last = last.and(ends));
            }
            _ => {
                self.keys.push(key);
                self.counts.push(count);
                if self.dropped > 0 {
                    self.ends.push(ends);
                }
            }
        }
    }
}

/// A cell of two columns: how many values either has in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell {
    pub(super) key: u64,
    pub(super) counts: (u64, u64),
    of_first: Option<Ends>,
    of_second: Option<Ends>,
}

impl Cell {
    /// The ends of both together.
    pub(super) fn ends(&self) -> Ends {
        match (self.of_first, self.of_second) {
            (Some(one), Some(another)) => one.and(another),
            (one, another) => one.or(another).unwrap_or_else(|| Ends::one(self.key, 0)),
        }
    }

    /// How often either has the least and the greatest key of both.
    pub(super) fn at_ends(&self) -> ((u64, u64), (u64, u64)) {
        let Ends { least, greatest, .. } = self.ends();
        let counted = |ends: Option<Ends>| ends.map_or((0, 0), |ends| ends.counted(least, greatest));
        let ((a, b), (c, d)) = (counted(self.of_first), counted(self.of_second));
        ((a, c), (b, d))
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

    /// The next cell, with what is known of its values.
    pub(super) fn next_cell(&mut self) -> Option<Cell> {
        let (i, j) = (self.i, self.j);
        let (key, one, another) = self.next()?;
        let of_first = (self.i > i).then(|| self.first.ends_at(i));
        let of_second = (self.j > j).then(|| self.second.ends_at(j));
        Some(Cell { key, counts: (one, another), of_first, of_second })
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

/// How many bits of keys in order have to be dropped for them to be in at most `limit` cells, 2 at least, if `dropped`
/// are.
fn fitting(keys: &[u64], dropped: u32, limit: usize) -> u32 {
    let are_apart = |pair: &&[u64]| (pair[0] ^ pair[1]) >> dropped != 0;
    // Mostly there is room, and that is quick to see.
    if keys.windows(2).filter(are_apart).count() < limit.max(2) {
        return dropped;
    }
    // Neighbours are in one cell once all bits are dropped in which they differ.
    let mut apart = [0_usize; u64::BITS as usize + 1];
    keys.windows(2).for_each(|pair| apart[(u64::BITS - (pair[0] ^ pair[1]).leading_zeros()) as usize] += 1);
    let mut cells = 1;
    let mut bits = u64::BITS;
    while bits > dropped {
        cells += apart[bits as usize];
        if cells > limit.max(2) {
            break;
        }
        bits -= 1;
    }
    bits
}
