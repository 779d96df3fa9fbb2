//! Checks in a suite file that compare with a baseline.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value};
use tidegate_registry::Digest;

use super::{Sources, sources::dataset};
use crate::{
    Sampling, Validator,
    checks::{Compare, Preference, Settings},
    compare::{Comparison, Goal, Measure, Preferring},
    dataset::Dataset,
    flaw::{Flaw, join, read},
    scorer::Weighted,
};

/// A check, and the digest of the file that its questions are in.
pub(super) type Check = (Arc<dyn Validator>, Option<Digest>);

/// What both kinds have as settings beside their questions.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub(super) struct Plain {
    /// The check's name in reports.
    name: Option<String>,
    /// How often each question is asked.
    repeats: u32,
    /// What is compared of each answer.
    measure: Option<Measure>,
    /// What is to be shown.
    goal: Goal,
    /// By how much the candidate may be worse.
    margin: Option<f64>,
    /// Confidence of each bound, above ½.
    confidence: f64,
    /// How often cases are drawn again, where their scores or repeats ask for it.
    resamples: u32,
    /// How the questions are put.
    request: Sampling,
}

impl Default for Plain {
    fn default() -> Self {
        let Comparison { goal, confidence, resamples, .. } = Comparison::default();
        Self {
            name: None,
            repeats: 1,
            measure: None,
            goal,
            margin: None,
            confidence,
            resamples,
            request: Sampling::default(),
        }
    }
}

/// Questions, and whether they are in a file of their own.
struct Asked {
    dataset: Dataset,
    is_file: bool,
}

/// A check of kind `compare`.
pub(super) fn compare(
    mut settings: Map<String, Value>,
    sources: Option<&Sources>,
    path: &str,
) -> Result<Check, Flaw> {
    let asked = asked(&mut settings, sources, path)?;
    let assertions = match settings.remove("assert") {
        Some(list) => Weighted::list(list, &join(path, "assert"))?,
        None => Vec::new(),
    };
    let plain: Plain = read(Value::Object(settings), path)?;
    let by_default = Compare::new(asked.dataset.clone());
    let check = Compare {
        name: plain.name.unwrap_or_else(|| by_default.name.clone()),
        assertions,
        repeats: plain.repeats,
        measure: plain.measure.unwrap_or_default(),
        goal: plain.goal,
        margin: plain.margin.unwrap_or(by_default.margin),
        confidence: plain.confidence,
        resamples: plain.resamples,
        request: plain.request,
        ..by_default
    };
    sound(&check, path)?;
    check.fit().map_err(|invalid| match asked.is_file {
        true => Flaw::new(join(path, "dataset"), invalid.to_string()),
        false => invalid.inside(&join(path, "cases")),
    })?;
    Ok((Arc::new(check), asked.digest()))
}

/// A check of kind `preference`.
pub(super) fn preference(
    mut settings: Map<String, Value>,
    sources: Option<&Sources>,
    path: &str,
) -> Result<Check, Flaw> {
    let asked = asked(&mut settings, sources, path)?;
    let at = join(path, "prefer");
    let prefer: Preferring = match settings.remove("prefer") {
        Some(prefer) => read(prefer, &at)?,
        None => {
            return Err(Flaw::new(at, "it is missing; write { rubric = \"what makes one answer better\" }"));
        }
    };
    let plain: Plain = read(Value::Object(settings), path)?;
    if plain.measure.is_some() {
        let why = "a preference has no measure but the judge's; take it out, or write kind = \"compare\"";
        return Err(Flaw::new(join(path, "measure"), why));
    }
    let by_default = Preference::new(asked.dataset.clone(), prefer);
    let check = Preference {
        name: plain.name.unwrap_or_else(|| by_default.name.clone()),
        repeats: plain.repeats,
        goal: plain.goal,
        margin: plain.margin.unwrap_or(by_default.margin),
        confidence: plain.confidence,
        resamples: plain.resamples,
        request: plain.request,
        ..by_default
    };
    sound(&check, path)?;
    Ok((Arc::new(check), asked.digest()))
}

fn asked(settings: &mut Map<String, Value>, sources: Option<&Sources>, path: &str) -> Result<Asked, Flaw> {
    let (named, inline) = (settings.remove("dataset"), settings.remove("cases"));
    let is_file = named.is_some();
    Ok(Asked { dataset: dataset(named, inline, sources, path)?, is_file })
}

impl Asked {
    fn digest(&self) -> Option<Digest> {
        self.is_file.then(|| self.dataset.digest())
    }
}

fn sound(check: &impl Settings, path: &str) -> Result<(), Flaw> {
    match check.flaw() {
        Some((field, why)) => Err(Flaw::new(join(path, field), why)),
        None => Ok(()),
    }
}
