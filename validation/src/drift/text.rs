//! A column of texts, summarised.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use super::{NumericColumn, Samples, categorical::digest, samples};

/// The texts of a column, summarised so that parts summarised anywhere can be merged.
///
/// Of every text it counts what can be counted without a model ([`FEATURES`](Self::FEATURES)). Beside that it keeps
/// some of the different texts, for a classifier or an embedder to look at: those whose digests are the least, which
/// are drawn as if by lot, and are the same ones however rows were divided and in whichever order parts are merged. A
/// text that occurs often is kept once. **A summary holds those texts as they are**: keep it where the data may be
/// kept, or keep none.
///
/// ```
/// # use tidegate_validation::drift::TextColumn;
/// let (mut monday, mut tuesday) = (TextColumn::new(), TextColumn::new());
/// monday.push("Where is my parcel?");
/// tuesday.push("¿Dónde está mi paquete?");
/// tuesday.miss();
/// monday.merge(&tuesday);
/// assert_eq!((monday.count(), monday.missing(), monday.texts().count()), (2, 1, 2));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct TextColumn {
    missing: u64,
    features: Box<[NumericColumn; 5]>,
    keep: usize,
    kept: BTreeMap<u64, String>,
}

impl TextColumn {
    /// What is counted of every text, in order.
    pub const FEATURES: [&str; 5] =
        ["characters", "words", "letters a word", "share of non-ASCII characters", "share of digits"];

    /// How many different texts are kept, unless said otherwise.
    pub const KEPT: usize = 200;

    /// The most that can be kept.
    pub const MOST: usize = Samples::MOST / 2;

    /// How much of a text is kept, in bytes.
    pub const LONGEST: usize = 4 << 10;

    /// The fewest different texts of a side whose words are compared.
    const FEWEST: usize = 20;

    /// How many dimensions a text has as a [bag of words](Self::bags).
    const BUCKETS: usize = 256;

    /// No texts so far.
    #[must_use]
    pub fn new() -> Self {
        Self::with_limits(Self::KEPT, NumericColumn::LIMIT)
    }

    /// No texts so far; at most `keep` different ones, and no more than [`MOST`](Self::MOST), are kept, and of each
    /// feature `limit` different numbers are told apart.
    #[must_use]
    pub fn with_limits(keep: usize, limit: usize) -> Self {
        let features = Box::new(std::array::from_fn(|_| NumericColumn::with_limit(limit)));
        Self { missing: 0, features, keep: keep.min(Self::MOST), kept: BTreeMap::new() }
    }

    /// No texts, with the same limits.
    pub(super) fn emptied(&self) -> Self {
        let features = Box::new(std::array::from_fn(|at| self.features[at].emptied()));
        Self { missing: 0, features, keep: self.keep, kept: BTreeMap::new() }
    }

    /// Takes one more text. One of nothing but space counts as missing.
    pub fn push(&mut self, text: &str) {
        if text.trim().is_empty() {
            return self.miss();
        }
        let (mut characters, mut foreign, mut digits) = (0_u64, 0_u64, 0_u64);
        for character in text.chars() {
            characters += 1;
            foreign += u64::from(!character.is_ascii());
            digits += u64::from(character.is_numeric());
        }
        let (mut words, mut letters) = (0_u64, 0_u64);
        for word in words_of(text) {
            words += 1;
            letters += word.chars().count() as u64;
        }
        let all = characters as f64;
        let each = if words > 0 { letters as f64 / words as f64 } else { f64::NAN };
        let measured = [all, words as f64, each, foreign as f64 / all, digits as f64 / all];
        for (feature, value) in self.features.iter_mut().zip(measured) {
            feature.push(value);
        }
        self.keep(digest(text), text);
    }

    /// Counts a row without a text.
    pub fn miss(&mut self) {
        self.miss_rows(1);
    }

    pub(super) fn miss_rows(&mut self, rows: u64) {
        self.missing = self.missing.saturating_add(rows);
    }

    /// Takes all that `other` has. Of limits the lesser holds from now on.
    pub fn merge(&mut self, other: &Self) {
        self.missing = self.missing.saturating_add(other.missing);
        self.features.iter_mut().zip(other.features.iter()).for_each(|(one, other)| one.merge(other));
        self.keep = self.keep.min(other.keep);
        other.kept.iter().for_each(|(digest, text)| self.keep(*digest, text));
        self.shrink();
    }

    /// How many texts there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.features[0].count()
    }

    /// How many rows are without one.
    #[must_use]
    pub const fn missing(&self) -> u64 {
        self.missing
    }

    /// The texts that are kept, the longest ones cut at [`LONGEST`](Self::LONGEST).
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.kept.values().map(String::as_str)
    }

    /// What was counted of every text, with its name.
    pub fn features(&self) -> impl Iterator<Item = (&'static str, &NumericColumn)> {
        Self::FEATURES.into_iter().zip(self.features.iter())
    }

    /// The kept texts of both as vectors of the words in them, for a classifier to tell apart; `None` if that are
    /// fewer than 20 on a side.
    ///
    /// Words are hashed into dimensions (K. Weinberger et al., *Feature hashing for large scale multitask learning*,
    /// ICML 2009), and a vector has length 1.
    #[must_use]
    pub fn bags(&self, current: &Self) -> Option<Samples> {
        self.some_bags(current, Samples::MOST)
    }

    /// How many different texts are kept of both where words are to be compared and one side alone has too few
    /// of them for it.
    pub(super) fn lopsided(&self, current: &Self) -> Option<(usize, usize)> {
        let (n, m) = (self.kept.len(), current.kept.len());
        let asked = self.keep.min(current.keep) >= Self::FEWEST;
        (asked && n.min(m) < Self::FEWEST && n.max(m) >= Self::FEWEST).then_some((n, m))
    }

    /// What there is to say of both where one keeps too few texts for an embedder to compare what they mean.
    pub(crate) fn too_few_to_embed(&self, current: &Self) -> Option<TooFewTexts> {
        let kept = (self.kept.len(), current.kept.len());
        let (keep, is_same) = (self.keep.min(current.keep), self.kept == current.kept);
        (kept.0.min(kept.1) < TooFewTexts::NEED).then_some(TooFewTexts { kept, keep, is_same })
    }

    /// The same of so many texts of both sides together, those with the least digests.
    pub(super) fn some_bags(&self, current: &Self, most: usize) -> Option<Samples> {
        let (n, m) = samples::shared(self.kept.len(), current.kept.len(), most);
        let bags = |column: &Self, most: usize| column.texts().take(most).map(bag).collect::<Vec<_>>();
        (n.min(m) >= Self::FEWEST).then(|| Samples::new(&bags(self, n), &bags(current, m)))?
    }

    fn keep(&mut self, digest: u64, text: &str) {
        let beyond = self.kept.len() >= self.keep;
        let last = self.kept.last_key_value().map(|(digest, _)| *digest);
        if self.kept.contains_key(&digest) || (beyond && last.is_none_or(|last| last < digest)) {
            return;
        }
        let end = (0..=text.len().min(Self::LONGEST)).rev().find(|at| text.is_char_boundary(*at));
        self.kept.insert(digest, text[..end.unwrap_or(0)].to_owned());
        self.shrink();
    }

    fn shrink(&mut self) {
        while self.kept.len() > self.keep {
            self.kept.pop_last();
        }
    }
}

impl Default for TextColumn {
    fn default() -> Self {
        Self::new()
    }
}

fn words_of(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty())
}

fn bag(text: &str) -> Vec<f64> {
    let mut counts = vec![0.0_f64; TextColumn::BUCKETS];
    for word in words_of(text) {
        let digest = digest(&word.to_lowercase());
        // Half of the words count down, so that those that share a dimension do not add up.
        let sign = if digest >> 63 == 1 { 1.0 } else { -1.0 };
        counts[digest as usize % TextColumn::BUCKETS] += sign;
    }
    let length = counts.iter().map(|count| count * count).sum::<f64>().sqrt();
    if length > 0.0 {
        counts.iter_mut().for_each(|count| *count /= length);
    }
    counts
}

/// Columns of which one keeps fewer than two different texts: one text alone has no distribution.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TooFewTexts {
    /// How many the reference and the current rows keep.
    kept: (usize, usize),
    /// How many they were to keep at most.
    keep: usize,
    /// Whether they keep the same ones.
    is_same: bool,
}

impl TooFewTexts {
    const NEED: usize = 2;

    /// Whether something may have changed unseen: there were texts to compare, and they are not the same.
    pub(crate) const fn hides_something(self) -> bool {
        self.keep >= Self::NEED && !self.is_same
    }
}

impl fmt::Display for TooFewTexts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kept: (reference, current), keep, .. } = self;
        if *keep < Self::NEED {
            return write!(
                f,
                "no more than {keep} of its different texts were to be kept, and it takes 2 of either side to compare \
                 what they mean; let a summary keep more"
            );
        }
        write!(
            f,
            "of the reference {reference} different texts are kept and of the current rows {current}, and it takes 2 of \
             either to compare what they mean; see whether one text occurs over and over, or take the column for categories"
        )
    }
}

/// What a column is written down as.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wire {
    missing: u64,
    features: Box<[NumericColumn; 5]>,
    keep: usize,
    texts: BTreeMap<u64, String>,
}

impl From<TextColumn> for Wire {
    fn from(TextColumn { missing, features, keep, kept }: TextColumn) -> Self {
        Self { missing, features, keep, texts: kept }
    }
}

impl TryFrom<Wire> for TextColumn {
    type Error = &'static str;

    fn try_from(Wire { missing, features, keep, texts }: Wire) -> Result<Self, Self::Error> {
        let counted = features[0].count();
        if features.iter().any(|feature| feature.count().saturating_add(feature.missing()) != counted) {
            return Err("the features of a summary of texts are not of as many texts; make it anew");
        }
        let long = texts.values().any(|text| text.len() > Self::LONGEST);
        if keep > Self::MOST || texts.len() > keep || texts.len() as u64 > counted || long {
            return Err(
                "a summary of texts holds at most 1024 of its texts, each of at most 4096 bytes; make it anew",
            );
        }
        Ok(Self { missing, features, keep, kept: texts })
    }
}
