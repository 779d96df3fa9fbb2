//! Records of comma-separated values.

use std::io::{self, Read};

use ::csv::{ByteRecord, ReaderBuilder};
use serde_json::{Map, Value};

use super::{
    Format,
    input::{Input, LONGEST_LINE},
};
use crate::flaw::Flaw;

/// Columns that hold JSON, or a number, in our own format.
const JSON: &[&str] = &["assert", "choices", "messages", "metadata", "threshold", "weight"];
/// Most columns.
const MOST_COLUMNS: usize = 256;

/// Rows under a header, one by one.
#[derive(Debug)]
pub(crate) struct Rows {
    reader: ::csv::Reader<Metered>,
    header: Vec<String>,
    row: ByteRecord,
    format: Format,
}

/// Lets through so many bytes between two refills: a quote that is never closed would make one record of
/// everything that follows.
#[derive(Debug)]
struct Metered {
    input: Input,
    left: usize,
}

impl Rows {
    pub(crate) fn new(input: Input, format: Format) -> Result<Self, Flaw> {
        let metered = Metered { input, left: LONGEST_LINE };
        let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(metered);
        let mut row = ByteRecord::new();
        reader.read_byte_record(&mut row).map_err(|error| unreadable(&error))?;
        let header = row
            .iter()
            .map(|name| cell(name).map(|name| name.trim().to_owned()))
            .collect::<Result<Vec<_>, _>>()?;
        if header.len() > MOST_COLUMNS {
            return Err(Flaw::new("", format!("it has more than {MOST_COLUMNS} columns")));
        }
        if let Some(at) = (0..header.len()).find(|&at| header[..at].contains(&header[at])) {
            return Err(Flaw::new(&header[at], "two columns have this name; rename one"));
        }
        Ok(Self { reader, header, row, format })
    }

    /// The next row as a record, and its line; `None` at the end.
    pub(crate) fn next(&mut self) -> Option<(u64, Result<Value, Flaw>)> {
        self.reader.get_mut().left = LONGEST_LINE;
        match self.reader.read_byte_record(&mut self.row) {
            Ok(false) => None,
            Ok(true) => {
                let line = self.row.position().map_or(0, ::csv::Position::line);
                Some((line, self.record()))
            }
            Err(error) => {
                let line = self.reader.position().line();
                Some((line, Err(unreadable(&error))))
            }
        }
    }

    pub(super) fn into_input(self) -> Input {
        self.reader.into_inner().input
    }

    fn record(&self) -> Result<Value, Flaw> {
        if self.row.len() != self.header.len() {
            let why = format!(
                "the row has {} cells and the header {}; quote cells with commas in them",
                self.row.len(),
                self.header.len()
            );
            return Err(Flaw::new("", why));
        }
        let mut record = Map::new();
        let mut metadata = Map::new();
        for (name, bytes) in self.header.iter().zip(&self.row) {
            let text = cell(bytes).map_err(|flaw| flaw.below(name))?;
            if text.is_empty() {
                continue;
            }
            match name.strip_prefix("metadata.") {
                Some(key) => _ = metadata.insert(key.to_owned(), text.into()),
                None => _ = record.insert(name.clone(), self.value(name, text)?),
            }
        }
        if !metadata.is_empty() {
            match record.entry("metadata").or_insert_with(|| Map::new().into()) {
                Value::Object(all) => all.extend(metadata),
                _ => {
                    return Err(Flaw::new(
                        "metadata",
                        "write a JSON object, or one column `metadata.name` for each",
                    ));
                }
            }
        }
        Ok(Value::Object(record))
    }

    fn value(&self, name: &str, text: &str) -> Result<Value, Flaw> {
        if self.format != Format::Native || !JSON.contains(&name) {
            return Ok(text.into());
        }
        serde_json::from_str(text)
            .map_err(|error| Flaw::new(name, format!("the cell should hold JSON: {error}")))
    }
}

fn cell(bytes: &[u8]) -> Result<&str, Flaw> {
    std::str::from_utf8(bytes).map_err(|_| Flaw::new("", "it is no UTF-8; save the file in this encoding"))
}

fn unreadable(error: &::csv::Error) -> Flaw {
    match error.kind() {
        // A row that is too long says itself what would be right.
        ::csv::ErrorKind::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
            Flaw::new("", format!("it cannot be read as CSV: {error}"))
        }
        ::csv::ErrorKind::Io(error) => Flaw::unreadable(error),
        _ => Flaw::new(
            "",
            format!("it cannot be read as CSV: {error}; write CSV under a header, or JSON Lines"),
        ),
    }
}

impl Read for Metered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            let why = format!("a row is longer than {LONGEST_LINE} bytes; is a quote never closed?");
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        let bounded = buffer.len().min(self.left);
        let read = self.input.read(&mut buffer[..bounded])?;
        self.left -= read;
        Ok(read)
    }
}
