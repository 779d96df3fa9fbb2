//! The body of a request for a completion without roles, the older protocol.
//!
//! <https://platform.openai.com/docs/api-reference/completions/create>

use serde::Serialize;

use super::chat::Streaming;
use crate::Request;

#[derive(Serialize)]
pub(super) struct Prompt<'a> {
    model: &'a str,
    prompt: String,
    #[serde(flatten)]
    streaming: Streaming,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stop: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<u8>,
}

impl<'a> Prompt<'a> {
    /// `Err` names what the protocol has no words for.
    pub(super) fn new(model: &'a str, request: &'a Request, streaming: bool) -> Result<Self, &'static str> {
        let calls = request.messages.iter().any(|message| !message.tool_calls.is_empty());
        if calls || !request.tools.is_empty() || request.tool_choice.is_some() {
            return Err("a completion without roles knows no tools; ask for chat completions");
        }
        if request.response_format.is_some() {
            return Err("a completion without roles knows no response format; ask for chat completions");
        }
        let said: Vec<_> = request.messages.iter().map(|message| message.content.as_str()).collect();
        Ok(Self {
            model,
            prompt: said.join("\n\n"),
            streaming: Streaming::new(streaming),
            stop: &request.stop,
            temperature: request.temperature,
            top_p: request.top_p,
            max_tokens: request.max_tokens,
            seed: request.seed,
            // llama.cpp takes 0 for "no probabilities at all".
            logprobs: request.top_logprobs.map(|top| top.max(1)),
        })
    }
}
