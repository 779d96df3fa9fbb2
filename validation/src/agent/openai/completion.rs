//! Completions as they come: whole or in parts, of chats and of the older protocol.
//!
//! <https://platform.openai.com/docs/api-reference/chat/object>. What servers are known to leave out, or
//! to write as `null`, is optional.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::{TokenLogprob, Usage};

#[derive(Deserialize)]
pub(super) struct Completion {
    pub(super) choices: Option<Vec<Choice>>,
    usage: Option<Counts>,
    /// A failure in the middle of a stream.
    pub(super) error: Option<Value>,
}

#[derive(Deserialize)]
pub(super) struct Choice {
    #[serde(default)]
    pub(super) index: u64,
    /// Of a whole chat completion.
    message: Option<Piece>,
    /// Of a part of one.
    delta: Option<Piece>,
    /// Of the older protocol.
    text: Option<String>,
    pub(super) finish_reason: Option<String>,
    logprobs: Option<Logprobs>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Piece {
    content: Option<Content>,
    pub(super) refusal: Option<String>,
    /// What DeepSeek, vLLM and llama.cpp call thinking.
    reasoning_content: Option<String>,
    /// What others call it. Some say it as text.
    reasoning: Option<Value>,
    pub(super) tool_calls: Option<Vec<PieceOfCall>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct PieceOfCall {
    pub(super) index: Option<u64>,
    pub(super) id: Option<String>,
    function: Option<PieceOfFunction>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PieceOfFunction {
    name: Option<String>,
    arguments: Option<Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<ContentPart>),
}

#[derive(Deserialize)]
struct ContentPart {
    #[serde(default)]
    text: String,
}

#[derive(Deserialize)]
struct Logprobs {
    /// Of a chat.
    content: Option<Vec<Entry>>,
    /// Of the older protocol, this and those below.
    tokens: Option<Vec<String>>,
    token_logprobs: Option<Vec<Option<f64>>>,
    top_logprobs: Option<Vec<Option<BTreeMap<String, f64>>>>,
}

#[derive(Deserialize)]
struct Entry {
    token: String,
    logprob: f64,
    top_logprobs: Option<Vec<Likely>>,
}

#[derive(Deserialize)]
struct Likely {
    token: String,
    logprob: f64,
}

#[derive(Deserialize)]
struct Counts {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    prompt_tokens_details: Option<InputDetails>,
    completion_tokens_details: Option<OutputDetails>,
}

#[derive(Deserialize)]
struct InputDetails {
    cached_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct OutputDetails {
    reasoning_tokens: Option<u64>,
}

impl Completion {
    pub(super) fn usage(&self) -> Option<Usage> {
        let counts = self.usage.as_ref()?;
        let thought = counts.completion_tokens_details.as_ref().and_then(|details| details.reasoning_tokens);
        let cached = counts.prompt_tokens_details.as_ref().and_then(|details| details.cached_tokens);
        let (all, thought) = (counts.completion_tokens?, thought.unwrap_or(0));
        Some(Usage {
            input_tokens: counts.prompt_tokens?,
            cached_tokens: cached.unwrap_or(0),
            output_tokens: all.saturating_sub(thought),
            reasoning_tokens: thought.min(all),
        })
    }
}

impl Choice {
    /// What it adds to the answer, if it has room for that at all.
    pub(super) fn take_piece(&mut self) -> Option<Piece> {
        let text =
            self.text.take().map(|text| Piece { content: Some(Content::Text(text)), ..Piece::default() });
        self.message.take().or_else(|| self.delta.take()).or(text)
    }

    /// The tokens that it adds, each with at most `top` alternatives.
    pub(super) fn logprobs(&mut self, top: usize) -> Vec<TokenLogprob> {
        let Some(logprobs) = self.logprobs.take() else { return Vec::new() };
        let of_chat = logprobs.content.into_iter().flatten().map(|entry| {
            let likely = entry.top_logprobs.unwrap_or_default().into_iter();
            TokenLogprob {
                token: entry.token,
                logprob: entry.logprob,
                top: likest(likely.map(|likely| (likely.token, likely.logprob)), top),
            }
        });
        let mut alternatives = logprobs.top_logprobs.unwrap_or_default().into_iter();
        let tokens = logprobs.tokens.unwrap_or_default().into_iter();
        let older = tokens.zip(logprobs.token_logprobs.unwrap_or_default()).filter_map(|(token, logprob)| {
            let likely = alternatives.next().flatten().unwrap_or_default();
            // The first token of a prompt that is repeated has no probability.
            Some(TokenLogprob { token, logprob: logprob?, top: likest(likely, top) })
        });
        of_chat.chain(older).collect()
    }
}

impl Piece {
    pub(super) fn take_text(&mut self) -> String {
        match self.content.take() {
            Some(Content::Text(text)) => text,
            Some(Content::Parts(parts)) => parts.into_iter().map(|part| part.text).collect(),
            None => String::new(),
        }
    }

    pub(super) fn take_reasoning(&mut self) -> String {
        let said = self.reasoning_content.take();
        said.or_else(|| self.reasoning.as_ref()?.as_str().map(str::to_owned)).unwrap_or_default()
    }
}

impl PieceOfCall {
    pub(super) fn take_name(&mut self) -> String {
        self.function.as_mut().and_then(|function| function.name.take()).unwrap_or_default()
    }

    /// The arguments as text: Ollama and others write them as JSON where OpenAI writes JSON in a text.
    pub(super) fn take_arguments(&mut self) -> String {
        match self.function.as_mut().and_then(|function| function.arguments.take()) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text,
            Some(json) => json.to_string(),
        }
    }
}

fn likest(tokens: impl IntoIterator<Item = (String, f64)>, top: usize) -> Vec<(String, f64)> {
    let mut tokens: Vec<_> = tokens.into_iter().collect();
    tokens.sort_by(|a, b| b.1.total_cmp(&a.1));
    tokens.truncate(top);
    tokens
}
