//! The columns of a table, summarised.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::Error as _};

use super::{
    Column, Kind, UnlikeColumns, Value,
    kind::{Cell, boolean},
};

/// The columns of a table, summarised row by row wherever the rows are, to be written down, merged and compared.
///
/// [`Summary::open`] makes one of a file. Anything else that has rows, a job of Spark or DataFusion for instance,
/// [pushes](Self::push) them into one for each partition and writes it down with serde; the JSON says which version of
/// the format it is. Merging is associative and commutative, to the bit, as of the [columns](Column) themselves.
///
/// ```
/// # use tidegate_validation::drift::{Column, Summary, Value};
/// let mut table = Summary::new([("age", Column::numeric()), ("country", Column::categorical())]);
/// table.push([("age", Value::Number(31.0)), ("country", Value::Text("de"))]);
/// table.push([("age", Value::Number(27.0))]);
/// let sent = serde_json::to_string(&table).unwrap();
///
/// let mut all: Summary = serde_json::from_str(&sent).unwrap();
/// all.merge(&table).unwrap();
/// assert_eq!((all.rows(), all.column("country").unwrap().missing()), (4, 2));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct Summary {
    rows: u64,
    /// By name.
    columns: Vec<(String, Column)>,
    left_out: BTreeMap<String, Kind>,
}

/// Two summaries are not of one table. Summarise all partitions with the same columns.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnlikeSummaries {
    /// A column is of another kind in the other.
    #[error("column `{name}` is not the same in both")]
    Kind {
        /// The column.
        name: String,
        /// How they differ.
        source: UnlikeColumns,
    },
    /// Only one of them has the column.
    #[error("only one of both has a column `{name}`; summarise all partitions with the same columns")]
    Missing {
        /// The column.
        name: String,
    },
}

/// A field of a row as readers find it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Field<'a> {
    Missing,
    Boolean(bool),
    Nested,
    Number(f64),
    Text(&'a str),
}

impl Summary {
    /// What a written summary begins with: `"summary"` is its first field, and this the value.
    pub const KIND: &str = "tidegate:drift-summary/v1";

    /// The most columns.
    pub const MOST_COLUMNS: usize = 1_024;

    /// Of these columns, empty as they are at first, and no rows.
    #[must_use]
    pub fn new<N: Into<String>>(columns: impl IntoIterator<Item = (N, Column)>) -> Self {
        let columns: BTreeMap<String, Column> =
            columns.into_iter().map(|(name, column)| (name.into(), column)).collect();
        Self { rows: 0, columns: columns.into_iter().collect(), left_out: BTreeMap::new() }
    }

    /// How many rows were summarised.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// The columns, by name.
    pub fn columns(&self) -> impl Iterator<Item = (&str, &Column)> {
        self.columns.iter().map(|(name, column)| (name.as_str(), column))
    }

    /// The column of this name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Column> {
        Some(&self.columns[self.find(name)?].1)
    }

    /// Columns of the table that are not compared, by name: their kind is why.
    pub fn left_out(&self) -> impl Iterator<Item = (&str, Kind)> {
        self.left_out.iter().map(|(name, kind)| (name.as_str(), *kind))
    }

    /// Takes one more row. A column that it does not name has no value in it; a field of no column is nobody's.
    pub fn push<'a>(&mut self, row: impl IntoIterator<Item = (&'a str, Value<'a>)>) {
        let mut seen = vec![false; self.columns.len()];
        for (name, value) in row {
            if let Some(at) = self.find(name)
                && !std::mem::replace(&mut seen[at], true)
            {
                self.columns[at].1.push(value);
            }
        }
        self.end_row(&seen);
    }

    /// Takes all that `other` has, the summary of other rows.
    ///
    /// # Errors
    ///
    /// [`UnlikeSummaries`] if they have not the same columns; then nothing is taken.
    pub fn merge(&mut self, other: &Self) -> Result<(), UnlikeSummaries> {
        let missing = |name: &str| UnlikeSummaries::Missing { name: name.to_owned() };
        if let Some((name, _)) = other.columns.iter().find(|(name, _)| self.find(name).is_none()) {
            return Err(missing(name));
        }
        let mut merged = self.clone();
        for (name, column) in &mut merged.columns {
            let other = other.column(name).ok_or_else(|| missing(name))?;
            column.merge(other).map_err(|source| UnlikeSummaries::Kind { name: name.clone(), source })?;
        }
        merged.rows = merged.rows.saturating_add(other.rows);
        for (name, kind) in &other.left_out {
            let known = merged.left_out.entry(name.clone()).or_insert(*kind);
            *known = (*known).min(*kind);
        }
        *self = merged;
        Ok(())
    }

    /// The columns of this table without any rows, for others of its rows to be read into.
    #[must_use]
    pub fn emptied(&self) -> Self {
        let columns = self.columns.iter().map(|(name, column)| (name.clone(), column.emptied()));
        Self { rows: 0, columns: columns.collect(), left_out: self.left_out.clone() }
    }

    /// For each of these columns what it is in `other` if that has none of its name: without a value in any row.
    pub(super) fn missing_in(&self, other: &Self) -> Vec<Column> {
        let missing = |(name, column): &(String, Column)| {
            let mut empty = column.emptied();
            if other.find(name).is_none() {
                empty.miss_rows(other.rows);
            }
            empty
        };
        self.columns.iter().map(missing).collect()
    }

    /// This summary with no columns but those of the names, and with what it lacks of them.
    pub(super) fn narrowed<'a>(mut self, names: impl Iterator<Item = &'a str>) -> (Self, Vec<&'a str>) {
        let (known, lacking): (Vec<&str>, Vec<&str>) = names.partition(|name| self.find(name).is_some());
        self.columns.retain(|(name, _)| known.contains(&name.as_str()));
        self.left_out.clear();
        (self, lacking)
    }

    pub(super) fn leave_out(&mut self, name: &str, kind: Kind) {
        self.left_out.insert(name.into(), kind);
    }

    /// The position of the column of this name.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.columns.binary_search_by(|(known, _)| known.as_str().cmp(name)).ok()
    }

    pub(super) fn column_at(&mut self, at: usize) -> &mut Column {
        &mut self.columns[at].1
    }

    pub(super) const fn width(&self) -> usize {
        self.columns.len()
    }

    /// Counts a row, of which the columns not `seen` have no value.
    pub(super) fn end_row(&mut self, seen: &[bool]) {
        self.rows = self.rows.saturating_add(1);
        let columns = self.columns.iter_mut().zip(seen);
        columns.filter(|(_, seen)| !**seen).for_each(|((_, column), _)| column.push(Value::Missing));
    }

    /// Counts rows whose values were pushed column by column.
    #[cfg(feature = "parquet")]
    pub(super) fn end_rows(&mut self, rows: u64) {
        self.rows = self.rows.saturating_add(rows);
    }
}

impl Column {
    /// Takes a field as a reader found it: what is the same in one format and another is the same here.
    pub(super) fn take(&mut self, field: Field<'_>) {
        let value = match field {
            Field::Missing | Field::Nested => Value::Missing,
            Field::Boolean(yes) => match self {
                Self::Numeric(_) => Value::Number(f64::from(u8::from(yes))),
                Self::Categorical(_) | Self::Text(_) => Value::Text(if yes { "true" } else { "false" }),
            },
            Field::Number(number) => Value::Number(number),
            Field::Text(text) => match self {
                Self::Categorical(_) => category(text),
                Self::Numeric(_) | Self::Text(_) => Value::Text(text),
            },
        };
        self.push(value);
    }

    pub(super) fn miss_rows(&mut self, rows: u64) {
        match self {
            Self::Categorical(column) => column.miss_rows(rows),
            Self::Numeric(column) => column.miss_rows(rows),
            Self::Text(column) => column.miss_rows(rows),
        }
    }

    /// Of the same kind, with the same limits and nothing in it.
    pub(super) fn emptied(&self) -> Self {
        match self {
            Self::Categorical(column) => Self::Categorical(column.emptied()),
            Self::Numeric(column) => Self::Numeric(column.emptied()),
            Self::Text(column) => Self::Text(column.emptied()),
        }
    }
}

/// `True` is `true` and `1.0` is `1`, so that CSV, JSON and Parquet of one table have the same categories; `007` is a
/// name.
fn category(text: &str) -> Value<'_> {
    // Beyond, numbers are not exact.
    const DIGITS: usize = 15;
    if let Some(yes) = boolean(text) {
        return Value::Text(if yes { "true" } else { "false" });
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && !digits.is_empty()
        && digits.len() <= DIGITS
        && (!digits.starts_with('0') || digits == "0" || digits.starts_with("0."));
    match text.parse() {
        Ok(number) if plain => Value::Number(number),
        _ => Value::Text(text),
    }
}

impl<'a> From<&'a Cell> for Field<'a> {
    fn from(cell: &'a Cell) -> Self {
        match cell {
            Cell::Missing => Self::Missing,
            Cell::Boolean(yes) => Self::Boolean(*yes),
            Cell::Nested => Self::Nested,
            Cell::Number(number) => Self::Number(*number),
            Cell::Text(text) => Self::Text(text),
        }
    }
}

impl From<Field<'_>> for Cell {
    fn from(field: Field<'_>) -> Self {
        match field {
            Field::Missing => Self::Missing,
            Field::Boolean(yes) => Self::Boolean(yes),
            Field::Nested => Self::Nested,
            Field::Number(number) => Self::Number(number),
            Field::Text(text) => Self::Text(text.to_owned()),
        }
    }
}

/// What a summary is written down as.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wire {
    summary: Version,
    rows: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    left_out: BTreeMap<String, Kind>,
    columns: BTreeMap<String, Column>,
}

#[derive(Clone, Copy, Serialize)]
#[serde(into = "&'static str")]
struct Version;

impl From<Version> for &'static str {
    fn from(_: Version) -> Self {
        Summary::KIND
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let kind = std::borrow::Cow::<str>::deserialize(deserializer)?;
        if kind == Summary::KIND {
            return Ok(Self);
        }
        let kind = crate::excerpt::excerpt(&kind, 60);
        let why = format!("`{kind}` is not {}; make the summary anew with this version", Summary::KIND);
        Err(D::Error::custom(why))
    }
}

impl From<Summary> for Wire {
    fn from(Summary { rows, columns, left_out }: Summary) -> Self {
        Self { summary: Version, rows, left_out, columns: columns.into_iter().collect() }
    }
}

impl TryFrom<Wire> for Summary {
    type Error = String;

    fn try_from(Wire { rows, left_out, columns, .. }: Wire) -> Result<Self, Self::Error> {
        if columns.len() > Self::MOST_COLUMNS || left_out.len() > Self::MOST_COLUMNS {
            return Err(format!("a summary has at most {} columns; make it of fewer", Self::MOST_COLUMNS));
        }
        let other = |column: &Column| column.count().checked_add(column.missing()) != Some(rows);
        match columns.iter().find(|(_, column)| other(column)) {
            Some((name, _)) => {
                let name = crate::excerpt::excerpt(name, 60);
                Err(format!("column `{name}` has not as many values as the summary has rows; make it anew"))
            }
            None => Ok(Self { rows, columns: columns.into_iter().collect(), left_out }),
        }
    }
}
