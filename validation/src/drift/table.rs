//! Tables in files.

mod csv;
mod invalid;
mod lines;
#[cfg(feature = "parquet")]
mod parquet;

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
};

pub use self::invalid::InvalidTable;
use self::{csv::Csv, lines::Lines};
use super::{Kind, NumericColumn, Summary, TextColumn, kind::Cell, summary::Field};
use crate::flaw::Flaw;

/// How a table is read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in with a literal and `..Default::default()`")]
pub struct Reading {
    /// The columns to summarise, and of what kind they are where that is not to be told from their values; without
    /// any, all. One that is asked for without its kind and told as none that is compared is an error.
    pub columns: BTreeMap<String, Option<Kind>>,
    /// How many different texts of each column of texts are kept.
    pub texts: usize,
    /// How many different numbers of each column are told apart in any case. All columns together have
    /// [`CELLS`](Self::CELLS) at most.
    pub numbers: usize,
}

impl Reading {
    /// How many different numbers of all columns together are told apart at most, 48 bytes each.
    pub const CELLS: usize = 1 << 22;

    /// How many rows the kinds of columns are told from.
    pub const SAMPLE: usize = 2_000;

    /// Whether a column is to be summarised, and it is not said of what kind it is.
    #[cfg(feature = "parquet")]
    fn asks_kind_of(&self, name: &str) -> bool {
        match self.columns.get(name) {
            Some(kind) => kind.is_none(),
            None => self.columns.is_empty(),
        }
    }
}

impl Default for Reading {
    fn default() -> Self {
        Self { columns: BTreeMap::new(), texts: TextColumn::KEPT, numbers: NumericColumn::LIMIT }
    }
}

/// Bytes of the longest line and of the longest row.
const LONGEST_ROW: usize = 4 << 20;
/// Bytes of the rows that kinds are told from.
const LONGEST_SAMPLE: usize = 32 << 20;
/// Bytes of the longest summary: of as many [`CELLS`](Reading::CELLS) as there may be, written at their longest.
const LONGEST_SUMMARY: u64 = 512 << 20;
/// Bytes of the longest name of a column.
const LONGEST_NAME: usize = 256;

impl Summary {
    /// Summarises the table in a file: CSV under a header, JSON Lines, Parquet (feature `parquet`), or a summary that
    /// was written down, told apart by their content; blocking.
    ///
    /// The file is read once, as a stream, and memory does not grow with its rows. The kind of a column is told from
    /// its first values where `reading` does not say it; a value that is not of that kind, or of a later column that
    /// the first rows did not have, is missing. In CSV an empty field is missing; of objects in JSON Lines each field
    /// is a column of its own, as in `user.age`.
    ///
    /// # Errors
    ///
    /// [`InvalidTable`] says what of the file cannot be read, in which line, and what would be right.
    pub fn open(path: impl AsRef<Path>, reading: &Reading) -> Result<Self, InvalidTable> {
        let path = path.as_ref();
        let opened = opened(path, reading).map_err(|wrong| wrong.of(path))?;
        opened.ok_or_else(|| without_rows().of(path))
    }

    /// Summarises a table of several files, the partitions of it; the first that has rows says what columns there are,
    /// and of what kinds. Blocking.
    ///
    /// # Errors
    ///
    /// [`InvalidTable`] as of [`open`](Self::open); of no files as well.
    pub fn open_all(paths: &[impl AsRef<Path>], reading: &Reading) -> Result<Self, InvalidTable> {
        let Some(first) = paths.first() else {
            return Err(Wrong::new("", "there is no file of it; name one").of(Path::new("without files")));
        };
        let mut summary: Option<Self> = None;
        for path in paths {
            match &mut summary {
                Some(summary) if summary.rows() > 0 => summary.read(path)?,
                // Nothing is known of the columns of a table without rows but their names.
                summary => {
                    let path = path.as_ref();
                    let opened = opened(path, reading).map_err(|wrong| wrong.of(path))?;
                    *summary = opened.or_else(|| summary.take());
                }
            }
        }
        summary.ok_or_else(|| without_rows().of(first.as_ref()))
    }

    /// Takes the rows of another file as well, or a summary of them; blocking. They are read as those that are here:
    /// [`emptied`](Self::emptied), a reference can say how others are read.
    ///
    /// # Errors
    ///
    /// [`InvalidTable`] says what of the file cannot be read. Then the rows before that were taken.
    pub fn read(&mut self, path: impl AsRef<Path>) -> Result<(), InvalidTable> {
        let path = path.as_ref();
        read(self, path).map_err(|wrong| wrong.of(path))
    }
}

/// What is wrong, and in which line.
struct Wrong {
    line: Option<u64>,
    flaw: Flaw,
}

impl Wrong {
    fn new(path: impl Into<String>, why: impl Into<String>) -> Self {
        Self { line: None, flaw: Flaw::new(path, why) }
    }

    /// Of this column, unless it is known already of which.
    #[cfg(feature = "parquet")]
    fn in_column(mut self, name: &str) -> Self {
        if self.flaw.path.is_empty() {
            self.flaw.path = crate::excerpt::excerpt(name, 60);
        }
        self
    }

    fn of(self, file: &Path) -> InvalidTable {
        InvalidTable::new(&PathBuf::from(file).display().to_string(), self.line, self.flaw)
    }
}

impl From<Flaw> for Wrong {
    fn from(flaw: Flaw) -> Self {
        Self { line: None, flaw }
    }
}

impl From<io::Error> for Wrong {
    fn from(error: io::Error) -> Self {
        Flaw::unreadable(&error).into()
    }
}

/// A file, by what is in it.
enum Content {
    Csv(Csv),
    Lines(Lines),
    #[cfg(feature = "parquet")]
    Parquet(parquet::Parquet),
    Summary(Summary),
}

fn recognised(path: &Path) -> Result<Content, Wrong> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(Wrong::new("", "it is no regular file; name the files with the rows"));
    }
    let mut input = BufReader::with_capacity(1 << 16, File::open(path)?);
    if input.fill_buf()?.starts_with(b"\xef\xbb\xbf") {
        input.consume(3);
    }
    let begin = input.fill_buf()?;
    let first = begin.iter().copied().find(|byte| !byte.is_ascii_whitespace());
    match first {
        None => Err(Wrong::new("", "it is empty; name a file with rows")),
        #[cfg(feature = "parquet")]
        Some(_) if begin.starts_with(b"PAR1") => {
            Ok(Content::Parquet(parquet::Parquet::open(input.into_inner())?))
        }
        #[cfg(not(feature = "parquet"))]
        Some(_) if begin.starts_with(b"PAR1") => Err(Wrong::new(
            "",
            "it is Parquet, which this program was built without; switch the feature `parquet` on",
        )),
        Some(_) if begin.starts_with(&[0x1f, 0x8b]) => {
            Err(Wrong::new("", "it is compressed with gzip; decompress it"))
        }
        Some(b'{') if is_summary(begin) => {
            let mut text = Vec::new();
            input.take(LONGEST_SUMMARY + 1).read_to_end(&mut text)?;
            if text.len() as u64 > LONGEST_SUMMARY {
                return Err(Wrong::new("", "it is a summary of more than 512 MiB; make it of fewer columns"));
            }
            let summary = serde_json::from_slice(&text)
                .map_err(|error| Wrong::new("", format!("it is no summary of a table: {error}")))?;
            Ok(Content::Summary(summary))
        }
        Some(b'{') => Ok(Content::Lines(Lines::new(input))),
        Some(b'[') => {
            Err(Wrong::new("", "it is one JSON array; write an object a line, as `jq -c '.[]'` does"))
        }
        Some(_) => Ok(Content::Csv(Csv::new(input)?)),
    }
}

/// Whether it begins as [`Summary`]s are written, whichever version.
fn is_summary(begin: &[u8]) -> bool {
    let begin: Vec<u8> = begin.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).take(64).collect();
    begin.starts_with(b"{\"summary\":\"tidegate:drift-summary/")
}

fn without_rows() -> Wrong {
    Wrong::new("", "it has no rows, so that nothing is known of its columns; name a file with rows")
}

/// The summary of a file; `None` if it has no rows and does not say itself of what kinds its columns are.
fn opened(path: &Path, reading: &Reading) -> Result<Option<Summary>, Wrong> {
    let mut rows = match recognised(path)? {
        Content::Csv(rows) => Rows::Csv(rows),
        Content::Lines(rows) => Rows::Lines(rows),
        #[cfg(feature = "parquet")]
        Content::Parquet(table) => {
            let mut summary = planned(table.sampled(reading)?, reading)?;
            table.read(&mut summary)?;
            return Ok(Some(summary));
        }
        Content::Summary(summary) if reading.columns.is_empty() => return Ok(Some(summary)),
        Content::Summary(summary) => {
            let known: Vec<String> = summary.columns().map(|(name, _)| name.to_owned()).collect();
            let (summary, lacking) = summary.narrowed(reading.columns.keys().map(String::as_str));
            expect_none_lacking(&lacking, known.iter().map(String::as_str))?;
            return Ok(Some(summary));
        }
    };
    let mut sample = Vec::new();
    let mut bytes = 0;
    let mut is_over = false;
    while sample.len() < Reading::SAMPLE && bytes < LONGEST_SAMPLE {
        let mut row = Vec::new();
        let found = rows.next(&mut |name, field| {
            bytes += name.len() + if let Field::Text(text) = field { text.len() } else { 8 };
            row.push((name.to_owned(), Cell::from(field)));
        })?;
        if !found {
            is_over = true;
            break;
        }
        sample.push(row);
    }
    if sample.is_empty() {
        return Ok(None);
    }
    let mut columns = Sample::default();
    for row in &sample {
        for (name, cell) in row {
            columns.add(name, cell.clone())?;
        }
    }
    let mut summary = planned(columns, reading)?;
    let mut seen = vec![false; summary.width()];
    for row in &sample {
        let fields = row.iter().map(|(name, cell)| (name.as_str(), Field::from(cell)));
        seen.fill(false);
        fields.for_each(|(name, field)| take(&mut summary, &mut seen, name, field));
        summary.end_row(&seen);
    }
    drop(sample);
    if !is_over {
        stream(rows, &mut summary)?;
    }
    Ok(Some(summary))
}

fn read(summary: &mut Summary, path: &Path) -> Result<(), Wrong> {
    match recognised(path)? {
        Content::Csv(rows) => stream(Rows::Csv(rows), summary),
        Content::Lines(rows) => stream(Rows::Lines(rows), summary),
        #[cfg(feature = "parquet")]
        Content::Parquet(table) => table.read(summary),
        Content::Summary(other) => {
            let (other, lacking) = other.narrowed(summary.columns().map(|(name, _)| name));
            expect_none_lacking(&lacking, other.columns().map(|(name, _)| name))?;
            let merged = summary.merge(&other);
            merged.map_err(|unlike| {
                let why =
                    std::error::Error::source(&unlike).map(|why| format!(": {why}")).unwrap_or_default();
                Wrong::new("", format!("it cannot be put beside the others, as {unlike}{why}"))
            })
        }
    }
}

/// Formats that have row after row.
enum Rows {
    Csv(Csv),
    Lines(Lines),
}

impl Rows {
    /// Calls `take` with each field of the next row; false if there is none.
    fn next(&mut self, take: &mut dyn FnMut(&str, Field<'_>)) -> Result<bool, Wrong> {
        match self {
            Self::Csv(rows) => rows.next(take),
            Self::Lines(rows) => rows.next(take),
        }
    }
}

fn stream(mut rows: Rows, summary: &mut Summary) -> Result<(), Wrong> {
    let mut seen = vec![false; summary.width()];
    while rows.next(&mut |name, field| take(summary, &mut seen, name, field))? {
        summary.end_row(&seen);
        seen.fill(false);
    }
    Ok(())
}

fn take(summary: &mut Summary, seen: &mut [bool], name: &str, field: Field<'_>) {
    if let Some(at) = summary.find(name)
        && !std::mem::replace(&mut seen[at], true)
    {
        summary.column_at(at).take(field);
    }
}

/// The first values of columns, in the order in which columns are met.
#[derive(Default)]
struct Sample {
    columns: BTreeMap<String, Vec<Cell>>,
    /// Kinds that the format itself says.
    said: BTreeMap<String, Kind>,
}

impl Sample {
    fn add(&mut self, name: &str, cell: Cell) -> Result<(), Wrong> {
        if let Some(cells) = self.columns.get_mut(name) {
            cells.push(cell);
            return Ok(());
        }
        if self.columns.len() >= Summary::MOST_COLUMNS {
            let why =
                format!("it has more than {} columns; write those of interest alone", Summary::MOST_COLUMNS);
            return Err(Wrong::new("", why));
        }
        if name.len() > LONGEST_NAME {
            return Err(Wrong::new("", format!("a column's name is longer than {LONGEST_NAME} bytes")));
        }
        self.columns.insert(name.to_owned(), vec![cell]);
        Ok(())
    }
}

/// The columns to summarise, empty.
fn planned(sample: Sample, reading: &Reading) -> Result<Summary, Wrong> {
    let Sample { columns, said } = sample;
    let wanted = |name: &str| reading.columns.is_empty() || reading.columns.contains_key(name);
    let lacking: Vec<&str> =
        reading.columns.keys().map(String::as_str).filter(|name| !columns.contains_key(*name)).collect();
    expect_none_lacking(&lacking, columns.keys().map(String::as_str))?;
    let kinds: Vec<(String, Kind)> = columns
        .into_iter()
        .filter(|(name, _)| wanted(name))
        .map(|(name, cells)| {
            let told = || said.get(&name).copied().unwrap_or_else(|| Kind::of(&cells));
            let kind = reading.columns.get(&name).copied().flatten().unwrap_or_else(told);
            (name, kind)
        })
        .collect();
    let left_out = |(name, kind): &&(String, Kind)| {
        let asked = reading.columns.get(name).is_some_and(Option::is_none);
        asked && kind.column(0, 0).is_none()
    };
    if let Some((name, kind)) = kinds.iter().find(left_out) {
        let why = format!(
            "its values are told as {kind}, which is not compared; say what to take them for, such as `{name}=text`, \
             or leave it out"
        );
        return Err(Flaw::new(format!("column `{name}`"), why).into());
    }
    // A column of texts has several of numbers.
    let parts = kinds.len().max(1);
    let numbers = reading.numbers.min(Reading::CELLS / parts);
    let columns =
        kinds.iter().filter_map(|(name, kind)| Some((name.as_str(), kind.column(numbers, reading.texts)?)));
    let mut summary = Summary::new(columns);
    if summary.width() == 0 {
        return Err(Wrong::new("", "none of its columns can be compared; say of what kind they are"));
    }
    for (name, kind) in
        kinds.iter().filter(|(name, _)| summary.find(name).is_none()).cloned().collect::<Vec<_>>()
    {
        summary.leave_out(&name, kind);
    }
    Ok(summary)
}

fn expect_none_lacking<'a>(lacking: &[&str], known: impl Iterator<Item = &'a str>) -> Result<(), Wrong> {
    const SHOWN: usize = 40;
    match lacking.first() {
        None => Ok(()),
        Some(name) => {
            let known: Vec<&str> = known.take(SHOWN).collect();
            Err(Flaw::unknown("", "column", name, &known).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::Column;

    /// The bytes of a cell at its longest: numbers of 20 digits, which are counted a hundred million times.
    #[test]
    fn the_longest_summary_can_be_read() {
        const CELLS: usize = 1_000;
        let mut column = NumericColumn::with_limit(CELLS);
        let mut random = fastrand::Rng::with_seed(7);
        // Close together and great, so that there are as many cells as may be, and keys at their longest.
        column.extend((0..64 * CELLS).map(|_| (1.0 + random.f64()) * 1e300));
        (0..26).for_each(|_| column.merge(&column.clone()));
        let column = Column::Numeric(column);
        let written = serde_json::to_string(&column).unwrap();
        let Column::Numeric(_) = serde_json::from_str::<Column>(&written).unwrap() else { unreachable!() };
        let cells = written.split("\"ends\":").nth(1).unwrap().matches('[').count() - 1;
        let bytes = (written.len() / cells * Reading::CELLS) as u64;
        assert!(cells > CELLS / 2 && bytes > LONGEST_SUMMARY / 2, "{bytes} by {cells}");
        assert!(bytes < LONGEST_SUMMARY, "{bytes}");
    }
}
