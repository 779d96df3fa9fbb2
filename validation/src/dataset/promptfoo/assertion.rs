//! Assertions of promptfoo in our own words.

use serde_json::{Map, Value, json};

use super::template::filled;
use crate::{
    dataset::fields::Fields,
    flaw::{Flaw, join},
    scorer::Weighted,
};

const TYPES: &[&str] = &[
    "assert-set",
    "contains",
    "contains-all",
    "contains-any",
    "equals",
    "icontains",
    "icontains-all",
    "icontains-any",
    "is-json",
    "is-refusal",
    "latency",
    "levenshtein",
    "llm-rubric",
    "regex",
    "similar",
    "starts-with",
    "tool-call-f1",
];

/// What runs code of the file's author, or asks who knows whom.
const CODE: &[&str] = &["javascript", "python", "ruby", "webhook"];

/// One assertion of promptfoo, with `vars` filled in.
pub(super) fn assertion(value: Value, vars: &Map<String, Value>, path: &str) -> Result<Weighted, Flaw> {
    Weighted::read(translated(value, vars, path, 0)?, path)
}

fn translated(value: Value, vars: &Map<String, Value>, path: &str, depth: usize) -> Result<Value, Flaw> {
    // `metric` only groups results; the others would change how an assertion decides.
    const KNOWN: &[&str] = &["type", "value", "threshold", "weight", "metric", "assert"];
    let mut fields = Fields::new(value, KNOWN).map_err(|flaw| flaw.below(path))?;
    let Some(Value::String(kind)) = fields.take("type") else {
        return Err(Flaw::new(join(path, "type"), "it is missing; write what kind of assertion it is"));
    };
    fields.take("metric");
    let weight = fields.take("weight");
    let (wanted, plain) = match kind.strip_prefix("not-") {
        Some(plain) => (false, plain),
        None => (true, kind.as_str()),
    };
    let value = fields.take("value").map(|value| fill(value, vars, &join(path, "value"))).transpose()?;
    let threshold = fields.take("threshold");
    let none = |given: &Option<Value>, field: &str| match given {
        None => Ok(()),
        Some(_) => Err(Flaw::new(join(path, field), format!("`{kind}` takes none"))),
    };
    let texts = || match &value {
        Some(Value::Array(list)) if !list.is_empty() => Ok(json!(list)),
        _ => Err(Flaw::new(join(path, "value"), "write a list of texts")),
    };
    let text = || match &value {
        Some(text @ (Value::String(_) | Value::Number(_))) => Ok(text.clone()),
        _ => Err(Flaw::new(join(path, "value"), "write a text")),
    };
    if plain != "assert-set" && fields.take("assert").is_some() {
        return Err(Flaw::new(join(path, "assert"), "only `assert-set` holds other assertions"));
    }
    let mut ours = match plain {
        "contains" | "icontains" => {
            json!({"kind": "contains", "value": text()?, "ignore_case": plain.starts_with('i')})
        }
        "contains-all" | "icontains-all" => {
            json!({"kind": "contains", "value": texts()?, "ignore_case": plain.starts_with('i')})
        }
        "contains-any" | "icontains-any" => {
            json!({"kind": "contains", "value": texts()?, "require": "any", "ignore_case": plain.starts_with('i')})
        }
        "equals" => json!({"kind": "exact", "value": text()?}),
        "is-json" => match &value {
            None => json!({"kind": "json"}),
            Some(schema @ Value::Object(_)) => json!({"kind": "json", "schema": schema}),
            Some(_) => return Err(Flaw::new(join(path, "value"), "write the JSON Schema itself")),
        },
        "is-refusal" => json!({"kind": "refusal"}),
        "latency" => match threshold.as_ref().and_then(Value::as_f64) {
            Some(most) if most > 0.0 && most < 1e12 => {
                json!({"kind": "latency", "max": format!("{}us", (most * 1e3) as u64)})
            }
            _ => return Err(Flaw::new(join(path, "threshold"), "write the most milliseconds")),
        },
        "levenshtein" => {
            json!({"kind": "levenshtein", "value": text()?, "most_edits": threshold.clone().unwrap_or_else(|| json!(5))})
        }
        "llm-rubric" => json!({"kind": "rubric", "rubric": text()?}),
        "tool-call-f1" => {
            json!({"kind": "tool-call-f1", "expected": texts()?, "threshold": threshold.clone().unwrap_or_else(|| json!(1))})
        }
        "regex" => json!({"kind": "regex", "pattern": text()?}),
        "similar" => {
            let value = if matches!(value, Some(Value::Array(_))) { texts()? } else { text()? };
            json!({"kind": "similar", "value": value, "threshold": threshold.clone().unwrap_or_else(|| json!(0.75))})
        }
        "starts-with" => json!({"kind": "starts-with", "value": text()?}),
        "assert-set" if depth < 8 => {
            let Some(Value::Array(list)) = fields.take("assert") else {
                return Err(Flaw::new(join(path, "assert"), "write a list of assertions"));
            };
            let of = list
                .into_iter()
                .enumerate()
                .map(|(i, part)| translated(part, vars, &format!("{}[{i}]", join(path, "assert")), depth + 1))
                .collect::<Result<Vec<_>, _>>()?;
            match &threshold {
                Some(least) => json!({"kind": "all", "of": of, "threshold": least}),
                None => json!({"kind": "all", "of": of}),
            }
        }
        plain if CODE.contains(&plain) => {
            return Err(Flaw::new(
                join(path, "type"),
                format!("`{kind}` runs code, and a dataset runs none here; say it with another assertion"),
            ));
        }
        _ => {
            return Err(Flaw::unknown(join(path, "type"), "counterpart here of the assertion", &kind, TYPES));
        }
    };
    if !matches!(plain, "assert-set" | "latency" | "levenshtein" | "similar" | "tool-call-f1") {
        none(&threshold, "threshold")?;
    }
    if matches!(plain, "is-refusal" | "latency" | "assert-set") {
        none(&value, "value")?;
    }
    if !wanted {
        ours = json!({"kind": "not", "of": ours});
    }
    if let (Some(weight), Value::Object(settings)) = (weight, &mut ours) {
        settings.insert("weight".to_owned(), weight);
    }
    Ok(ours)
}

/// `value` with `vars` put into its texts.
fn fill(value: Value, vars: &Map<String, Value>, path: &str) -> Result<Value, Flaw> {
    match value {
        Value::String(text) if text.starts_with("file://") || text.starts_with("package:") => {
            Err(Flaw::new(path, "files are not read from here; write the value itself"))
        }
        Value::String(text) => filled(&text, vars, path).map(Value::String),
        Value::Array(list) => {
            let list =
                list.into_iter().enumerate().map(|(i, value)| fill(value, vars, &format!("{path}[{i}]")));
            list.collect::<Result<_, _>>().map(Value::Array)
        }
        value => Ok(value),
    }
}
