//! What a suite file may say, as JSON Schema, for editors and checks.

mod assertion;
mod question;

use std::borrow::Cow;

use schemars::{
    JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema,
    transform::transform_subschemas,
};
use serde_json::{Value, json};

use self::question::Question;
use super::{Suite, document::Document, kind::Plain, sources::Named};
use crate::{
    checks::{
        Answers, Calibration, Cases, Compare, Consistency, Drift, Integrity, Latency, OverRefusal,
        Preference, Refusal, Safety, Sarif, Settings as _, Smoke, Tokens, Topics,
    },
    compare::Preferring,
    safety::Wrapper,
    scorer::{JudgeCalibration, Weighted},
};

impl Suite {
    /// The JSON Schema (2020-12) of a suite file, whichever format it is written in.
    ///
    /// What it accepts has the right shape. Whether the fields go together, such as a floor that can be proven, and
    /// whether datasets are there, only [`open`](Self::open) says.
    #[must_use]
    pub fn schema() -> Value {
        let settings =
            SchemaSettings::draft2020_12().for_deserialize().with_transform(plain as fn(&mut Schema));
        let mut schema = settings.into_generator().into_root_schema_for::<Document>().to_value();
        schema["title"] = json!("A suite of tidegate");
        schema
    }
}

/// One check, of the kind that it says it is.
pub(super) struct Check;

impl JsonSchema for Check {
    fn schema_name() -> Cow<'static, str> {
        "Check".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let kinds = vec![
            kinded::<Answers>(generator, Answers::KIND),
            questioned::<Calibration>(generator, Calibration::KIND),
            cases(generator),
            compare(generator),
            kinded::<Consistency>(generator, Consistency::KIND),
            kinded::<Drift>(generator, Drift::KIND),
            kinded::<Integrity>(generator, Integrity::KIND),
            kinded::<Latency>(generator, Latency::KIND),
            #[cfg(feature = "load")]
            kinded::<crate::checks::Load>(generator, crate::checks::Load::KIND),
            questioned::<OverRefusal>(generator, OverRefusal::KIND),
            preference(generator),
            kinded::<Refusal>(generator, Refusal::KIND),
            safety(generator),
            kinded::<Sarif>(generator, Sarif::KIND),
            #[cfg(feature = "scan")]
            kinded::<crate::checks::Scan>(generator, crate::checks::Scan::KIND),
            kinded::<Smoke>(generator, Smoke::KIND),
            kinded::<Tokens>(generator, Tokens::KIND),
            kinded::<Topics>(generator, Topics::KIND),
        ];
        json_schema!({ "description": "One check, of the kind that it says it is.", "oneOf": kinds })
    }
}

/// A check of a dataset: its plain fields, and those that are read one by one.
fn cases(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = questioned::<Plain>(generator, Cases::KIND);
    let (weighted, calibration) =
        (generator.subschema_for::<Weighted>(), generator.subschema_for::<JudgeCalibration>());
    property(&mut schema, "assert", asserted(&weighted));
    property(
        &mut schema,
        "calibration",
        json!({
            "description": "How often the judge errs, as `tidegate calibrate-judge` measures it: written out, or the path of the file.",
            "anyOf": [{ "type": "string", "minLength": 1 }, calibration],
        }),
    );
    must_ask(schema)
}

/// A check that compares answers by what they should be like.
fn compare(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = questioned::<super::compare::Plain>(generator, Compare::KIND);
    let weighted = generator.subschema_for::<Weighted>();
    property(&mut schema, "assert", asserted(&weighted));
    must_ask(schema)
}

/// A check that has a judge compare answers.
fn preference(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = questioned::<super::compare::Plain>(generator, Preference::KIND);
    let prefer = generator.subschema_for::<Preferring>();
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.remove("measure");
    }
    property(
        &mut schema,
        "prefer",
        json!({ "description": "What makes one answer better.", "allOf": [prefer] }),
    );
    if let Some(Value::Array(required)) = schema.get_mut("required") {
        required.push(json!("prefer"));
    }
    must_ask(schema)
}

/// A check of attacks, whose templates may be in a file.
fn safety(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = questioned::<Safety>(generator, Safety::KIND);
    let wrapper = generator.subschema_for::<Wrapper>();
    property(
        &mut schema,
        "wrappers",
        json!({
            "description": "Templates that each ask is put in: written out, or the path of a file with one a line as JSON.",
            "anyOf": [{ "type": "string", "minLength": 1 }, { "type": "array", "items": wrapper }],
        }),
    );
    schema
}

/// The fields of `T`, and questions, in a file or written out.
fn questioned<T: JsonSchema>(generator: &mut SchemaGenerator, kind: &str) -> Schema {
    let mut schema = kinded::<T>(generator, kind);
    let (named, question) = (generator.subschema_for::<Named>(), generator.subschema_for::<Question>());
    property(
        &mut schema,
        "dataset",
        json!({
            "description": "The file that the questions are in, beside the suite or below it.",
            "anyOf": [{ "type": "string", "minLength": 1 }, named],
        }),
    );
    property(
        &mut schema,
        "cases",
        json!({
            "description": "The questions, written out instead of a `dataset`.",
            "type": "array", "items": question, "minItems": 1,
        }),
    );
    schema
}

fn asserted(weighted: &Schema) -> Value {
    json!({
        "description": "What every good answer is like, whatever its question says besides.",
        "type": "array", "items": weighted,
    })
}

/// A check that has nothing to ask without questions of its own.
fn must_ask(mut schema: Schema) -> Schema {
    schema.insert("oneOf".to_owned(), json!([{ "required": ["dataset"] }, { "required": ["cases"] }]));
    schema
}

/// The fields of `T`, and the `kind` by which it is told from others.
fn kinded<T: JsonSchema>(generator: &mut SchemaGenerator, kind: &str) -> Schema {
    let mut schema = T::json_schema(generator);
    property(&mut schema, "kind", json!({ "const": kind }));
    let required = schema.ensure_object().entry("required").or_insert_with(|| json!([]));
    if let Value::Array(required) = required {
        required.insert(0, json!("kind"));
    }
    schema
}

fn property(schema: &mut Schema, name: &str, of: Value) {
    let properties = schema.ensure_object().entry("properties").or_insert_with(|| json!({}));
    if let Value::Object(properties) = properties {
        properties.insert(name.to_owned(), of);
    }
}

/// A length of time, such as `1s 500ms`.
pub(crate) struct Span;

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A length of time: numbers with their units, such as `1s 500ms` or `2min`.",
            "pattern": r"^\s*([0-9]+\s*[a-zµ]+\s*)+$",
        })
    }
}

/// Sampling temperature, or `default`.
pub(crate) struct Temperature;

impl JsonSchema for Temperature {
    fn schema_name() -> Cow<'static, str> {
        "Temperature".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "number", "minimum": 0, "maximum": 10 }, { "const": "default" }] })
    }
}

/// Links of rustdoc lead nowhere in a schema: ``[`Run`](crate::Run)`` is `Run`.
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
    while let Some((before, link)) = rest.split_once('[') {
        let Some((name, after)) = link.split_once(']') else { break };
        let target = after.strip_prefix('(').and_then(|after| after.split_once(')'));
        // Brackets that are no link stay.
        let bare = target.is_none() && !name.starts_with('`');
        plain.push_str(&if bare { format!("{before}[{name}]") } else { format!("{before}{name}") });
        rest = target.map_or(after, |(_, after)| after);
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_become_their_text() {
        assert_eq!(unlinked("Takes the judge of the [`Run`](crate::Run)."), "Takes the judge of the `Run`.");
        assert_eq!(unlinked("[`Run`] and [regex](https://docs.rs)"), "`Run` and regex");
        assert_eq!(unlinked("a list [a, b], cut ["), "a list [a, b], cut [");
    }
}
