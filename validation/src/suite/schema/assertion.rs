//! Assertions and what they are made of.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::json;

use super::{kinded, property};
use crate::{
    safety::Conduct,
    scorer::{
        All, Any, Assertion, Choice, Contains, CostLimit, Coverage, Exact, Json, KeepsSecret, LatencyLimit,
        Levenshtein, Matches, Normalised, Not, Number, Preferred, Quality, RougeL, Rubric, Similar,
        StartsWith, Texts, TokenF1, ToolCallF1, ToolCalls, ToolLimits, Weighted,
    },
};

/// The answer declines.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Refusal {}

impl JsonSchema for Assertion {
    fn schema_name() -> Cow<'static, str> {
        "Assertion".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": "What a good answer is like.", "oneOf": kinds(generator) })
    }
}

impl JsonSchema for Weighted {
    fn schema_name() -> Cow<'static, str> {
        "WeightedAssertion".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut kinds = kinds(generator);
        let weight = json!({
            "description": "How much it counts beside others.",
            "type": "number", "exclusiveMinimum": 0, "default": 1.0,
        });
        kinds.iter_mut().for_each(|kind| property(kind, "weight", weight.clone()));
        json_schema!({
            "description": "What a good answer is like, and how much that counts.",
            "oneOf": kinds,
        })
    }
}

fn kinds(generator: &mut SchemaGenerator) -> Vec<Schema> {
    vec![
        kinded::<All>(generator, "all"),
        kinded::<Any>(generator, "any"),
        kinded::<Choice>(generator, "choice"),
        kinded::<Conduct>(generator, "conduct"),
        kinded::<Contains>(generator, "contains"),
        kinded::<CostLimit>(generator, "cost"),
        kinded::<Exact>(generator, "exact"),
        kinded::<TokenF1>(generator, "f1"),
        kinded::<Json>(generator, "json"),
        kinded::<KeepsSecret>(generator, "keeps-secret"),
        kinded::<LatencyLimit>(generator, "latency"),
        kinded::<Levenshtein>(generator, "levenshtein"),
        kinded::<Normalised>(generator, "normalised"),
        kinded::<Not>(generator, "not"),
        kinded::<Number>(generator, "number"),
        kinded::<Preferred>(generator, "preferred"),
        kinded::<Quality>(generator, "quality"),
        kinded::<Refusal>(generator, "refusal"),
        kinded::<Matches>(generator, "regex"),
        kinded::<RougeL>(generator, "rouge-l"),
        kinded::<Rubric>(generator, "rubric"),
        kinded::<Similar>(generator, "similar"),
        kinded::<StartsWith>(generator, "starts-with"),
        kinded::<ToolCallF1>(generator, "tool-call-f1"),
        kinded::<ToolCalls>(generator, "tool-calls"),
        kinded::<ToolLimits>(generator, "tool-limits"),
        kinded::<Coverage>(generator, "topics"),
    ]
}

impl JsonSchema for Texts {
    fn schema_name() -> Cow<'static, str> {
        "Texts".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "One text or several, any of which will do; the targets of the question without any.",
            "anyOf": [
                { "type": ["string", "number"] },
                { "type": "array", "items": { "type": ["string", "number"] } },
            ],
        })
    }
}
