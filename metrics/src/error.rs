//! Why a source could not answer, and why two observations cannot be judged together.

#[cfg(feature = "http")]
use crate::Metric;

/// A boxed cause, for backends whose own errors are not part of this API.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a source gave no [`Measurement`](crate::Measurement).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The source refused the client's credentials. Mend them; retrying does not help.
    #[error("{source_name} does not let this client ask for `{metric}`; check its credentials")]
    Denied {
        /// The source, as it prints itself.
        source_name: String,
        /// The metric asked for.
        metric: String,
        /// The refusal.
        source: BoxError,
    },
    /// The source answered something that is not an answer. Mend the query or the source.
    #[error("{source_name} answered `{metric}` with something that is no measurement of it; check the query")]
    Malformed {
        /// The source, as it prints itself.
        source_name: String,
        /// The metric asked for.
        metric: String,
        /// What was wrong.
        source: BoxError,
    },
    /// The question leaves open what the source has to know. Name the label in the selector.
    #[error("{source_name} needs the label `{label}` to answer `{metric}`; add it to the selector")]
    MissingLabel {
        /// The source, as it prints itself.
        source_name: String,
        /// The metric asked for.
        metric: String,
        /// The label that the selector lacks.
        label: String,
    },
    /// The source could not be reached, timed out or refused. Retry later.
    #[error("{source_name} is unavailable (asked for `{metric}`)")]
    Unavailable {
        /// The source, as it prints itself.
        source_name: String,
        /// The metric asked for.
        metric: String,
        /// The last failure.
        source: BoxError,
    },
    /// The value of a label cannot be written in the source's language. Change the label's value, or ask by
    /// another label.
    #[error(
        "{source_name} cannot be asked for `{metric}` of this side: the value of the label `{label}` does not fit, {problem}"
    )]
    UnfitLabel {
        /// The source, as it prints itself.
        source_name: String,
        /// The metric asked for.
        metric: String,
        /// The label.
        label: String,
        /// What is wrong with its value.
        problem: &'static str,
    },
    /// The source does not know the metric. Name one that it knows.
    #[error("{source_name} does not know the metric `{metric}`; it knows {known}")]
    UnknownMetric {
        /// The source, as it prints itself.
        source_name: String,
        /// The metric asked for.
        metric: String,
        /// The metrics that it knows.
        known: String,
    },
}

impl Error {
    /// [`Self::UnknownMetric`] of a source that knows these.
    #[cfg(feature = "http")]
    pub(crate) fn unknown_metric<'a>(
        source_name: String,
        metric: &Metric,
        known: impl Iterator<Item = &'a Metric>,
    ) -> Self {
        let known: Vec<_> = known.map(Metric::as_str).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        Self::UnknownMetric { source_name, metric: metric.to_string(), known }
    }

    /// Whether asking again later may help.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}
