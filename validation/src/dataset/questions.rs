//! The questions of a dataset, one after the other.

use std::{fmt, vec};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};
use serde_json::{Map, Value, json};
use tidegate_registry::Digest;

use super::{
    Dataset, Format, InvalidDataset, Layout, Place, Question, Shard,
    csv::Rows,
    harmbench,
    input::{Input, LONGEST_LINE, digest, next_line, whole},
    native, promptfoo, pyrit, yaml,
};
use crate::flaw::Flaw;

/// The questions of one share of a dataset, in the order of the file. The first error is the last item.
#[derive(Debug)]
pub struct Questions {
    file: String,
    format: Format,
    shard: Shard,
    asks_only: bool,
    records: Option<Records>,
    /// What the content has to be, if that is known.
    expected: Option<Digest>,
    place: Option<Place>,
}

#[derive(Debug)]
enum Records {
    Lines { input: Input, line: Vec<u8>, number: u64, parse: fn(&[u8]) -> Result<Value, Flaw> },
    List { input: Input, records: vec::IntoIter<Value>, at: u64 },
    Questions { input: Input, questions: vec::IntoIter<Question>, at: u64 },
    Rows(Rows),
}

impl Questions {
    pub(super) fn new(dataset: &Dataset, expected: Option<Digest>) -> Result<Self, InvalidDataset> {
        let records = records(dataset).map_err(|flaw| InvalidDataset::new(&dataset.name, None, flaw))?;
        Ok(Self {
            file: dataset.name.to_string(),
            format: dataset.format,
            shard: dataset.shard,
            asks_only: dataset.asks_only,
            records: Some(records),
            expected,
            place: None,
        })
    }

    /// An error about the question that was read last.
    pub(super) fn invalid(&self, flaw: Flaw) -> InvalidDataset {
        InvalidDataset::new(&self.file, self.place, flaw)
    }

    /// The digest of the content, once all of it was read.
    pub(super) fn into_digest(mut self) -> Result<Digest, InvalidDataset> {
        let records = self.records.take();
        let digest = records.map_or_else(|| Ok(Digest::of([])), Records::into_digest);
        digest.map_err(|flaw| self.invalid(flaw))
    }

    fn read(&self, value: Value) -> Result<Question, Flaw> {
        match self.format {
            Format::Harmbench => harmbench::behaviour(value),
            Format::Inspect => native::inspect(value),
            Format::Native | Format::Text => native::question(value),
            Format::OpenaiEvals => native::evals(value),
            Format::Promptfoo | Format::Pyrit => Err(Flaw::new("", "a document has no records")),
        }
    }

    /// Whether what was read is what was opened; only once.
    fn end(&mut self) -> Option<InvalidDataset> {
        let expected = self.expected.take()?;
        let found = self.records.take()?.into_digest();
        self.place = None;
        match found {
            Ok(found) if found == expected => None,
            Ok(_) => Some(self.invalid(Flaw::new(
                "",
                "it changed since it was opened; leave it as it is while it is asked",
            ))),
            Err(flaw) => Some(self.invalid(flaw)),
        }
    }
}

impl Iterator for Questions {
    type Item = Result<Question, InvalidDataset>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let next = self.records.as_mut()?.next();
            let Some((place, record)) = next else {
                return self.end().map(Err);
            };
            self.place = Some(place);
            let question = record.and_then(|record| match record {
                Record::Raw(value) => self.read(value),
                Record::Read(question) => Ok(*question),
            });
            match question {
                Ok(mut question) if self.shard.holds(&question.id) => {
                    if self.asks_only {
                        question.assertions.clear();
                        question.targets.clear();
                        question.threshold = None;
                    }
                    return Some(Ok(question));
                }
                Ok(_) => {}
                Err(flaw) => {
                    self.records = None;
                    return Some(Err(self.invalid(flaw)));
                }
            }
        }
    }
}

enum Record {
    Raw(Value),
    Read(Box<Question>),
}

fn records(dataset: &Dataset) -> Result<Records, Flaw> {
    let mut input = dataset.source.open()?;
    Ok(match dataset.layout {
        Layout::Lines => Records::Lines { input, line: Vec::new(), number: 0, parse: object },
        Layout::Plain => Records::Lines { input, line: Vec::new(), number: 0, parse: plain },
        Layout::Csv => Records::Rows(Rows::new(input, dataset.format)?),
        Layout::Array => {
            let bytes = whole(&mut input)?;
            let list: Vec<Value> = serde_json::from_slice(&bytes)
                .map_err(|error| Flaw::new("", format!("it is no JSON array: {error}")))?;
            Records::List { input, records: list.into_iter(), at: 0 }
        }
        Layout::Document => {
            let bytes = whole(&mut input)?;
            let document = yaml::document(&bytes)?;
            let questions = match dataset.format {
                Format::Pyrit => pyrit::questions(document)?,
                _ => promptfoo::questions(document)?,
            };
            Records::Questions { input, questions: questions.into_iter(), at: 0 }
        }
    })
}

impl Records {
    fn next(&mut self) -> Option<(Place, Result<Record, Flaw>)> {
        match self {
            Self::Lines { input, line, number, parse } => loop {
                *number += 1;
                let place = Place::Line(*number);
                match next_line(input, line, LONGEST_LINE) {
                    Ok(false) => return None,
                    Ok(true) if line.trim_ascii().is_empty() => {}
                    Ok(true) => return Some((place, parse(line).map(Record::Raw))),
                    Err(flaw) => return Some((place, Err(flaw))),
                }
            },
            Self::List { records, at, .. } => {
                let record = Record::Raw(records.next()?);
                *at += 1;
                Some((Place::Record(*at - 1), Ok(record)))
            }
            Self::Questions { questions, at, .. } => {
                let record = Record::Read(Box::new(questions.next()?));
                *at += 1;
                Some((Place::Record(*at - 1), Ok(record)))
            }
            Self::Rows(rows) => {
                let (line, record) = rows.next()?;
                Some((Place::Line(line), record.map(Record::Raw)))
            }
        }
    }

    fn into_digest(self) -> Result<Digest, Flaw> {
        digest(match self {
            Self::Lines { input, .. } | Self::List { input, .. } | Self::Questions { input, .. } => input,
            Self::Rows(rows) => rows.into_input(),
        })
    }
}

/// A line that is a question.
fn plain(line: &[u8]) -> Result<Value, Flaw> {
    let text = std::str::from_utf8(line.trim_ascii())
        .map_err(|_| Flaw::new("", "it is no UTF-8; save the file in this encoding"))?;
    Ok(json!({ "input": text }))
}

/// A line that is a JSON object.
fn object(line: &[u8]) -> Result<Value, Flaw> {
    let Once(record) = serde_json::from_slice(line).map_err(|error| {
        Flaw::new("", format!("it is no JSON object (column {}): {error}", error.column()))
    })?;
    Ok(Value::Object(record))
}

/// The fields of a record, none of them there twice.
struct Once(Map<String, Value>);

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Once;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object, such as {\"input\": \"…\", \"target\": \"…\"}")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Once, A::Error> {
                let mut map = Map::new();
                while let Some(name) = fields.next_key::<String>()? {
                    if map.contains_key(&name) {
                        let name = crate::excerpt::excerpt(&name, 100);
                        return Err(A::Error::custom(format!("the field `{name}` is there twice")));
                    }
                    map.insert(name, fields.next_value()?);
                }
                Ok(Once(map))
            }
        }

        deserializer.deserialize_map(Fields)
    }
}
