//! A line of a recording: a question and what became of it.

use std::{borrow::Cow, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{AgentError, AgentId, Reply, Request, excerpt::excerpt};

/// A question and what became of it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Line<'a> {
    pub(super) agent: AgentId,
    pub(super) request: Cow<'a, Request>,
    pub(super) trial: u32,
    #[serde(flatten)]
    end: End<'a>,
}

/// What became of a question.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
enum End<'a> {
    Reply(Cow<'a, Reply>),
    Failure(Failure),
}

/// A failure, as much of it as a check can tell from another.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Failure {
    Interrupted { why: String },
    Malformed { why: String },
    Refused { status: u16, why: String },
    TimedOut { waited: Duration },
    Unavailable { why: String, attempts: u32 },
}

impl<'a> Line<'a> {
    /// `None` for what says nothing about the agent: a call that it was never sent.
    pub(super) fn new(
        agent: AgentId,
        request: &'a Request,
        trial: u32,
        outcome: &'a Result<Reply, AgentError>,
    ) -> Option<Self> {
        let end = match outcome {
            Ok(reply) => End::Reply(Cow::Borrowed(reply)),
            Err(error) => End::Failure(Failure::of(error)?),
        };
        Some(Self { agent, request: Cow::Borrowed(request), trial, end })
    }

    pub(super) fn answer(self) -> Result<Reply, AgentError> {
        match self.end {
            End::Reply(reply) => Ok(reply.into_owned()),
            End::Failure(failure) => Err(failure.into_error(self.agent)),
        }
    }
}

impl Failure {
    fn of(error: &AgentError) -> Option<Self> {
        Some(match error {
            AgentError::Interrupted { why, .. } => Self::Interrupted { why: why.clone() },
            AgentError::Malformed { why, .. } => Self::Malformed { why: why.clone() },
            AgentError::Refused { status, why, .. } => Self::Refused { status: *status, why: why.clone() },
            AgentError::TimedOut { waited, .. } => Self::TimedOut { waited: *waited },
            AgentError::Unavailable { why, attempts, .. } => {
                Self::Unavailable { why: why.clone(), attempts: *attempts }
            }
            AgentError::Misconfigured { .. }
            | AgentError::NotRecorded { .. }
            | AgentError::Recording { .. } => {
                return None;
            }
        })
    }

    fn into_error(self, agent: AgentId) -> AgentError {
        // A file can be written by anybody, and an error is shown.
        let shown = |why: String| excerpt(&why, 300);
        match self {
            Self::Interrupted { why } => AgentError::Interrupted { agent, why: shown(why), source: None },
            Self::Malformed { why } => AgentError::Malformed { agent, why: shown(why) },
            Self::Refused { status, why } => AgentError::Refused { agent, status, why: shown(why) },
            Self::TimedOut { waited } => AgentError::TimedOut { agent, waited },
            Self::Unavailable { why, attempts } => {
                AgentError::Unavailable { agent, why: shown(why), attempts, source: None }
            }
        }
    }
}
