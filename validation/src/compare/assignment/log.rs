//! Rows of a log, in JSON Lines or CSV.

use std::{
    borrow::Cow,
    io::BufRead as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use serde_json::{Map, Value};

use crate::{
    compare::CompareError,
    dataset::{Format, Input, LONGEST_LINE, Rows, Source, next_line},
    excerpt::excerpt,
    flaw::Flaw,
};

/// Rows of a log, one by one.
pub(super) struct Log {
    path: PathBuf,
    rows: Form,
}

enum Form {
    Csv(Rows),
    Lines { input: Input, line: Vec<u8>, number: u64 },
}

/// One row, and where it stands.
pub(super) struct Row<'a> {
    path: &'a Path,
    line: u64,
    fields: Map<String, Value>,
}

impl Log {
    /// Opens a log. It is JSON Lines if it begins with a brace, and CSV otherwise.
    pub(super) fn open(path: &Path) -> Result<Self, CompareError> {
        let malformed = |why: String| CompareError::Malformed { path: path.to_owned(), line: None, why };
        let mut input = Source::File(path.into()).open().map_err(|flaw| malformed(flaw.to_string()))?;
        let start = input.fill_buf().map_err(|error| malformed(Flaw::unreadable(&error).why))?;
        let rows = match start.trim_ascii_start().first() {
            Some(b'{') => Form::Lines { input, line: Vec::new(), number: 0 },
            // The format of which cells are texts.
            _ => Form::Csv(Rows::new(input, Format::Inspect).map_err(|flaw| malformed(flaw.to_string()))?),
        };
        Ok(Self { path: path.to_owned(), rows })
    }

    pub(super) fn next(&mut self) -> Result<Option<Row<'_>>, CompareError> {
        let path = &self.path;
        let malformed =
            |line: u64, why: String| CompareError::Malformed { path: path.clone(), line: Some(line), why };
        let (line, value) = match &mut self.rows {
            Form::Csv(rows) => match rows.next() {
                None => return Ok(None),
                Some((line, row)) => (line, row.map_err(|flaw| malformed(line, flaw.to_string()))?),
            },
            Form::Lines { input, line, number } => loop {
                *number += 1;
                let more = next_line(input, line, LONGEST_LINE);
                if !more.map_err(|flaw| malformed(*number, flaw.to_string()))? {
                    return Ok(None);
                }
                if !line.trim_ascii().is_empty() {
                    let value = serde_json::from_slice(line);
                    break (
                        *number,
                        value.map_err(|error| malformed(*number, format!("it is no JSON: {error}")))?,
                    );
                }
            },
        };
        match value {
            Value::Object(fields) => Ok(Some(Row { path, line, fields })),
            _ => Err(malformed(line, "write an object, such as {\"unit\": \"ada\", …}".to_owned())),
        }
    }
}

impl Row<'_> {
    /// A text, or a number as one.
    pub(super) fn text(&self, field: &str) -> Result<Cow<'_, str>, CompareError> {
        match self.fields.get(field) {
            Some(Value::String(text)) if !text.is_empty() => Ok(Cow::Borrowed(text)),
            Some(Value::Number(number)) => Ok(Cow::Owned(number.to_string())),
            None => Err(self.missing(field)),
            Some(_) => Err(self.malformed(format!("`{field}` is no text; name what it is"))),
        }
    }

    /// `value`, or `hit` as 1 or 0.
    pub(super) fn value(&self) -> Result<f64, CompareError> {
        match (self.fields.get("value"), self.fields.get("hit")) {
            (Some(value), None) => {
                let number = match value {
                    Value::String(text) => text.trim().parse().ok(),
                    value => value.as_f64(),
                };
                // Sums of as many as there may be stay finite.
                let number = number.filter(|number: &f64| number.abs() <= 1e100);
                number.ok_or_else(|| self.malformed(format!("`value` is {} and no number", shown(value))))
            }
            (None, Some(hit)) => match hit {
                Value::Bool(hit) => Ok(f64::from(*hit)),
                Value::String(word) if ["true", "1", "yes"].contains(&word.as_str()) => Ok(1.0),
                Value::String(word) if ["false", "0", "no"].contains(&word.as_str()) => Ok(0.0),
                Value::Number(number) if number.as_u64() == Some(1) => Ok(1.0),
                Value::Number(number) if number.as_u64() == Some(0) => Ok(0.0),
                hit => Err(self.malformed(format!("`hit` is {}; write true or false", shown(hit)))),
            },
            (Some(_), Some(_)) => Err(self.malformed("it has a `value` and a `hit`; write one".to_owned())),
            (None, None) => Err(self.malformed("it has neither `value` nor `hit`; write one".to_owned())),
        }
    }

    /// When it was, if that is said.
    pub(super) fn time(&self) -> Result<Option<SystemTime>, CompareError> {
        let Some(written) = self.fields.get("time").filter(|time| !time.is_null()) else { return Ok(None) };
        let seconds = |seconds: f64| {
            let since = Duration::try_from_secs_f64(seconds).ok()?;
            SystemTime::UNIX_EPOCH.checked_add(since)
        };
        let time = match written {
            Value::Number(number) => number.as_f64().and_then(seconds),
            Value::String(text) => match text.trim().parse() {
                Ok(number) => seconds(number),
                Err(_) => humantime::parse_rfc3339_weak(text.trim()).ok(),
            },
            _ => None,
        };
        time.map(Some).ok_or_else(|| {
            self.malformed(format!(
                "`time` is {}; write it in UTC, as 2026-11-29T13:46:00Z, or as seconds since 1970",
                shown(written)
            ))
        })
    }

    pub(super) fn missing(&self, field: &str) -> CompareError {
        self.malformed(format!("it has no `{field}`; add it"))
    }

    pub(super) fn malformed(&self, why: String) -> CompareError {
        CompareError::Malformed { path: self.path.to_owned(), line: Some(self.line), why }
    }
}

fn shown(value: &Value) -> String {
    format!("`{}`", excerpt(&value.to_string(), 60))
}
