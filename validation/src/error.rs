//! Why a check could not be made.

use tidegate_registry as registry;

use crate::{AgentError, Shortage, dataset::InvalidDataset, drift::InvalidTable, record::RecordError};

/// Why a check could not be made. It never means that the model failed the check: that is a
/// [`Finding`](crate::Finding).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No question of the check was answered. What to do is in the source.
    #[error("{}", Error::no_answer(.check))]
    Agent {
        /// The check.
        check: String,
        /// Why the last question was not answered.
        source: AgentError,
    },
    /// The questions could not be read any more. Mend the dataset as the source says.
    #[error("check `{check}` could not read its questions")]
    Dataset {
        /// The check.
        check: String,
        /// What is wrong with them.
        source: Box<InvalidDataset>,
    },
    /// Texts could not be embedded. What to do is in the source.
    #[error("check `{check}` could not embed its texts")]
    Embedder {
        /// The check.
        check: String,
        /// Why not.
        source: AgentError,
    },
    /// The check's own settings make no sense. Mend them.
    #[error("check `{check}` cannot be made: `{field}` {why}")]
    Misconfigured {
        /// The check.
        check: String,
        /// The setting.
        field: &'static str,
        /// What is wrong with it and what would be right.
        why: String,
    },
    /// The check asks the model, and the subject has none. Give it one.
    #[error("check `{check}` asks the model; give the subject an agent with `Subject::with_agent`")]
    NoAgent {
        /// The check.
        check: String,
    },
    /// The run had too little left to ask anything. Allow more.
    #[error("check `{check}` was not made: {shortage}")]
    OutOfBudget {
        /// The check.
        check: String,
        /// What was lacking and what to do.
        shortage: Shortage,
    },
    /// Trials could not be recorded, or found again. What to do is in the source.
    #[error("check `{check}` could not keep its record")]
    Record {
        /// The check.
        check: String,
        /// Why not.
        source: RecordError,
    },
    /// The store of the artifacts did not answer. What to do is in the source.
    #[error("check `{check}` could not read the model's files")]
    Store {
        /// The check.
        check: String,
        /// Why not.
        source: Box<registry::Error>,
    },
    /// A table could not be read. Mend it as the source says.
    #[error("check `{check}` could not read a table")]
    Table {
        /// The check.
        check: String,
        /// What is wrong with it.
        source: Box<InvalidTable>,
    },
}

impl Error {
    /// What [`Agent`](Self::Agent) says itself.
    pub(crate) fn no_answer(check: &str) -> String {
        format!("check `{check}` got no answer to any of its questions")
    }

    /// Whether the same check may succeed later without anybody changing anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Agent { source, .. } | Self::Embedder { source, .. } => source.is_transient(),
            Self::Store { source, .. } => source.is_transient(),
            Self::Record { source, .. } => matches!(source, RecordError::Busy { .. }),
            Self::Dataset { .. }
            | Self::Misconfigured { .. }
            | Self::NoAgent { .. }
            | Self::OutOfBudget { .. }
            | Self::Table { .. } => false,
        }
    }
}
