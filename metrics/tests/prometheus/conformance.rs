//! The suite for every source, over a server that holds a history and selects from it as Prometheus does.

use tidegate_metrics::testkit::conformance::{self, Stocked};

use super::*;

/// Every series that the server holds of version 1.4.0, the window being that of [`minute`].
fn history() -> Vec<Value> {
    let named = |name, labels: &[(&str, &str)], values: &[&str]| {
        let mut series = series(labels, values);
        series["metric"]["__name__"] = json!(name);
        series
    };
    let bucket = |le, values: &[&str]| named("seconds_bucket", &[("le", le)], values);
    let mut queue = named("queue_length", &[("instance", "b")], &["2", "2", "3", "4", "5", "6"]);
    // Scraped 4 s after the others.
    for sample in queue["values"].as_array_mut().unwrap() {
        sample[0] = json!(sample[0].as_f64().unwrap() + 4.0);
    }
    vec![
        named("requests_total", &[("code", "500")], &["1", "1", "2", "2", "4", "4", "9"]),
        named("requests_total", &[("code", "200")], &["10", "20", "30", "40", "5", "60", "99"]),
        bucket("0.5", &["0", "5", "5", "6", "1", "2", "3"]),
        bucket("+Inf", &["0", "9", "9", "11", "2", "3", "4"]),
        named("queue_length", &[], &["7", "1", "0", "2.5", "3", "4", "5"]),
        queue,
        named("cost_sum", &[], &["1", "1.5", "2.75", "3", "0.25", "0.5", "7"]),
        named("cost_count", &[], &["4", "6", "7", "8", "1", "2", "9"]),
        natives(),
    ]
}

/// A native histogram as the server writes it, with a restart and a change of resolution.
fn natives() -> Value {
    let at = |second: i64| START as i64 + second;
    json!({
        "metric": {"__name__": "native_seconds", "job": "model", "instance": "a"},
        "histograms": [
            [at(0), {"count": "3", "sum": "1.1", "buckets": [
                [0, "0.1767766952966369", "0.25", "1"], [0, "0.7071067811865475", "1", "2"]]}],
            [at(15), {"count": "6", "sum": "9", "buckets": [
                [0, "0.1767766952966369", "0.25", "2"], [0, "0.7071067811865475", "1", "3"], [0, "2", "2.8284271247461903", "1"]]}],
            [at(30), {"count": "2", "sum": "1", "buckets": [[3, "-0.001", "0.001", "1"], [0, "0.25", "0.5", "1"]]}],
            [at(60), {"count": "4", "sum": "NaN", "buckets": [[3, "-0.001", "0.001", "1"], [0, "0.25", "0.5", "2"]]}],
        ]
    })
}

/// What the server has of `history` up to `time`, for the name and the labels in `query`.
fn select(history: &[Value], asked: &Asked) -> Reply {
    let form = asked.form();
    let field =
        |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()).unwrap();
    let (query, end) = (field("query"), field("time").parse::<f64>().unwrap());
    let (selector, range) = query.rsplit_once('[').unwrap();
    let start = end - range.trim_end_matches("ms]").parse::<f64>().unwrap() / 1000.0;
    let name = selector.split('{').next().unwrap();
    let selected = history.iter().filter(|series| {
        let is_error = series["metric"]["code"] == "500";
        series["metric"]["__name__"] == name
            && selector.contains(r#"version="1.4.0""#)
            && (!selector.contains("5..") || is_error)
    });
    matrix(selected.filter_map(|series| {
        let mut series = series.clone();
        for field in ["values", "histograms"] {
            if let Some(samples) = series.get_mut(field).and_then(Value::as_array_mut) {
                samples.retain(|sample| (start..=end).contains(&sample[0].as_f64().unwrap()));
            }
        }
        let is_empty = |field: &str| series[field].as_array().is_none_or(Vec::is_empty);
        (!is_empty("values") || !is_empty("histograms")).then_some(series)
    }))
}

async fn stocked(metric: &str, expected: Observation) -> Stocked<Prometheus> {
    let history = history();
    let script = Script::answering(move |asked| select(&history, asked)).await;
    Stocked {
        source: source(&script),
        metric: metric.into(),
        selector: candidate(),
        nobody: Selector::default().with("version", "0.0.0"),
        window: minute(),
        expected,
    }
}

macro_rules! conforms {
    ($($kind:ident: $metric:literal, $expected:expr;)*) => {$(
        mod $kind {
            use super::*;

            async fn stocked() -> Stocked<Prometheus> {
                super::stocked($metric, $expected).await
            }

            #[tokio::test]
            async fn answers_what_was_observed() {
                conformance::answers_what_was_observed(stocked).await;
            }

            #[tokio::test]
            async fn answers_the_same_again() {
                conformance::answers_the_same_again(stocked).await;
            }

            #[tokio::test]
            async fn says_that_nobody_was_observed() {
                conformance::says_that_nobody_was_observed(stocked).await;
            }

            #[tokio::test]
            async fn says_that_nothing_was_observed() {
                conformance::says_that_nothing_was_observed(stocked).await;
            }

            #[tokio::test]
            async fn consecutive_windows_add_up() {
                conformance::consecutive_windows_add_up(stocked).await;
            }
        }
    )*};
}

conforms! {
    // Errors rise by 1 and 2; the other counter by 10, 10, restarts with 5, and by 55.
    proportion: "errors", Observation::proportion(3, 83).unwrap();
    // At or below 0.5: 0, 1, restarted with 1, 1. In all: 0, 2, 2, 1.
    histogram: "latency", Observation::histogram(vec![0.5], vec![3, 2]).unwrap();
    // At each scrape of `a`: its own, and the newest of `b`.
    gauges: "queues", Observation::values(vec![2.0, 5.5, 7.0, 9.0]).unwrap();
    native: "native", Observation::histogram(vec![0.25, 0.5, 1.0], vec![1 + 1, 2, 1, 1 + 1]).unwrap();
    total: "cost", Observation::total(1.25 + 0.25 + 0.25 + 0.25, 1 + 1 + 1 + 1).unwrap();
}
