//! Annotated CSV, in which Flux answers.
//!
//! Tables of one schema follow each other under one header and differ in the column `table`; another schema begins
//! with its annotations. An error that comes after the beginning of an answer is a table of its own, with the
//! columns `error` and `reference`.

use std::time::{Duration, SystemTime};

use csv::{ByteRecord, ReaderBuilder};

use crate::{
    Window,
    http::excerpt,
    query::{Failure, Points},
};

/// What the rows mean from here on.
#[derive(Default)]
struct Schema {
    datatypes: Option<ByteRecord>,
    groups: Option<ByteRecord>,
    defaults: Option<ByteRecord>,
    header: Option<Header>,
}

struct Header {
    names: ByteRecord,
    result: Option<usize>,
    table: Option<usize>,
    time: Option<usize>,
    value: Option<usize>,
}

/// Which table a row belongs to: by the name of the result, and the number in it.
#[derive(PartialEq)]
struct Table {
    result: Vec<u8>,
    number: Vec<u8>,
    key: String,
}

/// The points of the only table.
pub(super) fn points(body: &[u8], window: Window) -> Result<Points, Failure> {
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(body);
    let mut schema = Schema::default();
    let mut table: Option<Table> = None;
    let mut points = Vec::new();
    let mut untimed = None;
    let mut rows = 0_usize;
    for record in reader.byte_records() {
        let record =
            record.map_err(|error| Failure::malformed(format!("it is no annotated CSV: {error}")))?;
        let Some(row) = schema.take(record)? else { continue };
        let header = row.header;
        rows += 1;
        let of = row.table();
        match &table {
            None => table = Some(of),
            Some(first) if *first == of => {}
            Some(first) => {
                return Err(Failure::malformed(format!(
                    "the query gives several tables ({}; {}; …); write |> group() before the aggregate",
                    first.key, of.key
                )));
            }
        }
        let Some(column) = header.value else {
            let names: Vec<_> = header.names.iter().skip(3).take(8).map(String::from_utf8_lossy).collect();
            return Err(Failure::malformed(format!(
                "the table has no column `_value`, but {}; rename the one with the numbers",
                names.join(", ")
            )));
        };
        let datatype = String::from_utf8_lossy(row.datatype(column));
        if !matches!(&*datatype, "double" | "long" | "unsignedLong") {
            return Err(Failure::malformed(format!("`_value` is of the type {datatype}, not a number")));
        }
        let time = match header.time {
            Some(column) => time(row.cell(column), window)?,
            None => {
                untimed = Some(rows);
                window.end()
            }
        };
        let text = String::from_utf8_lossy(row.cell(column));
        if !text.is_empty() {
            points.push((time, text.parse().map_err(|_| not_a_number(&text))?));
        }
    }
    if untimed.is_some_and(|_| rows > 1) {
        return Err(Failure::malformed(format!(
            "the query gives {rows} rows without `_time`; aggregate them to one, or keep their times"
        )));
    }
    if schema.header.is_none() && !body.iter().all(u8::is_ascii_whitespace) {
        return Err(Failure::malformed("it is no annotated CSV: there is no header"));
    }
    Ok(points.into_iter().collect())
}

fn not_a_number(text: &str) -> Failure {
    Failure::malformed(format!("`_value` is no number: {text}"))
}

struct Row<'a> {
    schema: &'a Schema,
    header: &'a Header,
    record: ByteRecord,
}

impl Schema {
    /// The row that `record` is, if it is one. Annotations and headers are remembered.
    fn take(&mut self, record: ByteRecord) -> Result<Option<Row<'_>>, Failure> {
        let first = record.get(0).unwrap_or_default();
        if first.starts_with(b"#") {
            if self.header.is_some() {
                *self = Self::default();
            }
            match first {
                b"#datatype" => self.datatypes = Some(record),
                b"#group" => self.groups = Some(record),
                b"#default" => self.defaults = Some(record),
                _ => {}
            }
            return Ok(None);
        }
        let is_error = |record: &ByteRecord| {
            record.iter().zip(record.iter().skip(1)).take(2).any(|pair| pair == (b"error", b"reference"))
        };
        if is_error(&record) {
            let error = usize::from(first != b"error");
            let names = ByteRecord::from(vec![&b"error"[..]]);
            let header = Header { names, result: None, table: None, time: None, value: Some(error) };
            *self = Self { header: Some(header), ..Self::default() };
            return Ok(None);
        }
        if self.header.is_none() {
            if self.datatypes.is_none() {
                return Err(Failure::malformed("it is no annotated CSV: the annotations are missing"));
            }
            let at = |name: &[u8]| record.iter().position(|column| column == name);
            let (result, table, time, value) = (at(b"result"), at(b"table"), at(b"_time"), at(b"_value"));
            self.header = Some(Header { names: record, result, table, time, value });
            return Ok(None);
        }
        let Some(header) = &self.header else { return Ok(None) };
        if self.datatypes.is_none() {
            let message = record.get(header.value.unwrap_or_default()).unwrap_or_default();
            let message = String::from_utf8_lossy(message);
            return Err(Failure::Partial(excerpt(&format!("the query broke off: {message}"))));
        }
        if record.len() != header.names.len() {
            return Err(Failure::malformed(format!(
                "a row has {} columns, its header {}",
                record.len(),
                header.names.len()
            )));
        }
        Ok(Some(Row { schema: self, header, record }))
    }
}

impl Row<'_> {
    /// What stands in a column, or its default.
    fn cell(&self, column: usize) -> &[u8] {
        match self.record.get(column).unwrap_or_default() {
            b"" => self.schema.defaults.as_ref().and_then(|row| row.get(column)).unwrap_or_default(),
            cell => cell,
        }
    }

    fn datatype(&self, column: usize) -> &[u8] {
        self.schema.datatypes.as_ref().and_then(|row| row.get(column)).unwrap_or_default()
    }

    fn table(&self) -> Table {
        let cell = |column: Option<usize>| column.map(|at| self.cell(at).to_vec()).unwrap_or_default();
        Table { result: cell(self.header.result), number: cell(self.header.table), key: self.key() }
    }

    /// The group key, as a message shows it: without the bounds, which all tables share.
    fn key(&self) -> String {
        let Some(groups) = &self.schema.groups else { return "no group key".to_owned() };
        let columns = groups.iter().enumerate().filter(|(_, group)| *group == b"true");
        let pairs: Vec<_> = columns
            .filter_map(|(at, _)| Some((self.header.names.get(at)?, self.cell(at))))
            .filter(|(name, _)| !matches!(*name, b"_start" | b"_stop"))
            .take(4)
            .map(|(name, value)| {
                format!("{}={}", String::from_utf8_lossy(name), String::from_utf8_lossy(value))
            })
            .collect();
        if pairs.is_empty() { "no group key".to_owned() } else { pairs.join(" ") }
    }
}

/// A time, as of the window: what is stamped with the end of the range, a nanosecond after the window's, is of its
/// end.
fn time(cell: &[u8], window: Window) -> Result<SystemTime, Failure> {
    let text = String::from_utf8_lossy(cell);
    let at = humantime::parse_rfc3339(&text)
        .map_err(|_| Failure::malformed(format!("`_time` is no time: {text}")))?;
    Ok(if at == window.end() + Duration::from_nanos(1) { window.end() } else { at })
}
