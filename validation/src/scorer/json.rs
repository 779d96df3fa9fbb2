//! Is the answer JSON, and of the right shape?

use std::fmt;
#[cfg(feature = "json-schema")]
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Score;
use crate::{Reply, excerpt::excerpt};

/// The answer is JSON and, if there is a schema, valid by it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct Json {
    /// The schema that it must be valid by; any JSON will do without one. Takes the feature `json-schema`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<Schema>,
    /// Whether the JSON may stand in a fenced block of Markdown, with words around it. Otherwise it is the
    /// whole answer.
    pub fenced: bool,
}

/// A JSON Schema. References to other documents are not followed.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "Value", into = "Value")]
pub struct Schema {
    source: Value,
    #[cfg(feature = "json-schema")]
    validator: Arc<jsonschema::Validator>,
}

impl Schema {
    /// Compiles a schema.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in words; always without the feature `json-schema`.
    #[cfg(feature = "json-schema")]
    pub fn new(source: Value) -> Result<Self, String> {
        // The engine without back-tracking: patterns meet text of whoever answers.
        let patterns = jsonschema::PatternOptions::regex();
        let validator = jsonschema::options()
            .with_pattern_options(patterns)
            .build(&source)
            .map_err(|error| format!("it is no JSON Schema: {}", excerpt(&error.to_string(), 300)))?;
        Ok(Self { source, validator: Arc::new(validator) })
    }

    /// Compiles a schema.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in words; always without the feature `json-schema`.
    #[cfg(not(feature = "json-schema"))]
    pub fn new(_: Value) -> Result<Self, String> {
        Err("this program was built without the feature `json-schema` of tidegate-validation".to_owned())
    }

    /// Where `value` is not valid, if it is not.
    pub(super) fn fault(&self, value: &Value) -> Option<String> {
        #[cfg(feature = "json-schema")]
        {
            let error = self.validator.iter_errors(value).next()?;
            let at = error.instance_path().to_string();
            let at = if at.is_empty() { "the whole".to_owned() } else { at };
            Some(format!("{at} is not valid: {}", excerpt(&error.to_string(), 200)))
        }
        #[cfg(not(feature = "json-schema"))]
        {
            let _ = value;
            None
        }
    }
}

impl Json {
    pub(super) fn score(&self, reply: &Reply) -> Score {
        let text = match self.fenced {
            true => block(&reply.text).unwrap_or(&reply.text),
            false => &reply.text,
        };
        let value: Value = match serde_json::from_str(text) {
            Ok(value) => value,
            Err(error) => {
                return Score::whether(
                    false,
                    format!("is not JSON ({error}): {}", excerpt(&reply.text, 200)),
                );
            }
        };
        match self.schema.as_ref().and_then(|schema| schema.fault(&value)) {
            Some(fault) => Score::whether(false, fault),
            None => Score::whether(true, "is valid JSON"),
        }
    }
}

/// The inside of the first fenced block.
pub(super) fn block(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("```")?;
    let (_, rest) = rest.split_once('\n')?;
    Some(rest.split_once("```")?.0)
}

impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl TryFrom<Value> for Schema {
    type Error = String;

    fn try_from(source: Value) -> Result<Self, String> {
        Self::new(source)
    }
}

impl From<Schema> for Value {
    fn from(schema: Schema) -> Self {
        schema.source
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.source, f)
    }
}
