//! Why there is no answer to judge.

use std::time::Duration;

use tidegate_registry::BoxError;

use crate::AgentId;

/// Why an agent gave no answer that could be judged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// The answer broke off. It may have been paid for, so it was not asked for again; ask again if that
    /// does not matter.
    #[error("{agent} did not finish its answer: {why}")]
    Interrupted {
        /// Who was asked.
        agent: AgentId,
        /// What the agent said last, or what happened.
        why: String,
        /// The failure below, if there is one.
        source: Option<BoxError>,
    },
    /// The agent answered something that is not an answer. Mend the agent or its address.
    #[error("{agent} answered something that is no reply: {why}")]
    Malformed {
        /// Who was asked.
        agent: AgentId,
        /// What is wrong with it and what to do.
        why: String,
    },
    /// The call cannot even be sent. Mend what the agent was made with, or what is asked of it.
    #[error("{agent} cannot be asked like this; change how it is set up or what is asked of it")]
    Misconfigured {
        /// Who was to be asked.
        agent: AgentId,
        /// What stands against it.
        source: BoxError,
    },
    /// A recording holds no answer to this. Record the answers to what is asked now, or ask what was asked
    /// when they were recorded: the same messages and settings, as often.
    #[error(
        "{agent} holds no answer to `{prompt}` (repetition {trial}) under these settings; record it first"
    )]
    NotRecorded {
        /// The recording.
        agent: AgentId,
        /// What was asked, shortened.
        prompt: String,
        /// Which repetition of it.
        trial: u32,
    },
    /// A recording cannot be read, or an answer cannot be recorded. Mend its file, or make room for it.
    #[error("the recording `{path}` of {agent} cannot be used; check the file and the room on its disk")]
    Recording {
        /// The agent that is or was recorded.
        agent: AgentId,
        /// The file.
        path: String,
        /// What is wrong with it.
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
        matches!(self, Self::Interrupted { .. } | Self::TimedOut { .. } | Self::Unavailable { .. })
    }

    /// Whether every other call will fail in the same way: the credentials are wrong, there is no
    /// such model, no call can be sent, or no answer can be kept.
    #[must_use]
    pub const fn is_hopeless(&self) -> bool {
        matches!(self, Self::Misconfigured { .. } | Self::Recording { .. }) || self.is_denial()
    }

    /// Whether the agent turns every call away until somebody changes the credentials, the account, the name or the
    /// address.
    pub(crate) const fn is_denial(&self) -> bool {
        matches!(self, Self::Refused { status: 401 | 402 | 403 | 404 | 429, .. })
    }

    /// Whether the agent says the same however often it is asked this, and may answer other questions: this one is too
    /// long, or against what may be asked.
    pub(crate) const fn is_final(&self) -> bool {
        match self {
            Self::Refused { status: 407 | 408 | 425, .. } => false,
            Self::Refused { status: 400..=499, .. } => !self.is_hopeless(),
            _ => false,
        }
    }

    /// Whether it says something about the agent, and not only about this call.
    pub(crate) const fn is_of_the_agent(&self) -> bool {
        match self {
            // What was never sent was held up on this side.
            Self::Unavailable { attempts, .. } => *attempts > 0,
            Self::Interrupted { .. } | Self::Malformed { .. } | Self::TimedOut { .. } => true,
            Self::Misconfigured { .. }
            | Self::NotRecorded { .. }
            | Self::Recording { .. }
            | Self::Refused { .. } => false,
        }
    }

    /// Whether the agent may have worked on an answer all the same, and may ask to be paid for it.
    pub(crate) const fn may_cost(&self) -> bool {
        matches!(
            self,
            Self::Interrupted { .. }
                | Self::Malformed { .. }
                | Self::Recording { .. }
                | Self::TimedOut { .. }
        )
    }
}
