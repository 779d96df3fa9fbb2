//! Rows that are a JSON object a line.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read as _},
};

use serde_json::{Map, Value};

use super::{LONGEST_ROW, Wrong};
use crate::{drift::summary::Field, flaw::Flaw};

/// How deep objects in objects are columns.
const DEEPEST: usize = 4;

/// Objects, one by one.
pub(super) struct Lines {
    input: BufReader<File>,
    line: Vec<u8>,
    number: u64,
}

impl Lines {
    pub(super) const fn new(input: BufReader<File>) -> Self {
        Self { input, line: Vec::new(), number: 0 }
    }

    pub(super) fn next(&mut self, take: &mut dyn FnMut(&str, Field<'_>)) -> Result<bool, Wrong> {
        loop {
            self.line.clear();
            self.number += 1;
            let mut bounded = (&mut self.input).take(LONGEST_ROW as u64 + 1);
            let read = bounded.read_until(b'\n', &mut self.line)?;
            if read == 0 {
                return Ok(false);
            }
            if read > LONGEST_ROW {
                return Err(
                    self.wrong(format!("the line is longer than {LONGEST_ROW} bytes; is it JSON Lines?"))
                );
            }
            if !self.line.trim_ascii().is_empty() {
                break;
            }
        }
        let object: Map<String, Value> = serde_json::from_slice(&self.line)
            .map_err(|error| self.wrong(format!("it is no JSON object in one line: {error}")))?;
        fields("", &object, DEEPEST, take);
        Ok(true)
    }

    fn wrong(&self, why: String) -> Wrong {
        Wrong { line: Some(self.number), flaw: Flaw::new("", why) }
    }
}

/// Each field of an object, and of objects in it under the names of both.
fn fields(path: &str, object: &Map<String, Value>, deep: usize, take: &mut dyn FnMut(&str, Field<'_>)) {
    for (name, value) in object {
        let joined = (!path.is_empty()).then(|| format!("{path}.{name}"));
        let name = joined.as_deref().unwrap_or(name);
        match value {
            Value::Null => take(name, Field::Missing),
            Value::Bool(yes) => take(name, Field::Boolean(*yes)),
            Value::Number(number) => take(name, number.as_f64().map_or(Field::Missing, Field::Number)),
            Value::String(text) => take(name, Field::Text(text)),
            Value::Object(object) if deep > 0 => fields(name, object, deep - 1, take),
            Value::Array(_) | Value::Object(_) => take(name, Field::Nested),
        }
    }
}
