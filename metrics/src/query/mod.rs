//! Metrics out of the answers to queries: what all servers that can be queried have in common.
//!
//! A server answers an expression in its own language with numbers over time, [`Points`]. A [`Query`] says
//! which expressions make up a metric and what their numbers are: counts, readings, sums. [`Queried`] is the
//! [`MetricsSource`](crate::MetricsSource) over both; it fills templates, asks, and turns numbers into an
//! [`Observation`](crate::Observation) or says why there is none. A server that is not among ours needs a
//! [`QueryApi`] only.

mod failure;
mod json_template;
mod language;
mod points;
mod queried;
mod template;

pub use failure::Failure;
pub use json_template::JsonTemplate;
pub use language::{
    DatadogQuery, DynatraceSelector, Escape, Flux, GraphiteTarget, IndexName, Language, Nrql, Place, Plain,
    PromQl, UrlText,
};
pub use points::Points;
pub use queried::{Queried, QueryApi};
use serde::{Deserialize, Serialize};
pub use template::{InvalidTemplate, Template, Unfilled};

/// Which expressions make up a metric, and what their numbers are. Queries are data: they can be written in a
/// file.
///
/// Counts are whole numbers for the window alone. Ask for sums, not for rates or averages: a rate multiplied
/// by a length of time is no count of anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub enum Query<E> {
    /// Counts of values at or below edges: a [`Histogram`](crate::Observation::Histogram).
    Histogram {
        /// The edges, ascending, each with the expression that counts the values at or below it.
        buckets: Vec<Bucket<E>>,
        /// Counts all values.
        count: E,
    },
    /// One count out of another: a [`Proportion`](crate::Observation::Proportion).
    ///
    /// If `trials` has points in the window and `hits` has none, there were no hits: most servers know nothing
    /// of a series before its first event. A misspelt `hits` looks the same, so try it on a known failure.
    Proportion {
        /// Counts hits.
        hits: E,
        /// Counts trials, hits included.
        trials: E,
    },
    /// A sum of so many values: a [`Total`](crate::Observation::Total).
    Total {
        /// Sums the values.
        sum: E,
        /// Counts them.
        count: E,
    },
    /// Readings, such as the length of a queue or a percentile that the server has computed: each point is
    /// one of the [`Values`](crate::Observation::Values).
    Values {
        /// Gives the readings.
        values: E,
    },
}

/// One edge of a histogram.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "written as a literal")]
pub struct Bucket<E> {
    /// The edge, in the metric's unit.
    pub at_most: f64,
    /// Counts the values at or below it.
    pub count: E,
}

/// Edges are numbers in a file, never `NaN`.
impl<E: Eq> Eq for Bucket<E> {}

impl<E> Query<E> {
    /// The counts of `hits` out of those of `trials`.
    pub const fn proportion(hits: E, trials: E) -> Self {
        Self::Proportion { hits, trials }
    }

    /// The sum of values and their count.
    pub const fn total(sum: E, count: E) -> Self {
        Self::Total { sum, count }
    }

    /// These readings.
    pub const fn values(values: E) -> Self {
        Self::Values { values }
    }

    /// The expressions to ask for, in this order: what is counted last includes what was counted before, so that
    /// an event that arrives in between can only add trials.
    pub fn expressions(&self) -> Vec<&E> {
        match self {
            Self::Histogram { buckets, count } => {
                buckets.iter().map(|bucket| &bucket.count).chain([count]).collect()
            }
            Self::Proportion { hits, trials } => vec![hits, trials],
            Self::Total { sum, count } => vec![sum, count],
            Self::Values { values } => vec![values],
        }
    }
}
