//! Services with a protocol of their own.

use std::time::Duration;

use crate::server::{Answer, Server};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tidegate_validation::{Agent as _, AgentError, Call, HttpAgent, Reply, Request, Template, Tool, Usage};

fn template() -> Template {
    Template::new(json!({"q": "{{prompt}}", "k": 3, "heat": "{{temperature}}", "seed": "{{seed}}"})).unwrap()
}

async fn ask(answer: Value, pointers: &[&str]) -> (Server, Result<Reply, AgentError>) {
    let server = Server::start([Answer::new(200, answer.to_string())]).await;
    let mut agent = HttpAgent::new(Client::new(), &server.base(), template()).unwrap();
    for pointer in pointers {
        agent = agent.answer(pointer).unwrap();
    }
    let agent = agent.usage("/usage/in", "/usage/out").unwrap().finish_reason("/why").unwrap();
    let reply =
        agent.respond(&Request::user("Hi \"there\"").seed(7), &Call::new(Duration::from_secs(20))).await;
    (server, reply)
}

#[tokio::test]
async fn the_answer_is_where_the_pointer_points() {
    let body = json!({"result": [{"te/xt": "Hello"}], "usage": {"in": 3, "out": 4}, "why": "length"});
    let (server, reply) = ask(body, &["/nowhere", "/result/0/te~1xt"]).await;
    let reply = reply.unwrap();
    assert_eq!((reply.text.as_str(), reply.finish_reason.as_deref()), ("Hello", Some("length")));
    assert_eq!(reply.usage, Some(Usage { input_tokens: 3, output_tokens: 4, ..Usage::default() }));
    let asked = &server.requests()[0];
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/v1"));
    assert_eq!(asked.body, json!({"q": "Hi \"there\"", "k": 3, "seed": 7}));
}

#[tokio::test]
async fn plain_values_are_answers_and_others_are_not() {
    for (answer, text) in [(json!("x"), "x"), (json!(0.5), "0.5"), (json!(true), "true")] {
        assert_eq!(ask(json!({ "a": answer }), &["/a"]).await.1.unwrap().text, text);
    }
    for (body, said) in [
        (json!({"a": {"b": 1}}), "no text at /a"),
        (json!({"a": null}), "nothing at /a"),
        (json!({"error": {"message": "no such index"}}), "no such index"),
    ] {
        let error = ask(body, &["/a"]).await.1.unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn whatever_is_read_of_the_answer_is_a_part_of_the_name() {
    let agent = || HttpAgent::new(Client::new(), "http://localhost/ask", template()).unwrap();
    let agents = [
        agent(),
        agent().answer("/a").unwrap(),
        agent().finish_reason("/a").unwrap(),
        agent().finish_reason("/b").unwrap(),
        agent().usage("/a", "/b").unwrap(),
        agent().usage("/b", "/a").unwrap(),
    ];
    let names: std::collections::BTreeSet<_> = agents.iter().map(|agent| agent.fingerprint()).collect();
    assert_eq!(names.len(), agents.len());
}

#[tokio::test]
async fn without_a_pointer_the_answer_is_text() {
    let server = Server::start([Answer::new(200, "spam"), Answer::new(200, "x".repeat(2000))]).await;
    let agent = HttpAgent::new(Client::new(), &server.base(), template()).unwrap().longest_body(1000);
    let call = Call::new(Duration::from_secs(20));
    assert_eq!(agent.respond(&Request::user("?"), &call).await.unwrap().text, "spam");
    let error = agent.respond(&Request::user("?"), &call).await.unwrap_err();
    assert!(error.to_string().contains("1000 bytes"), "{error}");
}

#[tokio::test]
async fn a_get_sends_parameters() {
    let server = Server::start([Answer::new(200, "ok")]).await;
    let agent =
        HttpAgent::new(Client::new(), &server.base(), template()).unwrap().method(Method::GET).unwrap();
    let request = Request::user("a&q=b c/ü").seed(7);
    agent.respond(&request, &Call::new(Duration::from_secs(20))).await.unwrap();
    let asked = &server.requests()[0];
    assert_eq!(asked.method, "GET");
    assert_eq!(asked.query.as_deref(), Some("k=3&q=a%26q%3Db+c%2F%C3%BC&seed=7"));
    assert!(asked.body.is_null());
}

#[test]
fn what_cannot_be_sent_or_read_is_refused_at_once() {
    let agent = |template| HttpAgent::new(Client::new(), "http://h/ask", template).unwrap();
    let nested = Template::new(json!({"a": {"b": "{{prompt}}"}})).unwrap();
    assert!(agent(nested).method(Method::GET).unwrap_err().to_string().contains("use POST"));
    assert!(agent(template()).method(Method::DELETE).is_err());
    for pointer in ["a", "/a~2", "/a~", "a/b"] {
        assert!(
            agent(template()).answer(pointer).unwrap_err().to_string().contains("JSON pointer"),
            "{pointer}"
        );
    }
    assert!(HttpAgent::new(Client::new(), "http://me:hunter2@h/ask", template()).is_err());
}

#[tokio::test]
async fn tools_are_not_left_out_in_silence() {
    let server = Server::start([]).await;
    let agent = HttpAgent::new(Client::new(), &server.base(), template()).unwrap();
    let request = Request::user("?").tool(Tool::new("f", json!({})));
    let error = agent.respond(&request, &Call::new(Duration::from_secs(1))).await.unwrap_err();
    assert!(matches!(error, AgentError::Misconfigured { .. }) && server.requests().is_empty());
}

#[test]
fn whatever_changes_the_answer_changes_the_name() {
    let other = Template::new(json!({"q": "{{prompt}}", "k": 4})).unwrap();
    let agent = |template| HttpAgent::new(Client::new(), "http://h/ask", template).unwrap();
    let names = [
        agent(template()),
        agent(other),
        agent(template()).answer("/a").unwrap(),
        agent(template()).method(Method::PUT).unwrap(),
    ];
    let names: std::collections::BTreeSet<_> = names.iter().map(HttpAgent::fingerprint).collect();
    assert_eq!(names.len(), 4);
    assert!(names.iter().all(|name| name.as_str().starts_with("http://h/ask (as sha256:")), "{names:?}");
}
