//! From text to fields, within bounds.

use std::{fmt, path::Path};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{InvalidPlanFile, PlanFile, invalid::join};

/// What a plan file is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// JSON.
    Json,
    /// TOML.
    Toml,
    /// YAML.
    Yaml,
}

impl Format {
    /// By the name of the file, if that says: `.json`, `.toml`, `.yaml` or `.yml`.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "json" => Some(Self::Json),
            "toml" => Some(Self::Toml),
            "yaml" | "yml" => Some(Self::Yaml),
            _ => None,
        }
    }

    /// The fields of a text.
    pub(super) fn parse(self, text: &str) -> Result<Map<String, Value>, InvalidPlanFile> {
        let unreadable = |why: String| InvalidPlanFile::Unreadable { format: self.name(), why };
        if text.len() > PlanFile::LONGEST {
            return Err(unreadable(format!(
                "it is longer than {} bytes; is it another file?",
                PlanFile::LONGEST
            )));
        }
        let value = match self {
            Self::Json => serde_json::from_str(text).map_err(|error| unreadable(error.to_string()))?,
            Self::Toml => {
                let table: toml::Table =
                    toml::from_str(text).map_err(|error| unreadable(in_toml(text, &error)))?;
                Value::Object(table.into_iter().map(|(key, value)| (key, from_toml(value))).collect())
            }
            Self::Yaml => serde_saphyr::from_str_with_options(text, yaml())
                .map_err(|error| unreadable(error.without_snippet().to_string()))?,
        };
        match value {
            Value::Object(fields) => Ok(fields),
            _ => Err(unreadable("it has no fields; write for example `route: serving/fraud`".to_owned())),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::Toml => "TOML",
            Self::Yaml => "YAML",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// `value` as a `T`; what is wrong is said with its path below `path`.
pub(super) fn typed<T: DeserializeOwned>(value: Value, path: &str) -> Result<T, InvalidPlanFile> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = join(path, &error.path().to_string());
        InvalidPlanFile::from_serde(path, &error.inner().to_string())
    })
}

/// What aliases repeat counts as if it were written out.
fn yaml() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: 64,
            max_nodes: 50_000,
            max_events: 100_000,
            max_aliases: 1_000,
            max_anchors: 1_000,
            max_merge_keys: 1_000,
            max_documents: 1,
            max_recorded_anchor_events: 100_000,
            max_recorded_anchor_bytes: PlanFile::LONGEST,
            max_total_scalar_bytes: PlanFile::LONGEST,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 50_000,
        },
        strict_booleans: true,
        with_snippet: false,
    }
}

fn in_toml(text: &str, error: &toml::de::Error) -> String {
    let line =
        |at: usize| text.as_bytes()[..at.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1;
    let place = error.span().map(|span| format!(" in line {}", line(span.start))).unwrap_or_default();
    format!("{}{place}", error.message())
}

/// Times are text in plans, and may be written as times in TOML.
fn from_toml(value: toml::Value) -> Value {
    match value {
        toml::Value::Array(values) => values.into_iter().map(from_toml).collect(),
        toml::Value::Boolean(value) => value.into(),
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Float(value) => value.into(),
        toml::Value::Integer(value) => value.into(),
        toml::Value::String(text) => text.into(),
        toml::Value::Table(table) => {
            Value::Object(table.into_iter().map(|(key, value)| (key, from_toml(value))).collect())
        }
    }
}
