//! `tidegate validate` against a server of this test.

use std::{
    net::SocketAddr,
    process::{Command, Stdio},
};

use axum::{
    Json, Router,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::desk::{Desk, Run};

const SUITE: &str = r#"
name = "labels"
[[checks]]
kind = "answers"
rule = "point"
floor = 1.0
cases = [
  { input = "I was charged twice", target = "billing" },
  { input = "where is my parcel", target = "shipping" },
]
"#;

/// Serves a model that says `billing` of charges and otherwise `otherwise`, to those who know the key.
async fn serve(otherwise: &'static str) -> String {
    let answer = move |headers: HeaderMap, Json(request): Json<Value>| async move {
        if headers.get("authorization").is_none_or(|key| key != "Bearer sesame") {
            return (StatusCode::UNAUTHORIZED, Json(json!({ "error": { "message": "who are you?" } })));
        }
        let asked = request["messages"].as_array().and_then(|messages| messages.last()).expect("a message");
        let charged = asked["content"].as_str().is_some_and(|text| text.contains("charged"));
        let reply = json!({
            "id": "1", "object": "chat.completion", "created": 0, "model": request["model"],
            "choices": [{
                "index": 0,
                "message": { "role": "assistant", "content": if charged { "billing" } else { otherwise } },
                "finish_reason": "stop",
            }],
            "usage": { "prompt_tokens": 4, "completion_tokens": 1, "total_tokens": 5 },
        });
        (StatusCode::OK, Json(reply))
    };
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("a free port");
    let address = listener.local_addr().expect("a bound address");
    let routes = Router::new().route("/v1/chat/completions", post(answer));
    tokio::spawn(async { axum::serve(listener, routes).await });
    format!("http://{address}/v1")
}

/// Runs `suite` against `endpoint` with the right key, on a thread of its own.
async fn validate(desk: Desk, suite: &'static str, endpoint: String, more: &'static [&str]) -> (Desk, Run) {
    let run = move || {
        desk.write("suite.toml", suite.as_bytes());
        let arguments =
            ["validate", "m@1.0.0", "--suite", "suite.toml", "--endpoint", &endpoint, "--api-key-env", "KEY"];
        let output = desk.command(&arguments).args(more).env("KEY", "sesame").output();
        let run = Run::of(&output.expect("the program runs"));
        (desk, run)
    };
    tokio::task::spawn_blocking(run).await.expect("the run does not panic")
}

#[tokio::test]
async fn a_good_model_is_accepted_and_attested() {
    let (desk, run) =
        validate(Desk::published(), SUITE, serve("shipping").await, &["--json", "--attest"]).await;
    let answer: Value = serde_json::from_str(&run.is(0).out).unwrap();
    assert_eq!(answer["accepted"], true);
    assert_eq!(answer["report"]["findings"][0]["verdict"], "pass");
    assert!(desk.run(&["show", "m@1.0.0"]).is(0).out.contains("accepted"));
    assert_eq!(desk.json(&["show", "m@1.0.0"])["attestations"][0]["predicate"]["accepted"], true);
}

#[tokio::test]
async fn a_bad_model_fails_and_nothing_is_recorded_unasked() {
    let (desk, run) = validate(Desk::published(), SUITE, serve("billing").await, &[]).await;
    let run = run.is(1);
    assert!(run.out.contains("fail") && run.out.contains("where is my parcel"), "{run:?}");
    assert_eq!(desk.json(&["show", "m@1.0.0"])["attestations"], json!([]));
}

#[tokio::test]
async fn too_few_cases_are_inconclusive() {
    let bound = r#"checks = [{ kind = "answers", floor = 0.9, cases = [{ input = "charged", target = "billing" }] }]"#;
    let (_, run) = validate(Desk::published(), bound, serve("shipping").await, &[]).await;
    assert!(run.is(3).out.contains("inconclusive"));
}

#[tokio::test]
async fn a_key_that_is_refused_is_no_evidence() {
    let (desk, endpoint) = (Desk::published(), serve("shipping").await);
    desk.write("suite.toml", SUITE.as_bytes());
    let run = move || {
        let arguments =
            ["validate", "m@1.0.0", "--suite", "suite.toml", "--endpoint", &endpoint, "--api-key-env", "KEY"];
        let wrong = Run::of(&desk.command(&arguments).env("KEY", "abracadabra").output().unwrap());
        (wrong, Run::of(&desk.command(&arguments).env_remove("KEY").output().unwrap()))
    };
    let (wrong, missing) = tokio::task::spawn_blocking(run).await.unwrap();
    let wrong = wrong.is(3);
    assert!(wrong.out.contains("401") && !format!("{wrong:?}").contains("abracadabra"), "{wrong:?}");
    missing.is(2).says(&["`KEY`", "export"]);
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_is_unavailable() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (_, run) = validate(Desk::published(), SUITE, format!("http://{closed}/v1"), &[]).await;
    run.is(4).says(&["cannot be reached", &closed.to_string(), "caused by"]);
    let (_, run) = validate(Desk::published(), SUITE, "ftp://localhost".to_owned(), &[]).await;
    run.is(2).says(&["ftp://localhost", "http://"]);
}

#[tokio::test]
async fn a_suite_with_a_typo_is_named() {
    let nowhere = || "http://127.0.0.1:9/v1".to_owned();
    let field = "checks = [{ kind = \"answers\", flor = 0.9 }]";
    let (_, run) = validate(Desk::published(), field, nowhere(), &[]).await;
    run.is(2).says(&["`suite.toml`", "flor", "did you mean `floor`"]);
    let kind = "checks = [{ kind = \"anwsers\" }]";
    let (_, run) = validate(Desk::published(), kind, nowhere(), &[]).await;
    run.is(2).says(&["`suite.toml`", "anwsers", "did you mean `answers`"]);
    let (_, run) = validate(Desk::published(), "checks = [", nowhere(), &[]).await;
    run.is(2).says(&["`suite.toml`", "line 1"]);
    let run =
        Desk::published().run(&["validate", "m@1.0.0", "--suite", "none.toml", "--endpoint", &nowhere()]);
    run.is(2).says(&["`none.toml`", "cannot be read"]);
}

#[cfg(unix)]
#[tokio::test]
async fn an_interrupt_ends_it_with_its_own_status() {
    let (asked, mut is_asked) = tokio::sync::mpsc::channel(8);
    let silent = Router::new().fallback(move || {
        let asked = asked.clone();
        async move {
            asked.send(()).await.expect("the test waits");
            std::future::pending::<()>().await;
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}/v1", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, silent).await });

    let desk = Desk::published();
    desk.write("suite.toml", SUITE.as_bytes());
    let mut command =
        desk.command(&["validate", "m@1.0.0", "--suite", "suite.toml", "--endpoint", &endpoint]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    is_asked.recv().await.unwrap();
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let run = tokio::task::spawn_blocking(|| Run::of(&child.wait_with_output().unwrap())).await.unwrap();
    run.is(130).says(&["interrupted"]);
}
