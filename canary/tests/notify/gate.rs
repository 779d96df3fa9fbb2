//! A gate that a server keeps.

use std::time::Duration;

use serde_json::json;
use tidegate_canary::{
    Answer, Gatekeeper, Question,
    notify::{Secret, WebhookGate},
};

use crate::{
    chain, client,
    server::{Reply, Server, headed, says, with},
    webhook::{SECRET, clock},
};

fn question() -> Question {
    let release = |version: &str| {
        let digest = tidegate_registry::Digest::of(version).to_string();
        json!({"model": format!("fraud@{version}"), "digest": digest})
    };
    let question = json!({
        "rollout": "ci-8841",
        "route": "serving/fraud",
        "step": 1,
        "gate": "smoke",
        "stable": release("1.0.0"),
        "candidate": release("1.1.0"),
        "judgements": ["errors 4 of 1000: pass"],
    });
    serde_json::from_value(question).unwrap()
}

fn gate(server: &Server) -> WebhookGate {
    WebhookGate::new(client(), &server.at("/gates/smokesmokesmoke"), clock())
        .unwrap()
        .signed(SECRET.parse().unwrap())
        .with_timeout(Duration::from_millis(500))
}

#[tokio::test]
async fn what_it_answers_is_understood() {
    let server = Server::new([
        with(200, r#"{"answer": "open"}"#),
        with(200, r#"{"answer": "notYet", "since": "yesterday"}"#),
        with(200, r#"{"answer": "shut", "reason": "2 of 9 smoke tests failed"}"#),
        says(202),
        says(204),
        with(202, r#"{"answer": "open"}"#),
    ])
    .await;
    let gate = gate(&server);
    let mut answers = Vec::new();
    for _ in 0..6 {
        answers.push(gate.ask(&question()).await.unwrap());
    }
    let shut = Answer::Shut { reason: "2 of 9 smoke tests failed".to_owned() };
    assert_eq!(answers, [Answer::Open, Answer::NotYet, shut, Answer::NotYet, Answer::NotYet, Answer::NotYet]);
}

#[tokio::test]
async fn it_gets_the_question_under_its_key() {
    let server = Server::new([says(202), says(202)]).await;
    let gate = gate(&server);
    gate.ask(&question()).await.unwrap();
    gate.ask(&question()).await.unwrap();
    let [one, again] = &server.received()[..] else { panic!() };
    assert_eq!(one.json(), serde_json::to_value(question()).unwrap());
    assert_eq!(one.body, again.body);
    let key = one.header("idempotency-key");
    let digest = question().candidate.digest.to_string().replace(':', "%3A");
    assert_eq!(key, format!("ci-8841/1/smoke/{digest}"));
    assert_eq!([one.header("webhook-id"), again.header("idempotency-key")], [key, key]);
    let secret: Secret = SECRET.parse().unwrap();
    assert_eq!(one.header("webhook-signature"), secret.sign(key, 1_614_265_330, one.body.as_bytes()));
}

#[tokio::test]
async fn nothing_else_opens_or_shuts_it() {
    let replies = [
        says(200),
        with(200, "open"),
        with(200, r#"{"answer": "Open"}"#),
        with(200, r#"{"answer": "shut"}"#),
        with(200, r#"{"reason": "none"}"#),
        with(201, r#"{"answer": "open"}"#),
        says(404),
        says(401),
        says(500),
        headed(302, "location", "/"),
        Reply::Floods(200),
        Reply::Hangs,
        Reply::HangsAfter(200),
        Reply::Echoes(200),
        Reply::Echoes(403),
    ];
    let server = Server::new(replies.clone()).await;
    let gate = gate(&server);
    for reply in replies {
        let answer = gate.ask(&question()).await;
        let error = answer.expect_err(&format!("{reply:?}"));
        let text = format!("{} {error:?}", chain(&*error));
        assert!(!text.contains("smokesmokesmoke") && !text.contains("MfKQ9r8"), "{text}");
    }
    assert!(!format!("{gate:?}").contains("smokesmoke"), "{gate:?}");
}

#[tokio::test]
async fn a_reason_is_no_longer_than_a_journal_needs() {
    let long = json!({"answer": "shut", "reason": "no ".repeat(10_000)}).to_string();
    let server = Server::new([with(200, &long)]).await;
    let Answer::Shut { reason } = gate(&server).ask(&question()).await.unwrap() else { panic!() };
    assert_eq!(reason.chars().count(), 2_000);
}
