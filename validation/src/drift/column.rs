//! One column of a table, of whichever kind.

use serde::{Deserialize, Serialize};

use super::{CategoricalColumn, Gaps, Histogram, NumericColumn, Picture, TextColumn, bins::Binning};

/// A column, summarised: what a reader of rows pushes values into.
///
/// ```
/// # use tidegate_validation::drift::{Column, Value};
/// let mut age = Column::numeric();
/// for value in [Value::Number(31.0), Value::Missing, Value::Text("42"), Value::Text("unknown")] {
///     age.push(value);
/// }
/// assert_eq!((age.count(), age.missing()), (2, 2));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::exhaustive_enums, reason = "values are ordered, or told apart, or read")]
pub enum Column {
    /// Of categories.
    Categorical(CategoricalColumn),
    /// Of numbers.
    Numeric(NumericColumn),
    /// Of texts.
    Text(TextColumn),
}

/// One value of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "what a cell of a table can hold")]
pub enum Value<'a> {
    /// Nothing.
    Missing,
    /// A number. One that is not finite is missing.
    Number(f64),
    /// A text. Empty, it is a category like any other.
    Text(&'a str),
}

/// Two columns beside each other.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Comparison {
    /// Values of the reference and of the current column.
    pub counts: (u64, u64),
    /// Rows of either without a value.
    pub missing: (u64, u64),
    /// Their values by bin or by category; `None` if either has none.
    pub histogram: Option<Histogram>,
    /// How far apart they are as numbers, if they are numbers and neither has none.
    pub gaps: Option<Gaps>,
    /// What there is to see of them; `None` if either has no values, and of texts, which have
    /// [`parts`](Self::parts).
    pub picture: Option<Picture>,
    /// Of texts what was counted of each, by name.
    pub parts: Vec<(&'static str, Self)>,
}

/// A column was put beside one of another kind. Summarise the feature alike on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("one column is {reference} and the other {current}; summarise the feature alike on both sides")]
#[non_exhaustive]
pub struct UnlikeColumns {
    /// What the one is.
    pub reference: &'static str,
    /// What the other is.
    pub current: &'static str,
}

impl Column {
    /// For numbers.
    #[must_use]
    pub fn numeric() -> Self {
        Self::Numeric(NumericColumn::new())
    }

    /// For categories.
    #[must_use]
    pub fn categorical() -> Self {
        Self::Categorical(CategoricalColumn::new())
    }

    /// For texts.
    #[must_use]
    pub fn text() -> Self {
        Self::Text(TextColumn::new())
    }

    /// `categorical`, `numeric` or `text`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Categorical(_) => "categorical",
            Self::Numeric(_) => "numeric",
            Self::Text(_) => "text",
        }
    }

    /// Takes one more value. In a column of numbers a text is read as one, and is missing if it is none; in the
    /// others a number is its decimal text.
    pub fn push(&mut self, value: Value<'_>) {
        match (self, value) {
            (Self::Text(column), Value::Text(text)) => column.push(text),
            (Self::Text(column), Value::Number(number)) if number.is_finite() => {
                column.push(&(number + 0.0).to_string());
            }
            (Self::Text(column), Value::Number(_) | Value::Missing) => column.miss(),
            (Self::Numeric(column), Value::Number(number)) => _ = column.push(number),
            (Self::Numeric(column), Value::Text(text)) => {
                // What is not a number is not finite either.
                column.push(text.trim().parse().unwrap_or(f64::NAN));
            }
            (Self::Numeric(column), Value::Missing) => column.miss(),
            (Self::Categorical(column), Value::Text(text)) => column.push(text),
            (Self::Categorical(column), Value::Number(number)) if number.is_finite() => {
                column.push(&(number + 0.0).to_string());
            }
            (Self::Categorical(column), Value::Number(_) | Value::Missing) => column.miss(),
        }
    }

    /// How many values there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        match self {
            Self::Categorical(column) => column.count(),
            Self::Numeric(column) => column.count(),
            Self::Text(column) => column.count(),
        }
    }

    /// How many rows are without a value.
    #[must_use]
    pub const fn missing(&self) -> u64 {
        match self {
            Self::Categorical(column) => column.missing(),
            Self::Numeric(column) => column.missing(),
            Self::Text(column) => column.missing(),
        }
    }

    /// Takes all that `other` has, a summary of other rows of the same column.
    ///
    /// # Errors
    ///
    /// [`UnlikeColumns`] if they are not of one kind; then nothing is taken.
    pub fn merge(&mut self, other: &Self) -> Result<(), UnlikeColumns> {
        match (self, other) {
            (Self::Categorical(column), Self::Categorical(other)) => column.merge(other),
            (Self::Numeric(column), Self::Numeric(other)) => column.merge(other),
            (Self::Text(column), Self::Text(other)) => column.merge(other),
            (column, other) => return Err(column.unlike(other)),
        }
        Ok(())
    }

    /// Compares this column, the reference, with `current`; numbers are put into bins by `binning`.
    ///
    /// # Errors
    ///
    /// [`UnlikeColumns`] if they are not of one kind.
    pub fn compare(&self, current: &Self, binning: Binning) -> Result<Comparison, UnlikeColumns> {
        let (counts, missing) = ((self.count(), current.count()), (self.missing(), current.missing()));
        let mut comparison =
            Comparison { counts, missing, histogram: None, gaps: None, picture: None, parts: Vec::new() };
        match (self, current) {
            (Self::Categorical(first), Self::Categorical(second)) => {
                comparison.histogram = Histogram::of_categories(first, second);
                comparison.picture = Picture::of_categories(first, second);
            }
            (Self::Numeric(first), Self::Numeric(second)) => {
                return Ok(Comparison::of_numbers(first, second, binning));
            }
            (Self::Text(first), Self::Text(second)) => {
                let parts = first.features().zip(second.features());
                let part =
                    |((name, first), (_, second))| (name, Comparison::of_numbers(first, second, binning));
                comparison.parts = parts.map(part).collect();
            }
            (first, second) => return Err(first.unlike(second)),
        }
        Ok(comparison)
    }

    const fn unlike(&self, other: &Self) -> UnlikeColumns {
        UnlikeColumns { reference: self.kind(), current: other.kind() }
    }
}

impl Comparison {
    fn of_numbers(reference: &NumericColumn, current: &NumericColumn, binning: Binning) -> Self {
        Self {
            counts: (reference.count(), current.count()),
            missing: (reference.missing(), current.missing()),
            histogram: Histogram::of_numbers(reference, current, binning),
            gaps: Gaps::between(reference, current),
            picture: Picture::of_numbers(reference, current),
            parts: Vec::new(),
        }
    }

    /// Everything there is to see of it as pictures in SVG, of texts one a feature that varies; empty if there is
    /// nothing. They need no sheet and no script, and are for a light page or a dark one.
    #[must_use]
    pub fn svg(&self) -> String {
        let own = self.picture.as_ref().map(|picture| picture.svg(""));
        let shown = |(name, part): &(&'static str, Self)| {
            part.picture.as_ref().filter(|picture| picture.varies()).map(|picture| picture.svg(name))
        };
        own.into_iter().chain(self.parts.iter().filter_map(shown)).collect()
    }
}
