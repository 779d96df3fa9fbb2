//! What Prometheus answers: <https://prometheus.io/docs/prometheus/latest/querying/api/>.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::http::excerpt;

/// One series: its labels and its samples, ascending by time.
#[derive(Debug, Deserialize)]
pub(super) struct Series {
    #[serde(rename = "metric")]
    pub(super) labels: BTreeMap<String, String>,
    #[serde(default, rename = "values")]
    pub(super) samples: Vec<Sample>,
    /// Native histograms, which are not read.
    #[serde(default)]
    histograms: Vec<serde::de::IgnoredAny>,
}

/// Milliseconds since 1970, and a value that may be anything a float can be.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "(f64, String)")]
pub(super) struct Sample {
    pub(super) at: i64,
    pub(super) value: f64,
}

/// Why an answer is none. What the server says of itself is in the text.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAnswer {
    #[error("it answered in part: {}", .0.join("; "))]
    Partial(Vec<String>),
    #[error("it answered {kind}: {message}")]
    Refused { kind: String, message: String },
    #[error("it answered a {0}, not a matrix; a template is a series selector, without functions")]
    NotSeries(String),
    #[error("series {0} holds native histograms, which are not read; ask for classic buckets")]
    Native(String),
    #[error("it answered something that is no result of a query: {0}")]
    NotJson(String),
}

/// The series in the body of an answer to a range-vector query.
pub(super) fn parse(body: &[u8]) -> Result<Vec<Series>, NoAnswer> {
    let answer: Answer = serde_json::from_slice(body)?;
    match answer {
        Answer::Error { error_type, error } => {
            Err(NoAnswer::Refused { kind: excerpt(&error_type), message: excerpt(&error) })
        }
        Answer::Success { warnings, .. } if !warnings.is_empty() => {
            Err(NoAnswer::Partial(warnings.iter().take(3).map(|warning| excerpt(warning)).collect()))
        }
        Answer::Success { data: Vector { result_type, .. }, .. } if result_type != "matrix" => {
            Err(NoAnswer::NotSeries(excerpt(&result_type)))
        }
        Answer::Success { data, .. } => {
            let series: Vec<Series> = serde_json::from_value(data.result)?;
            match series.iter().find(|series| !series.histograms.is_empty()) {
                Some(native) => Err(NoAnswer::Native(excerpt(&format!("{:?}", native.labels)))),
                None => Ok(series),
            }
        }
    }
}

/// serde_json repeats what it did not expect, however long it is.
impl From<serde_json::Error> for NoAnswer {
    fn from(error: serde_json::Error) -> Self {
        Self::NotJson(excerpt(&error.to_string()))
    }
}

#[derive(Deserialize)]
#[serde(tag = "status", rename_all = "camelCase")]
enum Answer {
    #[serde(rename_all = "camelCase")]
    Error { error_type: String, error: String },
    Success {
        data: Vector,
        #[serde(default)]
        warnings: Vec<String>,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vector {
    result_type: String,
    result: serde_json::Value,
}

impl TryFrom<(f64, String)> for Sample {
    type Error = String;

    fn try_from((seconds, value): (f64, String)) -> Result<Self, Self::Error> {
        let at = (seconds * 1000.0).round();
        if !(0.0..1e15).contains(&at) {
            return Err(format!("{seconds} is no time"));
        }
        let value = value.parse().map_err(|_| format!("`{}` is no value", excerpt(&value)))?;
        Ok(Self { at: at as i64, value })
    }
}
