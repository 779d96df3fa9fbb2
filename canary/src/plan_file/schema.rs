//! What a plan file may say, as JSON Schema, for editors and checks.

use schemars::{Schema, generate::SchemaSettings, transform::transform_subschemas};
use serde_json::{Value, json};

use crate::PlanSpec;

/// The JSON Schema (2020-12) of a plan file, whichever format it is written in.
///
/// What it accepts has the right shape. Whether the fields go together, such as weights that must increase, only
/// [`PlanFile::read`](super::PlanFile::read) says.
#[must_use]
pub fn schema() -> Value {
    let settings = SchemaSettings::draft2020_12().for_deserialize().with_transform(plain as fn(&mut Schema));
    let mut schema = settings.into_generator().into_root_schema_for::<PlanSpec>().to_value();
    schema["title"] = json!("A plan of tidegate");
    for (side, without) in [("stable", " Without it, whatever the channel points to."), ("candidate", "")] {
        let said = schema["properties"][side]["description"].as_str().unwrap_or_default();
        schema["properties"][side] = json!({
            "description": format!("{said}{without}"),
            "anyOf": [
                { "$ref": "#/$defs/Release" },
                {
                    "type": "string",
                    "description": "A selector: the version that it finds is pinned when the rollout starts.",
                    "pattern": "^[a-z0-9][a-z0-9._-]*[@:].+$",
                    "examples": ["fraud@^1.2", "fraud@latest", "fraud:staging", "fraud@1.4.0"],
                },
            ],
        });
    }
    if let Some(required) = schema["required"].as_array_mut() {
        required.retain(|field| field != "stable");
    }
    schema
}

/// Links of rustdoc lead nowhere in a schema: ``[`PlanSpec`](crate::PlanSpec)`` is `PlanSpec`.
fn plain(schema: &mut Schema) {
    for key in ["title", "description"] {
        if let Some(Value::String(text)) = schema.get_mut(key) {
            *text = unlinked(text);
        }
    }
    transform_subschemas(&mut (plain as fn(&mut Schema)), schema);
}

fn unlinked(text: &str) -> String {
    let mut rest = text;
    let mut plain = String::new();
    while let Some((before, link)) = rest.split_once("[`") {
        let Some((name, after)) = link.split_once("`]") else { break };
        let target = after.strip_prefix('(').and_then(|after| after.split_once(')'));
        plain.push_str(&format!("{before}`{name}`"));
        rest = target.map_or(after, |(_, after)| after);
    }
    plain + rest
}
