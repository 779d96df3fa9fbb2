//! `Datadog` against a server on loopback that sums by intervals as Datadog does.

#![cfg(feature = "datadog")]
#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

mod script;

use std::time::{Duration, SystemTime};

use reqwest::header::HeaderValue;
use script::{Asked, Reply, Script, chain, client};
use serde_json::{Value, json};
use tidegate_metrics::{
    Datadog, Error, Http, Measurement, Metric, MetricsSource, Missing, Observation, Selector, Window,
    query::Query,
};

const START: u64 = 1_800_000_000;
const KEYS: [&str; 2] = ["api-key-5d41", "application-key-402a"];

fn over(http: impl Into<Http>, script: &Script) -> Datadog {
    let errors = Query::proportion(
        "sum:model.requests{version:{{version}},status:error}.as_count()".parse().unwrap(),
        "sum:model.requests{version:{{version}}}.as_count()".parse().unwrap(),
    );
    let queue = Query::values("avg:model.queue{version:{{version}}}".parse().unwrap());
    Datadog::new(http, &script.url(), KEYS.map(HeaderValue::from_static))
        .unwrap()
        .with_query(Metric::errors(), errors)
        .with_query(Metric::new("queue"), queue)
}

fn candidate() -> Selector {
    Selector::default().with("version", "1.5.0")
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(START + seconds)
}

fn window(start: u64, end: u64) -> Window {
    Window::new(at(start), at(end)).unwrap()
}

/// One series: seconds after the start of the history, and values.
fn series(points: &[(u64, Option<f64>)]) -> Reply {
    let (times, values): (Vec<_>, Vec<_>) =
        points.iter().map(|&(second, value)| ((START + second) * 1000, value)).unzip();
    answer(
        json!({"series": [{"group_tags": [], "query_index": 0, "unit": null}], "times": times, "values": [values]}),
    )
}

fn answer(attributes: Value) -> Reply {
    let data = json!({"id": "0", "type": "timeseries_response", "attributes": attributes});
    Reply::Body(200, json!({"data": data}).to_string())
}

fn nothing() -> Reply {
    answer(json!({"series": [], "times": [], "values": []}))
}

async fn observe(replies: impl IntoIterator<Item = Reply>, metric: &Metric) -> Result<Measurement, Error> {
    let script = Script::serve(replies).await;
    over(client(), &script).observe(metric, &candidate(), window(0, 60)).await
}

async fn errors(replies: impl IntoIterator<Item = Reply>) -> Result<Measurement, Error> {
    observe(replies, &Metric::errors()).await
}

async fn readings(reply: Reply) -> Result<Measurement, Error> {
    observe([reply], &Metric::new("queue")).await
}

mod question {
    use super::*;

    #[tokio::test]
    async fn it_names_the_window_the_step_and_the_side() {
        let script = Script::serve([nothing(), nothing()]).await;
        over(client(), &script).observe(&Metric::errors(), &candidate(), window(0, 60)).await.unwrap();
        let [hits, trials] = <[Asked; 2]>::try_from(script.asked()).unwrap();
        assert_eq!((hits.method.as_str(), hits.uri.path()), ("POST", "/api/v2/query/timeseries"));
        assert_eq!(hits.header("DD-API-KEY"), Some(KEYS[0]));
        assert_eq!(hits.header("DD-APPLICATION-KEY"), Some(KEYS[1]));
        assert_eq!(hits.header("content-type"), Some("application/json"));
        let attributes = json!({
            "formulas": [{"formula": "a"}],
            "queries": [{"data_source": "metrics", "name": "a",
                "query": "sum:model.requests{version:1.5.0,status:error}.as_count()"}],
            "from": 1_800_000_000_000_u64, "to": 1_800_000_060_000_u64, "interval": 10_000,
        });
        assert_eq!(hits.json(), json!({"data": {"type": "timeseries_request", "attributes": attributes}}));
        let query = &trials.json()["data"]["attributes"]["queries"][0]["query"];
        assert_eq!(query, "sum:model.requests{version:1.5.0}.as_count()");
    }

    #[tokio::test]
    async fn what_would_not_fit_is_not_asked() {
        let script = Script::serve([]).await;
        let source = over(client(), &script);
        let ask = async |source: &Datadog, selector: Selector, window: Window| {
            source.observe(&Metric::errors(), &selector, window).await.unwrap_err()
        };
        let error = ask(&source, Selector::default().with("slot", "a"), window(0, 60)).await;
        assert!(matches!(&error, Error::MissingLabel { label, .. } if label == "version"), "{error}");
        for hostile in ["", "*", "a} by {host", "a,env:b", "a OR version:b", "a\n", "1.5.0+b1", "{{version}}"]
        {
            let error = ask(&source, Selector::default().with("version", hostile), window(0, 60)).await;
            assert!(matches!(error, Error::UnfitLabel { .. }), "{hostile}: {error}");
        }
        let half = Duration::from_millis(500);
        let odd = [
            window(0, 55),
            window(5, 65),
            Window::new(at(0) + half, at(60) + half).unwrap(),
            Window::new(at(0), at(60) + Duration::from_nanos(1)).unwrap(),
        ];
        for window in odd {
            let error = ask(&source, candidate(), window).await;
            assert!(chain(&error).contains("multiples of the step, 10s"), "{}", chain(&error));
        }
        let error = ask(&source, candidate(), window(0, 15_010)).await;
        assert!(chain(&error).contains("1501 steps"), "{}", chain(&error));
        let error =
            ask(&source.clone().with_step(Duration::from_millis(31_900)), candidate(), window(0, 60)).await;
        assert!(chain(&error).contains("the step, 32s"), "{}", chain(&error));
        for rollup in ["sum:a{v:{{v}}}.as_count().rollup(sum, 60)", "sum:a{v:{{v}}}.rollup(60)"] {
            let source = source.clone().with_query(Metric::new("a"), Query::values(rollup.parse().unwrap()));
            let selector = Selector::default().with("v", "1");
            let error = source.observe(&Metric::new("a"), &selector, window(0, 60)).await.unwrap_err();
            assert!(chain(&error).contains("interval in rollup()"), "{}", chain(&error));
        }
        assert!(script.asked().is_empty());
    }

    #[tokio::test]
    async fn another_step_asks_for_other_windows() {
        let script = Script::serve([series(&[(5, Some(2.0)), (10, Some(3.0))])]).await;
        let source = over(client(), &script).with_step(Duration::from_secs(5));
        let measured = source.observe(&Metric::new("queue"), &candidate(), window(5, 15)).await.unwrap();
        assert_eq!(measured, Observation::values(vec![2.0, 3.0]).unwrap().into());
        assert_eq!(script.asked()[0].json()["data"]["attributes"]["interval"], 5000);
    }

    #[test]
    fn keys_are_not_shown() {
        let source =
            Datadog::new(client(), "https://user:pass@api.datadoghq.com", KEYS.map(HeaderValue::from_static))
                .unwrap();
        let shown = format!("{source} {source:?}");
        for secret in KEYS.iter().chain(&["pass", "user"]) {
            assert!(!shown.contains(secret), "{shown}");
        }
        Datadog::new(client(), "api.datadoghq.com", KEYS.map(HeaderValue::from_static)).unwrap_err();
    }
}

mod reading {
    use super::*;

    #[tokio::test]
    async fn intervals_are_summed_and_empty_ones_left_out() {
        let hits = series(&[(10, Some(1.0)), (20, None), (50, Some(2.0))]);
        let trials = series(&[(0, Some(10.0)), (20, Some(20.0)), (50, Some(30.000_000_000_1))]);
        assert_eq!(errors([hits, trials]).await.unwrap(), Observation::proportion(3, 60).unwrap().into());
    }

    #[tokio::test]
    async fn no_errors_yet_are_none() {
        let trials = || series(&[(0, Some(10.0))]);
        for hits in [nothing(), series(&[(0, None)]), series(&[])] {
            assert_eq!(
                errors([hits, trials()]).await.unwrap(),
                Observation::proportion(0, 10).unwrap().into()
            );
        }
    }

    #[tokio::test]
    async fn nothing_is_no_data() {
        for trials in
            [nothing(), series(&[(0, None), (10, None)]), series(&[(0, Some(0.0))]), answer(json!({}))]
        {
            assert_eq!(errors([nothing(), trials]).await.unwrap(), Missing::NoData.into());
        }
    }

    #[tokio::test]
    async fn an_interval_at_the_end_is_of_the_next_window() {
        let reply = series(&[(0, Some(1.0)), (50, Some(2.0)), (60, Some(4.0))]);
        assert_eq!(readings(reply).await.unwrap(), Observation::values(vec![1.0, 2.0]).unwrap().into());
    }

    #[tokio::test]
    async fn several_series_are_named_and_refused() {
        let reply = answer(json!({
            "series": [{"group_tags": ["host:a", "env:x"]}, {"group_tags": ["host:b"]}],
            "times": [START * 1000], "values": [[1.0], [2.0]],
        }));
        let error = readings(reply).await.unwrap_err();
        assert!(chain(&error).contains("2 series (host:a,env:x; host:b"), "{}", chain(&error));
    }

    #[tokio::test]
    async fn an_answer_with_errors_is_none() {
        let data = json!({"attributes": {"series": [{}], "times": [START * 1000], "values": [[1.0]]}});
        for listed in [json!("a shard is late"), json!(["a shard is late"])] {
            let partial = json!({"data": data, "errors": listed});
            let measured = readings(Reply::Body(200, partial.to_string())).await.unwrap();
            assert!(
                matches!(&measured, Measurement::Missing(Missing::SourceError { cause, retryable: true })
                    if cause.contains("a shard is late")),
                "{measured:?}"
            );
            let error = readings(Reply::Body(200, json!({"errors": listed}).to_string())).await.unwrap_err();
            assert!(matches!(error, Error::Malformed { .. }) && chain(&error).contains("a shard is late"));
        }
        let harmless = json!({"data": data, "errors": ""});
        readings(Reply::Body(200, harmless.to_string())).await.unwrap();
    }

    #[tokio::test]
    async fn what_is_no_answer_is_refused() {
        let one =
            |times: Value, values: Value| answer(json!({"series": [{}], "times": times, "values": values}));
        for (reply, cause) in [
            (Reply::Body(200, "<html>hello\u{1b}[31m</html>".to_owned()), "expected JSON"),
            (Reply::Body(200, "{}".to_owned()), "neither data nor errors"),
            (Reply::Body(200, "[".repeat(10_000)), "expected JSON"),
            (one(json!([START * 1000]), json!([["NaN"]])), "expected JSON"),
            (one(json!([START * 1000]), json!([[true]])), "expected JSON"),
            (one(json!([-1]), json!([[1.0]])), "expected JSON"),
            (
                Reply::Body(200, r#"{"data":{"attributes":{"times":[1],"values":[[1e999]]}}}"#.to_owned()),
                "expected JSON",
            ),
            (one(json!([START * 1000]), json!([[1.0, 2.0]])), "2 values at 1 times"),
            (one(json!([]), json!([[1.0]])), "1 values at 0 times"),
            (one(json!([START * 1000 - 10_000]), json!([[1.0]])), "other intervals"),
            (one(json!([START * 1000 + 3000]), json!([[1.0]])), "other intervals"),
            (Reply::Body(400, r#"{"errors":["Rule 'scope_expr' didn't match"]}"#.to_owned()), "scope_expr"),
            (Reply::Body(404, String::new()), "404"),
        ] {
            let error = readings(reply).await.unwrap_err();
            assert!(matches!(error, Error::Malformed { .. }) && !error.is_transient(), "{}", chain(&error));
            assert!(chain(&error).contains(cause) && !chain(&error).contains('\u{1b}'), "{}", chain(&error));
        }
        let half = errors([nothing(), series(&[(0, Some(0.5))])]).await.unwrap_err();
        assert!(chain(&half).contains("0.5 is no count"), "{}", chain(&half));
        let negative = errors([nothing(), series(&[(0, Some(-1.0))])]).await.unwrap_err();
        assert!(chain(&negative).contains("-1 is no count"), "{}", chain(&negative));
        let far = one(json!([u64::MAX / 10_000 * 10_000]), json!([[1.0]]));
        assert_eq!(readings(far).await.unwrap(), Missing::NoData.into());
    }

    #[tokio::test]
    async fn an_endless_answer_is_cut_off() {
        let script = Script::serve([Reply::Body(200, " ".repeat(100_000))]).await;
        let source = over(Http::new(client()).with_response_limit(10_000), &script);
        let error = source.observe(&Metric::errors(), &candidate(), window(0, 60)).await.unwrap_err();
        assert!(chain(&error).contains("longer than 10000 bytes"), "{}", chain(&error));
    }
}

mod failure {
    use super::*;

    fn later(status: u16) -> Reply {
        Reply::With(
            status,
            vec![("retry-after", "0".to_owned()), ("x-ratelimit-reset", "1".to_owned())],
            String::new(),
        )
    }

    #[tokio::test]
    async fn refused_keys_are_said_and_not_shown() {
        for status in [401, 403] {
            let error =
                errors([Reply::Body(status, r#"{"errors":["Forbidden"]}"#.to_owned())]).await.unwrap_err();
            assert!(matches!(error, Error::Denied { .. }), "{}", chain(&error));
            let shown = format!("{error:?} {}", chain(&error));
            assert!(KEYS.iter().all(|key| !shown.contains(key)), "{shown}");
        }
    }

    #[tokio::test]
    async fn a_limit_of_rate_is_waited_for() {
        let measured =
            errors([later(429), nothing(), later(429), later(503), series(&[(0, Some(1.0))])]).await;
        assert_eq!(measured.unwrap(), Observation::proportion(0, 1).unwrap().into());
    }

    #[tokio::test]
    async fn a_broken_server_is_left_after_all_tries() {
        let script = Script::answering(|_| later(500)).await;
        let error = over(Http::new(client()).with_retries(3), &script)
            .observe(&Metric::errors(), &candidate(), window(0, 60))
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Unavailable { .. }) && error.is_transient(), "{}", chain(&error));
        assert_eq!(script.asked().len(), 4);
    }

    #[tokio::test]
    async fn a_server_that_hangs_is_left() {
        let script = Script::serve([Reply::Hang]).await;
        let source = over(Http::new(client()).with_timeout(Duration::from_millis(50)), &script);
        let error = source.observe(&Metric::errors(), &candidate(), window(0, 60)).await.unwrap_err();
        assert!(matches!(error, Error::Unavailable { .. }), "{}", chain(&error));
    }
}

mod conformance {
    use tidegate_metrics::testkit::conformance::{self, Stocked};

    use super::*;

    /// Requests of the candidate: milliseconds after the start, and whether they failed. Some lie on edges of
    /// windows and of intervals, and a millisecond beside them.
    const REQUESTS: [(i64, bool); 13] = [
        (-20_000, true),
        (-1, true),
        (0, false),
        (1, true),
        (9_999, false),
        (10_000, true),
        (10_001, false),
        (19_999, false),
        (20_000, false),
        (30_000, true),
        (39_999, false),
        (40_000, true),
        (40_001, false),
    ];

    /// Sums by intervals of the epoch what lies in `from..to`, and tells of intervals with something only.
    fn sums(asked: &Asked) -> Reply {
        let body = asked.json();
        let attributes = &body["data"]["attributes"];
        let number = |name: &str| attributes[name].as_i64().unwrap();
        let (from, to, interval) = (number("from"), number("to"), number("interval"));
        let query = attributes["queries"][0]["query"].as_str().unwrap();
        if !query.contains("version:1.5.0") {
            return nothing();
        }
        let mut sums = std::collections::BTreeMap::<i64, f64>::new();
        for (after, failed) in REQUESTS {
            let at = (START * 1000) as i64 + after;
            if (from..to).contains(&at) && (failed || !query.contains("status:error")) {
                *sums.entry(at - at % interval).or_default() += 1.0;
            }
        }
        let (times, values): (Vec<_>, Vec<_>) = sums.into_iter().unzip();
        answer(json!({"series": [{"group_tags": []}], "times": times, "values": [values]}))
    }

    async fn stocked() -> Stocked<Datadog> {
        let script = Script::answering(sums).await;
        Stocked {
            source: over(client(), &script),
            metric: Metric::errors(),
            selector: candidate(),
            nobody: Selector::default().with("version", "0.0.0"),
            window: window(0, 40),
            expected: Observation::proportion(3, 9).unwrap(),
        }
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
