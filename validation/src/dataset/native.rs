//! Records as tidegate writes them, and as Inspect and OpenAI evals do.

use serde_json::{Map, Value};
use tidegate_registry::Digest;

use super::{
    LETTERS, Question,
    fields::{Fields, texts},
};
use crate::{flaw::Flaw, scorer::Weighted};

/// The fields of a record of our own.
pub(super) const FIELDS: &[&str] =
    &["id", "input", "messages", "target", "choices", "metadata", "cluster", "weight", "assert", "threshold"];

/// A record of our own.
pub(super) fn question(value: Value) -> Result<Question, Flaw> {
    let mut fields = Fields::new(value, FIELDS)?;
    let messages = match (fields.conversation("input")?, fields.conversation("messages")?) {
        (Some(messages), None) | (None, Some(messages)) => messages,
        (Some(_), Some(_)) => {
            return Err(Flaw::new("messages", "there is an `input`, too; write one of them"));
        }
        (None, None) => return Err(Flaw::new("input", "it is missing; write what is asked")),
    };
    let assertions = match fields.take("assert") {
        Some(list) => Weighted::list(list, "assert")?,
        None => Vec::new(),
    };
    complete(Question {
        id: fields.name("id")?.unwrap_or_default(),
        messages,
        targets: fields.texts("target")?,
        choices: fields.texts("choices")?,
        metadata: fields.table("metadata")?,
        cluster: fields.name("cluster")?,
        weight: fields
            .number("weight", "above 0 and finite", |weight| weight > 0.0 && weight.is_finite())?
            .unwrap_or(1.0),
        threshold: fields
            .number("threshold", "above 0 and at most 1", |least| least > 0.0 && least <= 1.0)?,
        assertions,
    })
}

/// A record of Inspect: `input`, `target`, `choices`, `id`, `metadata`, of which the last two lists may be
/// written as text.
pub(super) fn inspect(value: Value) -> Result<Question, Flaw> {
    const KNOWN: &[&str] = &["id", "input", "target", "choices", "metadata", "sandbox", "files", "setup"];
    let mut fields = Fields::new(value, KNOWN)?;
    if let Some(name) = ["sandbox", "files", "setup"].into_iter().find(|name| fields.take(name).is_some()) {
        return Err(Flaw::new(name, "it asks for a sandbox, and none is run here; take the question out"));
    }
    let messages = fields.conversation("input")?.ok_or_else(|| Flaw::new("input", "it is missing"))?;
    let choices = match fields.take("choices") {
        // As Inspect reads a cell: by commas or, without any, by spaces.
        Some(Value::String(text)) if text.contains(',') => {
            text.split(',').map(|choice| choice.trim().to_owned()).collect()
        }
        Some(Value::String(text)) => text.split_whitespace().map(str::to_owned).collect(),
        Some(list) => texts(list, "choices")?,
        None => Vec::new(),
    };
    let metadata = match fields.take("metadata") {
        Some(Value::String(text)) => serde_json::from_str(&text)
            .map_err(|error| Flaw::new("metadata", format!("it is no JSON object: {error}")))?,
        Some(value) => crate::flaw::read(value, "metadata")?,
        None => Map::new(),
    };
    complete(Question {
        id: fields.name("id")?.unwrap_or_default(),
        messages,
        targets: fields.texts("target")?,
        choices,
        metadata,
        weight: 1.0,
        ..Question::default()
    })
}

/// A record of OpenAI evals: `input`, a list of messages, and `ideal`, one or several right answers.
pub(super) fn evals(value: Value) -> Result<Question, Flaw> {
    let mut fields = Fields::new(value, &["id", "input", "ideal", "metadata"])?;
    let messages = fields.conversation("input")?.ok_or_else(|| Flaw::new("input", "it is missing"))?;
    complete(Question {
        id: fields.name("id")?.unwrap_or_default(),
        messages,
        targets: fields.texts("ideal")?,
        metadata: fields.table("metadata")?,
        weight: 1.0,
        ..Question::default()
    })
}

/// A question with an id, if all else about it holds together.
pub(super) fn complete(mut question: Question) -> Result<Question, Flaw> {
    if let Some(at) = question.choices.iter().position(|choice| choice.trim().is_empty()) {
        return Err(Flaw::new(format!("choices[{at}]"), "it is empty"));
    }
    match question.choices.len() {
        1 => return Err(Flaw::new("choices", "there is only one; write at least two")),
        many if many > LETTERS.len() => {
            return Err(Flaw::new(
                "choices",
                format!("there are {many}, and only {} letters", LETTERS.len()),
            ));
        }
        _ => {}
    }
    for (i, part) in question.assertions.iter().enumerate() {
        if let Some(why) = part.assertion.lacking(&question) {
            return Err(Flaw::new(format!("assert[{i}]"), why));
        }
    }
    if question.id.is_empty() {
        question.id = named(&question);
    }
    Ok(question)
}

/// The name of a question without one: the beginning of the SHA-256 of what is asked and expected, so that it does
/// not change when others are added, taken out or moved.
fn named(question: &Question) -> String {
    let content =
        serde_json::json!([question.messages, question.choices, question.targets, question.assertions]);
    format!("sha256:{}", &Digest::of(content.to_string()).hex()[..16])
}
