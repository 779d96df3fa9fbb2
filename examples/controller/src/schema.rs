//! The parts of the kind's schema that are said by hand, since the API server wants them structural.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

/// An object of which the API server knows nothing.
pub(crate) fn open(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// A query for each metric, as `tidegate::metrics::prometheus::Query` reads it.
pub(crate) fn queries(_: &mut SchemaGenerator) -> Schema {
    let query = json!({
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "x-kubernetes-preserve-unknown-fields": true,
    });
    json_schema!({"type": "object", "minProperties": 1, "additionalProperties": query})
}

/// What a release may say of its plan. Whatever has more than one shape is left to `PlanSpec`, whose
/// reasons are then in the status.
pub(crate) fn plan(_: &mut SchemaGenerator) -> Schema {
    let text = |pattern: &str| json!({"type": "string", "pattern": pattern});
    let weight = text("^[0-9]{1,3}(\\.[0-9]{1,2})?%$");
    let duration = text("^([0-9]+ ?[a-zµ]+ ?)+$");
    let any = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let list = |items: &Value, most: u32| json!({"type": "array", "maxItems": most, "items": items});
    let one_of = |words: &[&str]| json!({"type": "string", "enum": words});
    let step = json!({
        "type": "object",
        "properties": {
            "weight": weight,
            "mirror": weight,
            "soak": duration,
            "minTrials": {"type": "integer", "minimum": 0},
            "require": one_of(&["no-failure", "pass"]),
            "gates": list(&json!({"x-kubernetes-preserve-unknown-fields": true}), 20),
        },
    });
    let criterion = json!({
        "type": "object",
        "required": ["metric", "rule"],
        "properties": {
            "metric": {"type": "string"},
            "rule": any,
            "onMissing": one_of(&["inconclusive", "fail", "pass"]),
            "importance": one_of(&["advisory", "required"]),
        },
    });
    let timing = ["bake", "drain", "horizon", "lag", "patience", "verify", "warmUp", "window"];
    let timing: Value = timing.into_iter().map(|name| (name.to_owned(), duration.clone())).collect();
    json_schema!({
        "type": "object",
        "default": {},
        "properties": {
            "strategy": one_of(&["canary", "blue-green", "shadow", "all-at-once"]),
            "channel": {"type": "string"},
            "steps": list(&step, 100),
            "criteria": list(&criterion, 50),
            "bakeCriteria": list(&criterion, 50),
            "baseline": {"type": "boolean"},
            "exceptions": list(&any, 20),
            "sticky": {"x-kubernetes-preserve-unknown-fields": true},
            "atHorizon": one_of(&["hold", "promote", "rollback"]),
            "onDrift": one_of(&["abort", "pause", "reassert"]),
            "finish": one_of(&["compare", "promote"]),
            "unproven": {"type": "string"},
            "freeze": list(&json!({"x-kubernetes-preserve-unknown-fields": true}), 50),
            "timing": {"type": "object", "properties": timing},
        },
    })
}
