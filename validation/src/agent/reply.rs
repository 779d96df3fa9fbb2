//! What is answered.

use std::{borrow::Cow, time::Duration};

use serde::{Deserialize, Serialize};

use crate::ToolCall;

/// What an agent answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Reply {
    /// The answer; empty when there is only a [`refusal`](Self::refusal), or calls of tools.
    pub text: String,
    /// What the model thought before it answered, where the agent shows it.
    pub reasoning: Option<String>,
    /// The tools that the model wants called.
    pub tool_calls: Vec<ToolCall>,
    /// Tokens, as the agent counted them.
    pub usage: Option<Usage>,
    /// Why the answer ends, in the agent's words: `stop`, `length`, `tool_calls`, `content_filter`.
    pub finish_reason: Option<String>,
    /// The agent's own words for declining, where it has a field for them.
    pub refusal: Option<String>,
    /// The tokens of the answer with their probabilities; none unless they were asked for and the agent can.
    pub logprobs: Vec<TokenLogprob>,
    /// How long the successful attempt took.
    pub latency: Duration,
    /// When its parts came, if it came in parts.
    pub pace: Option<Pace>,
    /// How many attempts failed before it.
    pub retries: u32,
    /// Whether it was given before and only remembered: then it cost nothing, and its times are those of
    /// the call that it came from.
    pub remembered: bool,
}

/// Tokens of one exchange, as the provider counted them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct Usage {
    /// Tokens of the question.
    pub input_tokens: u64,
    /// Tokens of the question that the provider remembered and may charge less for.
    pub cached_tokens: u64,
    /// Tokens of the answer, without those it was thought over in, where the provider tells them apart.
    pub output_tokens: u64,
    /// Tokens that the answer was thought over in, where the provider tells them apart.
    pub reasoning_tokens: u64,
}

/// One token of an answer, and how likely it was.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct TokenLogprob {
    /// The token.
    pub token: String,
    /// The natural logarithm of its probability.
    pub logprob: f64,
    /// The likeliest tokens in its place and the logarithms of their probabilities, likeliest first.
    pub top: Vec<(String, f64)>,
}

/// When the parts of an answer came, on tokio's clock.
///
/// A part is a piece of the answer, of the thinking before it or of a call of a tool, not of the frame
/// around them. One part may hold several tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Pace {
    /// From sending the request to the first part.
    pub first: Duration,
    /// From each part to the next.
    pub gaps: Vec<Duration>,
}

impl Reply {
    /// An answer of this text and nothing else.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// This answer with its tokens counted.
    #[must_use]
    pub const fn with_usage(mut self, input_tokens: u64, output_tokens: u64) -> Self {
        self.usage = Some(Usage { input_tokens, output_tokens, cached_tokens: 0, reasoning_tokens: 0 });
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

    /// This answer, in which the model calls these tools.
    #[must_use]
    pub fn with_tool_calls(mut self, calls: impl IntoIterator<Item = ToolCall>) -> Self {
        self.tool_calls.extend(calls);
        self
    }

    /// What it says: its text, or else its words for declining, which a content filter may leave out,
    /// or else the tools that it calls. `None` if it says nothing at all.
    pub(crate) fn said(&self) -> Option<Cow<'_, str>> {
        let words = |text: &&str| !text.trim().is_empty();
        let text = Some(self.text.as_str()).filter(words);
        let text = text.or_else(|| self.refusal.as_deref().filter(words));
        let text = text.or_else(|| self.is_filtered().then_some(""));
        let calls = || {
            let calls: Vec<_> = self.tool_calls.iter().map(ToString::to_string).collect();
            (!calls.is_empty()).then(|| Cow::Owned(calls.join(", ")))
        };
        text.map(Cow::Borrowed).or_else(calls)
    }

    /// What it says, and the tools that it calls beside that. `None` if it says nothing at all.
    pub(crate) fn said_and_called(&self) -> Option<Cow<'_, str>> {
        let said = self.said()?;
        if self.text.trim().is_empty() || self.tool_calls.is_empty() {
            return Some(said);
        }
        let calls: Vec<_> = self.tool_calls.iter().map(ToString::to_string).collect();
        Some(Cow::Owned(format!("{said}\n{}", calls.join(", "))))
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

impl Usage {
    /// All tokens of the answer, thinking included.
    #[must_use]
    pub const fn answered(&self) -> u64 {
        self.output_tokens.saturating_add(self.reasoning_tokens)
    }
}
