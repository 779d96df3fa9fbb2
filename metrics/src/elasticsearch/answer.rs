//! What a search answers.

use serde::Deserialize;
use serde_json::Value;

use super::Aggregation;
use crate::query::Failure;

/// What the aggregation is called in question and answer.
pub(super) const NAME: &str = "value";

#[derive(Deserialize)]
pub(super) struct Answer {
    timed_out: bool,
    #[serde(default)]
    terminated_early: bool,
    #[serde(rename = "_shards")]
    shards: Shards,
    #[serde(rename = "_clusters", default)]
    clusters: Clusters,
    hits: Hits,
    aggregations: Option<Aggregations>,
}

#[derive(Deserialize)]
struct Shards {
    total: u64,
    failed: u64,
}

/// Remote clusters, if there were any.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Clusters {
    skipped: u64,
    partial: u64,
    failed: u64,
}

#[derive(Deserialize)]
struct Hits {
    total: Total,
}

#[derive(Deserialize)]
struct Total {
    value: u64,
    relation: String,
}

#[derive(Deserialize)]
struct Aggregations {
    value: Aggregated,
}

/// One number, or several with the percentile that each is.
#[derive(Deserialize)]
struct Aggregated {
    #[serde(default)]
    value: Value,
    #[serde(default)]
    values: Vec<Percentile>,
}

#[derive(Deserialize)]
struct Percentile {
    value: Value,
}

impl Answer {
    /// The number that was asked for; none if there was nothing to aggregate.
    pub(super) fn value(self, aggregation: Option<&Aggregation>) -> Result<Option<f64>, Failure> {
        if self.timed_out || self.terminated_early {
            return Err(Failure::Partial("the search ended before it had seen every document".to_owned()));
        }
        let Shards { total, failed } = self.shards;
        if failed > 0 {
            return Err(Failure::Partial(format!("{failed} of {total} shards failed")));
        }
        let Clusters { skipped, partial, failed } = self.clusters;
        if skipped + partial + failed > 0 {
            return Err(Failure::Partial(format!(
                "of the remote clusters {skipped} were skipped, {partial} answered in part, {failed} failed"
            )));
        }
        let Total { value: count, relation } = self.hits.total;
        if relation != "eq" {
            return Err(Failure::malformed(format!(
                "it counted `{relation}` {count} documents, not exactly; nothing between may lower track_total_hits"
            )));
        }
        let Some(aggregation) = aggregation else { return Ok(Some(count as f64)) };
        let aggregated = self
            .aggregations
            .ok_or_else(|| Failure::malformed("it answered without the aggregation that it was asked for"))?
            .value;
        if count == 0 {
            return Ok(None);
        }
        let value = match aggregation {
            Aggregation::Percentile { .. } => match aggregated.values.into_iter().next() {
                Some(percentile) => percentile.value,
                None => return Err(Failure::malformed("it answered without the percentile")),
            },
            _ => aggregated.value,
        };
        number(&value)
    }
}

/// A number, which Elasticsearch quotes if it is not finite; `null` where no document has the field.
fn number(value: &Value) -> Result<Option<f64>, Failure> {
    let number = match value {
        Value::Null => return Ok(None),
        Value::String(text) => text.parse().ok(),
        value => value.as_f64(),
    };
    number.map(Some).ok_or_else(|| Failure::malformed(format!("the aggregation is no number: {value}")))
}
