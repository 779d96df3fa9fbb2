//! Which series make up a metric, and how an observation is read off them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{
    Aggregate, Edges, Template, classic,
    counter::{FirstSeen, NoCount, Span, growth, newest, resets, rise, see},
    gauge, millis, native,
    series::{Labels, Series},
};
use crate::{Missing, Observation};

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
    /// A gauge, such as the length of a queue: each sample in the window is one of the
    /// [`Values`](Observation::Values).
    ///
    /// More than one series with samples in the window is an error unless `aggregate` says what they are
    /// together.
    Gauge {
        /// Selects the gauge.
        values: Template,
        /// What several series are together.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        aggregate: Option<Aggregate>,
    },
    /// A classic histogram: its `_bucket` series, with the label `le`.
    Histogram {
        /// Selects the buckets.
        buckets: Template,
    },
    /// A native histogram: its one series, read at edges that are the same for all windows and sides.
    ///
    /// Each edge must be a boundary of the buckets, whatever their resolution is just then; powers of two are.
    /// A bucket with values on both sides of an edge is an error. A value that is exactly at an edge below
    /// zero counts as above it.
    NativeHistogram {
        /// Selects the histogram.
        series: Template,
        /// The edges to read it at.
        edges: Edges,
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
    /// The sum of so many values, none below zero: `_sum` over `_count` of a summary or a histogram.
    ///
    /// Each series of `sum` needs one of `count` with the same labels but for the name, and the other way
    /// round: the two restart together.
    Total {
        /// Selects the sums, which may be fractions.
        sum: Template,
        /// Selects the counts.
        count: Template,
    },
}

/// What samples are asked for.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) span: Span,
    /// In milliseconds.
    pub(crate) staleness: i64,
    /// When each target was first seen.
    pub(crate) seen: FirstSeen<'a>,
}

/// Why series are no observation: the reason for its absence, or what is wrong with the query.
#[derive(Debug)]
pub(crate) enum Unread {
    Malformed(String),
    Missing(Missing),
}

impl Query {
    /// The samples of this gauge, which is one series.
    #[must_use]
    pub const fn gauge(values: Template) -> Self {
        Self::Gauge { values, aggregate: None }
    }

    /// The readings of what these gauges are together.
    #[must_use]
    pub const fn gauges(values: Template, aggregate: Aggregate) -> Self {
        Self::Gauge { values, aggregate: Some(aggregate) }
    }

    /// The classic histogram of these buckets.
    #[must_use]
    pub const fn histogram(buckets: Template) -> Self {
        Self::Histogram { buckets }
    }

    /// The native histogram `series`, read at `edges`.
    #[must_use]
    pub const fn native_histogram(series: Template, edges: Edges) -> Self {
        Self::NativeHistogram { series, edges }
    }

    /// The counters of `hits` out of those of `trials`.
    #[must_use]
    pub const fn proportion(hits: Template, trials: Template) -> Self {
        Self::Proportion { hits, trials }
    }

    /// The sums over the counts of a summary or a histogram.
    #[must_use]
    pub const fn total(sum: Template, count: Template) -> Self {
        Self::Total { sum, count }
    }

    /// The questions to ask, in this order: what is counted last includes what was counted before, so that a
    /// scrape that arrives in between can only add trials.
    pub(crate) fn templates(&self) -> Vec<&Template> {
        match self {
            Self::Gauge { values, .. } => vec![values],
            Self::Histogram { buckets } => vec![buckets],
            Self::NativeHistogram { series, .. } => vec![series],
            Self::Proportion { hits, trials } => vec![hits, trials],
            Self::Total { sum, count } => vec![sum, count],
        }
    }

    /// The observation in the answers to [`Self::templates`]. What is known of targets besides is in `seen`.
    pub(crate) fn read<'a>(
        &self,
        answers: &'a [Vec<Series>],
        span: Span,
        staleness: Duration,
        mut seen: FirstSeen<'a>,
    ) -> Result<Observation, Unread> {
        let last = answers.last().map_or(&[][..], Vec::as_slice);
        let newest = newest(last, span).ok_or(Missing::NoData)?;
        let age = Duration::from_millis(span.end.abs_diff(newest));
        if newest <= span.start || age > staleness {
            return Err(Missing::Stale { age }.into());
        }
        see(&mut seen, answers.iter().flatten());
        let staleness = i64::try_from(millis(staleness)).unwrap_or(i64::MAX);
        let asked = Asked { span, staleness, seen };
        if let Self::NativeHistogram { edges, .. } = self {
            refuse(answers, |series| !series.samples.is_empty(), "plain numbers, not native histograms")?;
            return native::histogram(last, edges, &asked);
        }
        refuse(answers, |series| !series.natives.is_empty(), "native histograms, not plain numbers")?;
        let observation = match (self, answers) {
            (Self::Gauge { aggregate, .. }, _) => gauge::values(last, *aggregate, &asked)?,
            (Self::Proportion { .. }, [hits, trials]) => proportion(hits, trials, &asked)?,
            (Self::Total { .. }, [sums, counts]) => total(sums, counts, &asked)?,
            (_, _) => classic::histogram(last, &asked)?,
        };
        if observation.trials() == 0 {
            return Err(Missing::NoData.into());
        }
        Ok(observation)
    }
}

fn refuse(
    answers: &[Vec<Series>],
    is_odd: impl Fn(&Series) -> bool,
    problem: &'static str,
) -> Result<(), Unread> {
    answers.iter().flatten().find(|series| is_odd(series)).map_or(Ok(()), |odd| {
        Err(Unread::Malformed(format!("{} holds {problem}; ask for it by another query", odd.labels)))
    })
}

fn proportion(hits: &[Series], trials: &[Series], asked: &Asked<'_>) -> Result<Observation, Unread> {
    let total = |series: &[Series]| {
        series.iter().try_fold(0, |sum: u64, one| {
            growth(one, asked.span, &asked.seen, &BTreeSet::new()).map(|growth| sum.saturating_add(growth))
        })
    };
    let (hits, trials) = (total(hits)?, total(trials)?);
    Observation::proportion(hits, trials).ok_or_else(|| {
        Unread::Malformed(format!(
            "{hits} hits of {trials} trials; the series of `hits` must be among those of `trials`"
        ))
    })
}

fn total(sums: &[Series], counts: &[Series], asked: &Asked<'_>) -> Result<Observation, Unread> {
    let by_labels = |series: &'_ [Series]| -> BTreeMap<Vec<(String, String)>, usize> {
        let key = |one: &Series| {
            let labels = one.labels.without(Labels::NAME).into_iter();
            labels.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
        };
        series.iter().enumerate().map(|(i, one)| (key(one), i)).collect()
    };
    let (of_sums, of_counts) = (by_labels(sums), by_labels(counts));
    let alone = |one: &Series, what| {
        Unread::Malformed(format!("{} has no {what} with the same labels; select both", one.labels))
    };
    if let Some((_, &i)) = of_sums.iter().find(|(labels, _)| !of_counts.contains_key(*labels)) {
        return Err(alone(&sums[i], "count"));
    }
    let (mut sum, mut count) = (0.0, 0_u64);
    for (labels, &i) in &of_counts {
        let (ones, others) = (&counts[i], of_sums.get(labels).map(|&i| &sums[i]));
        let values = others.ok_or_else(|| alone(ones, "sum"))?;
        // Both restart at once, also the one that has since risen beyond what it was.
        let resets = resets([ones, values]);
        count = count.saturating_add(growth(ones, asked.span, &asked.seen, &resets)?);
        sum += rise(values, asked.span, &asked.seen, &resets, not_negative)?;
    }
    Observation::total(sum, count)
        .ok_or_else(|| Unread::Malformed(format!("a sum of {sum} over {count} values cannot be")))
}

/// A sum of values from zero up.
fn not_negative(value: f64) -> Result<f64, Unread> {
    match value {
        value if value.is_nan() => Err(Missing::NotANumber.into()),
        f64::INFINITY => Err(Missing::Infinite { negative: false }.into()),
        value if value < 0.0 => Err(Unread::Malformed(format!(
            "a sample of the sum is {value}; sums of values below zero do not tell restarts from values"
        ))),
        value => Ok(value),
    }
}

impl From<Missing> for Unread {
    fn from(missing: Missing) -> Self {
        Self::Missing(missing)
    }
}

impl From<NoCount> for Unread {
    fn from(no_count: NoCount) -> Self {
        match no_count {
            NoCount::NotANumber => Self::Missing(Missing::NotANumber),
            NoCount::NotWhole(_) => Self::Malformed(no_count.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(name: &str) -> Template {
        format!(r#"{name}{{v="{{{{v}}}}"}}"#).parse().unwrap()
    }

    fn read(sums: &[(i64, f64)], counts: &[(i64, f64)]) -> Result<Observation, Unread> {
        let labels = |name| [(Labels::NAME, name), ("job", "a"), ("instance", "b")];
        let answers =
            [vec![Series::of(&labels("x_sum"), sums)], vec![Series::of(&labels("x_count"), counts)]];
        let query = Query::total(template("x_sum"), template("x_count"));
        query.read(&answers, Span { start: 0, end: 60 }, Duration::from_secs(60), FirstSeen::new())
    }

    #[test]
    fn a_total_is_the_rise_of_both() {
        let observed = read(&[(0, 1.5), (30, 2.0), (60, 9.75)], &[(0, 1.0), (30, 2.0), (60, 4.0)]);
        assert_eq!(observed.unwrap(), Observation::total(8.25, 3).unwrap());
    }

    #[test]
    fn both_restart_if_one_falls() {
        // The sum has risen beyond what it was, and yet all of it is new.
        let observed = read(&[(0, 1.0), (30, 4.0)], &[(0, 10.0), (30, 2.0)]);
        assert_eq!(observed.unwrap(), Observation::total(4.0, 2).unwrap());
        let observed = read(&[(0, 100.0), (30, 4.0)], &[(0, 10.0), (30, 12.0)]);
        assert_eq!(observed.unwrap(), Observation::total(4.0, 12).unwrap());
    }

    #[test]
    fn an_odd_sum_is_said() {
        let counts = [(0, 1.0), (30, 2.0)];
        let missing = |value| match read(&[(0, 1.0), (30, value)], &counts) {
            Err(Unread::Missing(missing)) => missing,
            other => panic!("{other:?}"),
        };
        assert_eq!(missing(f64::NAN), Missing::NotANumber);
        assert_eq!(missing(f64::INFINITY), Missing::Infinite { negative: false });
        assert!(matches!(read(&[(0, 1.0), (30, -1.0)], &counts), Err(Unread::Malformed(_))));
        // Something has been summed, and nothing counted.
        assert!(matches!(read(&[(0, 1.0), (30, 2.0)], &[(0, 1.0), (30, 1.0)]), Err(Unread::Malformed(_))));
    }

    #[test]
    fn queries_are_data() {
        for query in [
            Query::gauge(template("queue")),
            Query::gauges(template("queue"), Aggregate::Max),
            Query::histogram(template("x_bucket")),
            Query::native_histogram(template("x"), Edges::powers_of_two(-3, 3).unwrap()),
            Query::proportion(template("x"), template("x")),
            Query::total(template("x_sum"), template("x_count")),
        ] {
            let text = serde_json::to_string(&query).unwrap();
            assert_eq!(serde_json::from_str::<Query>(&text).unwrap(), query, "{text}");
        }
        let text = serde_json::to_string(&Query::gauges(template("queue"), Aggregate::Max)).unwrap();
        assert_eq!(text, r#"{"gauge":{"values":"queue{v=\"{{v}}\"}","aggregate":"max"}}"#);
        let misspelt = text.replace("aggregate", "aggregat");
        assert!(serde_json::from_str::<Query>(&misspelt).unwrap_err().to_string().contains("unknown field"));
    }
}
