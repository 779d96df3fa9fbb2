//! Rows of comma-separated values.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
};

use ::csv::{ByteRecord, ReaderBuilder};

use super::{LONGEST_NAME, LONGEST_ROW, Wrong};
use crate::{
    drift::{Summary, summary::Field},
    flaw::Flaw,
};

/// Rows under a header, one by one.
pub(super) struct Csv {
    reader: ::csv::Reader<Metered>,
    header: Vec<String>,
    row: ByteRecord,
}

/// Lets through so many bytes between two rows: a quote that is never closed would make one of everything that
/// follows.
struct Metered {
    input: BufReader<File>,
    left: usize,
}

impl Csv {
    /// Reads the header. What stands between its names, a comma, a semicolon, a tab or a bar, stands between values.
    pub(super) fn new(mut input: BufReader<File>) -> Result<Self, Wrong> {
        let begin = input.fill_buf()?;
        let first = begin.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let delimiter = delimiter(first);
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .from_reader(Metered { input, left: LONGEST_ROW });
        let mut row = ByteRecord::new();
        reader.read_byte_record(&mut row).map_err(|error| unreadable(&error))?;
        let mut header = Vec::with_capacity(row.len());
        for name in &row {
            let name = std::str::from_utf8(name).map_err(|_| no_text(1, ""))?.trim().to_owned();
            if name.len() > LONGEST_NAME {
                return Err(at(
                    1,
                    "",
                    format!("a column's name is longer than {LONGEST_NAME} bytes; is it a header?"),
                ));
            }
            if header.contains(&name) {
                return Err(at(1, &name, "two columns have this name; rename one"));
            }
            header.push(name);
        }
        if header.len() > Summary::MOST_COLUMNS {
            let why =
                format!("it has more than {} columns; write those of interest alone", Summary::MOST_COLUMNS);
            return Err(at(1, "", why));
        }
        Ok(Self { reader, header, row })
    }

    pub(super) fn next(&mut self, take: &mut dyn FnMut(&str, Field<'_>)) -> Result<bool, Wrong> {
        self.reader.get_mut().left = LONGEST_ROW;
        let found = self.reader.read_byte_record(&mut self.row);
        if !found.map_err(|error| at(self.reader.position().line(), "", unreadable(&error).why))? {
            return Ok(false);
        }
        let line = self.row.position().map_or(0, ::csv::Position::line);
        if self.row.len() != self.header.len() {
            let (have, names) = (self.row.len(), self.header.len());
            let why = format!(
                "the row has {have} fields and the header {names}; quote fields with delimiters in them"
            );
            return Err(at(line, "", why));
        }
        for (name, bytes) in self.header.iter().zip(&self.row) {
            match std::str::from_utf8(bytes) {
                Ok("") => take(name, Field::Missing),
                Ok(text) => take(name, Field::Text(text)),
                Err(_) => return Err(no_text(line, name)),
            }
        }
        Ok(true)
    }
}

/// What occurs most often outside of quotes.
fn delimiter(header: &[u8]) -> u8 {
    let mut is_quoted = false;
    let mut counts = [(b',', 0), (b';', 0), (b'\t', 0), (b'|', 0)];
    for byte in header {
        is_quoted ^= *byte == b'"';
        let found = counts.iter_mut().find(|(delimiter, _)| !is_quoted && delimiter == byte);
        found.into_iter().for_each(|(_, count)| *count += 1);
    }
    // The first of those that occur as often.
    counts.iter().rev().max_by_key(|(_, count)| *count).map_or(b',', |(delimiter, _)| *delimiter)
}

fn at(line: u64, column: &str, why: impl Into<String>) -> Wrong {
    Wrong { line: Some(line), flaw: Flaw::new(crate::excerpt::excerpt(column, 60), why) }
}

fn no_text(line: u64, column: &str) -> Wrong {
    at(line, column, "it is no UTF-8; save the file in this encoding")
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
            let why = format!("a row is longer than {LONGEST_ROW} bytes; is a quote never closed?");
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        let bounded = buffer.len().min(self.left);
        let read = self.input.read(&mut buffer[..bounded])?;
        self.left -= read;
        Ok(read)
    }
}
