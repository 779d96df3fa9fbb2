//! Parquet, column by column.

mod allowance;
mod checked;
mod footer;
mod known;
mod pages;
mod thrift;

use std::{
    collections::BTreeSet,
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
};

use ::parquet::{
    basic::{ConvertedType, LogicalType, Type},
    column::reader::{ColumnReader, ColumnReaderImpl, get_column_reader},
    data_type::DataType,
    errors::ParquetError,
    file::reader::{FileReader as _, SerializedFileReader},
    schema::types::ColumnDescriptor,
};

use self::{allowance::Allowance, checked::Checked};
use super::{LONGEST_ROW, LONGEST_SAMPLE, Reading, Sample, Wrong};
use crate::drift::{Kind, Summary, kind::Cell, summary::Field};

/// Bytes of the longest footer.
const LONGEST_FOOTER: u32 = 32 << 20;
/// Values that are decoded at once.
const AT_ONCE: usize = 4_096;

/// A file, and what its columns hold.
pub(super) struct Parquet {
    file: File,
    reader: SerializedFileReader<File>,
    leaves: Vec<Leaf>,
    allowance: Allowance,
}

struct Leaf {
    name: String,
    holds: Holds,
    physical: Type,
    /// The level at which there is a value.
    deepest: i16,
}

/// How the values of a column are to be understood.
#[derive(Clone, Copy)]
enum Holds {
    Decimal { scale: i32 },
    Nothing(Kind),
    Plain,
    Unsigned,
}

impl Parquet {
    pub(super) fn open(mut file: File) -> Result<Self, Wrong> {
        let length = file.metadata()?.len();
        let mut ending = [0; 8];
        if length < 12 {
            return Err(Wrong::new("", "it is Parquet and ends too early; write it again"));
        }
        file.seek(SeekFrom::Start(length - 8))?;
        file.read_exact(&mut ending)?;
        let [a, b, c, d, magic @ ..] = ending;
        if magic != *b"PAR1" {
            return Err(damaged("it does not end as Parquet does"));
        }
        let footer_length = u32::from_le_bytes([a, b, c, d]);
        if footer_length > LONGEST_FOOTER {
            return Err(Wrong::new(
                "",
                "the footer of this Parquet file says it is longer than 32 MiB; write larger row groups",
            ));
        }
        let start = (length - 8).checked_sub(footer_length.into());
        file.seek(SeekFrom::Start(start.ok_or_else(|| damaged("its footer begins before the file"))?))?;
        let mut text = vec![0; footer_length as usize];
        file.read_exact(&mut text)?;
        footer::expect_bounded(&text)?;
        drop(text);
        let own = file.try_clone()?;
        let reader = guarded(move || Ok(Ok(SerializedFileReader::new(own)?)))?;
        let columns = reader.metadata().file_metadata().schema_descr_ptr();
        let leaves: Vec<Leaf> = columns.columns().iter().map(|column| Leaf::new(column)).collect();
        let mut names = BTreeSet::new();
        if let Some(Leaf { name, .. }) = leaves.iter().find(|leaf| !names.insert(leaf.name.as_str())) {
            return Err(Wrong::new("", "two columns have this name; rename one").in_column(name));
        }
        Ok(Self { file, reader, leaves, allowance: Allowance::of(length) })
    }

    /// The columns, each of those that are wanted with the kind that its first values are of if nobody says it.
    pub(super) fn sampled(&self, reading: &Reading) -> Result<Sample, Wrong> {
        let mut sample = Sample::default();
        for Leaf { name, .. } in &self.leaves {
            sample.add(name, Cell::Nested)?;
        }
        let mut untold = Vec::new();
        for (at, Leaf { name, holds, .. }) in self.leaves.iter().enumerate() {
            match holds {
                Holds::Nothing(kind) => _ = sample.said.insert(name.clone(), *kind),
                _ if reading.asks_kind_of(name) => untold.push(at),
                _ => {}
            }
        }
        // The first ones may have no rows.
        let group =
            (0..self.reader.num_row_groups()).find(|group| self.rows(*group).is_ok_and(|rows| rows > 0));
        if let Some(group) = group {
            self.expect_readable(group..group + 1, &untold)?;
        }
        for at in untold {
            sample.said.insert(self.leaves[at].name.clone(), self.kind(group, at)?);
        }
        Ok(sample)
    }

    /// Of what kind the first values of a column are, those that can be held at once; without any, what its type says.
    fn kind(&self, group: Option<usize>, leaf: usize) -> Result<Kind, Wrong> {
        let (mut cells, mut bytes) = (Vec::new(), 0);
        if let Some(group) = group {
            self.values(group, leaf, Reading::SAMPLE as u64, &mut |field| {
                bytes += if let Field::Text(text) = field { text.len() } else { 8 };
                if bytes <= LONGEST_SAMPLE {
                    cells.push(Cell::from(field));
                }
            })?;
        }
        if cells.iter().any(|cell| *cell != Cell::Missing) {
            return Ok(Kind::of(&cells));
        }
        let leaf = &self.leaves[leaf];
        Ok(match (leaf.holds, leaf.physical) {
            (Holds::Decimal { .. }, _) | (_, Type::INT32 | Type::INT64 | Type::FLOAT | Type::DOUBLE) => {
                Kind::Numeric
            }
            (_, Type::BOOLEAN) => Kind::Boolean,
            _ => Kind::of(&[]),
        })
    }

    /// All rows.
    pub(super) fn read(&self, summary: &mut Summary) -> Result<(), Wrong> {
        let positions: Vec<(usize, usize)> = (self.leaves.iter().enumerate())
            .filter_map(|(leaf, Leaf { name, .. })| Some((leaf, summary.find(name)?)))
            .collect();
        let decoded = |(leaf, _): &&(usize, usize)| !matches!(self.leaves[*leaf].holds, Holds::Nothing(_));
        let leaves: Vec<usize> = positions.iter().filter(decoded).map(|(leaf, _)| *leaf).collect();
        self.expect_readable(0..self.reader.num_row_groups(), &leaves)?;
        for group in 0..self.reader.num_row_groups() {
            let rows = self.rows(group)?;
            let mut seen = vec![false; summary.width()];
            for (leaf, at) in &positions {
                seen[*at] = true;
                let column = summary.column_at(*at);
                let found = match self.leaves[*leaf].holds {
                    Holds::Nothing(_) => {
                        column.miss_rows(rows);
                        rows
                    }
                    _ => self.values(group, *leaf, rows, &mut |field| column.take(field))?,
                };
                if found != rows {
                    let wrong = damaged("it has not as many values as there are rows");
                    return Err(wrong.in_column(&self.leaves[*leaf].name));
                }
            }
            for at in (0..seen.len()).filter(|at| !seen[*at]) {
                summary.column_at(at).miss_rows(rows);
            }
            summary.end_rows(rows);
        }
        Ok(())
    }

    /// Whether these columns of these groups have not more values than a file of its size may have, and no bytes twice:
    /// groups without number, and columns, could say that they are the same ones.
    fn expect_readable(&self, groups: Range<usize>, leaves: &[usize]) -> Result<(), Wrong> {
        let (mut values, mut bytes) = (0_u64, 0_u64);
        for group in groups {
            values = values.saturating_add(self.rows(group)?.saturating_mul(leaves.len() as u64));
            let columns = self.reader.metadata().row_group(group).columns();
            for chunk in leaves.iter().filter_map(|leaf| columns.get(*leaf)) {
                bytes = bytes.saturating_add(u64::try_from(chunk.compressed_size()).unwrap_or(u64::MAX));
            }
        }
        if bytes > self.file.metadata()?.len() {
            return Err(damaged("its columns say they are longer than the file"));
        }
        self.allowance.expect_values(values).map_err(|Refused(why)| Wrong::new("", why))
    }

    fn rows(&self, group: usize) -> Result<u64, Wrong> {
        let rows = self.reader.metadata().row_group(group).num_rows();
        u64::try_from(rows).map_err(|_| damaged("a group has fewer rows than none"))
    }

    /// Gives `take` at most so many values of a column of a group, and says how many there were.
    fn values(
        &self,
        group: usize,
        leaf: usize,
        most: u64,
        take: &mut dyn FnMut(Field<'_>),
    ) -> Result<u64, Wrong> {
        let Leaf { name, holds, deepest, .. } = &self.leaves[leaf];
        let rows = self.rows(group)?;
        let found = guarded(|| {
            let group = self.reader.get_row_group(group)?;
            let chunk = group.metadata().column(leaf);
            if let Err(wrong) = pages::expect_bounded(&self.file, chunk) {
                return Ok(Err(wrong));
            }
            // Where each text can be as long as all before it together, one is held at once.
            let at_once = if checked::shares_beginnings(chunk) { 1 } else { AT_ONCE };
            let pages = Checked::new(group.get_column_page_reader(leaf)?, chunk, rows);
            let reader = get_column_reader(chunk.column_descr_ptr(), Box::new(pages));
            let want = Want { holds: *holds, deepest: *deepest, most, at_once, allowance: &self.allowance };
            Ok(Ok(want.decoded(reader, take)?))
        });
        found.map_err(|wrong| wrong.in_column(name))
    }
}

impl Leaf {
    fn new(column: &ColumnDescriptor) -> Self {
        let holds = match (column.logical_type_ref(), column.converted_type(), column.physical_type()) {
            _ if column.max_rep_level() > 0 => Holds::Nothing(Kind::Nested),
            (Some(LogicalType::Date | LogicalType::Time(_) | LogicalType::Timestamp(_)), ..)
            | (
                _,
                ConvertedType::DATE | ConvertedType::TIMESTAMP_MILLIS | ConvertedType::TIMESTAMP_MICROS,
                _,
            )
            | (_, _, Type::INT96) => Holds::Nothing(Kind::Time),
            (Some(LogicalType::Uuid), ..) => Holds::Nothing(Kind::Identifier),
            (Some(LogicalType::Decimal(_)), ..) | (_, ConvertedType::DECIMAL, _) => {
                Holds::Decimal { scale: column.type_scale() }
            }
            (Some(LogicalType::String | LogicalType::Enum | LogicalType::Json), ..)
            | (_, ConvertedType::UTF8 | ConvertedType::ENUM | ConvertedType::JSON, _) => Holds::Plain,
            (
                _,
                ConvertedType::UINT_8
                | ConvertedType::UINT_16
                | ConvertedType::UINT_32
                | ConvertedType::UINT_64,
                _,
            ) => Holds::Unsigned,
            (_, _, Type::BYTE_ARRAY | Type::FIXED_LEN_BYTE_ARRAY) => Holds::Nothing(Kind::Nested),
            _ => Holds::Plain,
        };
        let (name, physical) = (column.path().parts().join("."), column.physical_type());
        Self { name, holds, physical, deepest: column.max_def_level() }
    }
}

/// What is to be read of a column of a group, and how.
struct Want<'a> {
    holds: Holds,
    deepest: i16,
    /// Rows.
    most: u64,
    at_once: usize,
    allowance: &'a Allowance,
}

impl Want<'_> {
    fn decoded(&self, reader: ColumnReader, take: &mut dyn FnMut(Field<'_>)) -> Result<u64, ParquetError> {
        let holds = self.holds;
        let scaled = |value: f64| match holds {
            Holds::Decimal { scale } => value / 10_f64.powi(scale),
            _ => value,
        };
        match reader {
            ColumnReader::ByteArrayColumnReader(reader) => {
                self.each(reader, |value| self.bytes(value.map(::parquet::data_type::ByteArray::data), take))
            }
            ColumnReader::FixedLenByteArrayColumnReader(reader) => {
                self.each(reader, |value| self.bytes(value.map(|value| value.data()), take))
            }
            ColumnReader::BoolColumnReader(reader) => self.each(reader, |value| {
                take(value.map_or(Field::Missing, |yes| Field::Boolean(*yes)));
                Ok(())
            }),
            ColumnReader::Int32ColumnReader(reader) => self.numbers(reader, take, |value| match holds {
                Holds::Unsigned => f64::from(*value as u32),
                _ => scaled(f64::from(*value)),
            }),
            ColumnReader::Int64ColumnReader(reader) => self.numbers(reader, take, |value| match holds {
                Holds::Unsigned => *value as u64 as f64,
                _ => scaled(*value as f64),
            }),
            ColumnReader::FloatColumnReader(reader) => self.numbers(reader, take, |value| f64::from(*value)),
            ColumnReader::DoubleColumnReader(reader) => self.numbers(reader, take, |value| *value),
            ColumnReader::Int96ColumnReader(_) => Ok(0),
        }
    }

    fn numbers<T: DataType>(
        &self,
        reader: ColumnReaderImpl<T>,
        take: &mut dyn FnMut(Field<'_>),
        number: impl Fn(&T::T) -> f64,
    ) -> Result<u64, ParquetError> {
        self.each(reader, |value| {
            take(value.map_or(Field::Missing, |value| Field::Number(number(value))));
            Ok(())
        })
    }

    /// A text, or a decimal.
    fn bytes(&self, bytes: Option<&[u8]>, take: &mut dyn FnMut(Field<'_>)) -> Result<(), Refused> {
        let Some(bytes) = bytes else {
            take(Field::Missing);
            return Ok(());
        };
        if bytes.len() > LONGEST_ROW {
            let why =
                format!("a value has {} bytes, and the longest that is read {LONGEST_ROW}", bytes.len());
            return Err(Refused(format!("{why}; shorten it, or name the other columns")));
        }
        self.allowance.take_text(bytes.len() as u64)?;
        take(match self.holds {
            Holds::Decimal { scale } => {
                integer(bytes).map_or(Field::Missing, |value| Field::Number(value / 10_f64.powi(scale)))
            }
            _ => std::str::from_utf8(bytes).map_or(Field::Missing, Field::Text),
        });
        Ok(())
    }

    /// Each value, or that there is none, of the first rows.
    fn each<T: DataType>(
        &self,
        mut reader: ColumnReaderImpl<T>,
        mut take: impl FnMut(Option<&T::T>) -> Result<(), Refused>,
    ) -> Result<u64, ParquetError> {
        let (mut levels, mut values) = (Vec::new(), Vec::new());
        let mut rows = 0;
        while rows < self.most {
            levels.clear();
            values.clear();
            let batch = self.at_once.min(usize::try_from(self.most - rows).unwrap_or(self.at_once));
            let (read, ..) = reader.read_records(batch, Some(&mut levels), None, &mut values)?;
            if read == 0 {
                break;
            }
            rows += read as u64;
            if self.deepest == 0 {
                values.iter().try_for_each(|value| take(Some(value)))?;
                continue;
            }
            let mut values = values.iter();
            let value = |level: &i16| if *level == self.deepest { values.next() } else { None };
            levels.iter().map(value).try_for_each(&mut take)?;
        }
        Ok(rows)
    }
}

/// A whole number as decimals are written: the greatest byte first, two's complement.
fn integer(bytes: &[u8]) -> Option<f64> {
    let first = *bytes.first()?;
    let start = if first & 0x80 == 0 { 0 } else { -1 };
    (bytes.len() <= 16)
        .then(|| bytes.iter().fold(start, |sum: i128, byte| sum << 8 | i128::from(*byte)) as f64)
}

/// Does what the decoder does, which panics at some damaged files.
fn guarded<T>(decode: impl FnOnce() -> Result<Result<T, Wrong>, ParquetError>) -> Result<T, Wrong> {
    match catch_unwind(AssertUnwindSafe(decode)) {
        Ok(Ok(decoded)) => decoded,
        Ok(Err(ParquetError::External(error))) if error.is::<Refused>() => {
            Err(Wrong::new("", error.to_string()))
        }
        Ok(Err(error)) => Err(damaged(&crate::excerpt::excerpt(&error.to_string(), 200))),
        Err(_) => Err(damaged("it is not as Parquet files are")),
    }
}

/// What this file asks for is not given to it: why, and the remedy.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refused(String);

fn damaged(why: &str) -> Wrong {
    let remedy = "write it again, uncompressed or with Snappy, and without encryption";
    Wrong::new("", format!("it cannot be read as Parquet: {why}; {remedy}"))
}
