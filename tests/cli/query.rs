//! `tidegate query`, against a scripted Prometheus and a page of metrics.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    thread,
};

use serde_json::json;

use super::desk::{Desk, Run};

/// Answers `count` requests, whatever they are, with this body.
fn server(count: usize, status: &'static str, body: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for _ in 0..count {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut request = [0; 16_384];
            let _ = stream.read(&mut request).expect("a request");
            let head =
                format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).expect("the client listens");
            stream.write_all(body.as_bytes()).expect("the client listens");
        }
    });
    format!("http://{address}")
}

/// A counter that rose from 100 to 300 in the window.
fn counters() -> String {
    let second = |second: u64, value: u64| json!([1_800_000_000_u64 + second, value.to_string()]);
    json!({"status": "success", "data": {"resultType": "matrix", "result": [{
        "metric": {"job": "model", "instance": "a"},
        "values": [second(0, 100), second(30, 100), second(60, 300)],
    }]}})
    .to_string()
}

fn file(desk: &Desk, url: &str, more: &str) -> String {
    let text = format!(
        "[prometheus]\nurl = {url:?}\n{more}\n[prometheus.queries.errors.proportion]\n\
         hits = 'requests_total{{version=\"{{{{version}}}}\",code=~\"5..\"}}'\n\
         trials = 'requests_total{{version=\"{{{{version}}}}\"}}'\n"
    );
    desk.write("source.toml", text.as_bytes());
    "source.toml".to_owned()
}

fn query(desk: &Desk, source: &str, more: &[&str]) -> Run {
    let mut arguments =
        vec!["query", "errors", "--source", source, "--end", "2027-01-15T08:01:00Z", "--window", "1m"];
    arguments.extend(more);
    desk.run(&arguments)
}

#[test]
fn it_says_what_was_observed_and_what_was_answered() {
    let desk = Desk::new();
    // The same answer to hits and to trials: 200 of 200.
    let source = file(&desk, &server(2, "200 OK", counters()), "");
    let run = query(&desk, &source, &["--label", "version=1.4.0", "--json"]).is(0);
    let answer: serde_json::Value = serde_json::from_str(&run.out).expect("JSON");
    assert_eq!(answer["measurement"], json!({"observed": {"proportion": {"hits": 200, "trials": 200}}}));
    assert_eq!(answer["evidence"].as_array().map(Vec::len), Some(2));
    let question = answer["evidence"][0]["question"].as_str().unwrap_or_default();
    assert!(question.contains("1.4.0"), "{question}");
    assert!(answer["evidence"][0]["answer"].as_str().unwrap_or_default().contains("matrix"));
}

#[test]
fn nothing_observed_is_inconclusive_and_a_refusal_refused() {
    let desk = Desk::new();
    let empty = json!({"status": "success", "data": {"resultType": "matrix", "result": []}}).to_string();
    let source = file(&desk, &server(2, "200 OK", empty), "");
    let run = query(&desk, &source, &["--label", "version=1.4.0"]).is(3);
    assert!(run.out.contains("nothing: no data"), "{run:?}");

    let source = file(&desk, &server(2, "401 Unauthorized", "who are you".to_owned()), "");
    query(&desk, &source, &["--label", "version=1.4.0"]).is(1).says(&["check its credentials"]);
    let source = file(&desk, "http://127.0.0.1:1", "");
    query(&desk, &source, &["--label", "version=1.4.0"]).is(4).says(&["is unavailable"]);
}

#[test]
fn what_is_missing_is_said_before_anything_is_sent() {
    let desk = Desk::new();
    let source = file(&desk, "http://127.0.0.1:1", "");
    query(&desk, &source, &[]).is(2).says(&["needs the label `version`"]);
    let source = file(&desk, "http://127.0.0.1:1", "auth = { bearer_env = \"NOT_SET_ANYWHERE\" }");
    query(&desk, &source, &["--label", "version=1.4.0"]).is(2).says(&["is not set"]);
    // A misspelt key is no key.
    let source = file(&desk, "http://127.0.0.1:1", "bearer_evn = \"X\"");
    query(&desk, &source, &["--label", "version=1.4.0"]).is(2).says(&["bearer_evn"]);
}

#[test]
fn the_catalogue_brings_the_queries() {
    let desk = Desk::new();
    let catalogue = "[prometheus]\nurl = \"http://127.0.0.1:1\"\n\
                     catalogue = { server = \"vllm\", matchers = 'version=\"{{version}}\"' }\n";
    let ask = |metric: &str| desk.run(&["query", metric, "--source", "vllm.toml", "--label", "version=1"]);
    desk.write("vllm.toml", catalogue.as_bytes());
    ask("nonsense").is(2).says(&["ttft", "kv_cache"]);
    desk.write("vllm.toml", catalogue.replace("\"vllm\"", "\"vlm\"").as_bytes());
    ask("ttft").is(2).says(&["no server `vlm`"]);
}

#[test]
fn pages_are_scraped_while_the_window_passes() {
    let desk = Desk::new();
    let page = "# TYPE requests_total counter\nrequests_total{version=\"1\",code=\"200\"} 7\n";
    let url = server(12, "200 OK", page.to_owned());
    let source = json!({"scrape": {
        "targets": [{"url": format!("{url}/metrics"), "labels": {"slot": "candidate"}}],
        "queries": {"errors": {"proportion": {
            "hits": r#"requests_total{slot="{{slot}}",code=~"5.."}"#,
            "trials": r#"requests_total{slot="{{slot}}"}"#,
        }}},
    }});
    desk.write("scrape.json", source.to_string().as_bytes());
    let asked =
        ["query", "errors", "--source", "scrape.json", "--label", "slot=candidate", "--window", "800ms"];
    // Nothing happened meanwhile, which is not a zero.
    let run = desk.run(&asked).is(3);
    assert!(run.out.contains("requests_total"), "{run:?}");
}
