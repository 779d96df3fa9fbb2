//! The model or agent under test: something that answers messages.

mod cached;
mod closure;
mod error;
#[cfg(feature = "openai")]
pub(crate) mod http;
mod key;
mod limiter;
mod message;
#[cfg(feature = "openai")]
mod openai;
mod replay;
mod reply;
mod tool;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

pub use self::{
    cached::Cached,
    closure::FnAgent,
    error::AgentError,
    limiter::{Experience, Limiter, Permit, RateLimits},
    message::{Message, Request, Role},
    replay::{Recorder, Replay},
    reply::{Pace, Reply, TokenLogprob, Usage},
    tool::{ResponseFormat, Tool, ToolCall, ToolChoice},
};
#[cfg(feature = "openai")]
pub use self::{
    http::{HttpAgent, Retry, Template},
    openai::{OpenAi, TokenLimit},
};

/// A model or agent that answers messages.
///
/// # Contract
///
/// * **One question, one answer.** Calls do not see each other: no history is kept between them, and
///   they may be made at the same time.
/// * **In time.** `respond` returns within [`Call::timeout`], retries included; what does not come
///   in time is [`AgentError::TimedOut`].
/// * **As often as it may.** It asks again only if [`Call::attempts`] lets it.
/// * **Latency is the model's.** [`Reply::latency`] is measured on tokio's clock, around the attempt
///   that succeeded and nothing else.
/// * **A refusal is a reply.** A model that declines has answered; `Err` means that there is no
///   answer to judge.
/// * **A stable name.** `fingerprint` says what was tested, differs between agents that answer differently, and
///   contains no credentials.
#[cfg_attr(feature = "testkit", mockall::automock)]
#[async_trait]
pub trait Agent: fmt::Debug + Send + Sync + 'static {
    /// What is asked: printed in errors and kept in reports.
    fn fingerprint(&self) -> AgentId;

    /// The URL at which it is asked, if it is asked over a network.
    fn address(&self) -> Option<String> {
        None
    }

    /// The answer to `request`.
    async fn respond(&self, request: &Request, call: &Call) -> Result<Reply, AgentError>;
}

/// What an agent is, in words: `support-bot at http://127.0.0.1:8080/v1`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct AgentId(String);

/// The terms of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Call {
    /// How long it may take, retries included.
    pub timeout: Duration,
    /// Which repetition of the same request it is, from 0. It is no part of the question; it keeps
    /// repetitions apart wherever answers are remembered.
    pub trial: u32,
    /// Whether an answer that was given before will do.
    pub freshness: Freshness,
    /// Whether the agent may ask again where an attempt fails.
    pub attempts: Attempts,
}

/// Whether an agent may ask again where an attempt fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Attempts {
    /// As often as the agent is set to.
    #[default]
    AsSet,
    /// It may not: what is measured is how the first attempt goes, and another one would be load that was not asked for.
    One,
}

/// Whether an answer that was given before will do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "an answer was given before, or it was not")]
pub enum Freshness {
    /// It will do.
    #[default]
    Any,
    /// It will not: what is measured is how an answer comes, or whether another one is the same.
    New,
}

impl AgentId {
    /// Names an agent. Leave credentials out: the name is printed and stored.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Call {
    /// A first call that may take this long.
    #[must_use]
    pub const fn new(timeout: Duration) -> Self {
        Self { timeout, trial: 0, freshness: Freshness::Any, attempts: Attempts::AsSet }
    }

    /// This call as repetition number `trial`, from 0.
    #[must_use]
    pub const fn trial(mut self, trial: u32) -> Self {
        self.trial = trial;
        self
    }

    /// This call for an answer that was not given before.
    #[must_use]
    pub const fn afresh(mut self) -> Self {
        self.freshness = Freshness::New;
        self
    }

    /// This call with a single attempt, however often the agent is set to retry.
    #[must_use]
    pub const fn once(mut self) -> Self {
        self.attempts = Attempts::One;
        self
    }
}

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[async_trait]
impl<T: Agent + ?Sized> Agent for Arc<T> {
    fn fingerprint(&self) -> AgentId {
        (**self).fingerprint()
    }

    fn address(&self) -> Option<String> {
        (**self).address()
    }

    async fn respond(&self, request: &Request, call: &Call) -> Result<Reply, AgentError> {
        (**self).respond(request, call).await
    }
}
