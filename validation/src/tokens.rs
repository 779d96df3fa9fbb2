//! How many tokens a question has, before anybody has counted them.

use std::fmt;

use crate::Request;

/// Says how many tokens a question has, so that a budget can be held before a provider has counted them.
///
/// # Contract
///
/// * **Never too few.** What is said is at least what the provider will count, the template of the chat and
///   the descriptions of tools included; a budget is exactly as hard as that.
/// * **Of the request alone.** The same request has the same number.
#[cfg_attr(feature = "testkit", mockall::automock)]
pub trait Tokenizer: fmt::Debug + Send + Sync + 'static {
    /// The most tokens that `request` can have when it reaches the model.
    fn count(&self, request: &Request) -> u64;
}

/// A bound that needs no vocabulary: as many tokens as bytes.
///
/// It holds for models with byte-level byte-pair encoding, whose tokens have at least one byte each (GPT, Llama 3,
/// Qwen, Mistral, SmolLM), and for those that fall back to bytes. It is four times too high for English, and is meant to
/// be: plug in the model's own [`Tokenizer`] for a closer one. For what the template of a chat adds it allows 16
/// tokens a message, beside the names of fields in JSON, and 1 000 where there are tools; a server that adds
/// more, such as a system prompt of its own, needs a tokenizer that knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "there is nothing to set")]
pub struct ByteBound;

impl Tokenizer for ByteBound {
    fn count(&self, request: &Request) -> u64 {
        const A_MESSAGE: u64 = 16;
        const TOOLS: u64 = 1000;
        let bytes = |json: Result<String, _>| json.map_or(u64::MAX, |json: String| json.len() as u64);
        let said = bytes(serde_json::to_string(&request.messages));
        let tools = match request.tools.is_empty() {
            true => 0,
            false => bytes(serde_json::to_string(&request.tools)).saturating_add(TOOLS),
        };
        let format =
            request.response_format.as_ref().map_or(0, |format| bytes(serde_json::to_string(format)));
        let messages = A_MESSAGE * (request.messages.len() as u64 + 1);
        [said, tools, format, messages].into_iter().fold(0, u64::saturating_add)
    }
}

/// About how many tokens a question and its answer have, as providers estimate them for limits of the rate: a
/// quarter of the characters, and all that the answer may have.
#[cfg(feature = "openai")]
pub(crate) fn rough_tokens(request: &Request) -> u64 {
    let chars: usize = request.messages.iter().map(|message| message.content.chars().count()).sum();
    (chars as u64).div_ceil(4) + u64::from(request.max_tokens.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tool;

    #[test]
    fn the_bound_is_above_what_models_count() {
        // Counted by llama.cpp with the templates of the models: SmolLM2 (byte-level BPE) and Gemma 3.
        let capital = Request::user("What is the capital of France?").system("You are a helpful assistant.");
        assert!(ByteBound.count(&capital) >= 120);
        // Letters of which each is several tokens.
        let rare = Request::user("𓀀𓂀𓃰".repeat(10));
        assert!(ByteBound.count(&rare) >= 120);
    }

    #[test]
    fn tools_and_formats_are_counted() {
        let plain = Request::user("Hello");
        let tool = Tool::new("weather", serde_json::json!({"type": "object"})).described("x".repeat(500));
        assert!(ByteBound.count(&plain.clone().tool(tool)) > ByteBound.count(&plain) + 1500);
    }
}
