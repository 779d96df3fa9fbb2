//! What an answer of Ollama says of itself.

use std::time::Duration;

use serde::Deserialize;

/// The timings in the final object of an answer of Ollama's own API (`/api/chat`, `/api/generate`), which has no
/// page of metrics: put them into a [`Recorded`](crate::Recorded) source where answers pass.
///
/// ```
/// use std::time::Duration;
/// use tidegate_metrics::llm::OllamaTimings;
///
/// let last = r#"{"done":true,"done_reason":"stop","eval_count":50,"eval_duration":1000000000}"#;
/// let timings: OllamaTimings = serde_json::from_str(last).unwrap();
/// assert_eq!(timings.time_per_output_token(), Some(Duration::from_millis(20)));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct OllamaTimings {
    /// Why the answer ended: `stop`, `length`.
    #[serde(default)]
    pub done_reason: Option<String>,
    /// Tokens of the answer. The server leaves zeros out.
    #[serde(default)]
    pub eval_count: u64,
    /// Nanoseconds that they took.
    #[serde(default)]
    pub eval_duration: u64,
    /// Nanoseconds to load the model.
    #[serde(default)]
    pub load_duration: u64,
    /// Tokens of the prompt, those that were in the cache left out.
    #[serde(default)]
    pub prompt_eval_count: u64,
    /// Nanoseconds that they took.
    #[serde(default)]
    pub prompt_eval_duration: u64,
    /// Nanoseconds of the whole request.
    #[serde(default)]
    pub total_duration: u64,
}

impl OllamaTimings {
    /// The mean time per output token; `None` of an empty answer.
    #[must_use]
    pub fn time_per_output_token(&self) -> Option<Duration> {
        Some(Duration::from_nanos(self.eval_duration.checked_div(self.eval_count)?))
    }

    /// Loading the model and reading the prompt: the time to the first token, without what the request waited.
    #[must_use]
    pub const fn time_before_output(&self) -> Duration {
        Duration::from_nanos(self.load_duration.saturating_add(self.prompt_eval_duration))
    }

    /// The whole request.
    #[must_use]
    pub const fn latency(&self) -> Duration {
        Duration::from_nanos(self.total_duration)
    }
}
