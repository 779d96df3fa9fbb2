//! `CloudWatch` against a scripted server on loopback and, where one is installed, against MiniStack.

#![cfg(feature = "cloudwatch")]
#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

mod answers;
mod conformance;
mod credentials;
mod live;
#[path = "../../../tests/ports/mod.rs"]
mod ports;
mod question;
#[path = "../script/mod.rs"]
mod script;
mod secrets;

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tidegate_metrics::{
    CloudWatch, Error, Http, Measurement, Metric, MetricsSource, Missing, Observation, Selector, Window,
    cloudwatch::{Credentials, MetricStat},
    query::Query,
};

use script::{Asked, Reply, Script, chain, client};

const START: u64 = 1_800_000_000;
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const TOKEN: &str = "FwoGZXIvYXdzEXAMPLETOKEN/+==";

fn at(second: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(START + second)
}

fn minute() -> Window {
    Window::new(at(0), at(60)).unwrap()
}

fn five_minutes() -> Window {
    Window::new(at(0), at(300)).unwrap()
}

fn candidate() -> Selector {
    Selector::default().with("version", "1.4.0")
}

fn key() -> Credentials {
    Credentials::new("AKIDEXAMPLE", SECRET)
}

fn stat(metric: &str, stat: &str) -> MetricStat {
    MetricStat::new("Model", metric, [("Version", "{{version}}")], stat).unwrap()
}

/// In the Frankfurt region, as far as the signature goes, three minutes after the window.
fn source_at(url: &str, http: impl Into<Http>, credentials: Credentials) -> CloudWatch {
    CloudWatch::new(http, "eu-central-1", credentials, || at(200))
        .unwrap()
        .at(url)
        .unwrap()
        .with_query(Metric::errors(), Query::proportion(stat("Errors", "Sum"), stat("Requests", "Sum")))
        .with_query(Metric::latency(), Query::values(stat("Latency", "p95")))
        .with_query(Metric::new("tokens"), Query::total(stat("Tokens", "Sum"), stat("Tokens", "SampleCount")))
}

fn source(script: &Script) -> CloudWatch {
    source_at(&script.url(), client(), key())
}

/// A result as CloudWatch writes it.
fn result(status: &str, points: &[(u64, f64)]) -> Value {
    let timestamps: Vec<_> = points.iter().map(|(second, _)| (START + second) as f64).collect();
    let values: Vec<_> = points.iter().map(|(_, value)| *value).collect();
    json!({"Id": "q", "Label": "x", "StatusCode": status, "Timestamps": timestamps, "Values": values})
}

fn page(results: &[Value], next: Option<&str>) -> Reply {
    let mut body = json!({"MetricDataResults": results, "Messages": []});
    if let Some(next) = next {
        body["NextToken"] = json!(next);
    }
    Reply::Body(200, body.to_string())
}

fn complete(points: &[(u64, f64)]) -> Reply {
    page(&[result("Complete", points)], None)
}

fn refusal(status: u16, kind: &str, message: &str) -> Reply {
    Reply::Body(status, json!({"__type": kind, "message": message}).to_string())
}

async fn ask(
    metric: Metric,
    window: Window,
    replies: impl IntoIterator<Item = Reply>,
) -> (Result<Measurement, Error>, Vec<Asked>) {
    let script = Script::serve(replies).await;
    let measured = source(&script).observe(&metric, &candidate(), window).await;
    (measured, script.asked())
}

async fn latency(replies: impl IntoIterator<Item = Reply>) -> Result<Measurement, Error> {
    ask(Metric::latency(), five_minutes(), replies).await.0
}

fn readings(values: &[f64]) -> Measurement {
    Observation::values(values.to_vec()).unwrap().into()
}

fn counted(hits: u64, trials: u64) -> Measurement {
    Observation::proportion(hits, trials).unwrap().into()
}

fn no_data() -> Measurement {
    Missing::NoData.into()
}
