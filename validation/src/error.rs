//! Why a check could not be made.

use tidegate_registry as registry;

use crate::AgentError;

/// Why a check could not be made. It never means that the model failed the check: that is a
/// [`Finding`](crate::Finding).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No question of the check was answered. What to do is in the source.
    #[error("check `{check}` got no answer to any of its questions")]
    Agent {
        /// The check.
        check: String,
        /// Why the last question was not answered.
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
    /// The time of the run was over before the check began. Allow more.
    #[error("check `{check}` was not made because the time of the run was over; allow a longer deadline")]
    OutOfTime {
        /// The check.
        check: String,
    },
    /// The store of the artifacts did not answer. What to do is in the source.
    #[error("check `{check}` could not read the model's files")]
    Store {
        /// The check.
        check: String,
        /// Why not.
        source: Box<registry::Error>,
    },
}

impl Error {
    /// Whether the same check may succeed later without anybody changing anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Agent { source, .. } => source.is_transient(),
            Self::Store { source, .. } => source.is_transient(),
            Self::Misconfigured { .. } | Self::NoAgent { .. } | Self::OutOfTime { .. } => false,
        }
    }
}
