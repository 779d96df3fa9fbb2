//! Why a source could not answer, and why two observations cannot be judged together.

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
    /// Whether asking again later may help.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}
