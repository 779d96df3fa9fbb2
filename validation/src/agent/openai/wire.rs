//! The messages of the chat completions protocol, as much of them as matters here.
//!
//! <https://platform.openai.com/docs/api-reference/chat>

use serde::{Deserialize, Serialize};

use crate::{Message, Reply, Request, Usage};

/// The field that tells an endpoint the most tokens an answer may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenLimit {
    /// `max_completion_tokens`, which OpenAI's reasoning models demand. What a model thinks counts, too.
    MaxCompletionTokens,
    /// `max_tokens`, which every other server knows.
    #[default]
    MaxTokens,
}

#[derive(Serialize)]
pub(super) struct Body<'a> {
    model: &'a str,
    messages: &'a [Message],
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u32>,
}

#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Counts>,
}

#[derive(Deserialize)]
struct Choice {
    message: Said,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    refusal: Option<String>,
}

#[derive(Deserialize)]
struct Counts {
    prompt_tokens: u64,
    completion_tokens: u64,
    #[serde(default)]
    completion_tokens_details: Option<Details>,
}

#[derive(Deserialize)]
struct Details {
    #[serde(default)]
    reasoning_tokens: Option<u64>,
}

/// What a server says when it does not answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) message: String,
    pub(super) code: Option<String>,
    /// The field of the request that it is about.
    pub(super) param: Option<String>,
}

impl<'a> Body<'a> {
    pub(super) fn new(model: &'a str, request: &'a Request, limit: TokenLimit) -> Self {
        let limit_in = |field| request.max_tokens.filter(|_| limit == field);
        Self {
            model,
            messages: &request.messages,
            stream: false,
            temperature: request.temperature,
            max_completion_tokens: limit_in(TokenLimit::MaxCompletionTokens),
            max_tokens: limit_in(TokenLimit::MaxTokens),
            seed: request.seed,
        }
    }
}

/// The reply in a successful response; `Err` says what is wrong with it.
pub(super) fn parse(body: &[u8]) -> Result<Reply, String> {
    let completion: Completion = serde_json::from_slice(body).map_err(|error| {
        // Some gateways report errors with status 200.
        match Problem::read(body).message {
            message if message.is_empty() => format!("it is no chat completion ({error})"),
            message => format!("it is no chat completion but says: {message}"),
        }
    })?;
    let choice = completion.choices.into_iter().next().ok_or("it has no choices")?;
    Ok(Reply {
        text: choice.message.content.unwrap_or_default(),
        usage: completion.usage.map(Usage::from),
        finish_reason: choice.finish_reason,
        refusal: choice.message.refusal,
        ..Reply::default()
    })
}

impl Problem {
    /// Reads the usual forms of an error, and takes anything else as text.
    pub(super) fn read(body: &[u8]) -> Self {
        let Ok(value) = serde_json::from_slice::<serde_json::Value>(body) else {
            return Self { message: String::from_utf8_lossy(body).into_owned(), ..Self::default() };
        };
        let error = value.get("error").unwrap_or(&value);
        let text = |key| error.get(key).and_then(serde_json::Value::as_str).map(str::to_owned);
        let message =
            text("message").or_else(|| text("detail")).or_else(|| error.as_str().map(str::to_owned));
        Self {
            message: message.unwrap_or_default(),
            code: text("code").or_else(|| text("type")),
            param: text("param"),
        }
    }

    /// What helps against a field that the model does not take, after `; `.
    pub(super) fn remedy(&self) -> &'static str {
        match self.param.as_deref() {
            Some("max_tokens") => "; say the limit as max_completion_tokens (`OpenAi::token_limit`)",
            Some("max_completion_tokens") => "; say the limit as max_tokens (`OpenAi::token_limit`)",
            Some("temperature") => "; leave the temperature to the model (`temperature = \"default\"`)",
            _ => "",
        }
    }
}

impl From<Counts> for Usage {
    fn from(counts: Counts) -> Self {
        let thought = counts.completion_tokens_details.and_then(|details| details.reasoning_tokens);
        Self {
            input_tokens: counts.prompt_tokens,
            output_tokens: counts.completion_tokens.saturating_sub(thought.unwrap_or(0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_read_in_every_form() {
        let read = |body: &str| Problem::read(body.as_bytes()).message;
        assert_eq!(read(r#"{"error":{"message":"no","type":"t"}}"#), "no");
        assert_eq!(read(r#"{"error":"no"}"#), "no");
        assert_eq!(read(r#"{"detail":"no"}"#), "no");
        assert_eq!(read("<html>no"), "<html>no");
        assert_eq!(read("{}"), "");
    }

    #[test]
    fn tokens_thought_are_not_tokens_said() {
        let body =
            br#"{"choices":[{"message":{"content":"4"}}],"usage":{"prompt_tokens":9,"completion_tokens":50,
            "completion_tokens_details":{"reasoning_tokens":48}}}"#;
        assert_eq!(parse(body).unwrap().usage, Some(Usage { input_tokens: 9, output_tokens: 2 }));
    }
}
