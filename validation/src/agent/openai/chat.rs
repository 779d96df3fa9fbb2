//! The body of a request for a chat completion.
//!
//! <https://platform.openai.com/docs/api-reference/chat/create>

use serde::Serialize;
use serde_json::{Value, json};

use crate::{Message, Request, ResponseFormat, Role, Tool, ToolCall, ToolChoice};

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
pub(super) struct Chat<'a> {
    model: &'a str,
    messages: Vec<Said<'a>>,
    #[serde(flatten)]
    streaming: Streaming,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<Value>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stop: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_logprobs: Option<u8>,
}

/// Whether the answer is to come in parts, and its tokens counted then, too.
#[derive(Serialize)]
pub(super) struct Streaming {
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

#[derive(Serialize)]
struct Said<'a> {
    role: Role,
    /// `null` beside calls of tools.
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
}

impl<'a> Chat<'a> {
    pub(super) fn new(model: &'a str, request: &'a Request, limit: TokenLimit, streaming: bool) -> Self {
        let limit_in = |field| request.max_tokens.filter(|_| limit == field);
        Self {
            model,
            messages: request.messages.iter().map(Said::new).collect(),
            streaming: Streaming::new(streaming),
            tools: request.tools.iter().map(tool).collect(),
            tool_choice: request.tool_choice.as_ref().map(tool_choice),
            response_format: request.response_format.as_ref().map(response_format),
            stop: &request.stop,
            temperature: request.temperature,
            top_p: request.top_p,
            max_completion_tokens: limit_in(TokenLimit::MaxCompletionTokens),
            max_tokens: limit_in(TokenLimit::MaxTokens),
            seed: request.seed,
            logprobs: request.top_logprobs.map(|_| true),
            // llama.cpp takes 0 for "no probabilities at all"; left out, it means the same everywhere.
            top_logprobs: request.top_logprobs.filter(|&top| top > 0),
        }
    }
}

impl Streaming {
    pub(super) fn new(stream: bool) -> Self {
        Self { stream, stream_options: stream.then_some(StreamOptions { include_usage: true }) }
    }
}

impl<'a> Said<'a> {
    fn new(message: &'a Message) -> Self {
        let only_calls = message.content.is_empty() && !message.tool_calls.is_empty();
        Self {
            role: message.role,
            content: (!only_calls).then_some(&message.content),
            tool_calls: message.tool_calls.iter().map(tool_call).collect(),
            tool_call_id: message.tool_call_id.as_deref(),
        }
    }
}

fn tool(tool: &Tool) -> Value {
    let mut function = json!({ "name": tool.name, "parameters": tool.parameters });
    if let Some(description) = &tool.description {
        function["description"] = json!(description);
    }
    if let Some(strict) = tool.strict {
        function["strict"] = json!(strict);
    }
    json!({ "type": "function", "function": function })
}

fn tool_call(call: &ToolCall) -> Value {
    let function = json!({ "name": call.name, "arguments": call.arguments });
    json!({ "id": call.id, "type": "function", "function": function })
}

fn tool_choice(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto => json!("auto"),
        ToolChoice::Function(name) => json!({ "type": "function", "function": { "name": name } }),
        ToolChoice::None => json!("none"),
        ToolChoice::Required => json!("required"),
    }
}

fn response_format(format: &ResponseFormat) -> Value {
    match format {
        ResponseFormat::JsonObject => json!({ "type": "json_object" }),
        ResponseFormat::JsonSchema { name, schema, strict } => {
            let mut named = json!({ "name": name, "schema": schema });
            if let Some(strict) = strict {
                named["strict"] = json!(strict);
            }
            json!({ "type": "json_schema", "json_schema": named })
        }
        ResponseFormat::Text => json!({ "type": "text" }),
    }
}
