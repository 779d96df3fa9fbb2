//! The fields of one record, taken out one by one, so that what is left over is a typo.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    Message, Role, ToolCall,
    flaw::{Flaw, join, read},
};

/// Bytes of the longest id and name of a cluster.
const LONGEST_NAME: usize = 1_024;
/// Most right answers of a question, and most messages of a conversation.
const MOST: usize = 1_000;

/// The fields of one record, of which only `known` ones may be there.
#[derive(Debug)]
pub(super) struct Fields {
    map: Map<String, Value>,
}

impl Fields {
    pub(super) fn new(value: Value, known: &[&str]) -> Result<Self, Flaw> {
        let Value::Object(mut map) = value else {
            return Err(Flaw::new(
                "",
                "a record is an object, such as {\"input\": \"…\", \"target\": \"…\"}",
            ));
        };
        if let Some(name) = map.keys().find(|name| !known.contains(&name.as_str())) {
            return Err(Flaw::unknown(crate::excerpt::excerpt(name, 100), "field", name, known));
        }
        map.retain(|_, value| !value.is_null());
        Ok(Self { map })
    }

    /// Takes a field out, if it is there.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.map.remove(name)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.map.contains_key(name)
    }

    /// A name: text, or a number.
    pub(super) fn name(&mut self, name: &str) -> Result<Option<String>, Flaw> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let text = text(value, name)?;
        match text.trim() {
            "" => Err(Flaw::new(name, "it is empty; leave it out or name it")),
            _ if text.len() > LONGEST_NAME => {
                Err(Flaw::new(name, format!("it is longer than {LONGEST_NAME} bytes; shorten it")))
            }
            _ => Ok(Some(text)),
        }
    }

    /// Text or a list of texts; numbers and truth values are as they are written.
    pub(super) fn texts(&mut self, name: &str) -> Result<Vec<String>, Flaw> {
        self.take(name).map_or_else(|| Ok(Vec::new()), |value| texts(value, name))
    }

    /// A table of anything.
    pub(super) fn table(&mut self, name: &str) -> Result<Map<String, Value>, Flaw> {
        self.take(name).map_or_else(|| Ok(Map::new()), |value| read(value, name))
    }

    /// A number that `holds`.
    pub(super) fn number(
        &mut self,
        name: &str,
        right: &str,
        holds: impl Fn(f64) -> bool,
    ) -> Result<Option<f64>, Flaw> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let number: f64 = read(value, name)?;
        match holds(number) {
            true => Ok(Some(number)),
            false => Err(Flaw::new(name, format!("{number} must be {right}"))),
        }
    }

    /// A conversation: the words of the user, or a list of messages.
    pub(super) fn conversation(&mut self, name: &str) -> Result<Option<Vec<Message>>, Flaw> {
        self.take(name).map(|value| conversation(value, name)).transpose()
    }
}

/// A call of a tool, as a message of a conversation has it.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Called {
    /// What the answer to this call is sent under.
    #[serde(default)]
    id: String,
    /// The tool.
    name: String,
    /// The arguments, as JSON in a text.
    #[serde(default)]
    arguments: String,
}

/// The words of the user, or a list of messages.
pub(super) fn conversation(value: Value, path: &str) -> Result<Vec<Message>, Flaw> {
    let messages = match value {
        Value::Array(list) if list.len() > MOST => {
            return Err(Flaw::new(path, format!("has more than {MOST} messages")));
        }
        Value::Array(list) => list
            .into_iter()
            .enumerate()
            .map(|(i, value)| message(value, &format!("{path}[{i}]")))
            .collect::<Result<_, _>>()?,
        value => vec![Message::new(Role::User, text(value, path)?)],
    };
    let speaks = |message: &Message| message.role == Role::User && !message.content.trim().is_empty();
    match messages.iter().any(speaks) {
        true => Ok(messages),
        false => Err(Flaw::new(path, "the user says nothing in it; write what is asked")),
    }
}

fn message(value: Value, path: &str) -> Result<Message, Flaw> {
    let mut fields = Fields::new(value, &["role", "content", "tool_calls", "tool_call_id"])
        .map_err(|flaw| flaw.below(path))?;
    let missing = |field: &str| Flaw::new(join(path, field), "it is missing");
    let role = fields.take("role").ok_or_else(|| missing("role"))?;
    let role = read(role, &join(path, "role"))?;
    let content = match fields.take("content") {
        Some(content) => said(content, &join(path, "content"))?,
        None if fields.has("tool_calls") => String::new(),
        None => return Err(missing("content")),
    };
    let mut message = Message::new(role, content);
    message.tool_call_id = fields.name("tool_call_id").map_err(|flaw| flaw.below(path))?;
    if let Some(calls) = fields.take("tool_calls") {
        let calls: Vec<Called> = read(calls, &join(path, "tool_calls"))?;
        let call = |Called { id, name, arguments }| ToolCall::new(id, name, arguments);
        message.tool_calls = calls.into_iter().map(call).collect();
    }
    Ok(message)
}

/// What a message says: text, or parts that are text.
fn said(content: Value, path: &str) -> Result<String, Flaw> {
    let Value::Array(parts) = content else { return text(content, path) };
    let mut whole = String::new();
    for (i, part) in parts.into_iter().enumerate() {
        let at = format!("{path}[{i}]");
        let mut fields = Fields::new(part, &["type", "text"]).map_err(|flaw| flaw.below(&at))?;
        match (fields.take("type"), fields.take("text")) {
            (Some(Value::String(kind)), Some(Value::String(text))) if kind == "text" => whole.push_str(&text),
            _ => {
                return Err(Flaw::new(
                    at,
                    "only parts of text are asked here: {\"type\": \"text\", \"text\": \"…\"}",
                ));
            }
        }
    }
    Ok(whole)
}

/// Text or a list of texts.
pub(super) fn texts(value: Value, path: &str) -> Result<Vec<String>, Flaw> {
    match value {
        Value::Array(list) if list.len() > MOST => {
            Err(Flaw::new(path, format!("has more than {MOST} entries")))
        }
        Value::Array(list) => {
            list.into_iter().enumerate().map(|(i, value)| text(value, &format!("{path}[{i}]"))).collect()
        }
        value => Ok(vec![text(value, path)?]),
    }
}

/// A single value as text.
pub(super) fn text(value: Value, path: &str) -> Result<String, Flaw> {
    match value {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(truth) => Ok(truth.to_string()),
        _ => Err(Flaw::new(path, "write it as text")),
    }
}
