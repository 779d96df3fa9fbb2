//! `Prometheus` against a scripted server on loopback, and, where one is installed, against the real thing.

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

mod conformance;
mod credentials;
mod live;
#[path = "../../../tests/ports/mod.rs"]
mod ports;
#[path = "../process/mod.rs"]
mod process;
mod readings;
#[path = "../script/mod.rs"]
mod script;

use std::time::{Duration, SystemTime};

use script::{Asked, Reply, Script, chain, client};
use serde_json::{Value, json};
use tidegate_metrics::{
    Error, Http, Measurement, Metric, MetricsSource, Missing, Observation, Prometheus, Selector, Window,
    prometheus::{Aggregate, Edges, Query, Template},
};

const START: u64 = 1_800_000_000;

/// `name`, of the version that is asked for.
fn of_version(name: &str) -> Template {
    format!(r#"{name}{{version="{{{{version}}}}"}}"#).parse().unwrap()
}

fn queries() -> [(Metric, Query); 6] {
    let hits = r#"requests_total{version="{{version}}",code=~"5.."}"#.parse().unwrap();
    [
        (Metric::errors(), Query::proportion(hits, of_version("requests_total"))),
        (Metric::latency(), Query::histogram(of_version("seconds_bucket"))),
        ("queue".into(), Query::gauge(of_version("queue_length"))),
        ("queues".into(), Query::gauges(of_version("queue_length"), Aggregate::Sum)),
        (
            "native".into(),
            Query::native_histogram(of_version("native_seconds"), Edges::powers_of_two(-2, 0).unwrap()),
        ),
        ("cost".into(), Query::total(of_version("cost_sum"), of_version("cost_count"))),
    ]
}

fn over(http: impl Into<Http>, script: &Script) -> Prometheus {
    Prometheus::new(http, &format!("{}/base/", script.url())).unwrap().with_queries(queries())
}

fn source(script: &Script) -> Prometheus {
    over(client(), script)
}

fn candidate() -> Selector {
    Selector::default().with("version", "1.4.0")
}

fn at(second: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(START + second)
}

fn minute() -> Window {
    Window::new(at(0), at(60)).unwrap()
}

/// A series of target `a`, sampled every 15 s from 15 s before the window on.
fn series(labels: &[(&str, &str)], values: &[&str]) -> Value {
    let mut metric = json!({"job": "model", "instance": "a"});
    for (label, value) in labels {
        metric[label] = json!(value);
    }
    let samples: Vec<_> = values
        .iter()
        .enumerate()
        .map(|(i, value)| json!([(START + 15 * i as u64) as f64 - 15.0, value]))
        .collect();
    json!({"metric": metric, "values": samples})
}

fn matrix(series: impl IntoIterator<Item = Value>) -> Reply {
    let result: Vec<_> = series.into_iter().collect();
    let body = json!({"status": "success", "data": {"resultType": "matrix", "result": result}});
    Reply::Body(200, body.to_string())
}

async fn measured(metric: &str, replies: impl IntoIterator<Item = Reply>) -> Result<Measurement, Error> {
    let script = Script::serve(replies).await;
    let hasty = over(Http::new(client()).with_retries(0), &script);
    hasty.observe(&metric.into(), &candidate(), minute()).await
}

async fn errors(replies: impl IntoIterator<Item = Reply>) -> Result<Measurement, Error> {
    measured(Metric::ERRORS, replies).await
}

async fn latency(replies: impl IntoIterator<Item = Reply>) -> Result<Measurement, Error> {
    measured(Metric::LATENCY, replies).await
}

fn counted(hits: u64, trials: u64) -> Measurement {
    Observation::proportion(hits, trials).unwrap().into()
}

mod question {
    use super::*;

    #[tokio::test]
    async fn it_reaches_back_and_ends_with_the_window() {
        let script = Script::serve([matrix([]), matrix([])]).await;
        source(&script).observe(&Metric::errors(), &candidate(), minute()).await.unwrap();
        let asked = script.asked();
        assert_eq!(asked.len(), 2, "hits, then trials");
        assert_eq!((asked[0].method.as_str(), asked[0].uri.path()), ("POST", "/base/api/v1/query"));
        let form = asked[0].form();
        assert_eq!(
            form[0],
            ("query".into(), r#"requests_total{version="1.4.0",code=~"5.."}[360000ms]"#.into())
        );
        assert_eq!(form[1], ("time".into(), format!("{}.000", START + 60)));
    }

    #[tokio::test]
    async fn what_cannot_be_asked_is_not_sent() {
        let script = Script::serve([]).await;
        let source = source(&script);
        let lacking = source.observe(&Metric::errors(), &Selector::default(), minute()).await.unwrap_err();
        assert!(matches!(&lacking, Error::MissingLabel { label, .. } if label == "version"), "{lacking}");
        let unknown = source.observe(&Metric::new("tokens"), &candidate(), minute()).await.unwrap_err();
        assert!(
            matches!(&unknown, Error::UnknownMetric { known, .. } if known.starts_with("cost, errors")),
            "{unknown}"
        );
        assert_eq!(script.asked().len(), 0);
    }

    #[tokio::test]
    async fn a_password_is_in_no_text() {
        // Nobody listens on port 1.
        let source = Prometheus::new(client(), "http://someone:s3cret@127.0.0.1:1/?token=s3cret").unwrap();
        let query = Query::histogram(r#"x{v="{{version}}"}"#.parse().unwrap());
        let source = source.with_query(Metric::latency(), query);
        let error = source.observe(&Metric::latency(), &candidate(), minute()).await.unwrap_err();
        assert!(error.is_transient());
        let missing = Missing::from(&error).to_string();
        for text in [source.to_string(), format!("{source:?}"), chain(&error), format!("{error:?}"), missing]
        {
            assert!(!text.contains("s3cret") && !text.contains("someone"), "{text}");
        }
        for wrong in ["localhost:9090", "/api", "ftp://someone:s3cret@host/", "http://someone:s3cret@:x/"] {
            let error = Prometheus::new(client(), wrong).unwrap_err();
            assert!(!format!("{error:?} {}", chain(&error)).contains("s3cret"), "{error:?}");
        }
    }
}

mod counts {
    use super::*;

    #[tokio::test]
    async fn they_are_whole_and_start_from_the_sample_before() {
        let hits = series(&[("code", "500")], &["1", "1", "2", "2", "4", "4", "9"]);
        let ok = series(&[("code", "200")], &["10", "20", "30", "40", "50", "60", "99"]);
        // The base is the sample at 0 s, the last is at 60 s; those at −15 s and at 75 s are of other windows.
        assert_eq!(errors([matrix([hits.clone()]), matrix([hits, ok])]).await.unwrap(), counted(3, 43));
    }

    #[tokio::test]
    async fn a_restart_counts_from_zero() {
        let trials = series(&[("code", "200")], &["90", "100", "110", "5", "15", "25"]);
        assert_eq!(errors([matrix([]), matrix([trials])]).await.unwrap(), counted(0, 35));
    }

    #[tokio::test]
    async fn the_first_error_of_a_known_target_counts() {
        let mut first = series(&[("code", "500")], &["", "", "", "", "1", "1"]);
        first["values"].as_array_mut().unwrap().drain(..4);
        let ok = series(&[("code", "200")], &["0", "10", "20", "30", "40", "50"]);
        assert_eq!(errors([matrix([first.clone()]), matrix([first, ok])]).await.unwrap(), counted(1, 41));
    }

    #[tokio::test]
    async fn histograms_are_summed_over_targets_and_taken_apart() {
        let bucket = |le: &str, instance: &str, values: [&str; 6]| {
            series(&[("le", le), ("instance", instance)], &values)
        };
        let measured = latency([matrix([
            bucket("+Inf", "a", ["0", "10", "10", "10", "10", "20"]),
            bucket("0.5", "a", ["0", "5", "5", "5", "5", "12"]),
            bucket("1", "a", ["0", "8", "8", "8", "8", "17"]),
            // Restarted: `+Inf` fell from 10 to 6, which shows that the 4 in `1` are new as well.
            bucket("0.5", "b", ["0", "0", "0", "0", "1", "1"]),
            bucket("1", "b", ["0", "4", "4", "4", "4", "4"]),
            bucket("+Inf", "b", ["0", "10", "10", "10", "6", "6"]),
        ])])
        .await
        .unwrap();
        let expected = Observation::histogram(vec![0.5, 1.0], vec![7 + 1, 2 + 3, 1 + 2]).unwrap();
        assert_eq!(measured, Measurement::Observed(expected));
    }

    #[tokio::test]
    async fn buckets_that_do_not_fit_are_an_error() {
        let rising = ["0", "10", "10", "10", "10", "20"];
        for (replies, cause) in [
            (vec![series(&[("le", "1")], &rising)], "+Inf"),
            (vec![series(&[], &rising)], "`le`"),
            (vec![series(&[("le", "1")], &rising), series(&[("le", "+Inf")], &["0"; 6])], "rise"),
            (
                vec![
                    series(&[("le", "+Inf")], &rising),
                    series(&[("le", "1"), ("pod", "b")], &rising),
                    series(&[("le", "+Inf"), ("pod", "b")], &rising),
                ],
                "different buckets",
            ),
        ] {
            let error = latency([matrix(replies)]).await.unwrap_err();
            assert!(
                matches!(error, Error::Malformed { .. }) && chain(&error).contains(cause),
                "{}",
                chain(&error)
            );
        }
    }
}

mod absence {
    use super::*;

    async fn missing(replies: impl IntoIterator<Item = Reply>) -> Missing {
        match errors(replies).await.unwrap() {
            Measurement::Missing(missing) => missing,
            other => panic!("{other:?} is not missing"),
        }
    }

    #[tokio::test]
    async fn nothing_selected_or_nothing_happened_is_no_data() {
        assert_eq!(missing([matrix([]), matrix([])]).await, Missing::NoData);
        let idle = series(&[], &["7"; 6]);
        assert_eq!(missing([matrix([]), matrix([idle])]).await, Missing::NoData);
    }

    #[tokio::test]
    async fn what_is_not_a_number_is_said() {
        for odd in ["NaN", "+Inf", "-Inf"] {
            let trials = series(&[], &["1", "2", odd, "3", "4", "5"]);
            assert_eq!(missing([matrix([]), matrix([trials])]).await, Missing::NotANumber, "{odd}");
        }
    }

    #[tokio::test]
    async fn old_samples_are_stale_not_idle() {
        let before_the_window = series(&[], &["1", "2"]);
        assert_eq!(
            missing([matrix([]), matrix([before_the_window])]).await,
            Missing::Stale { age: Duration::from_secs(60) }
        );
        let script = Script::serve([matrix([]), matrix([series(&[], &["1", "2", "3"])])]).await;
        let impatient = source(&script).with_staleness(Duration::from_secs(30));
        let measured = impatient.observe(&Metric::errors(), &candidate(), minute()).await.unwrap();
        assert_eq!(measured, Missing::Stale { age: Duration::from_secs(45) }.into());
    }

    #[tokio::test]
    async fn a_partial_answer_is_none() {
        let body = json!({"status": "success", "warnings": ["remote read failed"],
            "data": {"resultType": "matrix", "result": [series(&[], &["1", "2", "3", "4", "5", "6"])]}});
        let Missing::SourceError { cause, retryable } = missing([Reply::Body(200, body.to_string())]).await
        else {
            panic!("warnings are a source error")
        };
        assert!(retryable && cause.contains("remote read failed"), "{cause}");
    }
}

mod failure {
    use super::*;

    fn refusal(status: u16, kind: &str) -> Reply {
        let body = json!({"status": "error", "errorType": kind, "error": "parse error: unexpected \"(\""});
        Reply::Body(status, body.to_string())
    }

    #[tokio::test]
    async fn a_wrong_query_is_the_callers_to_mend() {
        for reply in [refusal(400, "bad_data"), refusal(422, "execution"), refusal(200, "bad_data")] {
            let error = errors([reply]).await.unwrap_err();
            assert!(matches!(error, Error::Malformed { .. }) && !error.is_transient());
            assert!(chain(&error).contains("parse error"), "{}", chain(&error));
        }
    }

    #[tokio::test]
    async fn an_outage_is_worth_another_try() {
        let html = |status| Reply::Body(status, "<html>gone\u{1b}[31m</html>".to_owned());
        for reply in [refusal(503, "timeout"), html(503), html(502), html(429)] {
            let error = errors([reply]).await.unwrap_err();
            assert!(matches!(error, Error::Unavailable { .. }) && error.is_transient(), "{}", chain(&error));
            assert!(!chain(&error).contains('\u{1b}'));
        }
    }

    #[tokio::test]
    async fn refused_credentials_are_not() {
        for status in [401, 403] {
            let error = errors([Reply::Body(status, "no".to_owned())]).await.unwrap_err();
            assert!(matches!(error, Error::Denied { .. }) && !error.is_transient(), "{}", chain(&error));
        }
    }

    #[tokio::test]
    async fn what_is_no_answer_is_refused() {
        let vector = json!({"status": "success", "data": {"resultType": "vector", "result": []}}).to_string();
        let deep = vector.replace("[]", &"[".repeat(100_000));
        // The answer to the second question, since nobody looks at the first before.
        let native = json!({"status": "success", "data": {"resultType": "matrix",
            "result": [{"metric": {}, "histograms": [[START + 30, {"count": "1"}]]}]}});
        let fraction = matrix([series(&[], &["0", "0.5", "1", "1", "1", "2"])]);
        let more_hits = matrix([series(&[], &["0", "0", "3", "4", "5", "6"])]);
        let fewer_trials = matrix([series(&[], &["0", "0", "1", "1", "1", "2"])]);
        for (replies, cause) in [
            (vec![Reply::Body(200, deep)], "expected a series"),
            (vec![Reply::Body(200, "OK".to_owned())], "expected value"),
            (vec![Reply::Body(404, "no such page".to_owned())], "404"),
            (vec![Reply::Body(200, vector)], "vector"),
            (vec![matrix([]), Reply::Body(200, native.to_string())], "native histograms"),
            (vec![matrix([]), fraction], "whole numbers"),
            (vec![more_hits, fewer_trials], "6 hits of 2 trials"),
        ] {
            let error = errors(replies).await.unwrap_err();
            assert!(matches!(error, Error::Malformed { .. }), "{}", chain(&error));
            assert!(chain(&error).contains(cause), "{}", chain(&error));
        }
    }

    #[tokio::test]
    async fn an_endless_answer_is_cut_off() {
        let script = Script::serve([Reply::Body(200, " ".repeat(100_000))]).await;
        let source = over(Http::new(client()).with_response_limit(10_000), &script);
        let error = source.observe(&Metric::errors(), &candidate(), minute()).await.unwrap_err();
        assert!(chain(&error).contains("longer than 10000 bytes"), "{}", chain(&error));
    }

    #[tokio::test]
    async fn a_server_that_hangs_is_left() {
        let script = Script::serve([Reply::Hang]).await;
        let source = over(Http::new(client()).with_timeout(Duration::from_millis(50)), &script);
        let error = source.observe(&Metric::errors(), &candidate(), minute()).await.unwrap_err();
        assert!(matches!(error, Error::Unavailable { .. }), "{}", chain(&error));
    }
}
