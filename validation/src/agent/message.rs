//! What is asked and what is answered.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What is asked of an agent. `None` leaves a setting to the agent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Request {
    /// The conversation so far, oldest first.
    pub messages: Vec<Message>,
    /// Sampling temperature, from 0.
    pub temperature: Option<f64>,
    /// Most tokens that the answer may have.
    pub max_tokens: Option<u32>,
    /// Seed of the sampling, for agents that honour one.
    pub seed: Option<u32>,
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "a message is a role and what it says")]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
}

/// Who speaks in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Role {
    /// The model.
    Assistant,
    /// Whoever sets the model up.
    System,
    /// Whoever asks.
    User,
}

/// What an agent answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Reply {
    /// The answer; empty when there is only a [`refusal`](Self::refusal).
    pub text: String,
    /// Tokens, as the agent counted them.
    pub usage: Option<Usage>,
    /// Why the answer ends, in the agent's words: `stop`, `length`, `content_filter`.
    pub finish_reason: Option<String>,
    /// The agent's own words for declining, where it has a field for them.
    pub refusal: Option<String>,
    /// How long the successful attempt took.
    pub latency: Duration,
    /// How many attempts failed before it.
    pub retries: u32,
}

/// Tokens of one exchange, as the provider counted them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct Usage {
    /// Tokens of the question.
    pub input_tokens: u64,
    /// Tokens of the answer, without those it was thought over in, where the provider tells them apart.
    pub output_tokens: u64,
}

impl Request {
    /// A single message from the user.
    pub fn user(content: impl Into<String>) -> Self {
        Self { messages: vec![Message { role: Role::User, content: content.into() }], ..Self::default() }
    }

    /// This request under a system message, which comes first.
    #[must_use]
    pub fn system(mut self, content: impl Into<String>) -> Self {
        self.messages.insert(0, Message { role: Role::System, content: content.into() });
        self
    }

    /// This request at a sampling temperature.
    #[must_use]
    pub const fn temperature(mut self, temperature: f64) -> Self {
        self.temperature = Some(temperature);
        self
    }

    /// This request for an answer of at most `tokens` tokens.
    #[must_use]
    pub const fn max_tokens(mut self, tokens: u32) -> Self {
        self.max_tokens = Some(tokens);
        self
    }

    /// This request with a seed for the sampling.
    #[must_use]
    pub const fn seed(mut self, seed: u32) -> Self {
        self.seed = Some(seed);
        self
    }

    /// What the user said last; empty if the user said nothing.
    #[must_use]
    pub fn prompt(&self) -> &str {
        let said = self.messages.iter().rev().find(|message| message.role == Role::User);
        said.map_or("", |message| &message.content)
    }
}

impl Reply {
    /// An answer of this text and nothing else.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// This answer with its tokens counted.
    #[must_use]
    pub const fn with_usage(mut self, input_tokens: u64, output_tokens: u64) -> Self {
        self.usage = Some(Usage { input_tokens, output_tokens });
        self
    }

    /// This answer, declined in these words.
    #[must_use]
    pub fn with_refusal(mut self, refusal: impl Into<String>) -> Self {
        self.refusal = Some(refusal.into());
        self
    }

    /// This answer, ended for this reason.
    #[must_use]
    pub fn with_finish_reason(mut self, reason: impl Into<String>) -> Self {
        self.finish_reason = Some(reason.into());
        self
    }

    /// What it says: its text, or else its words for declining, which a content filter may leave out.
    /// `None` if it says nothing at all.
    pub(crate) fn said(&self) -> Option<&str> {
        let words = |text: &&str| !text.trim().is_empty();
        let text = Some(self.text.as_str()).filter(words);
        text.or_else(|| self.refusal.as_deref().filter(words)).or_else(|| self.is_filtered().then_some(""))
    }

    /// Whether a content filter stopped it.
    pub(crate) fn is_filtered(&self) -> bool {
        self.finish_reason.as_deref() == Some("content_filter")
    }

    /// Whether it ends where the limit of its tokens was reached.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.finish_reason.as_deref() == Some("length")
    }
}
