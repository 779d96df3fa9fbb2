//! `tidegate smoke`, `load` and `bench` against a server of this test.

use std::{net::SocketAddr, time::Duration};

use axum::{Router, routing::post};
use serde_json::{Value, json};
use tokio::{net::TcpListener, time::sleep};

use super::desk::{Desk, Run};

/// Serves a model that says `billing`, in two parts, after so long.
async fn serve(after: Duration) -> String {
    let said = |text: &str| json!({"choices": [{"index": 0, "delta": {"content": text}}]});
    let last = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
    let counts = json!({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}});
    let events = [said("bill"), said("ing"), last, counts].map(|event| format!("data: {event}\n\n")).concat();
    let whole = json!({
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "billing"}, "finish_reason": "stop"}],
    });
    let answer = move |asked: axum::Json<Value>| {
        let (kind, body) = match asked["stream"].as_bool() {
            Some(true) => ("text/event-stream", events.clone()),
            _ => ("application/json", whole.to_string()),
        };
        async move {
            sleep(after).await;
            ([("content-type", kind)], body)
        }
    };
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("a free port");
    let address = listener.local_addr().expect("a bound address");
    let routes = Router::new().route("/v1/chat/completions", post(answer));
    tokio::spawn(async { axum::serve(listener, routes).await });
    format!("http://{address}/v1")
}

/// Runs a command on a thread of its own.
async fn run(desk: Desk, arguments: Vec<String>) -> (Desk, Run) {
    let run = move || {
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let run = desk.run(&arguments);
        (desk, run)
    };
    tokio::task::spawn_blocking(run).await.expect("the run does not panic")
}

fn words(command: &str, url: &str) -> Vec<String> {
    command
        .split_whitespace()
        .map(|word| if word == "URL" { url.to_owned() } else { word.to_owned() })
        .collect()
}

#[tokio::test]
async fn smoke_asks_and_says_what_was_answered() {
    let url = serve(Duration::from_millis(1)).await;
    let (desk, passed) =
        run(Desk::new(), words("smoke URL --ask charged?=>billing --ask hello --json", &url)).await;
    let answer: Value = serde_json::from_str(&passed.is(0).out).unwrap();
    assert_eq!(
        (&answer["verdict"], &answer["looks"][0]["finding"]["verdict"]),
        (&json!("pass"), &json!("pass"))
    );
    let (desk, failed) = run(desk, words("smoke URL --ask parcel?=>shipping", &url)).await;
    assert!(failed.is(1).out.contains("`shipping` expected, `billing` answered"));
    let (_, late) = run(desk, words("smoke URL --within 1ms", &serve(Duration::from_secs(9)).await)).await;
    assert!(late.is(1).out.contains("no answer"));
}

#[tokio::test]
async fn load_says_what_it_withstood() {
    let url = serve(Duration::from_millis(20)).await;
    let load = "load URL --rate 100 --duration 3s --warmup 100ms --limit p95=2s --limit ttft.p95=2s";
    let (desk, passed) = run(Desk::new(), words(&format!("{load} --json"), &url)).await;
    let answer: Value = serde_json::from_str(&passed.out).unwrap();
    let summary = &answer["summary"];
    // Whether this machine keeps up is not for this test to say.
    if summary["flaw"].is_null() {
        assert_eq!((passed.status, &answer["verdict"]), (0, &json!("pass")), "{answer:#}");
    }
    assert_eq!(summary["counts"]["answered"], summary["counts"]["due"]);
    let at = |of: &str| summary[of]["quantiles"][0]["value"].as_f64().unwrap();
    assert!(
        at("latency") >= 0.0199 && at("ttft") >= 0.0199 && at("latency") >= at("serviceLatency"),
        "{answer:#}"
    );
    let (desk, shown) = run(desk, words(load, &url)).await;
    for told in ["latency as scheduled", "time to first token", "of warm-up not counted", "█"] {
        assert!(shown.out.contains(told), "{told}: {shown:?}");
    }
    let (_, failed) =
        run(desk, words("load URL --rate 100 --duration 2s --warmup 0s --limit p50=1ms", &url)).await;
    assert!(failed.status == 1 || failed.out.contains("could not keep up"), "{failed:?}");
}

#[tokio::test]
async fn load_goes_to_nobody_who_was_not_named() {
    let desk = Desk::new();
    desk.run(&["load", "http://10.1.2.3:8000/v1", "--duration", "1s"])
        .is(2)
        .says(&["10.1.2.3", "--allow-host"]);
    desk.run(&["load", "http://localhost.example.com/v1", "--duration", "1s"]).is(2).says(&["--allow-host"]);
    desk.run(&["load", "http://127.0.0.1:1/v1", "--rate", "0"]).is(2).says(&["sends nothing"]);
    desk.run(&["load", "http://127.0.0.1:1/v1", "--limit", "p95"]).is(2).says(&["p99=8s"]);
    desk.run(&["smoke", "http://10.1.2.3:8000/v1"]).is(2).says(&["10.1.2.3", "--allow-host"]);
    let bench = ["bench", "m@1.0.0", "http://127.0.0.1:1/v1", "--tolerance", "inf"];
    desk.run(&bench).is(2).says(&["a share from 0 on"]);
    let gone = ["load", "http://127.0.0.1:1/v1", "--rate", "50", "--duration", "1s", "--warmup", "0s"];
    assert!(desk.run(&gone).is(3).out.contains("cannot connect"));
}

#[tokio::test]
async fn bench_does_not_record_what_says_nothing_of_the_version() {
    let url = serve(Duration::from_millis(100)).await;
    // One at a time takes a tenth of them.
    let load = "bench m@1.0.0 URL --rate 100 --duration 1s --warmup 0s --constant --in-flight 1";
    let (desk, told) = run(Desk::published(), words(load, &url)).await;
    let told = told.is(3).out;
    assert!(told.contains("requests were dropped") && told.contains("not recorded"), "{told}");
    assert_eq!(desk.json(&["show", "m@1.0.0"])["attestations"], json!([]));
}

#[tokio::test]
async fn bench_records_and_compares_with_the_version_before() {
    let url = serve(Duration::from_millis(20)).await;
    let desk = Desk::published();
    desk.run(&["publish", "m@1.1.0", "model"]).is(0);
    let load = "--rate 100 --duration 4s --warmup 100ms --constant --limit p95=9s --json --tolerance 9";
    let bench = |version: &str, more: &str| words(&format!("bench m@{version} URL {load} {more}"), &url);
    let json = |run: &Run| -> Value { serde_json::from_str(&run.out).unwrap() };
    let flaw = |of: &Value| !of["benchmark"]["summary"]["flaw"].is_null();
    let (mut desk, mut first) = run(desk, bench("1.0.0", "")).await;
    // On a machine that is too busy to send in time nothing is attested.
    for _ in 0..9 {
        if flaw(&json(&first)) {
            assert_eq!((first.status, &json(&first)["attested"]), (3, &json!(false)), "{first:?}");
            (desk, first) = run(desk, bench("1.0.0", "")).await;
        }
    }
    let first = json(&first);
    assert_eq!((&first["attested"], &first["against"]), (&json!(true), &Value::Null), "{first:#}");
    let stated = &desk.json(&["show", "m@1.0.0"])["attestations"][0];
    assert_eq!(stated["predicateType"], "tidegate:benchmark/v1");
    assert_eq!(stated["predicate"], first["benchmark"]);

    let (desk, second) = run(desk, bench("1.1.0", "--dry-run")).await;
    let answer = json(&second);
    assert_eq!(answer["against"], "m@1.0.0", "{answer:#}");
    if !flaw(&answer) {
        assert_eq!(answer["comparison"]["differences"], json!([]));
        let ratio = &answer["comparison"]["ratios"][0];
        assert!(ratio["ratio"].as_f64().unwrap() > 0.1 && ratio["lower"].is_number(), "{ratio}");
        // Nor are times that hang together so much that few of them bound anything.
        let unbounded = answer["compared"].to_string().contains("too few requests for bounds");
        assert_eq!(second.status, if unbounded { 3 } else { 0 }, "{answer:#}");
    }
    assert_eq!(desk.json(&["show", "m@1.1.0"])["attestations"], json!([]));

    let other = words("bench m@1.1.0 URL --rate 50 --duration 2s --warmup 0s --json --dry-run", &url);
    let (desk, third) = run(desk, other).await;
    let differences = json(&third)["comparison"]["differences"].to_string();
    assert!(third.status == 3 && differences.contains("settings"), "{third:?}");

    // Two servers, if they are the same one, bear more than one.
    let twice = format!("bench m@1.1.0 URL URL {load} --dry-run");
    let (_, fourth) = run(desk, words(&twice, &url)).await;
    let differences = json(&fourth)["comparison"]["differences"].to_string();
    let urls = "URLs: 1 (/v1) before, 2 (/v1, /v1) now";
    assert!(fourth.status == 3 && differences.contains(urls), "{fourth:?}");
}
