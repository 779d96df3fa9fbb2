//! A column of numbers, summarised.

use serde::{Deserialize, Serialize};

use super::{
    cells::{Cells, Ends, kept},
    counter::Counter,
};

/// The numbers of a column, summarised so that parts summarised anywhere can be merged.
///
/// It counts how often each number occurs. With more different numbers than its limit it counts numbers that agree in
/// their leading bits as one, and [`rank_error`](Self::rank_error) says what that costs: nothing up to the limit, and
/// about the inverse of some thousands for a million measurements and the default limit. A number that occurs over and
/// over, as 0 often does, is known exactly where it is the least or the greatest of those that it is counted with. It
/// takes 48 bytes a number at most, and a few times that while numbers come in.
///
/// Merging is associative and commutative, to the bit: however rows are divided and whatever is merged first, the
/// summary is that of all rows at once, and so is each comparison made with it.
///
/// ```
/// # use tidegate_validation::drift::NumericColumn;
/// let (mut monday, mut tuesday) = (NumericColumn::new(), NumericColumn::new());
/// monday.extend([1.5, 2.0, f64::NAN]);
/// tuesday.extend([2.0, 7.25]);
/// monday.merge(&tuesday);
/// assert_eq!((monday.count(), monday.missing(), monday.rank_error()), (4, 1, 0.0));
/// // Written down as JSON in one place and read in another, it is the same.
/// let text = serde_json::to_string(&monday).unwrap();
/// assert_eq!(serde_json::from_str::<NumericColumn>(&text).unwrap(), monday);
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct NumericColumn {
    limit: usize,
    missing: u64,
    range: Option<(f64, f64)>,
    counter: Counter,
}

impl NumericColumn {
    /// How many different numbers are told apart in any case, unless said otherwise.
    pub const LIMIT: usize = 1 << 16;

    /// The greatest limit.
    pub const MOST: usize = 1 << 24;

    /// No numbers so far.
    #[must_use]
    pub fn new() -> Self {
        Self::with_limit(Self::LIMIT)
    }

    /// No numbers so far; so many different ones are told apart in any case, from 16 to [`MOST`](Self::MOST).
    #[must_use]
    pub fn with_limit(limit: usize) -> Self {
        let limit = limit.clamp(16, Self::MOST);
        Self { limit, missing: 0, range: None, counter: Counter::default() }
    }

    /// No numbers, with the same limit.
    pub(super) fn emptied(&self) -> Self {
        Self::with_limit(self.limit)
    }

    /// Takes one more number. One that is not finite counts as missing, and the answer is whether it does not.
    pub fn push(&mut self, value: f64) -> bool {
        if !value.is_finite() {
            self.miss();
            return false;
        }
        let (least, most) = self.range.unwrap_or((value, value));
        // Zero has two signs and is one number.
        self.range = Some((least.min(value) + 0.0, most.max(value) + 0.0));
        self.counter.push(to_key(value), self.limit);
        true
    }

    /// Counts a row without a number.
    pub fn miss(&mut self) {
        self.miss_rows(1);
    }

    pub(super) fn miss_rows(&mut self, rows: u64) {
        self.missing = self.missing.saturating_add(rows);
    }

    /// Takes all that `other` has. The limit is the lesser of both from now on.
    pub fn merge(&mut self, other: &Self) {
        self.limit = self.limit.min(other.limit);
        self.missing = self.missing.saturating_add(other.missing);
        self.range = match (self.range, other.range) {
            (Some((least, most)), Some((other_least, other_most))) => {
                Some((least.min(other_least), most.max(other_most)))
            }
            (one, another) => one.or(another),
        };
        self.counter.merge(other.settled(), self.limit);
    }

    /// How many numbers there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counter.total()
    }

    /// How many rows are without one.
    #[must_use]
    pub const fn missing(&self) -> u64 {
        self.missing
    }

    /// The least and the greatest number, exactly.
    #[must_use]
    pub const fn range(&self) -> Option<(f64, f64)> {
        self.range
    }

    /// By how much the share of numbers that are at most some number can be off: the greatest share that is counted
    /// as one number without being one. 0 where all different numbers are told apart, and where none but one number is
    /// counted as one, however often it occurs.
    #[must_use]
    pub fn rank_error(&self) -> f64 {
        let cells = self.settled();
        match cells.most_between() {
            0 => 0.0,
            most => most as f64 / cells.total() as f64,
        }
    }

    pub(super) fn settled(&self) -> &Cells {
        self.counter.settled(self.limit)
    }
}

impl Default for NumericColumn {
    fn default() -> Self {
        Self::new()
    }
}

impl Extend<f64> for NumericColumn {
    fn extend<I: IntoIterator<Item = f64>>(&mut self, values: I) {
        for value in values {
            self.push(value);
        }
    }
}

/// Summaries are equal that say the same.
impl PartialEq for NumericColumn {
    fn eq(&self, other: &Self) -> bool {
        (self.limit, self.missing, self.range) == (other.limit, other.missing, other.range)
            && self.settled() == other.settled()
    }
}

/// What a column is written down as.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wire {
    limit: usize,
    missing: u64,
    range: Option<(f64, f64)>,
    dropped_bits: u32,
    keys: Vec<u64>,
    counts: Vec<u64>,
    /// Of each cell the least number and how often it occurs, and the greatest and how often that does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ends: Vec<(u64, u64, u64, u64)>,
}

impl From<NumericColumn> for Wire {
    fn from(NumericColumn { limit, missing, range, counter }: NumericColumn) -> Self {
        let cells = counter.into_cells(limit);
        let (keys, counts) = (cells.keys().to_vec(), cells.counts().to_vec());
        let ends = |ends: &Ends| (ends.least, ends.at_least, ends.greatest, ends.at_greatest);
        let ends = cells.ends().iter().map(ends).collect();
        Self { limit, missing, range, dropped_bits: cells.dropped(), keys, counts, ends }
    }
}

impl TryFrom<Wire> for NumericColumn {
    type Error = &'static str;

    fn try_from(wire: Wire) -> Result<Self, Self::Error> {
        let Wire { limit, missing, range, dropped_bits, keys, counts, ends } = wire;
        if !(16..=Self::MOST).contains(&limit) || keys.len() > limit {
            return Err(
                "a summary has from 16 to 2^24 cells as its limit and no more cells than that; make it anew",
            );
        }
        let mut cells = Cells::new(dropped_bits, keys, counts)
            .ok_or("the cells of a summary are not in order or not counted; make it anew")?;
        if !ends.is_empty() {
            let known =
                |(least, at_least, greatest, at_greatest)| Ends { least, at_least, greatest, at_greatest };
            cells = cells
                .with_ends(ends.into_iter().map(known).collect())
                .ok_or("the ends of the cells of a summary are not in them or not counted; make it anew")?;
        }
        let within = match (range, cells.keys()) {
            (None, []) => true,
            (Some((least, most)), [first, .., last]) => is_between(least, most, *first, *last, dropped_bits),
            (Some((least, most)), [only]) => is_between(least, most, *only, *only, dropped_bits),
            _ => false,
        };
        if !within {
            return Err("the range of a summary is not that of its cells; make it anew");
        }
        Ok(Self { limit, missing, range, counter: cells.into() })
    }
}

/// Whether a range is finite and begins and ends in these cells.
fn is_between(least: f64, most: f64, first: u64, last: u64, dropped: u32) -> bool {
    least.is_finite()
        && most.is_finite()
        && kept(to_key(least), dropped) == first
        && kept(to_key(most), dropped) == last
}

/// Integers in the order of the numbers.
pub(super) fn to_key(value: f64) -> u64 {
    // Adding 0 makes −0 the same as 0.
    let bits = (value + 0.0).to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

/// The number of a key.
pub(super) fn from_key(key: u64) -> f64 {
    let bits = if key >> 63 == 1 { key & !(1 << 63) } else { !key };
    let value = f64::from_bits(bits);
    if value.is_finite() { value } else { f64::MAX.copysign(value) }
}
