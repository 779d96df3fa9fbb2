//! Answers in parts, from servers that send them well, badly, or with bad intent.

use std::{iter::repeat_n, time::Duration};

use crate::server::{Answer, End, Server, completion, delta, event, finish};
use serde_json::json;
use tidegate_validation::{
    Agent as _, AgentError, Call, OpenAi, Reply, Request, Retry, TokenLogprob, ToolCall, Usage,
};

const QUICK: Retry = Retry { retries: 3, first: Duration::ZERO, longest: Duration::ZERO, seed: 0 };

async fn ask_within(server: &Server, timeout: Duration) -> Result<Reply, AgentError> {
    let agent = OpenAi::new(reqwest::Client::new(), &server.base(), "support-bot").unwrap();
    let agent = agent.retry(QUICK).streaming().longest_body(1 << 16);
    let mut request = Request::user("Hello");
    request.top_logprobs = Some(1);
    agent.respond(&request, &Call::new(timeout)).await
}

async fn answer(script: impl IntoIterator<Item = Answer>) -> (Server, Result<Reply, AgentError>) {
    let server = Server::start(script).await;
    let reply = ask_within(&server, Duration::from_secs(20)).await;
    (server, reply)
}

fn role() -> String {
    delta(&json!({"role": "assistant", "content": ""}))
}

fn says(text: &str) -> String {
    delta(&json!({ "content": text }))
}

#[tokio::test]
async fn an_answer_in_parts_is_put_together() {
    let usage = json!({"prompt_tokens": 9, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 3}});
    let parts = [
        role(),
        delta(&json!({"reasoning_content": "Hm. "})),
        delta(&json!({"reasoning_content": "A greeting."})),
        says("Hel"),
        says("lo, 日本 \u{1f600}"),
        event(&json!({"choices": [{"index": 1, "delta": {"content": "not this one"}}]})),
        event(&json!({"choices": [{"delta": {}, "finish_reason": "stop"}]})),
        event(&json!({"choices": [], "usage": usage})),
        "data: [DONE]\n\n".to_owned(),
    ];
    let (server, reply) = answer([Answer::stream(parts)]).await;
    let reply = reply.unwrap();
    assert_eq!(reply.text, "Hello, 日本 \u{1f600}");
    assert_eq!(reply.reasoning.as_deref(), Some("Hm. A greeting."));
    assert_eq!(reply.finish_reason.as_deref(), Some("stop"));
    let usage = Usage { input_tokens: 9, cached_tokens: 4, output_tokens: 4, reasoning_tokens: 3 };
    assert_eq!(reply.usage, Some(usage));
    let asked = &server.requests()[0].body;
    assert_eq!((&asked["stream"], &asked["stream_options"]), (&json!(true), &json!({"include_usage": true})));
}

#[tokio::test]
async fn bytes_may_be_cut_anywhere() {
    let whole = format!("\u{feff}: hi\r\n\r\n{}{}{}", role(), says("日本"), finish("stop"))
        .replace("\n\n", "\r\n\r\n");
    let bytes: Vec<_> = whole.as_bytes().chunks(1).map(<[u8]>::to_vec).collect();
    let (_server, reply) = answer([Answer::stream(bytes)]).await;
    let reply = reply.unwrap();
    assert_eq!((reply.text.as_str(), reply.usage.unwrap().output_tokens), ("日本", 5));
}

#[tokio::test]
async fn the_frame_is_not_the_first_part() {
    let wait = Duration::from_millis(60);
    let parts = [role(), says("a"), delta(&json!({"content": null})), says("b"), finish("stop")];
    let (_server, reply) = answer([Answer::stream(parts).paced(wait)]).await;
    let reply = reply.unwrap();
    let pace = reply.pace.unwrap();
    assert!(pace.first >= wait, "{pace:?}");
    assert_eq!(pace.gaps.len(), 1);
    assert!(pace.gaps[0] >= wait, "the gap is between what was said: {pace:?}");
    assert!(reply.latency >= pace.first + pace.gaps[0]);
}

#[tokio::test]
async fn retries_are_not_in_the_time_to_the_first_part() {
    let busy = Answer::new(503, "").header("retry-after-ms", "300");
    let (_server, reply) = answer([busy, Answer::stream([says("a"), finish("stop")])]).await;
    let reply = reply.unwrap();
    assert_eq!(reply.retries, 1);
    assert!(reply.pace.unwrap().first < Duration::from_millis(300));
}

#[tokio::test]
async fn calls_of_tools_are_put_together_by_their_index() {
    let call = |index: u64, more: serde_json::Value| {
        let mut call = more;
        call["index"] = json!(index);
        delta(&json!({ "tool_calls": [call] }))
    };
    let parts = [
        role(),
        call(0, json!({"id": "c0", "type": "function", "function": {"name": "weather", "arguments": ""}})),
        call(0, json!({"function": {"arguments": "{\"city\":"}})),
        call(1, json!({"id": "c1", "function": {"name": "time", "arguments": "{}"}})),
        call(0, json!({"function": {"name": "weather", "arguments": "\"Oslo\"}"}})),
        finish("tool_calls"),
    ];
    let (_server, reply) = answer([Answer::stream(parts)]).await;
    let reply = reply.unwrap();
    let expected = [ToolCall::new("c0", "weather", r#"{"city":"Oslo"}"#), ToolCall::new("c1", "time", "{}")];
    assert_eq!(reply.tool_calls, expected);
    assert_eq!((reply.pace.unwrap().gaps.len(), reply.text.as_str()), (3, ""));
}

#[tokio::test]
async fn calls_of_tools_without_index_begin_with_their_ids() {
    let call = |call: serde_json::Value| delta(&json!({ "tool_calls": [call] }));
    let parts = [
        call(json!({"id": "a", "function": {"name": "f", "arguments": {"x": 1}}})),
        call(json!({"id": "b", "function": {"name": "g", "arguments": "{\"y\""}})),
        call(json!({"id": "b", "function": {"arguments": ":2}"}})),
        finish("tool_calls"),
    ];
    let (_server, reply) = answer([Answer::stream(parts)]).await;
    let expected = [ToolCall::new("a", "f", r#"{"x":1}"#), ToolCall::new("b", "g", r#"{"y":2}"#)];
    assert_eq!(reply.unwrap().tool_calls, expected);
}

#[tokio::test]
async fn probabilities_are_collected() {
    let token = |token: &str, logprob: f64| {
        let top = json!([{"token": "x", "logprob": -9.0}, {"token": token, "logprob": logprob}]);
        let content = json!([{"token": token, "logprob": logprob, "bytes": null, "top_logprobs": top}]);
        event(
            &json!({"choices": [{"index": 0, "delta": {"content": token}, "logprobs": {"content": content}}]}),
        )
    };
    let (server, reply) =
        answer([Answer::stream([token("4", -0.25), token(".", -1.5), finish("stop")])]).await;
    let known: Vec<_> =
        reply.unwrap().logprobs.iter().map(|t| (t.token.clone(), t.logprob, t.top.clone())).collect();
    let expected = [
        ("4".to_owned(), -0.25, vec![("4".to_owned(), -0.25)]),
        (".".to_owned(), -1.5, vec![(".".to_owned(), -1.5)]),
    ];
    assert_eq!(known, expected);
    let asked = &server.requests()[0].body;
    assert_eq!((&asked["logprobs"], &asked["top_logprobs"]), (&json!(true), &json!(1)));
}

#[tokio::test]
async fn a_server_that_sends_no_parts_is_read_whole() {
    let (_server, reply) = answer([completion("Hi").header("content-type", "application/json")]).await;
    let reply = reply.unwrap();
    assert_eq!((reply.text.as_str(), reply.pace, reply.logprobs), ("Hi", None, Vec::<TokenLogprob>::new()));
}

#[tokio::test]
async fn an_error_before_the_answer_is_tried_again_if_it_says_so() {
    let loading = event(&json!({"error": {"code": 503, "message": "Loading model"}}));
    let (server, reply) = answer([Answer::stream([loading]), completion("Hi")]).await;
    assert_eq!((reply.unwrap().retries, server.requests().len()), (1, 2));
    let wrong = event(&json!({"error": {"code": 400, "message": "no such grammar"}}));
    let (server, reply) = answer([Answer::stream([wrong])]).await;
    assert!(matches!(reply, Err(AgentError::Malformed { why, .. }) if why.contains("no such grammar")));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn what_breaks_off_is_not_asked_again() {
    let error = event(&json!({"error": {"code": 500, "message": "out of memory"}}));
    let named = "event: error\ndata: {\"message\": \"out of memory\"}\n\n".to_owned();
    for (broken, said) in [
        (Answer::stream([says("I"), error]), "out of memory"),
        (Answer::stream([says("I"), named]), "out of memory"),
        (Answer::stream([says("I")]), "ended before the answer did"),
        (Answer::stream([role(), says("I")]).end(End::Breaks), "connection broke"),
        (Answer::new(200, r#"{"choices":"#).end(End::Breaks), "connection broke"),
    ] {
        let (server, reply) = answer([broken, completion("again")]).await;
        let error = reply.unwrap_err();
        assert!(
            matches!(&error, AgentError::Interrupted { why, .. } if why.contains(said))
                && error.is_transient(),
            "{error:?}"
        );
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_break_after_the_end_breaks_nothing() {
    let last = event(&json!({"choices": [{"delta": {}, "finish_reason": "stop"}]}));
    let (_server, reply) = answer([Answer::stream([says("Hi"), last]).end(End::Breaks)]).await;
    assert_eq!(reply.unwrap().text, "Hi");
    let (_server, reply) = answer([Answer::stream([says("Hi"), finish("stop")]).end(End::Hangs)]).await;
    assert_eq!(reply.unwrap().text, "Hi", "[DONE] is the end even if the server does not hang up");
}

#[tokio::test]
async fn a_stream_without_an_answer_is_tried_again() {
    let (server, reply) = answer([Answer::stream([role()]), completion("Hi")]).await;
    assert_eq!((reply.unwrap().text.as_str(), server.requests().len()), ("Hi", 2));
}

#[tokio::test]
async fn hostile_streams_end_in_bounded_memory_and_time() {
    let line = "data: ".to_owned() + &"x".repeat(60_000);
    let call = |index: u64| delta(&json!({"tool_calls": [{"index": index, "function": {"name": "f"}}]}));
    for (hostile, why) in [
        // A line that never ends, an event that never ends, an answer that never ends, comments for ever.
        (Answer::stream([line.clone()]).end(End::Repeats), "longer"),
        (Answer::stream([line + "\n"]).end(End::Repeats), "longer"),
        (Answer::stream([says(&"x".repeat(1000))]).end(End::Repeats), "longer than 1048576 bytes"),
        (Answer::stream([": x\n\n".repeat(1000)]).end(End::Repeats), "longer than 1048576 bytes"),
        (Answer::stream([(0..300).map(call).collect::<String>()]), "more than 256 tools"),
        (Answer::stream(["data: {\n\n"]), "no completion"),
        (Answer::stream(["data: \u{0}\n\n"]), "no completion"),
        (Answer::stream([format!("data: {}\n\n", "[".repeat(100_000))]), "no completion"),
        (Answer::stream(["data: {\"choices\": 7}\n\n"]), "no completion"),
        (Answer::new(200, "x".repeat(1000)).end(End::Repeats), "longer than 65536 bytes"),
    ] {
        let (server, reply) = answer([hostile]).await;
        let error = reply.unwrap_err();
        assert!(
            matches!(&error, AgentError::Malformed { why: said, .. } if said.contains(why)),
            "{why}: {error:?}"
        );
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn an_error_without_end_is_an_error() {
    let endless = Answer::new(500, "x".repeat(1000)).end(End::Repeats);
    let (server, reply) = answer(repeat_n(endless, 4)).await;
    assert!(matches!(reply, Err(AgentError::Unavailable { attempts: 4, .. })));
    assert_eq!(server.requests().len(), 4);
}

#[tokio::test]
async fn a_slow_drip_ends_with_the_time_of_the_call() {
    let drip = Answer::stream(repeat_n(says("x"), 10_000)).paced(Duration::from_millis(20));
    let server = Server::start([drip]).await;
    let reply = ask_within(&server, Duration::from_millis(300)).await;
    assert!(matches!(reply, Err(AgentError::TimedOut { .. })), "{reply:?}");
}
