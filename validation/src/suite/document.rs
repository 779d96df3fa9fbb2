//! Suites as TOML or JSON.

use std::{collections::BTreeSet, sync::Arc};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use tidegate_registry::Digest;

use super::{InvalidSuite, Suite, invalid::join};
use crate::{
    Sampling, Validator,
    checks::{Answers, Consistency, Integrity, Latency, Refusal, Settings, Tokens, Topics},
};

/// Bytes of the longest suite file that is read.
const LONGEST: usize = 16 << 20;
/// Most checks of a suite file.
const MOST_CHECKS: usize = 256;

const KINDS: &[&str] = &["answers", "consistency", "integrity", "latency", "refusal", "tokens", "topics"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default = "unnamed")]
    name: String,
    #[serde(default)]
    allow_inconclusive: BTreeSet<String>,
    #[serde(default)]
    request: Option<Sampling>,
    checks: Vec<Map<String, Value>>,
}

impl Suite {
    /// A suite from TOML.
    ///
    /// # Errors
    ///
    /// [`InvalidSuite`] says which field is wrong and what would be right.
    pub fn from_toml(text: &str) -> Result<Self, InvalidSuite> {
        bounded(text)?;
        let value = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let line = text.bytes().take(at).filter(|&b| b == b'\n').count() + 1;
            InvalidSuite::new("", format!("line {line} is not TOML: {}", error.message().replace('\n', ", ")))
        })?;
        Self::from_value(value)
    }

    /// A suite from JSON.
    ///
    /// # Errors
    ///
    /// [`InvalidSuite`] says which field is wrong and what would be right.
    pub fn from_json(text: &str) -> Result<Self, InvalidSuite> {
        bounded(text)?;
        let value = serde_json::from_str(text)
            .map_err(|error| InvalidSuite::new("", format!("it is not JSON: {error}")))?;
        Self::from_value(value)
    }

    /// A suite from a document that is already parsed.
    ///
    /// # Errors
    ///
    /// [`InvalidSuite`] says which field is wrong and what would be right.
    pub fn from_value(value: Value) -> Result<Self, InvalidSuite> {
        let digest = Digest::of(value.to_string());
        let document: Document = read(value, "")?;
        if document.checks.is_empty() {
            return Err(InvalidSuite::new(
                "checks",
                "it is empty, and nothing checked is no pass; add a check",
            ));
        }
        if document.checks.len() > MOST_CHECKS {
            return Err(InvalidSuite::new(
                "checks",
                format!("there are more than {MOST_CHECKS}; split the suite"),
            ));
        }
        if let Some((field, why)) = document.request.as_ref().and_then(Sampling::flaw) {
            return Err(InvalidSuite::new(field, why));
        }
        let request = document.request.map(|request| serde_json::json!(request));
        let mut suite = Self { digest: Some(digest), ..Self::new(document.name) };
        for (i, settings) in document.checks.into_iter().enumerate() {
            let path = format!("checks[{i}]");
            suite.validators.push(load(settings, request.as_ref(), &path)?);
        }
        suite.allow_inconclusive = document.allow_inconclusive;
        match suite.flaw() {
            Some(flaw) => Err(flaw),
            None => Ok(suite),
        }
    }
}

/// One check, of the kind that it says it is.
fn load(
    mut settings: Map<String, Value>,
    request: Option<&Value>,
    path: &str,
) -> Result<Arc<dyn Validator>, InvalidSuite> {
    let kind = match settings.remove("kind") {
        Some(Value::String(kind)) => kind,
        Some(_) => return Err(InvalidSuite::new(join(path, "kind"), "write the kind of check as text")),
        None => {
            let why = format!("it is missing; write one of {}", KINDS.join(", "));
            return Err(InvalidSuite::new(join(path, "kind"), why));
        }
    };
    if let (Some(request), false) = (request, kind == Integrity::KIND) {
        settings.entry("request").or_insert_with(|| request.clone());
    }
    let settings = Value::Object(settings);
    match kind.as_str() {
        Answers::KIND => check::<Answers>(settings, path),
        Consistency::KIND => check::<Consistency>(settings, path),
        Integrity::KIND => check::<Integrity>(settings, path),
        Latency::KIND => check::<Latency>(settings, path),
        Refusal::KIND => check::<Refusal>(settings, path),
        Tokens::KIND => check::<Tokens>(settings, path),
        Topics::KIND => check::<Topics>(settings, path),
        _ => Err(InvalidSuite::unknown(join(path, "kind"), "kind of check", &kind, KINDS)),
    }
}

fn check<C: Settings + Validator + DeserializeOwned>(
    settings: Value,
    path: &str,
) -> Result<Arc<dyn Validator>, InvalidSuite> {
    let check: C = read(settings, path)?;
    match check.flaw() {
        Some((field, why)) => Err(InvalidSuite::new(join(path, field), why)),
        None => Ok(Arc::new(check)),
    }
}

fn read<T: DeserializeOwned>(value: Value, path: &str) -> Result<T, InvalidSuite> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let inner = error.path().to_string();
        let full = if inner == "." { path.to_owned() } else { join(path, &inner) };
        InvalidSuite::from_serde(full, &error.inner().to_string())
    })
}

fn bounded(text: &str) -> Result<(), InvalidSuite> {
    if text.len() > LONGEST {
        return Err(InvalidSuite::new("", format!("it is longer than {LONGEST} bytes; split it")));
    }
    Ok(())
}

fn unnamed() -> String {
    "suite".to_owned()
}
