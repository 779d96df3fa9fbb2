//! What a dataset is written in.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    input::{LONGEST_DOCUMENT, Source, next_line, whole},
    pyrit, yaml,
};
use crate::flaw::Flaw;

/// What a dataset is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Format {
    /// Columns `Behavior`, `ContextString` and `BehaviorID` as [HarmBench](https://github.com/centerforaisafety/HarmBench)
    /// publishes its behaviours, from CSV.
    Harmbench,
    /// Fields `input,target,choices,id,metadata` as [Inspect](https://inspect.aisi.org.uk/datasets.html) reads
    /// them, from JSON Lines, a JSON array or CSV.
    Inspect,
    /// The fields of a [`Question`](super::Question), from JSON Lines, a JSON array or CSV.
    Native,
    /// Fields `input` and `ideal` as the basic templates of [OpenAI evals](https://github.com/openai/evals)
    /// read them, from JSON Lines.
    OpenaiEvals,
    /// The `prompts`, `tests` and `defaultTest` of a [promptfoo](https://www.promptfoo.dev/docs/configuration/reference/)
    /// configuration, from YAML or JSON.
    Promptfoo,
    /// The `seeds`, or `prompts`, of a dataset of [PyRIT](https://azure.github.io/PyRIT/), each a text with its `value`, from
    /// YAML.
    Pyrit,
    /// A question a line and nothing else, as [garak](https://github.com/NVIDIA/garak) keeps many of its prompts. It is
    /// never recognised and must be said.
    Text,
}

/// How records lie in the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// One JSON object a line.
    Lines,
    /// One JSON array.
    Array,
    /// Comma-separated values under a header.
    Csv,
    /// One document that holds everything.
    Document,
    /// One question a line.
    Plain,
}

const REMEDY: &str =
    "say the format: `native`, `harmbench`, `inspect`, `openai-evals`, `promptfoo`, `pyrit` or `text`";

/// The format of `source`, if not said, by its content, and its layout.
pub(super) fn recognise(source: &Source, said: Option<Format>) -> Result<(Format, Layout), Flaw> {
    let mut input = source.open()?;
    match said {
        Some(format @ (Format::Promptfoo | Format::Pyrit)) => return Ok((format, Layout::Document)),
        Some(Format::Text) => return Ok((Format::Text, Layout::Plain)),
        _ => {}
    }
    let mut line = Vec::new();
    loop {
        // A document may be one line.
        if !next_line(&mut input, &mut line, LONGEST_DOCUMENT)? {
            return Err(Flaw::new("", "it is empty, and nothing asked is no pass; add a question"));
        }
        if !line.trim_ascii().is_empty() {
            break;
        }
    }
    match line.trim_ascii_start()[0] {
        b'[' => {
            line.extend(whole(&mut input)?);
            let format = said.map_or_else(|| by_array(&line), Ok)?;
            Ok((format, Layout::Array))
        }
        b'{' => match serde_json::from_slice::<Map<String, Value>>(&line) {
            Ok(record) if said.is_none() && is_promptfoo(&record) => {
                Ok((Format::Promptfoo, Layout::Document))
            }
            Ok(record) => Ok((said.map_or_else(|| by_fields(&record), Ok)?, Layout::Lines)),
            Err(_) if said.is_some() => Ok((said.unwrap_or(Format::Native), Layout::Lines)),
            Err(error) => {
                line.extend(whole(&mut input)?);
                match serde_json::from_slice::<Map<String, Value>>(&line) {
                    Ok(document) if is_promptfoo(&document) => Ok((Format::Promptfoo, Layout::Document)),
                    _ => Err(Flaw::new(
                        "",
                        format!(
                            "it begins as JSON, and its first line is no JSON object ({error}); write one question a line"
                        ),
                    )),
                }
            }
        },
        _ => other(source, &line, said),
    }
}

/// CSV, by its header, or YAML.
fn other(source: &Source, first: &[u8], said: Option<Format>) -> Result<(Format, Layout), Flaw> {
    let header = String::from_utf8_lossy(first);
    let columns: Vec<_> = header.split(',').map(|name| name.trim().trim_matches('"')).collect();
    let has = |name: &str| columns.contains(&name);
    match said {
        Some(Format::OpenaiEvals) => {
            Err(Flaw::new("", "OpenAI evals are written as JSON Lines, and this begins otherwise"))
        }
        Some(format) => Ok((format, Layout::Csv)),
        None if has("input") && has("choices") => {
            let why = format!(
                "its column `choices` is a JSON list in our own format and a list with commas in Inspect's; {REMEDY}"
            );
            Err(Flaw::new("", why))
        }
        None if has("input") || has("messages") => Ok((Format::Native, Layout::Csv)),
        None if has("Behavior") && has("BehaviorID") => Ok((Format::Harmbench, Layout::Csv)),
        None => match yaml::document(&whole(&mut source.open()?)?) {
            Ok(document) if is_promptfoo(&document) => Ok((Format::Promptfoo, Layout::Document)),
            Ok(document) if pyrit::is_seeds(&document) => Ok((Format::Pyrit, Layout::Document)),
            _ => {
                let why = format!(
                    "it is neither JSON, nor CSV with a column `input`, nor a configuration of promptfoo, nor seeds of PyRIT; {REMEDY}"
                );
                Err(Flaw::new("", why))
            }
        },
    }
}

fn by_array(bytes: &[u8]) -> Result<Format, Flaw> {
    let list: Vec<Value> =
        serde_json::from_slice(bytes).map_err(|error| Flaw::new("", format!("it is no JSON: {error}")))?;
    match list.first() {
        Some(Value::Object(record)) => by_fields(record),
        Some(_) => {
            Err(Flaw::new("[0]", "a record is an object, such as {\"input\": \"…\", \"target\": \"…\"}"))
        }
        None => Err(Flaw::new("", "it is empty, and nothing asked is no pass; add a question")),
    }
}

/// By the fields of the first record. Our own format takes in what Inspect's means.
fn by_fields(record: &Map<String, Value>) -> Result<Format, Flaw> {
    let has = |name: &str| record.contains_key(name);
    if has("ideal") && (has("target") || has("assert")) {
        return Err(Flaw::new(
            "",
            format!(
                "its first record has `ideal`, of OpenAI evals, beside fields of other formats; {REMEDY}"
            ),
        ));
    }
    if has("vars") {
        return Err(Flaw::new(
            "",
            "it looks like the tests of promptfoo, which mean nothing without their prompts; give the whole promptfooconfig.yaml",
        ));
    }
    let inspect = ["sandbox", "files", "setup"].into_iter().any(has)
        || record.get("choices").is_some_and(Value::is_string)
        || record.get("metadata").is_some_and(Value::is_string);
    Ok(match (has("ideal"), inspect) {
        (true, _) => Format::OpenaiEvals,
        (false, true) => Format::Inspect,
        (false, false) => Format::Native,
    })
}

fn is_promptfoo(document: &Map<String, Value>) -> bool {
    document.contains_key("prompts") && document.contains_key("tests")
}
