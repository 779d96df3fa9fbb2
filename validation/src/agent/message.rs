//! What is asked.

use serde::{Deserialize, Serialize};

use crate::{ResponseFormat, Tool, ToolCall, ToolChoice};

/// What is asked of an agent. `None` leaves a setting to the agent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Request {
    /// The conversation so far, oldest first.
    pub messages: Vec<Message>,
    /// The tools that the model may call.
    pub tools: Vec<Tool>,
    /// Whether it may call them, or must.
    pub tool_choice: Option<ToolChoice>,
    /// The form that the answer must have.
    pub response_format: Option<ResponseFormat>,
    /// Texts that end the answer when they appear in it.
    pub stop: Vec<String>,
    /// Sampling temperature, from 0.
    pub temperature: Option<f64>,
    /// Only the likeliest tokens that together have this probability are sampled, above 0 and at most 1.
    pub top_p: Option<f64>,
    /// Most tokens that the answer may have.
    pub max_tokens: Option<u32>,
    /// Seed of the sampling, for agents that honour one.
    pub seed: Option<u32>,
    /// How many alternatives are wanted beside each token of the answer, with their probabilities; 0 for
    /// the tokens of the answer alone, `None` for no probabilities.
    pub top_logprobs: Option<u8>,
}

/// One message of a conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said; what a tool returned, where a tool speaks.
    pub content: String,
    /// The tools that the model called instead of, or beside, saying something.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// Which call a tool answers: its [`ToolCall::id`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
}

/// Who speaks in a conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Role {
    /// The model.
    Assistant,
    /// Whoever sets the model up.
    System,
    /// What the model called.
    Tool,
    /// Whoever asks.
    #[default]
    User,
}

impl Request {
    /// A single message from the user.
    pub fn user(content: impl Into<String>) -> Self {
        Self { messages: vec![Message::new(Role::User, content)], ..Self::default() }
    }

    /// This request under a system message, which comes first.
    #[must_use]
    pub fn system(mut self, content: impl Into<String>) -> Self {
        self.messages.insert(0, Message::new(Role::System, content));
        self
    }

    /// This request with one more message at its end.
    #[must_use]
    pub fn message(mut self, message: Message) -> Self {
        self.messages.push(message);
        self
    }

    /// This request with one more tool that may be called.
    #[must_use]
    pub fn tool(mut self, tool: Tool) -> Self {
        self.tools.push(tool);
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

impl Message {
    /// A message of `role` that says `content`.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: content.into(), ..Self::default() }
    }

    /// What a tool returned to the call with this id.
    pub fn tool(call: impl Into<String>, content: impl Into<String>) -> Self {
        Self { tool_call_id: Some(call.into()), ..Self::new(Role::Tool, content) }
    }

    /// This message, in which the model calls these tools.
    #[must_use]
    pub fn with_tool_calls(mut self, calls: impl IntoIterator<Item = ToolCall>) -> Self {
        self.tool_calls.extend(calls);
        self
    }
}
