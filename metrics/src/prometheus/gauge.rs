//! Gauges: each sample in the window is a reading.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    query::{Asked, Unread},
    series::{Sample, Series},
};
use crate::{Missing, Observation};

/// What several series are together, such as the queues of several pods.
///
/// Targets are scraped at different times. As in PromQL, what a series is at a time is its newest sample up to
/// then, as long as that is not too old. There is one reading for each scrape of the first series by label that
/// is alive, so that more pods do not make more readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Aggregate {
    /// The largest.
    Max,
    /// The arithmetic mean.
    Mean,
    /// The smallest.
    Min,
    /// The sum.
    Sum,
}

impl Aggregate {
    /// Of at least one value.
    fn of(self, values: &[f64]) -> f64 {
        match self {
            Self::Max => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            Self::Mean => values.iter().sum::<f64>() / values.len() as f64,
            Self::Min => values.iter().copied().fold(f64::INFINITY, f64::min),
            Self::Sum => values.iter().sum(),
        }
    }
}

impl fmt::Display for Aggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Max => "max",
            Self::Mean => "mean",
            Self::Min => "min",
            Self::Sum => "sum",
        })
    }
}

/// The readings in the window, ascending by time.
pub(super) fn values(
    series: &[Series],
    aggregate: Option<Aggregate>,
    asked: &Asked<'_>,
) -> Result<Observation, Unread> {
    let inside: Vec<_> = series.iter().filter(|one| !within(one, asked).is_empty()).collect();
    let values = match (aggregate, &*inside) {
        (Some(aggregate), _) => readings(series, aggregate, asked)?,
        (None, [one]) => {
            within(one, asked).iter().map(|sample| finite(sample.value)).collect::<Result<_, _>>()?
        }
        (None, []) => Vec::new(),
        (None, [one, other, ..]) => {
            return Err(Unread::Malformed(format!(
                "{} series are selected, such as {} and {}; narrow the selector or say their aggregate",
                inside.len(),
                one.labels,
                other.labels
            )));
        }
    };
    match Observation::values(values) {
        Some(nothing) if nothing.trials() == 0 => Err(Missing::NoData.into()),
        Some(values) => Ok(values),
        None => Err(Unread::Malformed("the sum of what is selected is beyond every number".to_owned())),
    }
}

fn readings(series: &[Series], aggregate: Aggregate, asked: &Asked<'_>) -> Result<Vec<f64>, Unread> {
    let mut series: Vec<_> = series.iter().filter(|one| !one.samples.is_empty()).collect();
    series.sort_by(|a, b| a.labels.cmp(&b.labels));
    let mut readings = Vec::new();
    for (i, one) in series.iter().enumerate() {
        for sample in within(one, asked) {
            let is_first = series[..i].iter().all(|earlier| alive(earlier, sample.at, asked).is_none());
            if is_first {
                let values: Vec<f64> = series[i..]
                    .iter()
                    .filter_map(|other| alive(other, sample.at, asked))
                    .map(finite)
                    .collect::<Result<_, _>>()?;
                readings.push((sample.at, aggregate.of(&values)));
            }
        }
    }
    readings.sort_by_key(|(at, _)| *at);
    Ok(readings.into_iter().map(|(_, value)| value).collect())
}

/// The samples in the window.
fn within<'a>(series: &'a Series, asked: &Asked<'_>) -> &'a [Sample] {
    let up_to = |end| series.samples.partition_point(|sample| sample.at <= end);
    &series.samples[up_to(asked.span.start)..up_to(asked.span.end)]
}

/// What `series` is at a time.
fn alive(series: &Series, at: i64, asked: &Asked<'_>) -> Option<f64> {
    let newest = series.samples.partition_point(|sample| sample.at <= at).checked_sub(1)?;
    let sample = series.samples.get(newest)?;
    (at - sample.at < asked.staleness.max(1)).then_some(sample.value)
}

fn finite(value: f64) -> Result<f64, Missing> {
    match value {
        value if value.is_nan() => Err(Missing::NotANumber),
        value if value.is_infinite() => Err(Missing::Infinite { negative: value < 0.0 }),
        value => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prometheus::counter::{FirstSeen, Span};

    fn asked(start: i64, end: i64) -> Asked<'static> {
        Asked { span: Span { start, end }, staleness: 30, seen: FirstSeen::new() }
    }

    fn read(series: &[Series], aggregate: Option<Aggregate>, start: i64, end: i64) -> Vec<f64> {
        match values(series, aggregate, &asked(start, end)) {
            Ok(Observation::Values(values)) => values,
            Err(Unread::Missing(Missing::NoData)) => Vec::new(),
            other => panic!("{other:?}"),
        }
    }

    fn pods() -> [Series; 2] {
        [
            Series::of(
                &[("pod", "b")],
                &[(3, 10.0), (13, 20.0), (23, 30.0), (33, 40.0), (43, 50.0), (53, 60.0)],
            ),
            // Dies after 20.
            Series::of(&[("pod", "a")], &[(0, 1.0), (10, 2.0), (20, 3.0)]),
        ]
    }

    #[test]
    fn each_sample_in_the_window_is_a_reading() {
        assert_eq!(read(&pods()[..1], None, 3, 33), [20.0, 30.0, 40.0]);
    }

    #[test]
    fn several_are_read_once_for_each_scrape_of_the_first_that_is_alive() {
        // `a` leads up to 20 and counts until 50.
        assert_eq!(read(&pods(), Some(Aggregate::Sum), 0, 60), [12.0, 23.0, 60.0]);
        assert_eq!(read(&pods(), Some(Aggregate::Max), 0, 60), [10.0, 20.0, 60.0]);
        assert_eq!(read(&pods(), Some(Aggregate::Min), 0, 60), [2.0, 3.0, 60.0]);
        assert_eq!(read(&pods(), Some(Aggregate::Mean), 0, 60), [6.0, 11.5, 60.0]);
    }

    #[test]
    fn consecutive_windows_add_up() {
        let whole = read(&pods(), Some(Aggregate::Sum), 0, 60);
        for cut in 1..60 {
            let mut parts = read(&pods(), Some(Aggregate::Sum), 0, cut);
            parts.extend(read(&pods(), Some(Aggregate::Sum), cut, 60));
            assert_eq!(parts, whole, "cut at {cut}");
        }
    }

    #[test]
    fn several_without_an_aggregate_are_named() {
        match values(&pods(), None, &asked(0, 60)) {
            Err(Unread::Malformed(problem)) => {
                assert!(
                    problem.contains(r#"2 series are selected, such as {pod="b"} and {pod="a"}"#),
                    "{problem}"
                );
            }
            other => panic!("{other:?}"),
        }
        // One that ended before the window is no longer asked for.
        assert_eq!(read(&pods(), None, 23, 43), [40.0, 50.0]);
    }

    #[test]
    fn what_is_not_finite_is_said() {
        for (value, missing) in [
            (f64::NAN, Missing::NotANumber),
            (f64::INFINITY, Missing::Infinite { negative: false }),
            (f64::NEG_INFINITY, Missing::Infinite { negative: true }),
        ] {
            for aggregate in [None, Some(Aggregate::Max)] {
                let odd = [Series::of(&[], &[(1, 1.0), (2, value)])];
                match values(&odd, aggregate, &asked(0, 60)) {
                    Err(Unread::Missing(said)) => assert_eq!(said, missing),
                    other => panic!("{other:?}"),
                }
            }
        }
    }
}
