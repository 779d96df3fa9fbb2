//! Suites as TOML or JSON.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use serde::Deserialize;
use serde_json::{Map, Value};
use tidegate_registry::Hasher;

use super::{InvalidSuite, Sources, Suite, kind::load};
use crate::{Sampling, canonical::canonical, dataset::Shard, flaw::read};

/// Bytes of the longest suite file that is read.
const LONGEST: usize = 16 << 20;
/// Most checks of a suite file.
const MOST_CHECKS: usize = 256;

/// The checks that decide whether a version may take traffic.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Suite"))]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    /// What reports call it.
    #[serde(default = "unnamed")]
    name: String,
    /// Checks that may stay undecided, by their names; they must still not fail.
    #[serde(default)]
    allow_inconclusive: BTreeSet<String>,
    /// How questions are put, unless a check has a `request` of its own.
    #[serde(default)]
    request: Option<Sampling>,
    /// The checks, made in this order.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<super::schema::Check>", length(min = 1, max = 256)))]
    checks: Vec<Map<String, Value>>,
}

impl Suite {
    /// A suite from a file, TOML or, if it is called `.json`, JSON, with the datasets that it names; blocking.
    ///
    /// # Errors
    ///
    /// [`InvalidSuite`] says which field, or which line of a dataset, is wrong and what would be right, and whether
    /// a file cannot be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, InvalidSuite> {
        Self::open_with(&path, &Sources::beside(&path))
    }

    /// A suite from a file, with datasets from `sources`; blocking.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_with(path: impl AsRef<Path>, sources: &Sources) -> Result<Self, InvalidSuite> {
        let path = path.as_ref();
        let unreadable =
            |error: io::Error| InvalidSuite::new("", format!("{} cannot be read: {error}", path.display()));
        let mut text = String::new();
        let file = File::open(path).map_err(unreadable)?;
        file.take(LONGEST as u64 + 1).read_to_string(&mut text).map_err(unreadable)?;
        bounded(&text)?;
        let value = match path.extension().is_some_and(|extension| extension == "json") {
            true => json(&text)?,
            false => toml(&text)?,
        };
        Self::from_value_with(value, sources)
    }

    /// A suite from TOML.
    ///
    /// # Errors
    ///
    /// [`InvalidSuite`] says which field is wrong and what would be right.
    pub fn from_toml(text: &str) -> Result<Self, InvalidSuite> {
        bounded(text)?;
        Self::from_value(toml(text)?)
    }

    /// A suite from JSON.
    ///
    /// # Errors
    ///
    /// [`InvalidSuite`] says which field is wrong and what would be right.
    pub fn from_json(text: &str) -> Result<Self, InvalidSuite> {
        bounded(text)?;
        Self::from_value(json(text)?)
    }

    /// A suite from a document that is already parsed.
    ///
    /// # Errors
    ///
    /// [`InvalidSuite`] says which field is wrong and what would be right.
    pub fn from_value(value: Value) -> Result<Self, InvalidSuite> {
        Self::read(value, None)
    }

    /// A suite from a document that is already parsed, with datasets from `sources`; blocking.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn from_value_with(value: Value, sources: &Sources) -> Result<Self, InvalidSuite> {
        Self::read(value, Some(sources))
    }

    fn read(value: Value, sources: Option<&Sources>) -> Result<Self, InvalidSuite> {
        let mut digest = Hasher::default();
        digest.update(canonical(&value).as_bytes());
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
        let mut suite = Self::new(document.name);
        for (i, settings) in document.checks.into_iter().enumerate() {
            let path = format!("checks[{i}]");
            let check = load(settings, request.as_ref(), sources, &path)?;
            check.files.iter().for_each(|file| digest.update(file.as_bytes()));
            suite.validators.push(check.validator);
        }
        suite.shard = sources.map_or(Shard::ALL, Sources::share);
        suite.digest = Some(digest.finish());
        suite.allow_inconclusive = document.allow_inconclusive;
        match suite.flaw() {
            Some(flaw) => Err(flaw),
            None => Ok(suite),
        }
    }
}

fn bounded(text: &str) -> Result<(), InvalidSuite> {
    if text.len() > LONGEST {
        return Err(InvalidSuite::new("", format!("it is longer than {LONGEST} bytes; split it")));
    }
    Ok(())
}

fn toml(text: &str) -> Result<Value, InvalidSuite> {
    toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        let line = text.bytes().take(at).filter(|&b| b == b'\n').count() + 1;
        InvalidSuite::new("", format!("line {line} is not TOML: {}", error.message().replace('\n', ", ")))
    })
}

fn json(text: &str) -> Result<Value, InvalidSuite> {
    serde_json::from_str(text).map_err(|error| InvalidSuite::new("", format!("it is not JSON: {error}")))
}

fn unnamed() -> String {
    "suite".to_owned()
}
