//! One check of a suite file, of the kind that it says it is.

use std::sync::Arc;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use tidegate_registry::Digest;

use super::{
    InvalidSuite, Sources, compare,
    sources::{beside, calibration, dataset, table, wrappers},
};
use crate::{
    Rule, Sampling, Validator,
    canonical::canonical,
    checks::{
        Answers, Calibration, Cases, Compare, Consistency, Drift, Integrity, Latency, OverRefusal,
        Preference, Questioned, Refusal, Safety, Sarif, Settings, Smoke, Tokens, Topics,
    },
    dataset::{Dataset, Shard},
    flaw::{Flaw, join, read},
    scorer::Weighted,
};

const KINDS: &[&str] = &[
    "answers",
    "calibration",
    "cases",
    "compare",
    "consistency",
    "drift",
    "integrity",
    "latency",
    #[cfg(feature = "load")]
    "load",
    "over-refusal",
    "preference",
    "refusal",
    "safety",
    "sarif",
    #[cfg(feature = "scan")]
    "scan",
    "smoke",
    "tokens",
    "topics",
];

/// Kinds that read files and ask nothing, so that they have no `request`.
const SILENT: &[&str] = &["drift", "integrity", "sarif", "scan"];

/// Asks every question of a dataset and scores each answer as soon as it comes.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema, serde::Serialize), schemars(rename = "Cases"))]
#[serde(default, deny_unknown_fields)]
pub(super) struct Plain {
    /// The check's name in reports.
    name: String,
    /// How often each question is asked; answers to one question are one cluster.
    repeats: u32,
    /// The least share of answers that are as they should be.
    floor: f64,
    /// How the share is held against the floor.
    rule: Rule,
    /// Confidence of the bounds.
    confidence: f64,
    /// The least kappa between people and the judge, if there is a `calibration`.
    kappa_floor: f64,
    /// How the questions are put.
    request: Sampling,
}

/// A check, and the digests of the files that it was read from.
pub(super) struct Loaded {
    pub(super) validator: Arc<dyn Validator>,
    pub(super) files: Vec<Digest>,
}

/// One check, of the kind that it says it is.
pub(super) fn load(
    mut settings: Map<String, Value>,
    request: Option<&Value>,
    sources: Option<&Sources>,
    path: &str,
) -> Result<Loaded, InvalidSuite> {
    let kind = match settings.remove("kind") {
        Some(Value::String(kind)) => kind,
        Some(_) => return Err(InvalidSuite::new(join(path, "kind"), "write the kind of check as text")),
        None => {
            let why = format!("it is missing; write one of {}", KINDS.join(", "));
            return Err(InvalidSuite::new(join(path, "kind"), why));
        }
    };
    if let (Some(request), false) = (request, SILENT.contains(&kind.as_str())) {
        settings.entry("request").or_insert_with(|| request.clone());
    }
    if kind == Cases::KIND {
        return cases(settings, sources, path);
    }
    // One share makes the others alone, and asks all of their questions.
    let whole = sources.map(|sources| sources.clone().shard(Shard::ALL));
    let sources = whole.as_ref();
    if kind == Calibration::KIND {
        return questioned::<Calibration>(settings, sources, path);
    }
    if kind == Compare::KIND || kind == Preference::KIND {
        let load = if kind == Compare::KIND { compare::compare } else { compare::preference };
        let (validator, dataset) = load(settings, sources, path)?;
        return Ok(Loaded { validator, files: dataset.into_iter().collect() });
    }
    if kind == OverRefusal::KIND {
        return questioned::<OverRefusal>(settings, sources, path);
    }
    if kind == Safety::KIND {
        return questioned::<Safety>(settings, sources, path);
    }
    let mut settings = Value::Object(settings);
    if kind == Sarif::KIND {
        beside(&mut settings, sources, path)?;
    }
    let validator = match kind.as_str() {
        Answers::KIND => check::<Answers>(settings, path),
        Consistency::KIND => check::<Consistency>(settings, path),
        Drift::KIND => drift(settings, sources, path),
        Integrity::KIND => check::<Integrity>(settings, path),
        Latency::KIND => check::<Latency>(settings, path),
        #[cfg(feature = "load")]
        crate::checks::Load::KIND => check::<crate::checks::Load>(settings, path),
        Refusal::KIND => check::<Refusal>(settings, path),
        Sarif::KIND => check::<Sarif>(settings, path),
        #[cfg(feature = "scan")]
        crate::checks::Scan::KIND => check::<crate::checks::Scan>(settings, path),
        Smoke::KIND => check::<Smoke>(settings, path),
        Tokens::KIND => check::<Tokens>(settings, path),
        Topics::KIND => check::<Topics>(settings, path),
        _ => Err(InvalidSuite::unknown(join(path, "kind"), "kind of check", &kind, KINDS)),
    };
    Ok(Loaded { validator: validator?, files: Vec::new() })
}

/// A check that may have questions in a `dataset`, or written out as `cases`.
fn questioned<C: Questioned + Validator + DeserializeOwned>(
    mut settings: Map<String, Value>,
    sources: Option<&Sources>,
    path: &str,
) -> Result<Loaded, InvalidSuite> {
    let (named, inline) = (settings.remove("dataset"), settings.remove("cases"));
    let is_file = named.is_some();
    let questions = match (named, inline) {
        (None, None) => None,
        (named, inline) => Some(dataset(named, inline, sources, path)?),
    };
    let mut files: Vec<_> = questions.iter().filter(|_| is_file).map(Dataset::digest).collect();
    if let Some(named) = settings.remove("wrappers") {
        let is_file = named.is_string();
        let templates = wrappers(named, sources, &join(path, "wrappers"))?;
        if is_file {
            files.push(Digest::of(canonical(&templates)));
        }
        settings.insert("wrappers".to_owned(), templates);
    }
    let mut check: C = read(Value::Object(settings), path)?;
    if let Some(questions) = questions {
        check.ask(questions);
    }
    match check.flaw() {
        Some((field, why)) => Err(InvalidSuite::new(join(path, field), why)),
        None => Ok(Loaded { validator: Arc::new(check), files }),
    }
}

impl Default for Plain {
    fn default() -> Self {
        Self {
            name: Cases::KIND.to_owned(),
            repeats: 1,
            floor: 0.9,
            rule: Rule::Bound,
            confidence: 0.95,
            kappa_floor: 0.6,
            request: Sampling::default(),
        }
    }
}

/// A check of kind `cases`, whose questions are a dataset.
fn cases(
    mut settings: Map<String, Value>,
    sources: Option<&Sources>,
    path: &str,
) -> Result<Loaded, InvalidSuite> {
    let (named, inline, assertions) =
        (settings.remove("dataset"), settings.remove("cases"), settings.remove("assert"));
    let calibrated = settings.remove("calibration");
    let is_file = named.is_some();
    let Plain { name, repeats, floor, rule, confidence, kappa_floor, request } =
        read(Value::Object(settings), path)?;
    let assertions = match assertions {
        Some(list) => Weighted::list(list, &join(path, "assert"))?,
        None => Vec::new(),
    };
    let dataset = dataset(named, inline, sources, path)?;
    let mut files: Vec<_> = is_file.then(|| dataset.digest()).into_iter().collect();
    let calibration = match calibrated {
        Some(value) => Some(Arc::new(calibration(value, sources, &join(path, "calibration"))?)),
        None => None,
    };
    // What is written out in the suite counts twice, which does not matter.
    files.extend(calibration.as_deref().map(|found| Digest::of(canonical(&serde_json::json!(found)))));
    let check = Cases {
        name,
        assertions,
        calibration,
        kappa_floor,
        repeats,
        floor,
        rule,
        confidence,
        request,
        ..Cases::new(dataset)
    };
    if let Some((field, why)) = check.flaw() {
        return Err(InvalidSuite::new(join(path, field), why));
    }
    let field = if is_file { "dataset" } else { "cases" };
    check.fit().map_err(|invalid| match is_file {
        true => Flaw::new(join(path, field), invalid.to_string()),
        false => invalid.inside(&join(path, field)),
    })?;
    Ok(Loaded { validator: Arc::new(check), files })
}

/// A check of kind `drift`, whose tables are files.
fn drift(settings: Value, sources: Option<&Sources>, path: &str) -> Result<Arc<dyn Validator>, InvalidSuite> {
    let mut check: Drift = read(settings, path)?;
    if let Some((field, why)) = check.flaw() {
        return Err(InvalidSuite::new(join(path, field), why));
    }
    for (field, files) in [("reference", &mut check.reference), ("current", &mut check.current)] {
        for (i, file) in files.iter_mut().enumerate() {
            *file = table(file, sources, &join(path, &format!("{field}[{i}]")))?;
        }
    }
    Ok(Arc::new(check))
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
