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
use crate::ports::free_port;

pub(crate) const SUITE: &str = r#"
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
pub(crate) async fn serve(otherwise: &'static str) -> String {
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

/// A dataset beside the suite, in YAML; what is on record is not asked again.
#[tokio::test]
async fn a_dataset_is_asked_once_though_the_command_is_repeated() {
    let desk = Desk::published();
    desk.write(
        "more/labels.jsonl",
        br#"{"id": "a", "input": "I was charged twice", "target": "billing"}
{"id": "b", "input": "where is my parcel", "target": "shipping"}
"#,
    );
    let suite = "checks:\n- { kind: cases, dataset: more/labels.jsonl, rule: point, floor: 1.0, assert: [{ kind: normalised }] }\n";
    desk.write("suite.yaml", suite.as_bytes());
    let endpoint = serve("shipping").await;
    let run = move || {
        let run = |more: &[&str]| {
            let arguments = [
                "validate",
                "m@1.0.0",
                "--suite",
                "suite.yaml",
                "--endpoint",
                &endpoint,
                "--api-key-env",
                "KEY",
            ];
            let output = desk.command(&arguments).args(more).env("KEY", "sesame").output();
            Run::of(&output.expect("the program runs"))
        };
        let first = run(&["--json", "--record", "answers.jsonl", "--concurrency", "1"]);
        let again = run(&["--json", "--record", "answers.jsonl", "--max-calls", "2"]);
        (first, again, run(&["--max-calls", "1"]), std::fs::read_to_string(desk.path("answers.jsonl")))
    };
    let (first, again, short, record) = tokio::task::spawn_blocking(run).await.unwrap();
    let calls = |run: Run| -> Value {
        let answer: Value = serde_json::from_str(&run.is(0).out).unwrap();
        answer["report"]["spent"]["calls"].clone()
    };
    assert_eq!(calls(first), 2);
    // Both calls were made by the first command, and no third would have been allowed.
    assert_eq!(calls(again), 2);
    assert!(short.is(3).out.contains("inconclusive"));
    assert!(record.unwrap().contains("billing"));
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
    // It may be the key itself that was put there.
    assert!(!missing.err.contains("KEY"), "{missing:?}");
    missing.is(2).says(&["--api-key-env", "export"]);
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_is_unavailable() {
    let closed = SocketAddr::from(([127, 0, 0, 1], free_port()));
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
    for signal in ["-INT", "-TERM"] {
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
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
        let ended = tokio::task::spawn_blocking(|| Run::of(&child.wait_with_output().unwrap()));
        ended.await.unwrap().is(130).says(&["interrupted"]);
    }
}

#[tokio::test]
async fn a_report_that_cannot_be_recorded_is_answered_all_the_same() {
    for json in [true, false] {
        let desk = Desk::published();
        desk.write("suite.toml", SUITE.as_bytes());
        // The first question takes the log away.
        let log = desk.path("registry/models/m/log");
        let answer = move |Json(_): Json<Value>| async move {
            if std::fs::remove_dir_all(&log).is_ok() {
                std::fs::write(&log, b"in the way").expect("a writable directory");
            }
            Json(json!({ "choices": [{ "message": { "content": "billing" } }] }))
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}/v1", listener.local_addr().unwrap());
        let routes = Router::new().route("/v1/chat/completions", post(answer));
        tokio::spawn(async { axum::serve(listener, routes).await });

        let more: &[&str] = if json { &["--attest", "--json"] } else { &["--attest"] };
        let run = move || {
            let arguments = ["validate", "m@1.0.0", "--suite", "suite.toml", "--endpoint", &endpoint];
            Run::of(&desk.command(&arguments).args(more).output().unwrap())
        };
        let run = tokio::task::spawn_blocking(run).await.unwrap();
        // It failed, which whoever tries again for the registry's sake must not get past.
        let run = run.is(1);
        assert!(run.out.contains("billing"), "{run:?}");
        if json {
            let answer: Value = serde_json::from_str(&run.out).unwrap();
            assert_eq!((&answer["attested"], &answer["verdict"]), (&json!(false), &json!("fail")));
            assert!(answer["attestError"]["message"].is_string(), "{answer}");
        } else {
            assert!(run.out.contains("not recorded in the registry: "), "{run:?}");
        }
    }
}

#[tokio::test]
async fn a_registry_that_cannot_be_written_is_told_before_the_questions() {
    let (desk, endpoint) = (Desk::published(), serve("shipping").await);
    desk.write("suite.toml", SUITE.as_bytes());
    let registry = desk.path("registry");
    let mut permissions = std::fs::metadata(&registry).unwrap().permissions();
    permissions.set_readonly(true);
    std::fs::set_permissions(&registry, permissions).unwrap();
    // Root writes anywhere, and is told nothing.
    let expected = if tempfile::tempfile_in(&registry).is_ok() { 0 } else { 1 };
    let run = move || {
        let arguments = ["validate", "m@1.0.0", "--suite", "suite.toml", "--endpoint", &endpoint, "--attest"];
        let output = desk.command(&arguments).args(["--api-key-env", "KEY"]).env("KEY", "sesame").output();
        let run = Run::of(&output.unwrap());
        let mut permissions = std::fs::metadata(&registry).unwrap().permissions();
        #[expect(clippy::permissions_set_readonly_false, reason = "the directory is removed right after")]
        permissions.set_readonly(false);
        std::fs::set_permissions(&registry, permissions).unwrap();
        run
    };
    let run = tokio::task::spawn_blocking(run).await.unwrap().is(expected);
    assert!(expected == 0 || run.err.contains("cannot write to"), "{run:?}");
}

#[tokio::test]
async fn a_key_is_taken_without_the_line_break_at_its_end() {
    let (desk, endpoint) = (Desk::published(), serve("shipping").await);
    desk.write("suite.toml", SUITE.as_bytes());
    let run = move || {
        let arguments =
            ["validate", "m@1.0.0", "--suite", "suite.toml", "--endpoint", &endpoint, "--api-key-env", "KEY"];
        let run = |key| Run::of(&desk.command(&arguments).env("KEY", key).output().unwrap());
        (run("sesame\n"), run(" \n"), run("open\nsesame"))
    };
    let (trimmed, empty, broken) = tokio::task::spawn_blocking(run).await.unwrap();
    trimmed.is(0);
    empty.is(2).says(&["`KEY`", "is empty"]);
    assert!(!broken.err.contains("sesame"));
    broken.is(2).says(&["bearer token", "line breaks"]);
}

#[tokio::test]
async fn the_limit_of_tokens_can_be_said_in_the_other_field() {
    let answer = |Json(request): Json<Value>| async move {
        let known = request.get("max_completion_tokens").is_some() && request.get("max_tokens").is_none();
        let charged = request.to_string().contains("charged");
        let content = if known && charged { "billing" } else { "shipping" };
        Json(json!({ "choices": [{ "message": { "content": content } }] }))
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}/v1", listener.local_addr().unwrap());
    tokio::spawn(async move {
        axum::serve(listener, Router::new().route("/v1/chat/completions", post(answer))).await
    });
    let (_, run) = validate(Desk::published(), SUITE, endpoint, &["--max-completion-tokens"]).await;
    run.is(0);
}
