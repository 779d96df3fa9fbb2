//! Assertions from documents, with the path of whatever is wrong with them.

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _},
};
use serde_json::{Map, Value};

use super::{Assertion, Weighted};
use crate::{
    flaw::{Flaw, join, read},
    scorer::{All, Any, Not},
};

/// Assertions may stand in each other this deep.
const DEEPEST: usize = 8;
/// Most assertions in one list.
const MOST: usize = 256;

const KINDS: &[&str] = &[
    "all",
    "any",
    "choice",
    "conduct",
    "contains",
    "cost",
    "exact",
    "f1",
    "json",
    "keeps-secret",
    "latency",
    "levenshtein",
    "normalised",
    "not",
    "number",
    "preferred",
    "quality",
    "refusal",
    "regex",
    "rouge-l",
    "rubric",
    "similar",
    "starts-with",
    "tool-call-f1",
    "tool-calls",
    "tool-limits",
    "topics",
];

impl Assertion {
    fn read(settings: Map<String, Value>, path: &str, depth: usize) -> Result<Self, Flaw> {
        let (kind, mut settings) = kind(settings, path)?;
        if depth > DEEPEST {
            return Err(Flaw::new(path, format!("assertions stand in each other at most {DEEPEST} deep")));
        }
        let assertion = match kind.as_str() {
            "all" => {
                let of = parts(&mut settings, path, depth)?;
                Self::All(All { of, ..fields(settings, path)? })
            }
            "any" => {
                let of = parts(&mut settings, path, depth)?;
                let Any { .. } = fields(settings, path)?;
                Self::Any(Any { of })
            }
            "not" => {
                let at = join(path, "of");
                let inner = object(settings.remove("of").unwrap_or_default(), &at)?;
                let of = Box::new(Self::read(inner, &at, depth + 1)?);
                let Nothing {} = fields(settings, path)?;
                Self::Not(Not { of })
            }
            "refusal" => {
                let Nothing {} = fields(settings, path)?;
                Self::Refusal
            }
            "choice" => Self::Choice(fields(settings, path)?),
            "conduct" => Self::Conduct(fields(settings, path)?),
            "contains" => Self::Contains(fields(settings, path)?),
            "cost" => Self::Cost(fields(settings, path)?),
            "exact" => Self::Exact(fields(settings, path)?),
            "f1" => Self::F1(fields(settings, path)?),
            "json" => Self::Json(fields(settings, path)?),
            "keeps-secret" => Self::KeepsSecret(fields(settings, path)?),
            "latency" => Self::Latency(fields(settings, path)?),
            "levenshtein" => Self::Levenshtein(fields(settings, path)?),
            "normalised" => Self::Normalised(fields(settings, path)?),
            "number" => Self::Number(fields(settings, path)?),
            "preferred" => Self::Preferred(fields(settings, path)?),
            "quality" => Self::Quality(fields(settings, path)?),
            "regex" => Self::Regex(fields(settings, path)?),
            "rouge-l" => Self::RougeL(fields(settings, path)?),
            "rubric" => Self::Rubric(fields(settings, path)?),
            "similar" => Self::Similar(fields(settings, path)?),
            "starts-with" => Self::StartsWith(fields(settings, path)?),
            "tool-call-f1" => Self::ToolCallF1(fields(settings, path)?),
            "tool-calls" => Self::ToolCalls(fields(settings, path)?),
            "tool-limits" => Self::ToolLimits(fields(settings, path)?),
            "topics" => Self::Topics(fields(settings, path)?),
            _ => return Err(Flaw::unknown(join(path, "kind"), "kind of assertion", &kind, KINDS)),
        };
        match assertion.flaw() {
            Some((field, why)) => Err(Flaw::new(join(path, field), why)),
            None => Ok(assertion),
        }
    }
}

impl Weighted {
    /// An assertion with a weight from a document; what is wrong with it is said with its path below `path`.
    pub(crate) fn read(value: Value, path: &str) -> Result<Self, Flaw> {
        Self::at(value, path, 0)
    }

    /// A list of assertions from a document.
    pub(crate) fn list(value: Value, path: &str) -> Result<Vec<Self>, Flaw> {
        several(value, path, 0)
    }

    fn at(value: Value, path: &str, depth: usize) -> Result<Self, Flaw> {
        let mut settings = object(value, path)?;
        let weight = match settings.remove("weight") {
            None => 1.0,
            Some(weight) => read::<f64>(weight, &join(path, "weight"))?,
        };
        if !(weight > 0.0 && weight.is_finite()) {
            return Err(Flaw::new(join(path, "weight"), format!("{weight} must be a number above 0")));
        }
        Ok(Self { assertion: Assertion::read(settings, path, depth)?, weight })
    }
}

/// No fields but those that are read already.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// What kind a table says it is of, and the rest of it.
fn kind(mut settings: Map<String, Value>, path: &str) -> Result<(String, Map<String, Value>), Flaw> {
    match settings.remove("kind") {
        Some(Value::String(kind)) => Ok((kind, settings)),
        Some(_) => Err(Flaw::new(join(path, "kind"), "write the kind of assertion as text")),
        None => {
            let why = format!("it is missing; write one of {}", KINDS.join(", "));
            Err(Flaw::new(join(path, "kind"), why))
        }
    }
}

fn object(value: Value, path: &str) -> Result<Map<String, Value>, Flaw> {
    match value {
        Value::Object(settings) => Ok(settings),
        _ => Err(Flaw::new(path, "write an assertion as a table, such as { kind = \"exact\" }")),
    }
}

fn fields<T: DeserializeOwned>(settings: Map<String, Value>, path: &str) -> Result<T, Flaw> {
    read(Value::Object(settings), path)
}

fn parts(settings: &mut Map<String, Value>, path: &str, depth: usize) -> Result<Vec<Weighted>, Flaw> {
    several(settings.remove("of").unwrap_or_else(|| Value::Array(Vec::new())), &join(path, "of"), depth + 1)
}

fn several(value: Value, path: &str, depth: usize) -> Result<Vec<Weighted>, Flaw> {
    let Value::Array(list) = value else {
        return Err(Flaw::new(path, "write a list of assertions"));
    };
    if list.len() > MOST {
        return Err(Flaw::new(path, format!("has more than {MOST} assertions")));
    }
    list.into_iter()
        .enumerate()
        .map(|(i, value)| Weighted::at(value, &format!("{path}[{i}]"), depth))
        .collect()
}

impl<'de> Deserialize<'de> for Assertion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let settings = Map::deserialize(deserializer)?;
        Self::read(settings, "", 0).map_err(|flaw| D::Error::custom(in_words(&flaw)))
    }
}

impl<'de> Deserialize<'de> for Weighted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let settings = Map::deserialize(deserializer)?;
        Self::read(Value::Object(settings), "").map_err(|flaw| D::Error::custom(in_words(&flaw)))
    }
}

fn in_words(flaw: &Flaw) -> String {
    if flaw.path.is_empty() { flaw.to_string() } else { format!("its `{}`: {flaw}", flaw.path) }
}
