//! Which series make up a metric, and how an observation is read off them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{
    Template,
    answer::Series,
    counter::{NoCount, Span, first_seen, growth, newest, resets},
};
use crate::{Measurement, Missing, Observation};

/// Which series make up a metric. Queries are data: they can be written in a file.
///
/// ```
/// # use tidegate_metrics::prometheus::Query;
/// let query: Query = serde_json::from_str(r#"{"proportion": {
///     "hits": "http_requests_total{version=\"{{version}}\",code=~\"5..\"}",
///     "trials": "http_requests_total{version=\"{{version}}\"}"
/// }}"#).unwrap();
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub enum Query {
    /// A classic histogram: its `_bucket` series, with the label `le`.
    Histogram {
        /// Selects the buckets.
        buckets: Template,
    },
    /// One counter out of another.
    ///
    /// If `trials` selects series and `hits` selects none, there were no hits: a counter with a status label
    /// does not exist before the first time. A misspelt `hits` looks the same, so try it on a known failure.
    Proportion {
        /// Selects the counters of hits.
        hits: Template,
        /// Selects the counters of trials, hits included.
        trials: Template,
    },
}

/// What was read: a measurement, or why the series cannot be read at all.
#[derive(Debug)]
pub(super) enum Reading {
    Malformed(String),
    Measured(Measurement),
}

impl Query {
    /// The counters of `hits` out of those of `trials`.
    #[must_use]
    pub const fn proportion(hits: Template, trials: Template) -> Self {
        Self::Proportion { hits, trials }
    }

    /// The classic histogram of these buckets.
    #[must_use]
    pub const fn histogram(buckets: Template) -> Self {
        Self::Histogram { buckets }
    }

    /// The questions to ask, in this order.
    pub(super) fn templates(&self) -> Vec<&Template> {
        match self {
            Self::Histogram { buckets } => vec![buckets],
            Self::Proportion { hits, trials } => vec![hits, trials],
        }
    }

    /// The observation in the answers to [`Self::templates`].
    pub(super) fn read(&self, answers: &[Vec<Series>], span: Span, staleness: Duration) -> Reading {
        let counted = answers.last().map_or(&[][..], Vec::as_slice);
        let Some(newest) = newest(counted, span) else { return Missing::NoData.into() };
        let age = Duration::from_millis(span.end.abs_diff(newest));
        if newest <= span.start || age > staleness {
            return Missing::Stale { age }.into();
        }
        let read = match (self, answers) {
            (Self::Proportion { .. }, [hits, trials]) => proportion(hits, trials, span),
            (_, _) => histogram(counted, span),
        };
        read.unwrap_or_else(|no_count| match no_count {
            NoCount::NotANumber => Missing::NotANumber.into(),
            NoCount::NotWhole(_) => Reading::Malformed(no_count.to_string()),
        })
    }
}

fn proportion(hits: &[Series], trials: &[Series], span: Span) -> Result<Reading, NoCount> {
    let seen = first_seen(hits.iter().chain(trials));
    let total = |series: &[Series]| {
        series.iter().try_fold(0, |sum: u64, one| {
            growth(one, span, &seen, &BTreeSet::new()).map(|growth| sum.saturating_add(growth))
        })
    };
    let (hits, trials) = (total(hits)?, total(trials)?);
    if trials == 0 && hits == 0 {
        return Ok(Missing::NoData.into());
    }
    Ok(Observation::proportion(hits, trials).map_or_else(
        || {
            Reading::Malformed(format!(
                "{hits} hits of {trials} trials; the series of `hits` must be among those of `trials`"
            ))
        },
        Reading::from,
    ))
}

/// Buckets are cumulative: each counts all values up to its edge `le`, the last, `+Inf`, counts all.
fn histogram(buckets: &[Series], span: Span) -> Result<Reading, NoCount> {
    let seen = first_seen(buckets);
    let mut histograms = BTreeMap::<_, Vec<(f64, &Series)>>::new();
    for bucket in buckets {
        let Some(edge) =
            bucket.labels.get("le").and_then(|le| le.parse::<f64>().ok()).filter(|edge| !edge.is_nan())
        else {
            return Ok(Reading::Malformed(
                "a series has no numeric label `le`; select the `_bucket` series".to_owned(),
            ));
        };
        let rest: Vec<_> = bucket.labels.iter().filter(|(label, _)| *label != "le").collect();
        histograms.entry(rest).or_default().push((edge, bucket));
    }
    let mut sum = None::<(Vec<f64>, Vec<u64>)>;
    for histogram in histograms.values_mut() {
        histogram.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        // A process restarts all buckets at once, also those that had not risen far enough to be seen falling.
        let resets = resets(histogram.iter().map(|(_, bucket)| *bucket));
        let edges: Vec<f64> = histogram.iter().map(|(edge, _)| *edge).collect();
        let cumulative: Vec<u64> = histogram
            .iter()
            .map(|(_, bucket)| growth(bucket, span, &seen, &resets))
            .collect::<Result<_, _>>()?;
        match &mut sum {
            None => sum = Some((edges, cumulative)),
            Some((known, sum)) if *known == edges => {
                sum.iter_mut().zip(cumulative).for_each(|(sum, more)| *sum = sum.saturating_add(more));
            }
            Some(_) => return Ok(Reading::Malformed("the histograms have different buckets".to_owned())),
        }
    }
    let Some((mut edges, cumulative)) = sum else { return Ok(Missing::NoData.into()) };
    if edges.pop() != Some(f64::INFINITY) {
        return Ok(Reading::Malformed("a histogram has no bucket le=\"+Inf\"".to_owned()));
    }
    let below = std::iter::once(0).chain(cumulative.iter().copied());
    let counts: Option<Vec<u64>> =
        cumulative.iter().zip(below).map(|(count, below)| count.checked_sub(below)).collect();
    Ok(match counts.and_then(|counts| Observation::histogram(edges, counts)) {
        None => Reading::Malformed("the buckets of a histogram do not rise with their edges".to_owned()),
        Some(nothing) if nothing.trials() == 0 => Missing::NoData.into(),
        Some(observation) => observation.into(),
    })
}

impl From<Missing> for Reading {
    fn from(missing: Missing) -> Self {
        Self::Measured(missing.into())
    }
}

impl From<Observation> for Reading {
    fn from(observation: Observation) -> Self {
        Self::Measured(observation.into())
    }
}
