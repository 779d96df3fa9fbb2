//! The HTTP agent against a server on loopback that gives prepared responses.

use std::time::Duration;

use crate::server::{Answer, Server, completion};
use serde_json::{Value, json};
use tidegate_validation::{Agent as _, AgentError, Call, OpenAi, Reply, Request, Retry, TokenLimit, Usage};

/// No waiting between attempts, and four of them.
const QUICK: Retry = Retry { retries: 3, first: Duration::ZERO, longest: Duration::ZERO, seed: 0 };
const TOKEN: &str = "sk-very-secret";

fn agent(server: &Server) -> OpenAi {
    let agent = OpenAi::new(reqwest::Client::new(), &server.base(), "support-bot").unwrap();
    agent.retry(QUICK).bearer(TOKEN).unwrap()
}

async fn ask(agent: &OpenAi, timeout: Duration) -> Result<Reply, AgentError> {
    agent.respond(&Request::user("Hello").system("Be brief.").temperature(0.0), &Call::new(timeout)).await
}

async fn answer(script: impl IntoIterator<Item = Answer>) -> (Server, Result<Reply, AgentError>) {
    let server = Server::start(script).await;
    let reply = ask(&agent(&server), Duration::from_secs(20)).await;
    (server, reply)
}

fn json_body(status: u16, body: Value) -> Answer {
    Answer::new(status, body.to_string())
}

#[tokio::test]
async fn a_good_answer_is_read_whole() {
    let (server, reply) = answer([completion("Hi. ☕ “ünïcode”, \u{1f600} 日本")]).await;
    let reply = reply.unwrap();
    assert_eq!(reply.text, "Hi. ☕ “ünïcode”, \u{1f600} 日本");
    assert_eq!(reply.usage, Some(Usage { input_tokens: 11, output_tokens: 5, ..Usage::default() }));
    assert_eq!((reply.finish_reason.as_deref(), reply.retries), (Some("stop"), 0));
    let asked = server.requests();
    let expected = json!({
        "model": "support-bot", "stream": false, "temperature": 0.0,
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}],
    });
    assert_eq!((asked[0].body.clone(), asked[0].path.as_str()), (expected, "/v1/chat/completions"));
    assert_eq!(asked[0].authorization.as_deref(), Some("Bearer sk-very-secret"));
}

#[tokio::test]
async fn too_many_requests_are_tried_again() {
    let busy = json_body(429, json!({"error": {"message": "slow down"}})).header("retry-after", "0");
    let (server, reply) = answer([busy.clone(), busy, completion("at last")]).await;
    assert_eq!((reply.unwrap().retries, server.requests().len()), (2, 3));
}

#[tokio::test]
async fn retries_are_no_latency() {
    let busy = Answer::new(503, "").header("retry-after-ms", "300");
    let (_server, reply) = answer([busy, completion("at last")]).await;
    let reply = reply.unwrap();
    assert!(reply.latency < Duration::from_millis(300), "{:?}", reply.latency);
}

#[tokio::test]
async fn an_error_for_ever_is_unavailable() {
    let script = std::iter::repeat_n(Answer::new(500, "boom"), 9);
    let (server, reply) = answer(script).await;
    let error = reply.unwrap_err();
    assert!(
        matches!(&error, AgentError::Unavailable { attempts: 4, why, .. } if why.contains("boom")),
        "{error}"
    );
    assert!(error.is_transient());
    assert_eq!(server.requests().len(), 4);
}

#[tokio::test]
async fn no_retries_means_none() {
    let server = Server::start([Answer::new(503, "")]).await;
    let agent = agent(&server).retry(Retry { retries: 0, ..QUICK });
    let error = ask(&agent, Duration::from_secs(20)).await.unwrap_err();
    assert!(matches!(error, AgentError::Unavailable { attempts: 1, .. }), "{error}");
}

#[tokio::test]
async fn a_wait_beyond_the_deadline_is_not_waited_for() {
    let (server, reply) = answer([Answer::new(429, "").header("retry-after", "86400")]).await;
    assert!(matches!(reply, Err(AgentError::Unavailable { attempts: 1, .. })));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_used_up_quota_is_final() {
    let quota = json!({"error": {"message": "pay", "code": "insufficient_quota"}});
    let (server, reply) = answer([json_body(429, quota)]).await;
    let error = reply.unwrap_err();
    assert!(matches!(error, AgentError::Refused { status: 429, .. }) && error.is_hopeless(), "{error}");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn an_unknown_model_is_refused_with_a_remedy() {
    let body =
        json!({"error": {"message": "The model `support-bot` does not exist", "code": "model_not_found"}});
    let (server, reply) = answer([json_body(404, body)]).await;
    let error = reply.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("does not exist") && text.contains("check the model's name"), "{text}");
    assert!(error.is_hopeless() && server.requests().len() == 1);
}

#[tokio::test]
async fn a_token_appears_nowhere() {
    let body = json!({"error": {"message": format!("bad key {TOKEN}")}});
    let (server, reply) = answer([json_body(401, body)]).await;
    let error = reply.unwrap_err();
    let shown = format!("{error} {error:?} {:?} {}", agent(&server), agent(&server).fingerprint());
    assert!(!shown.contains("secret"), "{shown}");
    assert!(error.to_string().contains("check the token"), "{error}");
    let leaky =
        OpenAi::new(reqwest::Client::new(), "http://me:hunter2@localhost", "m").unwrap_err().to_string();
    assert!(!leaky.contains("hunter2") && leaky.contains("credentials"), "{leaky}");
}

#[tokio::test]
async fn what_is_no_completion_is_malformed() {
    for body in ["{", "[]", "null", "{}", r#"{"choices":[]}"#, r#"{"choices":[{}]}"#, "<html>", "\u{0}"] {
        let (server, reply) = answer([Answer::new(200, body)]).await;
        let error = reply.unwrap_err();
        assert!(matches!(error, AgentError::Malformed { .. }), "{body}: {error}");
        assert_eq!(server.requests().len(), 1);
    }
    let (_server, reply) =
        answer([json_body(200, json!({"error": {"message": "no such deployment"}}))]).await;
    assert!(reply.unwrap_err().to_string().contains("no such deployment"));
}

#[tokio::test]
async fn an_answer_too_long_is_not_read_to_its_end() {
    let server = Server::start([completion(&"x".repeat(1 << 20))]).await;
    let agent = agent(&server).longest_body(10_000);
    let error = ask(&agent, Duration::from_secs(20)).await.unwrap_err();
    assert!(matches!(&error, AgentError::Malformed { why, .. } if why.contains("10000 bytes")), "{error}");
}

#[tokio::test]
async fn an_error_however_long_is_an_error() {
    let script = [Answer::new(502, "x".repeat(1 << 20)), completion("Hi")];
    let server = Server::start(script).await;
    let reply = ask(&agent(&server).longest_body(10_000), Duration::from_secs(20)).await.unwrap();
    assert_eq!((reply.text.as_str(), reply.retries), ("Hi", 1));
}

#[tokio::test]
async fn a_call_may_have_all_the_time_there_is() {
    let server = Server::start([completion("Hi")]).await;
    assert!(ask(&agent(&server), Duration::MAX).await.is_ok());
}

#[tokio::test]
async fn a_server_that_hangs_is_timed_out() {
    let server = Server::start([Answer::hang()]).await;
    let error = ask(&agent(&server), Duration::from_millis(200)).await.unwrap_err();
    let AgentError::TimedOut { waited, .. } = error else { panic!("{error}") };
    assert!((Duration::from_millis(150)..Duration::from_secs(10)).contains(&waited), "{waited:?}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let base = Server::start([]).await.stop().await;
    let agent = OpenAi::new(reqwest::Client::new(), &base, "m").unwrap().retry(QUICK);
    let error = ask(&agent, Duration::from_secs(20)).await.unwrap_err();
    assert!(
        matches!(&error, AgentError::Unavailable { attempts: 4, why, .. } if why == "cannot connect"),
        "{error}"
    );
}

#[tokio::test]
async fn missing_usage_is_none() {
    let body = json!({"choices": [{"message": {"role": "assistant", "content": "Hi"}}]});
    let (_server, reply) = answer([json_body(200, body)]).await;
    let reply = reply.unwrap();
    assert_eq!((reply.usage, reply.finish_reason, reply.text.as_str()), (None, None, "Hi"));
}

#[tokio::test]
async fn refusals_are_replies() {
    let body =
        json!({"choices": [{"message": {"content": null, "refusal": "I won't."}, "finish_reason": "stop"}]});
    let (_server, reply) = answer([json_body(200, body)]).await;
    assert_eq!(reply.unwrap().refusal.as_deref(), Some("I won't."));
    let filtered = json!({"error": {"message": "filtered", "code": "content_filter"}});
    let (_server, reply) = answer([json_body(400, filtered)]).await;
    assert_eq!(reply.unwrap().finish_reason.as_deref(), Some("content_filter"));
}

#[tokio::test]
async fn only_a_plain_http_url_is_an_endpoint() {
    let new = |base| OpenAi::new(reqwest::Client::new(), base, "m");
    for base in ["", "localhost:8080", "ftp://host/v1", "http://", "http://h/v1?key=1", "http://h/v1#x"] {
        let error = new(base).unwrap_err().to_string();
        assert!(error.contains("endpoint"), "{error}");
    }
    let slash = new("http://h/v1/").unwrap().fingerprint();
    assert_eq!(
        (slash.as_str(), slash.clone()),
        ("m at http://h/v1", new("http://h/v1").unwrap().fingerprint())
    );
}

#[tokio::test]
async fn a_key_in_an_endpoint_is_not_repeated() {
    for base in ["http://h/v1?api-key=hunter2", "http://h/v1#hunter2", "h:1/v1?key=hunter2", "?hunter2"] {
        let error = OpenAi::new(reqwest::Client::new(), base, "m").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
}

/// Words before the token, as many as put the cut into its middle wherever that may be.
#[tokio::test]
async fn half_a_token_appears_nowhere_either() {
    for before in 150..300 {
        let said = format!("{}{TOKEN}", "x".repeat(before));
        for answered in [
            json_body(401, json!({"error": {"message": said}})),
            json_body(400, json!({"error": {"message": said, "code": "content_filter"}})),
            json_body(200, json!({"error": {"message": said}})),
            json_body(200, json!({"choices": said})),
            Answer::new(401, &said),
        ] {
            let (_server, reply) = answer([answered]).await;
            let shown = format!("{reply:?}");
            assert!(!shown.contains("sk-"), "{before}: {shown}");
        }
    }
}

#[test]
fn a_token_that_cannot_be_sent_is_refused_at_once() {
    for token in ["", "secret\n", " secret", "sec ret", "s\u{e9}cret", "secret\0"] {
        let agent = OpenAi::new(reqwest::Client::new(), "http://h/v1", "m").unwrap();
        let error = agent.bearer(token).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("bearer token") && !shown.contains("cret"), "{shown}");
    }
}

#[tokio::test]
async fn what_cannot_be_sent_is_not_tried_again() {
    let client = reqwest::Client::builder().https_only(true).build().unwrap();
    let agent = OpenAi::new(client, "http://127.0.0.1:9/v1", "m").unwrap();
    let error = ask(&agent, Duration::from_secs(20)).await.unwrap_err();
    assert!(matches!(error, AgentError::Misconfigured { .. }), "{error:?}");
    assert!(error.is_hopeless() && !error.is_transient());
}

#[tokio::test]
async fn redirects_without_end_are_not_tried_again() {
    let circle = Answer::new(307, "").header("location", "/v1/chat/completions");
    let (server, reply) = answer(std::iter::repeat_n(circle, 99)).await;
    let error = reply.unwrap_err();
    assert!(matches!(&error, AgentError::Malformed { why, .. } if why.contains("redirects")), "{error}");
    assert!(server.requests().len() < 20, "{}", server.requests().len());
}

#[tokio::test]
async fn the_limit_of_tokens_has_two_names() {
    for (field, name, other) in [
        (TokenLimit::MaxTokens, "max_tokens", "max_completion_tokens"),
        (TokenLimit::MaxCompletionTokens, "max_completion_tokens", "max_tokens"),
    ] {
        let server = Server::start([completion("Hi")]).await;
        let agent = agent(&server).token_limit(field);
        agent.respond(&Request::user("Hello").max_tokens(9), &Call::new(Duration::MAX)).await.unwrap();
        let asked = &server.requests()[0].body;
        assert_eq!((&asked[name], asked.get(other), asked.get("temperature")), (&json!(9), None, None));
    }
}

#[tokio::test]
async fn a_field_that_a_model_does_not_take_comes_with_a_remedy() {
    for (param, remedy) in [
        ("max_tokens", "max_completion_tokens"),
        ("max_completion_tokens", "as max_tokens"),
        ("temperature", "\"default\""),
    ] {
        let problem = json!({"message": "Unsupported", "param": param, "code": "unsupported_parameter"});
        let (_server, reply) = answer([json_body(400, json!({ "error": problem }))]).await;
        let error = reply.unwrap_err().to_string();
        assert!(error.contains(remedy), "{error}");
    }
}
