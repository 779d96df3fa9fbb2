//! What the values of a column are.

use std::{collections::HashSet, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{CategoricalColumn, Column, NumericColumn, TextColumn};

/// What the values of a column are, and so what of them is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Kind {
    /// True or false, compared as two categories.
    Boolean,
    /// Names of which there are few.
    Categorical,
    /// A name for each row. Not compared: tomorrow's are others, and nothing follows from that.
    Identifier,
    /// Lists and whatever else is no single value. Not compared.
    Nested,
    /// Numbers.
    Numeric,
    /// Texts.
    Text,
    /// Days or times of day. Not compared: time goes on.
    Time,
}

/// A value that was read, in one that owns it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Missing,
    Boolean(bool),
    Nested,
    Number(f64),
    Text(String),
}

impl Kind {
    const ALL: [Self; 7] = [
        Self::Boolean,
        Self::Categorical,
        Self::Identifier,
        Self::Nested,
        Self::Numeric,
        Self::Text,
        Self::Time,
    ];

    /// As it is written.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Categorical => "categorical",
            Self::Identifier => "identifier",
            Self::Nested => "nested",
            Self::Numeric => "numeric",
            Self::Text => "text",
            Self::Time => "time",
        }
    }

    /// An empty column for values of this kind, that tells `cells` numbers apart and keeps so many texts; `None` if
    /// they are not compared.
    pub(super) fn column(self, cells: usize, texts: usize) -> Option<Column> {
        match self {
            Self::Boolean | Self::Categorical => {
                let limit = cells.min(CategoricalColumn::LIMIT);
                Some(Column::Categorical(CategoricalColumn::with_limit(limit)))
            }
            Self::Numeric => Some(Column::Numeric(NumericColumn::with_limit(cells))),
            Self::Text => {
                let each = cells / TextColumn::FEATURES.len();
                Some(Column::Text(TextColumn::with_limits(texts, each)))
            }
            Self::Identifier | Self::Nested | Self::Time => None,
        }
    }

    /// What the values in the first rows of a column are. Without any value they are taken for categories.
    ///
    /// | kind | when |
    /// |---|---|
    /// | boolean | all are true or false |
    /// | numeric | all are numbers (or words for none, such as `NA`), and not five whole ones or fewer |
    /// | time | all begin with a date, year first |
    /// | categorical | names: short, and no more than 30 different ones or a twentieth of the rows |
    /// | identifier | short, without spaces, and hardly one twice |
    /// | text | otherwise |
    pub(super) fn of(cells: &[Cell]) -> Self {
        let values = || cells.iter().filter(|cell| !matches!(cell, Cell::Missing));
        let count = values().count();
        let all = |is: &dyn Fn(&Cell) -> bool| values().all(is);
        if count == 0 {
            return Self::Categorical;
        }
        if values().any(|cell| matches!(cell, Cell::Nested)) {
            return Self::Nested;
        }
        if all(&|cell| {
            matches!(cell, Cell::Boolean(_)) || cell.text().is_some_and(|text| boolean(text).is_some())
        }) {
            return Self::Boolean;
        }
        let no_number = |cell: &Cell| cell.text().is_some_and(is_word_for_none);
        if all(&|cell| cell.number().is_some() || no_number(cell)) {
            const FEW: usize = 5;
            let numbers: Vec<f64> = values().filter_map(Cell::number).collect();
            let different: HashSet<u64> = numbers.iter().map(|number| number.to_bits()).collect();
            let codes = numbers.iter().all(|number| number.fract() == 0.0) && different.len() <= FEW;
            // Of a few rows few numbers are different anyway.
            return if codes && count > 10 * FEW { Self::Categorical } else { Self::Numeric };
        }
        if all(&|cell| cell.text().is_some_and(begins_with_date)) {
            return Self::Time;
        }
        let texts: Vec<&str> = values().filter_map(Cell::text).collect();
        let different = texts.iter().collect::<HashSet<_>>().len();
        let short = texts.iter().all(|text| text.len() <= 64);
        if short && different <= (count / 20).max(30).min(count / 2 + 1) {
            return Self::Categorical;
        }
        let one_word = texts.iter().all(|text| !text.contains(char::is_whitespace));
        if short && one_word && different * 10 >= count * 9 {
            return Self::Identifier;
        }
        Self::Text
    }
}

impl Cell {
    fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
            _ => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// There is no such kind of column.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no kind of column `{0}`, only boolean, categorical, identifier, nested, numeric, text and time"
)]
#[non_exhaustive]
pub struct UnknownKind(pub String);

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|kind| kind.word() == word);
        known.ok_or_else(|| UnknownKind(crate::excerpt::excerpt(word, 40)))
    }
}

/// True or false, as programs write them.
pub(super) fn boolean(text: &str) -> Option<bool> {
    let is = |word| text.eq_ignore_ascii_case(word);
    if is("true") { Some(true) } else { is("false").then_some(false) }
}

/// What programs write where there is no number.
fn is_word_for_none(text: &str) -> bool {
    ["na", "n/a", "nan", "null", "none", "inf", "-inf"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// As in `2026-11-29` and what may follow.
fn begins_with_date(text: &str) -> bool {
    let bytes = text.trim().as_bytes();
    let digits = |range: std::ops::Range<usize>| bytes[range].iter().all(u8::is_ascii_digit);
    bytes.len() >= 10
        && digits(0..4)
        && digits(5..7)
        && digits(8..10)
        && matches!((bytes[4], bytes[7]), (b'-', b'-') | (b'/', b'/'))
        && bytes.get(10).is_none_or(|byte| matches!(byte, b'T' | b' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(values: impl IntoIterator<Item = impl ToString>) -> Kind {
        Kind::of(&values.into_iter().map(|value| Cell::Text(value.to_string())).collect::<Vec<_>>())
    }

    #[test]
    fn kinds_are_told_by_their_values() {
        assert_eq!(kind(["True", "false"]), Kind::Boolean);
        assert_eq!(kind((0..200).map(|row| f64::from(row) / 3.0)), Kind::Numeric);
        assert_eq!(
            kind((0..200).map(|row| if row % 9 == 0 { "NA".to_owned() } else { row.to_string() })),
            Kind::Numeric
        );
        assert_eq!(kind((0..200).map(|row| row % 3)), Kind::Categorical);
        assert_eq!(kind([1, 2, 1]), Kind::Numeric);
        assert_eq!(kind((0..200).map(|row| ["de", "fr", "it"][row % 3])), Kind::Categorical);
        assert_eq!(kind((0..200).map(|row| format!("2026-11-{:02}T10:00:00Z", row % 28 + 1))), Kind::Time);
        assert_eq!(kind((0..200).map(|row| format!("user-{row}"))), Kind::Identifier);
        assert_eq!(kind((0..200).map(|row| format!("where is parcel {row}?"))), Kind::Text);
        assert_eq!(Kind::of(&[Cell::Missing]), Kind::Categorical);
        assert_eq!(Kind::of(&[Cell::Number(1.0), Cell::Nested]), Kind::Nested);
        assert_eq!("text".parse(), Ok(Kind::Text));
        assert!("texts".parse::<Kind>().unwrap_err().to_string().contains("`texts`"));
    }
}
