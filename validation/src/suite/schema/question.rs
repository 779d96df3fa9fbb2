//! Questions that are written out in a suite.

use std::{borrow::Cow, collections::BTreeMap};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use crate::{Role, dataset::Called, scorer::Weighted};

/// A question, and what is known about a good answer. It has an `input` or `messages`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "it describes what is read field by field")]
pub(super) struct Question {
    /// What it is called; no two are called the same. Else the beginning of the SHA-256 of what it asks and expects.
    id: Option<Scalar>,
    /// What the user says, or a conversation.
    input: Option<Conversation>,
    /// A conversation, oldest message first.
    messages: Option<Conversation>,
    /// The right answer, or several of which any will do.
    target: Option<OneOrMore>,
    /// What there is to choose from: `A` is the first.
    choices: Option<OneOrMore>,
    /// Whatever else is said about it.
    metadata: Option<BTreeMap<String, Value>>,
    /// What it shares with questions that are no independent evidence beside it.
    cluster: Option<Scalar>,
    /// How much it counts, above 0; 1 unless said otherwise.
    #[schemars(extend("exclusiveMinimum" = 0))]
    weight: Option<f64>,
    /// What a good answer is like.
    #[serde(rename = "assert")]
    assertions: Option<Vec<Weighted>>,
    /// The least weighted mean of the assertions; all must hold without it.
    #[schemars(extend("exclusiveMinimum" = 0, "maximum" = 1))]
    threshold: Option<f64>,
}

/// What somebody said.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "it describes what is read field by field")]
struct Said {
    /// Who says it.
    role: Role,
    /// What is said: text, or parts that are text.
    content: Option<Content>,
    /// Calls of tools, of an assistant.
    tool_calls: Option<Vec<Called>>,
    /// Which call a message of a tool answers.
    tool_call_id: Option<Scalar>,
}

/// A part of what is said.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "it describes what is read field by field")]
struct TextPart {
    /// Only text is asked here.
    #[schemars(extend("const" = "text"))]
    r#type: String,
    /// What is said.
    text: String,
}

struct Scalar;
struct OneOrMore;
struct Conversation;
struct Content;

impl JsonSchema for Scalar {
    fn schema_name() -> Cow<'static, str> {
        "Scalar".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean"] })
    }
}

impl JsonSchema for OneOrMore {
    fn schema_name() -> Cow<'static, str> {
        "OneOrMore".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let scalar = generator.subschema_for::<Scalar>();
        json_schema!({ "anyOf": [scalar, { "type": "array", "items": scalar }] })
    }
}

impl JsonSchema for Conversation {
    fn schema_name() -> Cow<'static, str> {
        "Conversation".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (scalar, said) = (generator.subschema_for::<Scalar>(), generator.subschema_for::<Said>());
        json_schema!({ "anyOf": [scalar, { "type": "array", "items": said, "minItems": 1 }] })
    }
}

impl JsonSchema for Content {
    fn schema_name() -> Cow<'static, str> {
        "Content".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (scalar, part) = (generator.subschema_for::<Scalar>(), generator.subschema_for::<TextPart>());
        json_schema!({ "anyOf": [scalar, { "type": "array", "items": part }] })
    }
}
