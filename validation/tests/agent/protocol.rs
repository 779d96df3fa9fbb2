//! What is sent and read in the two protocols of OpenAI.

use std::time::Duration;

use crate::server::{Answer, Server, completion};
use serde_json::{Value, json};
use tidegate_validation::{
    Agent as _, AgentError, Call, Message, OpenAi, Reply, Request, ResponseFormat, Role, Tool, ToolCall,
    ToolChoice, Usage,
};

fn call() -> Call {
    Call::new(Duration::from_secs(20))
}

async fn chat(request: &Request, answer: Answer) -> (Value, Result<Reply, AgentError>) {
    let server = Server::start([answer]).await;
    let agent = OpenAi::new(reqwest::Client::new(), &server.base(), "m").unwrap();
    let reply = agent.respond(request, &call()).await;
    (server.requests()[0].body.clone(), reply)
}

fn full() -> Request {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    let mut weather = Tool::new("weather", schema.clone()).described("The weather of a city");
    weather.strict = Some(true);
    let calls = [ToolCall::new("c0", "weather", r#"{"city":"Oslo"}"#)];
    let mut request = Request::user("Weather in Oslo?")
        .message(Message::new(Role::Assistant, "").with_tool_calls(calls))
        .message(Message::tool("c0", "Rain"))
        .tool(weather)
        .temperature(0.5)
        .max_tokens(9)
        .seed(7);
    request.tool_choice = Some(ToolChoice::Function("weather".to_owned()));
    request.response_format =
        Some(ResponseFormat::JsonSchema { name: "city".to_owned(), schema, strict: Some(true) });
    request.stop = vec!["\n".to_owned()];
    request.top_p = Some(0.9);
    request.top_logprobs = Some(2);
    request
}

#[tokio::test]
async fn a_chat_is_sent_as_the_reference_says() {
    let (asked, _) = chat(&full(), completion("Rain")).await;
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    let function = json!({"name": "weather", "description": "The weather of a city", "parameters": schema, "strict": true});
    let call = json!({"id": "c0", "type": "function", "function": {"name": "weather", "arguments": r#"{"city":"Oslo"}"#}});
    assert_eq!(
        asked,
        json!({
            "model": "m", "stream": false, "temperature": 0.5, "top_p": 0.9, "max_tokens": 9, "seed": 7,
            "stop": ["\n"], "logprobs": true, "top_logprobs": 2,
            "messages": [
                {"role": "user", "content": "Weather in Oslo?"},
                {"role": "assistant", "content": null, "tool_calls": [call]},
                {"role": "tool", "content": "Rain", "tool_call_id": "c0"},
            ],
            "tools": [{"type": "function", "function": function}],
            "tool_choice": {"type": "function", "function": {"name": "weather"}},
            "response_format": {"type": "json_schema", "json_schema": {"name": "city", "schema": schema, "strict": true}},
        })
    );
}

#[tokio::test]
async fn every_choice_and_format_has_its_word() {
    for (choice, word) in
        [(ToolChoice::Auto, "auto"), (ToolChoice::None, "none"), (ToolChoice::Required, "required")]
    {
        let mut request = Request::user("?");
        request.tool_choice = Some(choice);
        assert_eq!(chat(&request, completion("")).await.0["tool_choice"], word);
    }
    for (format, word) in [(ResponseFormat::JsonObject, "json_object"), (ResponseFormat::Text, "text")] {
        let mut request = Request::user("?");
        request.response_format = Some(format);
        assert_eq!(chat(&request, completion("")).await.0["response_format"], json!({ "type": word }));
    }
}

#[tokio::test]
async fn a_whole_answer_has_calls_probabilities_and_counts() {
    let body = json!({
        "choices": [{
            "message": {"content": null, "reasoning": "Rain?", "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                {"id": "b", "type": "function", "function": {"name": "f", "arguments": "{\"x\":1}"}},
            ]},
            "finish_reason": "tool_calls",
            "logprobs": {"content": [{"token": "f", "logprob": -0.5, "top_logprobs": [
                {"token": "g", "logprob": -2.0}, {"token": "f", "logprob": -0.5}, {"token": "h", "logprob": -3.0}]}]},
        }],
        "usage": {"prompt_tokens": 9, "completion_tokens": 50, "prompt_tokens_details": {"cached_tokens": 8},
            "completion_tokens_details": {"reasoning_tokens": 48}},
    });
    let reply = chat(&full(), Answer::new(200, body.to_string())).await.1.unwrap();
    assert_eq!(reply.tool_calls, [ToolCall::new("a", "f", "{}"), ToolCall::new("b", "f", "{\"x\":1}")]);
    assert_eq!(reply.reasoning.as_deref(), Some("Rain?"));
    let usage = Usage { input_tokens: 9, cached_tokens: 8, output_tokens: 2, reasoning_tokens: 48 };
    assert_eq!((reply.usage, usage.answered()), (Some(usage), 50));
    let top = vec![("f".to_owned(), -0.5), ("g".to_owned(), -2.0)];
    assert_eq!((reply.logprobs[0].token.as_str(), &reply.logprobs[0].top), ("f", &top));
}

#[tokio::test]
async fn what_servers_leave_out_or_write_otherwise_is_read() {
    for (message, text) in [
        (json!({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}), "ab"),
        (json!({"content": "a", "tool_calls": null, "refusal": null}), "a"),
        (json!({"role": "assistant"}), ""),
    ] {
        for usage in [json!(null), json!({}), json!({"prompt_tokens": 3})] {
            let body = json!({"choices": [{"message": message, "logprobs": null}], "usage": usage});
            let reply = chat(&Request::user("?"), Answer::new(200, body.to_string())).await.1.unwrap();
            assert_eq!((reply.text.as_str(), reply.usage), (text, None));
        }
    }
}

#[tokio::test]
async fn a_completion_without_roles_goes_on_with_the_text() {
    let body = json!({
        "choices": [{"text": " Paris", "index": 0, "finish_reason": "length", "logprobs": {
            "tokens": [" Par", "is"], "token_logprobs": [-0.1, -0.2], "text_offset": [0, 4],
            "top_logprobs": [{" Par": -0.1, " Lyon": -3.0}, null]}}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 2},
    });
    let server = Server::start([Answer::new(200, body.to_string())]).await;
    let agent = OpenAi::completions(reqwest::Client::new(), &server.base(), "m").unwrap();
    let mut request = Request::user("The capital of France is").system("Facts.").max_tokens(2);
    request.top_logprobs = Some(0);
    let reply = agent.respond(&request, &call()).await.unwrap();
    assert_eq!((reply.text.as_str(), reply.usage.unwrap().input_tokens), (" Paris", 5));
    let known: Vec<_> = reply.logprobs.iter().map(|t| (t.token.as_str(), t.logprob, t.top.len())).collect();
    assert_eq!(known, [(" Par", -0.1, 0), ("is", -0.2, 0)]);
    let asked = &server.requests()[0];
    let expected = json!({"model": "m", "prompt": "Facts.\n\nThe capital of France is", "stream": false, "max_tokens": 2, "logprobs": 1});
    assert_eq!((asked.path.as_str(), &asked.body), ("/v1/completions", &expected));
}

#[tokio::test]
async fn a_completion_without_roles_has_no_tools_and_says_so() {
    let server = Server::start([]).await;
    let agent = OpenAi::completions(reqwest::Client::new(), &server.base(), "m").unwrap();
    let error = agent.respond(&full(), &call()).await.unwrap_err();
    let AgentError::Misconfigured { source, .. } = &error else { panic!("{error:?}") };
    assert!(source.to_string().contains("ask for chat completions"));
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn names_tell_models_apart_however_long() {
    let name = |end: &str| {
        let model = "x".repeat(200) + end;
        OpenAi::new(reqwest::Client::new(), "http://h/v1", model).unwrap().fingerprint()
    };
    assert_ne!(name("a"), name("b"));
    assert!(name("a").as_str().len() < 200);
}

#[tokio::test]
async fn an_answer_from_another_server_is_none() {
    let other = Server::start([completion("I am not who you asked")]).await;
    let location: &'static str = Box::leak(format!("{}/chat/completions", other.base()).into_boxed_str());
    let (_, reply) = chat(&Request::user("?"), Answer::new(307, "").header("location", location)).await;
    let error = reply.unwrap_err();
    assert!(
        matches!(&error, AgentError::Malformed { why, .. } if why.contains("another server")),
        "{error:?}"
    );
}
