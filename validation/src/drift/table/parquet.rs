//! Parquet, column by column.

mod pages;

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    panic::{AssertUnwindSafe, catch_unwind},
};

use ::parquet::{
    basic::{ConvertedType, LogicalType, Type},
    column::reader::{ColumnReader, ColumnReaderImpl},
    data_type::DataType,
    errors::ParquetError,
    file::reader::{FileReader as _, RowGroupReader, SerializedFileReader},
    schema::types::ColumnDescriptor,
};

use super::{Reading, Sample, Wrong};
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
}

struct Leaf {
    name: String,
    holds: Holds,
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
        let mut footer = [0; 4];
        if length < 12 {
            return Err(Wrong::new("", "it is Parquet and ends too early; write it again"));
        }
        file.seek(SeekFrom::Start(length - 8))?;
        file.read_exact(&mut footer)?;
        if u32::from_le_bytes(footer) > LONGEST_FOOTER {
            return Err(Wrong::new(
                "",
                "the footer of this Parquet file says it is longer than 32 MiB; write larger row groups",
            ));
        }
        let own = file.try_clone()?;
        guarded(move || {
            let reader = SerializedFileReader::new(own)?;
            let columns = reader.metadata().file_metadata().schema_descr_ptr();
            let leaves = columns.columns().iter().map(|column| Leaf::new(column)).collect();
            Ok(Ok(Self { file, reader, leaves }))
        })
    }

    /// The first values of each column.
    pub(super) fn sampled(&self) -> Result<Sample, Wrong> {
        let mut sample = Sample::default();
        let has_rows = self.reader.num_row_groups() > 0;
        for (at, leaf) in self.leaves.iter().enumerate() {
            if let Holds::Nothing(kind) = leaf.holds {
                sample.add(&leaf.name, Cell::Nested)?;
                sample.said.insert(leaf.name.clone(), kind);
                continue;
            }
            let mut cells = Vec::new();
            if has_rows {
                self.values(0, at, Reading::SAMPLE as u64, &mut |field| cells.push(Cell::from(field)))?;
            }
            cells.into_iter().try_for_each(|cell| sample.add(&leaf.name, cell))?;
        }
        Ok(sample)
    }

    /// All rows.
    pub(super) fn read(&self, summary: &mut Summary) -> Result<(), Wrong> {
        let positions: Vec<(usize, usize)> = (self.leaves.iter().enumerate())
            .filter_map(|(leaf, Leaf { name, .. })| Some((leaf, summary.find(name)?)))
            .collect();
        for group in 0..self.reader.num_row_groups() {
            let rows = self.reader.metadata().row_group(group).num_rows();
            let rows = u64::try_from(rows).map_err(|_| damaged("a group has fewer rows than none"))?;
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
                    return Err(damaged("a column has not as many values as there are rows"));
                }
            }
            for at in (0..seen.len()).filter(|at| !seen[*at]) {
                summary.column_at(at).miss_rows(rows);
            }
            summary.end_rows(rows);
        }
        Ok(())
    }

    /// Gives `take` at most so many values of a column of a group, and says how many there were.
    fn values(
        &self,
        group: usize,
        leaf: usize,
        most: u64,
        take: &mut dyn FnMut(Field<'_>),
    ) -> Result<u64, Wrong> {
        let Leaf { holds, deepest, .. } = &self.leaves[leaf];
        guarded(|| {
            let group = self.reader.get_row_group(group)?;
            if let Err(wrong) = pages::expect_bounded(&self.file, group.metadata().column(leaf)) {
                return Ok(Err(wrong));
            }
            Ok(Ok(decoded(group.as_ref(), leaf, *holds, *deepest, most, take)?))
        })
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
        Self { name: column.path().parts().join("."), holds, deepest: column.max_def_level() }
    }
}

fn decoded(
    group: &dyn RowGroupReader,
    leaf: usize,
    holds: Holds,
    deepest: i16,
    most: u64,
    take: &mut dyn FnMut(Field<'_>),
) -> Result<u64, ParquetError> {
    let scaled = |value: f64| match holds {
        Holds::Decimal { scale } => value / 10_f64.powi(scale),
        _ => value,
    };
    let mut bytes = |bytes: Option<&[u8]>| match (bytes, holds) {
        (None, _) => take(Field::Missing),
        (Some(bytes), Holds::Decimal { .. }) => {
            take(integer(bytes).map_or(Field::Missing, |value| Field::Number(scaled(value))))
        }
        (Some(bytes), _) => take(std::str::from_utf8(bytes).map_or(Field::Missing, Field::Text)),
    };
    match group.get_column_reader(leaf)? {
        ColumnReader::ByteArrayColumnReader(reader) => {
            each(reader, deepest, most, |value| bytes(value.map(::parquet::data_type::ByteArray::data)))
        }
        ColumnReader::FixedLenByteArrayColumnReader(reader) => {
            each(reader, deepest, most, |value| bytes(value.map(|value| value.data())))
        }
        ColumnReader::BoolColumnReader(reader) => each(reader, deepest, most, |value| {
            take(value.map_or(Field::Missing, |yes| Field::Boolean(*yes)))
        }),
        ColumnReader::Int32ColumnReader(reader) => each(reader, deepest, most, |value| {
            let number = value.map(|value| match holds {
                Holds::Unsigned => f64::from(*value as u32),
                _ => scaled(f64::from(*value)),
            });
            take(number.map_or(Field::Missing, Field::Number));
        }),
        ColumnReader::Int64ColumnReader(reader) => each(reader, deepest, most, |value| {
            let number = value.map(|value| match holds {
                Holds::Unsigned => *value as u64 as f64,
                _ => scaled(*value as f64),
            });
            take(number.map_or(Field::Missing, Field::Number));
        }),
        ColumnReader::FloatColumnReader(reader) => each(reader, deepest, most, |value| {
            take(value.map_or(Field::Missing, |value| Field::Number(f64::from(*value))));
        }),
        ColumnReader::DoubleColumnReader(reader) => each(reader, deepest, most, |value| {
            take(value.map_or(Field::Missing, |value| Field::Number(*value)))
        }),
        ColumnReader::Int96ColumnReader(_) => Ok(0),
    }
}

/// Each value, or that there is none, of the first `most` rows.
fn each<T: DataType>(
    mut reader: ColumnReaderImpl<T>,
    deepest: i16,
    most: u64,
    mut take: impl FnMut(Option<&T::T>),
) -> Result<u64, ParquetError> {
    let (mut levels, mut values) = (Vec::new(), Vec::new());
    let mut rows = 0;
    while rows < most {
        levels.clear();
        values.clear();
        let batch = AT_ONCE.min(usize::try_from(most - rows).unwrap_or(AT_ONCE));
        let (read, ..) = reader.read_records(batch, Some(&mut levels), None, &mut values)?;
        if read == 0 {
            break;
        }
        rows += read as u64;
        if deepest == 0 {
            values.iter().for_each(|value| take(Some(value)));
            continue;
        }
        let mut values = values.iter();
        levels.iter().for_each(|level| take(if *level == deepest { values.next() } else { None }));
    }
    Ok(rows)
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
        Ok(Err(error)) => Err(damaged(&crate::excerpt::excerpt(&error.to_string(), 200))),
        Err(_) => Err(damaged("it is not as Parquet files are")),
    }
}

fn damaged(why: &str) -> Wrong {
    let remedy = "write it again, uncompressed or with Snappy, and without encryption";
    Wrong::new("", format!("it cannot be read as Parquet: {why}; {remedy}"))
}
