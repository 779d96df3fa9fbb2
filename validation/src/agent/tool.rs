//! Tools that a model may call, and the form that its answer must have.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A tool that a model may call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Tool {
    /// What it is called by.
    pub name: String,
    /// What it is good for, as the model is told.
    pub description: Option<String>,
    /// The JSON Schema of its arguments, an object.
    pub parameters: Value,
    /// Whether the arguments must follow the schema, with servers that can see to it; `None` leaves that
    /// to the server.
    pub strict: Option<bool>,
}

/// Whether a model may call tools, or must.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum ToolChoice {
    /// As the model likes.
    Auto,
    /// It must call this one.
    Function(String),
    /// It must call none.
    None,
    /// It must call one, whichever.
    Required,
}

/// The form that an answer must have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum ResponseFormat {
    /// Some JSON object.
    JsonObject,
    /// JSON of this schema.
    JsonSchema {
        /// What the schema is called, which some models are told.
        name: String,
        /// The JSON Schema.
        schema: Value,
        /// Whether the server must see to it.
        strict: Option<bool>,
    },
    /// Text.
    Text,
}

/// A call of a tool by a model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ToolCall {
    /// What the answer to this call is to be sent under; empty where a server gives none.
    pub id: String,
    /// The tool.
    pub name: String,
    /// The arguments as the model wrote them: JSON, if the model made no mistake.
    pub arguments: String,
}

impl Tool {
    /// A tool with the JSON Schema of its arguments.
    pub fn new(name: impl Into<String>, parameters: Value) -> Self {
        Self { name: name.into(), description: None, parameters, strict: None }
    }

    /// This tool, described to the model.
    #[must_use]
    pub fn described(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }
}

impl ToolCall {
    /// A call of the tool `name` with arguments written in JSON.
    pub fn new(id: impl Into<String>, name: impl Into<String>, arguments: impl Into<String>) -> Self {
        Self { id: id.into(), name: name.into(), arguments: arguments.into() }
    }
}

impl fmt::Display for ToolCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name, self.arguments)
    }
}
