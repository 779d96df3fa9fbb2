//! `tidegate compare` of records and of an experiment's logs, and `tidegate calibrate-judge`.

use std::net::SocketAddr;

use axum::{Json, Router, routing::post};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{
    desk::{Desk, Run},
    validate::serve,
};

/// Has `validate` record what the model at `endpoint` says to 120 questions, half of them about charges.
async fn record(desk: Desk, name: &'static str, endpoint: String) -> Desk {
    let run = move || {
        let question = |i: u32| match i % 2 {
            0 => format!(
                "{{\"id\": \"q{i}\", \"input\": \"I was charged {i} times\", \"target\": \"billing\"}}\n"
            ),
            _ => format!(
                "{{\"id\": \"q{i}\", \"input\": \"where is parcel {i}\", \"target\": \"shipping\"}}\n"
            ),
        };
        desk.write("labels.jsonl", (0..120).map(question).collect::<String>().as_bytes());
        desk.write("suite.toml", b"checks = [{ kind = \"cases\", name = \"labels\", dataset = \"labels.jsonl\", rule = \"point\", floor = 0.1, assert = [{ kind = \"normalised\" }] }]\n");
        let arguments = [
            "validate",
            "m@1.0.0",
            "--suite",
            "suite.toml",
            "--endpoint",
            &endpoint,
            "--api-key-env",
            "KEY",
            "--record",
            name,
        ];
        let output = desk.command(&arguments).env("KEY", "sesame").output();
        Run::of(&output.expect("the program runs")).is(0);
        desk
    };
    tokio::task::spawn_blocking(run).await.expect("the run does not panic")
}

#[tokio::test]
async fn records_are_compared_in_pairs() {
    let desk = record(Desk::published(), "good.jsonl", serve("shipping").await).await;
    let desk = record(desk, "bad.jsonl", serve("billing").await).await;
    tokio::task::spawn_blocking(move || {
        let better = desk.run(&["compare", "good.jsonl", "bad.jsonl", "--goal", "better"]).is(0);
        assert!(
            better.out.contains("pass          labels: the candidate is better than the baseline"),
            "{better:?}"
        );
        assert!(better.out.contains("candidate less baseline 0.500 ("), "{better:?}");
        // 60 gained and 60 alike.
        assert!(
            better.out.contains("+0.75 to +1.00      60 ████") && better.out.contains("alike      60 ████"),
            "{better:?}"
        );
        let worse = desk.run(&["compare", "bad.jsonl", "good.jsonl"]).is(1);
        assert!(worse.out.contains("lost: q1 → ") && worse.out.contains("and 57 more"), "{worse:?}");
        assert!(worse.out.contains(" would show"), "{worse:?}");
        let alike = desk.run(&["compare", "good.jsonl", "good.jsonl", "--goal", "better"]).is(3);
        assert!(alike.out.contains("120 cases do not decide"), "{alike:?}");
        desk.run(&["compare", "good.jsonl", "good.jsonl", "--margin", "0.03"]).is(0);

        let json = desk.json(&["compare", "bad.jsonl", "good.jsonl"]);
        assert_eq!(
            (&json["verdict"], &json["checks"][0]["finding"]["check"]),
            (&json!("fail"), &json!("labels"))
        );
        let evidence = &json["checks"][0]["finding"]["evidence"][0];
        assert_eq!(
            (&evidence["estimate"], &evidence["method"], &evidence["n"]),
            (&json!(-0.5), &json!("tango"), &json!(120))
        );
        assert!(evidence["detectable"].as_f64().is_some_and(|detectable| detectable > 0.0));
        assert_eq!(json["candidate"]["model"], "m@1.0.0");

        let whole = std::fs::read_to_string(desk.path("good.jsonl")).unwrap();
        let short: Vec<_> = whole.lines().take(100).map(|line| format!("{line}\n")).collect();
        desk.write("short.jsonl", short.concat().as_bytes());
        desk.run(&["compare", "short.jsonl", "bad.jsonl"])
            .is(2)
            .says(&["22 of the baseline have no counterpart", "allow unmatched"]);
        let allowed = desk.run(&["compare", "short.jsonl", "bad.jsonl", "--allow-unmatched"]).is(0);
        assert!(
            allowed.out.contains("0 trials of the candidate and 22 of the baseline without a counterpart"),
            "{allowed:?}"
        );
        desk.run(&["compare", "labels.jsonl", "bad.jsonl"])
            .is(2)
            .says(&["labels.jsonl, line 1: it is no record of trials"]);
        desk.run(&["compare", "good.jsonl", "bad.jsonl", "--margin", "2"])
            .is(2)
            .says(&["`margin` 2 must be above 0"]);
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_suite_compares_with_a_baseline_that_is_being_served() {
    let (desk, good, bad, judge) =
        (Desk::published(), serve("shipping").await, serve("billing").await, judge().await);
    tokio::task::spawn_blocking(move || {
        let cases = "cases = [{ id = \"a\", input = \"where is my parcel\", target = \"shipping\" }, { id = \"b\", input = \"I was charged\", target = \"billing\" }]";
        let suite = format!(
            "checks = [{{ kind = \"compare\", repeats = 30, confidence = 0.9, {cases}, assert = [{{ kind = \"exact\" }}] }},\n\
             {{ kind = \"preference\", prefer = {{ rubric = \"is short\" }}, {cases} }}]"
        );
        desk.write("suite.toml", suite.as_bytes());
        let of = ["validate", "m@1.0.0", "--suite", "suite.toml", "--endpoint", &good, "--api-key-env", "KEY", "--json"];
        let run = |more: &[&str]| {
            let output = desk.command(&of).args(more).env("KEY", "sesame").output();
            let run = Run::of(&output.expect("the program runs")).is(3);
            serde_json::from_str::<Value>(&run.out).unwrap()["report"]["findings"].clone()
        };
        let alone = run(&[]);
        assert_eq!(alone[0]["verdict"]["inconclusive"], "noBaseline");
        let beside = ["--baseline", &bad, "--baseline-model", "old", "--baseline-key-env", "KEY", "--judge", &judge, "--judge-model", "j"];
        let both = run(&beside);
        // One of two questions is gained, whatever the repeats; and two are too few.
        assert_eq!((&both[0]["evidence"][0]["estimate"], &both[0]["evidence"][0]["n"]), (&json!(0.5), &json!(60)));
        assert!(both[0]["verdict"]["inconclusive"]["tooAlike"].is_object(), "{both}");
        // This judge finds nothing of either answer, and its word is none of those that were asked for.
        assert!(both[1]["verdict"]["inconclusive"]["infra"].is_object(), "{both}");
    })
    .await
    .unwrap();
}

/// Logs of `new` and `old` units, of which the same share has a hit.
fn logs(desk: &Desk, new: u32, old: u32) {
    let (mut assignments, mut outcomes) = ("unit,arm,time\n".to_owned(), String::new());
    for (arm, count) in [("candidate", new), ("baseline", old)] {
        for i in 0..count {
            assignments.push_str(&format!("{arm}{i},{arm},2026-11-29T12:00:00Z\n"));
            let hit = i % 5 > 0;
            outcomes.push_str(&format!(
                "{{\"unit\": \"{arm}{i}\", \"hit\": {hit}, \"time\": \"2026-11-29T12:01:00Z\"}}\n"
            ));
        }
    }
    desk.write("assignments.csv", assignments.as_bytes());
    desk.write("outcomes.jsonl", outcomes.as_bytes());
}

#[test]
fn an_experiment_is_compared_if_it_was_one() {
    let desk = Desk::new();
    let compare = |more: &[&str]| {
        desk.run(
            &[&["compare", "--assignments", "assignments.csv", "--outcomes", "outcomes.jsonl"], more]
                .concat(),
        )
    };
    logs(&desk, 1_000, 1_000);
    let passed = compare(&[]).is(0);
    assert!(passed.out.contains("1000 units of the candidate beside 1000 of the baseline"), "{passed:?}");
    assert!(passed.out.contains("outcomes, candidate less baseline 0.000 ("), "{passed:?}");
    compare(&["--goal", "better"]).is(3);
    compare(&["--split", "1:9"]).is(3);
    let arms = compare(&["--candidate-arm", "new"]).is(2);
    assert!(arms.err.contains("no unit is in arm `new` alone"), "{arms:?}");
    compare(&["--split", "1"]).is(2).says(&["1:9"]);
    desk.run(&["compare", "--assignments", "assignments.csv"]).is(2).says(&["--outcomes"]);

    // Whatever the outcomes say.
    logs(&desk, 1_200, 1_000);
    let mismatch = compare(&["--json"]).is(3);
    let json: Value = serde_json::from_str(&mismatch.out).unwrap();
    assert_eq!((&json["verdict"], &json["candidateUnits"]), (&json!("inconclusive"), &json!(1_200)));
    assert!(json["finding"]["verdict"]["inconclusive"]["misassigned"]["what"].is_string(), "{json}");
}

/// Serves a judge that finds answers good that speak of Paris.
async fn judge() -> String {
    let answer = |Json(request): Json<Value>| async move {
        let asked = request["messages"][1]["content"].as_str().unwrap_or_default().to_owned();
        let answer = asked.split("[begin answer ").nth(1).unwrap_or_default();
        let verdict = if answer.contains("Paris") { "pass" } else { "fail" };
        let content = json!({ "reasoning": "it is what it says", "verdict": verdict }).to_string();
        Json(json!({
            "id": "1", "object": "chat.completion", "created": 0, "model": request["model"],
            "choices": [{ "index": 0, "message": { "role": "assistant", "content": content }, "finish_reason": "stop" }],
            "usage": { "prompt_tokens": 4, "completion_tokens": 1, "total_tokens": 5 },
        }))
    };
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("a free port");
    let address = listener.local_addr().expect("a bound address");
    let routes = Router::new().route("/v1/chat/completions", post(answer));
    tokio::spawn(async { axum::serve(listener, routes).await });
    format!("http://{address}/v1")
}

/// Answers about France, of which the judge is wrong about every tenth.
fn labelled(count: u32) -> String {
    let line = |i: u32| {
        let (says_so, wrong) = (i.is_multiple_of(2), i.is_multiple_of(5));
        let answer = if says_so { "It is Paris." } else { "It is Lyon." };
        json!({ "input": "What is the capital of France?", "answer": answer, "good": says_so != wrong })
            .to_string()
            + "\n"
    };
    (0..count).map(line).collect()
}

#[tokio::test]
async fn a_judge_is_calibrated_and_suites_read_what_is_written() {
    let (desk, endpoint) = (Desk::published(), judge().await);
    tokio::task::spawn_blocking(move || {
        desk.write("labelled.jsonl", labelled(200).as_bytes());
        let of = ["calibrate-judge", "labelled.jsonl", "--rubric", "names the capital", "--endpoint", &endpoint, "--model", "judge"];
        let run = |more: &[&str]| desk.run(&[of.as_slice(), more].concat());
        let fit = run(&["--out", "calibration.json"]).is(0);
        // 80 of 100 good answers, 80 of 100 bad ones.
        assert!(fit.out.contains("kappa        0.6 ± ") && fit.out.contains("50 % are good"), "{fit:?}");
        assert!(fit.out.contains("sensitivity  80 % (") && fit.out.contains("80 of 100 good answers"), "{fit:?}");
        assert!(fit.out.contains("written to calibration.json"), "{fit:?}");
        let strict = run(&["--kappa-floor", "0.7"]).is(1);
        assert!(strict.out.contains("it may not decide: kappa between people and the judge is 0.60, below 0.7"), "{strict:?}");

        let json: Value = serde_json::from_str(&run(&["--json"]).is(0).out).unwrap();
        assert_eq!((&json["fit"], &json["sensitivity"]["share"]), (&json!(true), &json!(0.8)));
        // What a suite names as `calibration` is what was written: for its own rubric, and no other.
        let suite = |rubric: &str| {
            format!("checks = [{{ kind = \"cases\", cases = [{{ input = \"x\" }}], calibration = \"calibration.json\", kappa_floor = 0.5, assert = [{{ kind = \"rubric\", rubric = \"{rubric}\" }}] }}]")
        };
        let validate = |rubric: &str| {
            desk.write("suite.toml", suite(rubric).as_bytes());
            desk.run(&["validate", "m@1.0.0", "--suite", "suite.toml", "--endpoint", &endpoint])
        };
        validate("is short").is(2).says(&["calibrate it again"]);
        assert!(validate("names the capital").is(3).out.contains("inconclusive"));

        desk.write("labelled.jsonl", labelled(20).as_bytes());
        assert!(run(&[]).is(3).out.contains("it takes 100 in all"));
        desk.write("labelled.jsonl", b"{\"input\": \"x\", \"answer\": \"y\"}\n");
        run(&[]).is(2).says(&["line 1 of `labelled.jsonl` is no labelled answer", "missing field `good`"]);
    })
    .await
    .unwrap();
}

#[test]
fn verdicts_that_are_there_already_are_counted_and_nobody_is_asked() {
    let desk = Desk::new();
    let lines: String = labelled(200)
        .lines()
        .map(|line| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            line["judged"] = line["answer"].as_str().unwrap().contains("Paris").into();
            format!("{line}\n")
        })
        .collect();
    desk.write("judged.jsonl", lines.as_bytes());
    let of = ["calibrate-judge", "judged.jsonl", "--rubric", "names the capital"];
    let json = desk.json(&[of.as_slice(), &["--judge", "judge at home"]].concat());
    assert_eq!(
        (&json["kappa"]["kappa"].as_f64().map(|kappa| (kappa * 1e6).round()), &json["calibration"]["judge"]),
        (&Some(6e5), &json!("judge at home"))
    );
    desk.run(&of).is(2).says(&["--endpoint"]);
    desk.write("judged.jsonl", labelled(200).as_bytes());
    desk.run(&[of.as_slice(), &["--judge", "x"]].concat()).is(2).says(&["no line has a verdict as `judged`"]);
}
