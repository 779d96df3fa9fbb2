//! A column of categories, summarised.

use std::{borrow::Cow, collections::BTreeMap};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{
    Histogram,
    cells::{Both, Cells},
    counter::Counter,
};

/// The categories of a column, counted so that parts counted anywhere can be merged.
///
/// With more different categories than its limit it counts those as one whose digests agree in their leading bits,
/// so that memory stays bounded whatever comes in: names become numbers then, which tell less apart, but no count is
/// lost. Comparisons of such columns find no more drift than there is.
///
/// Merging is associative and commutative, to the bit, as of [`NumericColumn`](super::NumericColumn).
///
/// ```
/// # use tidegate_validation::drift::CategoricalColumn;
/// let (mut monday, mut tuesday) = (CategoricalColumn::new(), CategoricalColumn::new());
/// ["de", "fr", "de"].iter().for_each(|country| monday.push(country));
/// tuesday.push("it");
/// tuesday.miss();
/// monday.merge(&tuesday);
/// assert_eq!((monday.count(), monday.missing(), monday.is_exact()), (4, 1, true));
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct CategoricalColumn {
    limit: usize,
    missing: u64,
    counts: Counts,
}

#[derive(Clone, Debug)]
enum Counts {
    Hashed(Counter),
    Named(BTreeMap<String, u64>),
}

impl CategoricalColumn {
    /// How many different categories are told apart in any case, unless said otherwise.
    pub const LIMIT: usize = 1 << 12;

    /// The greatest limit.
    pub const MOST: usize = 1 << 20;

    /// How long a category's name may be, in bytes. Longer ones go by the digest of the whole.
    pub const LONGEST: usize = 256;

    /// No categories so far.
    #[must_use]
    pub fn new() -> Self {
        Self::with_limit(Self::LIMIT)
    }

    /// No categories so far; so many different ones are told apart in any case, from 16 to [`MOST`](Self::MOST).
    #[must_use]
    pub fn with_limit(limit: usize) -> Self {
        Self { limit: limit.clamp(16, Self::MOST), missing: 0, counts: Counts::Named(BTreeMap::new()) }
    }

    /// No categories, with the same limit.
    pub(super) fn emptied(&self) -> Self {
        Self::with_limit(self.limit)
    }

    /// Takes one more value.
    pub fn push(&mut self, category: &str) {
        let long = (category.len() > Self::LONGEST).then(|| format!("{:016x}", digest(category)));
        let name = long.as_deref().unwrap_or(category);
        match &mut self.counts {
            Counts::Named(counts) => match counts.get_mut(name) {
                Some(count) => *count = count.saturating_add(1),
                None => {
                    counts.insert(name.to_owned(), 1);
                    self.shrink();
                }
            },
            Counts::Hashed(counter) => counter.push(digest(name), self.limit),
        }
    }

    /// Counts a row without a value.
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
        match (&mut self.counts, &other.counts) {
            (Counts::Named(counts), Counts::Named(others)) => {
                for (name, more) in others {
                    let count = counts.entry(name.clone()).or_default();
                    *count = count.saturating_add(*more);
                }
                self.shrink();
            }
            (Counts::Hashed(counter), others) => counter.merge(&others.hashed(other.limit), self.limit),
            (counts @ Counts::Named(_), others) => {
                let mut counter = Counter::from(counts.hashed(self.limit).into_owned());
                counter.merge(&others.hashed(other.limit), self.limit);
                *counts = Counts::Hashed(counter);
            }
        }
    }

    /// How many values there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        match &self.counts {
            Counts::Hashed(counter) => counter.total(),
            Counts::Named(counts) => counts.values().fold(0, |sum, count| sum.saturating_add(*count)),
        }
    }

    /// How many rows are without one.
    #[must_use]
    pub const fn missing(&self) -> u64 {
        self.missing
    }

    /// Whether all different categories are told apart.
    #[must_use]
    pub const fn is_exact(&self) -> bool {
        matches!(self.counts, Counts::Named(_))
    }

    /// Each category and how often it occurs, by name; nothing where they are [not told apart](Self::is_exact).
    pub fn categories(&self) -> impl Iterator<Item = (&str, u64)> {
        let named = match &self.counts {
            Counts::Hashed(_) => None,
            Counts::Named(counts) => Some(counts.iter().map(|(name, count)| (name.as_str(), *count))),
        };
        named.into_iter().flatten()
    }

    /// Goes over to digests if there are too many names.
    fn shrink(&mut self) {
        if matches!(&self.counts, Counts::Named(counts) if counts.len() > self.limit) {
            let mut cells = self.counts.hashed(self.limit).into_owned();
            cells.shrink(self.limit);
            self.counts = Counts::Hashed(cells.into());
        }
    }
}

/// Summaries are equal that say the same.
impl PartialEq for CategoricalColumn {
    fn eq(&self, other: &Self) -> bool {
        let alike = match (&self.counts, &other.counts) {
            (Counts::Named(one), Counts::Named(another)) => one == another,
            // What is written down of digests are their counts.
            (Counts::Hashed(one), Counts::Hashed(another)) => {
                let (one, another) = (one.settled(self.limit), another.settled(other.limit));
                one.dropped() == another.dropped()
                    && one.keys() == another.keys()
                    && one.counts() == another.counts()
            }
            _ => false,
        };
        alike && (self.limit, self.missing) == (other.limit, other.missing)
    }
}

impl Default for CategoricalColumn {
    fn default() -> Self {
        Self::new()
    }
}

impl Histogram {
    /// Counts the categories of two columns; `None` if either has no values.
    #[must_use]
    pub fn of_categories(reference: &CategoricalColumn, current: &CategoricalColumn) -> Option<Self> {
        let (first, second) = match (&reference.counts, &current.counts) {
            (Counts::Named(first), Counts::Named(second)) => {
                let mut both = BTreeMap::<&str, (u64, u64)>::new();
                first.iter().for_each(|(name, count)| both.entry(name).or_default().0 = *count);
                second.iter().for_each(|(name, count)| both.entry(name).or_default().1 = *count);
                both.into_values().unzip()
            }
            (first, second) => {
                let (first, second) = (first.hashed(reference.limit), second.hashed(current.limit));
                Both::new(&first, &second).map(|(_, first, second)| (first, second)).unzip()
            }
        };
        Self::new(first, second)
    }
}

impl Counts {
    fn hashed(&self, limit: usize) -> Cow<'_, Cells> {
        match self {
            Self::Hashed(counter) => Cow::Borrowed(counter.settled(limit)),
            Self::Named(counts) => {
                let mut by_digest = BTreeMap::<u64, u64>::new();
                for (name, more) in counts {
                    let count = by_digest.entry(digest(name)).or_default();
                    *count = count.saturating_add(*more);
                }
                let (keys, counts) = by_digest.into_iter().unzip();
                Cow::Owned(Cells::new(0, keys, counts).expect("keys of a map are in order and counted"))
            }
        }
    }
}

/// What a column is written down as.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wire {
    limit: usize,
    missing: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    categories: Option<BTreeMap<String, u64>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    digests: Option<Digests>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Digests {
    dropped_bits: u32,
    keys: Vec<u64>,
    counts: Vec<u64>,
}

impl From<CategoricalColumn> for Wire {
    fn from(column: CategoricalColumn) -> Self {
        let CategoricalColumn { limit, missing, counts } = column;
        let (categories, digests) = match counts {
            Counts::Hashed(counter) => {
                let cells = counter.into_cells(limit);
                let (keys, counts) = (cells.keys().to_vec(), cells.counts().to_vec());
                (None, Some(Digests { dropped_bits: cells.dropped(), keys, counts }))
            }
            Counts::Named(counts) => (Some(counts), None),
        };
        Self { limit, missing, categories, digests }
    }
}

impl TryFrom<Wire> for CategoricalColumn {
    type Error = &'static str;

    fn try_from(wire: Wire) -> Result<Self, Self::Error> {
        let Wire { limit, missing, categories, digests } = wire;
        let counts = match (categories, digests) {
            (Some(counts), None) => {
                let named = counts.iter().all(|(name, count)| name.len() <= Self::LONGEST && *count > 0);
                let sum = counts.values().try_fold(0_u64, |sum, count| sum.checked_add(*count));
                (named && sum.is_some() && counts.len() <= limit).then_some(Counts::Named(counts))
            }
            (None, Some(Digests { dropped_bits, keys, counts })) if keys.len() <= limit => {
                Cells::new(dropped_bits, keys, counts).map(|cells| Counts::Hashed(cells.into()))
            }
            _ => None,
        };
        match counts {
            Some(counts) if (16..=Self::MOST).contains(&limit) => Ok(Self { limit, missing, counts }),
            _ => Err(
                "a summary has categories or digests, in order, each counted, and no more than its limit, \
                      which is from 16 to 2^20; make it anew",
            ),
        }
    }
}

/// Nobody can find two categories that are taken for one.
pub(super) fn digest(category: &str) -> u64 {
    let digest = Sha256::digest(category.as_bytes());
    digest.iter().take(8).fold(0, |word, byte| word << 8 | u64::from(*byte))
}
