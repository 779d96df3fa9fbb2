//! By what windows are judged.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidegate::metrics::{Criterion, Metric, Rule};

use crate::{document::Document, failure::Failure};

/// By what windows are judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Criteria {
    /// Every metric by this.
    Each(Rule),
    /// These metrics, and no other.
    Listed(Vec<Criterion>),
}

impl Criteria {
    /// What is required of `metric`, if anything is.
    pub(crate) fn of(&self, metric: &Metric) -> Option<Criterion> {
        match self {
            Self::Each(rule) => Some(Criterion::new(metric.clone(), *rule)),
            Self::Listed(listed) => listed.iter().find(|criterion| criterion.metric == *metric).cloned(),
        }
    }

    /// Those of a file.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let wrong = |why: String| Failure::Misused(format!("criterion `{}` {why}", path.display()));
        let parse = |value: Value| {
            serde_json::from_value::<Criterion>(value).map_err(|error| wrong(format!("is wrong: {error}")))
        };
        let listed = match Document::parse("criterion", path)? {
            Value::Array(criteria) => criteria.into_iter().map(parse).collect::<Result<Vec<_>, _>>()?,
            Value::Object(one) if one.get("metric").is_some_and(Value::is_string) => {
                vec![parse(Value::Object(one))?]
            }
            Value::Object(by_metric) => {
                let named = |(metric, mut criterion): (String, Value)| {
                    if let Some(fields) = criterion.as_object_mut() {
                        fields.entry("metric").or_insert_with(|| metric.clone().into());
                    }
                    let criterion = parse(criterion)?;
                    match criterion.metric.as_str() == metric {
                        true => Ok(criterion),
                        false => Err(wrong(format!(
                            "has {} under the name {metric}; name one of both",
                            criterion.metric
                        ))),
                    }
                };
                by_metric.into_iter().map(named).collect::<Result<_, _>>()?
            }
            _ => return Err(wrong("is no criterion; write {\"metric\": …, \"rule\": …}".to_owned())),
        };
        if listed.is_empty() {
            return Err(wrong("has no criterion; write at least one".to_owned()));
        }
        for (n, criterion) in listed.iter().enumerate() {
            criterion.check().map_err(|error| wrong(format!("does not do: {error}")))?;
            if listed[..n].iter().any(|other| other.metric == criterion.metric) {
                return Err(wrong(format!("has two criteria for {}; keep one", criterion.metric)));
            }
        }
        Ok(Self::Listed(listed))
    }
}
