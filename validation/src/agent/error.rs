//! Why there is no answer to judge.

use std::time::Duration;

use tidegate_registry::BoxError;

use crate::AgentId;

/// Why an agent gave no answer that could be judged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// The agent answered something that is not an answer. Mend the agent or its address.
    #[error("{agent} answered something that is no reply: {why}")]
    Malformed {
        /// Who was asked.
        agent: AgentId,
        /// What is wrong with it and what to do.
        why: String,
    },
    /// The call cannot even be sent. Mend the client that the agent was made with.
    #[error("{agent} cannot be asked as it is set up; check its HTTP client")]
    Misconfigured {
        /// Who was to be asked.
        agent: AgentId,
        /// What stands against it.
        source: BoxError,
    },
    /// The agent understood the call and will not serve it. Change the call, the credentials or the name.
    #[error("{agent} refused the call with status {status}: {why}")]
    Refused {
        /// Who was asked.
        agent: AgentId,
        /// The HTTP status, or the nearest to it.
        status: u16,
        /// What the agent said and what to do.
        why: String,
    },
    /// No answer in time. Allow more time, or look at why the agent is slow.
    #[error("{agent} did not answer within {waited:.1?}; allow a longer call timeout or look at its load")]
    TimedOut {
        /// Who was asked.
        agent: AgentId,
        /// How long the last attempt was waited for, without the attempts before it.
        waited: Duration,
    },
    /// The agent could not be reached, or only said that it cannot answer now. Retry later.
    #[error("{agent} is unavailable after {attempts} attempts ({why}); check that it runs, then try again")]
    Unavailable {
        /// Who was asked.
        agent: AgentId,
        /// What it said last.
        why: String,
        /// How often it was asked.
        attempts: u32,
        /// The failure below, if there is one.
        source: Option<BoxError>,
    },
}

impl AgentError {
    /// Whether the same call may succeed later without anybody changing anything.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::TimedOut { .. } | Self::Unavailable { .. })
    }

    /// Whether every other call will fail in the same way: the credentials are wrong, there is no
    /// such model, or no call can be sent.
    #[must_use]
    pub const fn is_hopeless(&self) -> bool {
        matches!(self, Self::Misconfigured { .. } | Self::Refused { status: 401 | 402 | 403 | 404 | 429, .. })
    }
}
