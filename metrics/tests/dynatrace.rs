//! `Dynatrace` against a server on loopback that keeps minutes as Dynatrace does.

#![cfg(feature = "dynatrace")]
#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

mod script;

use std::time::{Duration, SystemTime};

use reqwest::header::HeaderValue;
use script::{Asked, Reply, Script, chain, client};
use serde_json::{Value, json};
use tidegate_metrics::{
    Dynatrace, Error, Http, Measurement, Metric, MetricsSource, Missing, Observation, Selector, Window,
    query::Query,
};

const START: u64 = 1_800_000_000;
const TOKEN: &str = "Api-Token dt0c01.5D41.402A";

fn over(http: impl Into<Http>, script: &Script) -> Dynatrace {
    let errors = Query::proportion(
        r#"model.errors:filter(eq("version","{{version}}")):splitBy():sum"#.parse().unwrap(),
        r#"model.requests:filter(eq("version","{{version}}")):splitBy():sum"#.parse().unwrap(),
    );
    let queue =
        Query::values(r#"model.queue:filter(eq("version","{{version}}")):splitBy():avg"#.parse().unwrap());
    Dynatrace::new(http, &format!("{}/e/abc", script.url()), HeaderValue::from_static(TOKEN))
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

fn answer(series: Value) -> Reply {
    let result =
        json!([{"metricId": "m", "dataPointCountRatio": 0.1, "dimensionCountRatio": 0.1, "data": series}]);
    let body = json!({"totalCount": 1, "nextPageKey": null, "resolution": "1m", "result": result});
    Reply::Body(200, body.to_string())
}

/// One series: ends of slots in seconds after the start of the history, and values.
fn series(points: &[(u64, Option<f64>)]) -> Reply {
    let (times, values): (Vec<_>, Vec<_>) =
        points.iter().map(|&(second, value)| ((START + second) * 1000, value)).unzip();
    answer(json!([{"dimensions": [], "dimensionMap": {}, "timestamps": times, "values": values}]))
}

fn nothing() -> Reply {
    answer(json!([]))
}

async fn observe(replies: impl IntoIterator<Item = Reply>, metric: &Metric) -> Result<Measurement, Error> {
    let script = Script::serve(replies).await;
    over(client(), &script).observe(metric, &candidate(), window(0, 240)).await
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
    async fn it_names_the_window_the_minute_and_the_side() {
        let script = Script::serve([nothing(), nothing()]).await;
        let selector = Selector::default().with("version", "a~\"b\" & ü=1#+");
        over(client(), &script).observe(&Metric::errors(), &selector, window(0, 240)).await.unwrap();
        let [hits, trials] = <[Asked; 2]>::try_from(script.asked()).unwrap();
        assert_eq!((hits.method.as_str(), hits.uri.path()), ("GET", "/e/abc/api/v2/metrics/query"));
        assert_eq!(hits.header("authorization"), Some(TOKEN));
        let expected = [
            ("metricSelector", r#"model.errors:filter(eq("version","a~~~"b~" & ü=1#+")):splitBy():sum"#),
            ("from", "1800000000000"),
            ("to", "1800000240000"),
            ("resolution", "1m"),
        ];
        assert_eq!(hits.query(), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert!(trials.query()[0].1.starts_with("model.requests:"));
    }

    #[tokio::test]
    async fn what_would_not_fit_is_not_asked() {
        let script = Script::serve([]).await;
        let source = over(client(), &script);
        let ask = async |selector: Selector, window: Window| {
            source.observe(&Metric::errors(), &selector, window).await.unwrap_err()
        };
        let error = ask(Selector::default(), window(0, 60)).await;
        assert!(matches!(&error, Error::MissingLabel { label, .. } if label == "version"), "{error}");
        let error = ask(Selector::default().with("version", "a\n"), window(0, 60)).await;
        assert!(matches!(error, Error::UnfitLabel { .. }), "{error}");
        let odd = Window::new(at(0), at(60) + Duration::from_nanos(1)).unwrap();
        for window in [window(0, 30), window(30, 90), odd] {
            let error = ask(candidate(), window).await;
            assert!(chain(&error).contains("whole minutes"), "{}", chain(&error));
        }
        let error = ask(candidate(), window(0, 10_081 * 60)).await;
        assert!(chain(&error).contains("10080 minutes"), "{}", chain(&error));
        assert!(script.asked().is_empty());
    }

    #[test]
    fn the_token_is_not_shown() {
        let source =
            Dynatrace::new(client(), "https://u:pass@a.b/e/c", HeaderValue::from_static(TOKEN)).unwrap();
        let shown = format!("{source} {source:?}");
        assert!(!shown.contains("dt0c01") && !shown.contains("pass"), "{shown}");
    }
}

mod reading {
    use super::*;

    #[tokio::test]
    async fn minutes_are_summed_and_those_beyond_the_window_left_out() {
        let hits = series(&[(0, Some(50.0)), (60, None), (120, Some(1.0)), (240, Some(2.0))]);
        let trials = series(&[(0, Some(70.0)), (60, Some(10.0)), (240, Some(20.0)), (300, Some(90.0))]);
        assert_eq!(errors([hits, trials]).await.unwrap(), Observation::proportion(3, 30).unwrap().into());
    }

    #[tokio::test]
    async fn no_errors_yet_are_none_and_nothing_is_no_data() {
        for hits in [nothing(), series(&[(60, None)])] {
            let measured = errors([hits, series(&[(60, Some(10.0))])]).await.unwrap();
            assert_eq!(measured, Observation::proportion(0, 10).unwrap().into());
        }
        let empty = Reply::Body(200, r#"{"resolution":"1m","result":[]}"#.to_owned());
        for trials in [nothing(), empty, series(&[(60, None), (120, None)]), series(&[(300, Some(1.0))])] {
            assert_eq!(errors([nothing(), trials]).await.unwrap(), Missing::NoData.into());
        }
        let stale = errors([nothing(), series(&[(0, Some(1.0))])]).await.unwrap();
        assert_eq!(stale, Missing::Stale { age: Duration::from_secs(240) }.into());
    }

    #[tokio::test]
    async fn several_series_are_named_and_refused() {
        let one = |map: Value, list: Value| json!({"dimensionMap": map, "dimensions": list, "timestamps": [], "values": []});
        let reply = answer(json!([
            one(json!({"host": "a", "zone": null}), json!(["a", null])),
            one(json!({}), json!(["b"])),
            one(json!(null), json!(null)),
        ]));
        let error = readings(reply).await.unwrap_err();
        let named = "3 series (m host=a,zone=the remainder; m b; m , …)";
        assert!(chain(&error).contains(named), "{}", chain(&error));
        let two = json!({"resolution": "1m", "result": [
            {"metricId": "m:min", "data": [one(json!({}), json!([]))]},
            {"metricId": "m:max", "data": [one(json!({}), json!([]))]},
        ]});
        let error = readings(Reply::Body(200, two.to_string())).await.unwrap_err();
        assert!(chain(&error).contains("m:min ; m:max"), "{}", chain(&error));
    }

    #[tokio::test]
    async fn warnings_and_further_pages_are_partial() {
        let data = json!([{"timestamps": [(START + 60) * 1000], "values": [1.0]}]);
        for (body, cause) in [
            (json!({"resolution": "1m", "warnings": ["too many tuples"], "result": []}), "too many tuples"),
            (
                json!({"resolution": "1m", "result": [{"metricId": "m", "warnings": ["odd"], "data": data}]}),
                "1 warnings: odd",
            ),
            (json!({"resolution": "1m", "nextPageKey": "abc", "result": []}), "several pages"),
        ] {
            let measured = readings(Reply::Body(200, body.to_string())).await.unwrap();
            assert!(
                matches!(&measured, Measurement::Missing(Missing::SourceError { cause: told, retryable: true })
                    if told.contains(cause)),
                "{measured:?}"
            );
        }
    }

    #[tokio::test]
    async fn what_is_no_answer_is_refused() {
        let one = |times: Value, values: Value| answer(json!([{"timestamps": times, "values": values}]));
        let coarse = json!({"resolution": "1h", "result": [{"metricId": "m",
            "data": [{"timestamps": [(START + 60) * 1000], "values": [1.0]}]}]});
        for (reply, cause) in [
            (Reply::Body(200, "<html>hello\u{1b}[31m</html>".to_owned()), "expected JSON"),
            (Reply::Body(200, "{}".to_owned()), "expected JSON"),
            (Reply::Body(200, coarse.to_string()), "slots of 1h"),
            (one(json!([START * 1000]), json!(["NaN"])), "expected JSON"),
            (one(json!([START * 1000]), json!([true])), "expected JSON"),
            (one(json!([START as f64 + 0.5]), json!([1.0])), "expected JSON"),
            (one(json!([START * 1000]), json!([])), "0 values at 1 times"),
            (
                Reply::Body(400, r#"{"error":{"code":400,"message":"unexpected token"}}"#.to_owned()),
                "unexpected token",
            ),
            (Reply::Body(404, r#"{"error":{"message":"no such metric"}}"#.to_owned()), "no such metric"),
        ] {
            let error = readings(reply).await.unwrap_err();
            assert!(matches!(error, Error::Malformed { .. }) && !error.is_transient(), "{}", chain(&error));
            assert!(chain(&error).contains(cause) && !chain(&error).contains('\u{1b}'), "{}", chain(&error));
        }
        let half = errors([nothing(), series(&[(60, Some(0.5))])]).await.unwrap_err();
        assert!(chain(&half).contains("0.5 is no count"), "{}", chain(&half));
        let far = one(json!([u64::MAX]), json!([1.0]));
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
        Reply::With(status, vec![("retry-after", "0".to_owned())], String::new())
    }

    #[tokio::test]
    async fn a_refused_token_is_said_and_not_shown() {
        for status in [401, 403] {
            let error = errors([Reply::Body(status, "no".to_owned())]).await.unwrap_err();
            assert!(matches!(error, Error::Denied { .. }), "{}", chain(&error));
            assert!(!format!("{error:?} {}", chain(&error)).contains("dt0c01"));
        }
    }

    #[tokio::test]
    async fn a_limit_of_rate_is_waited_for() {
        let measured =
            errors([later(429), nothing(), later(503), later(429), series(&[(60, Some(5.0))])]).await;
        assert_eq!(measured.unwrap(), Observation::proportion(0, 5).unwrap().into());
    }

    #[tokio::test]
    async fn a_broken_server_is_left_after_all_tries() {
        let script = Script::answering(|_| later(500)).await;
        let source = over(client(), &script);
        let error = source.observe(&Metric::errors(), &candidate(), window(0, 60)).await.unwrap_err();
        assert!(matches!(error, Error::Unavailable { .. }) && error.is_transient(), "{}", chain(&error));
        assert_eq!(script.asked().len(), 3);
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
    /// windows, and a millisecond beside them.
    const REQUESTS: [(i64, bool); 12] = [
        (-60_000, true),
        (-1, true),
        (0, true),
        (1, false),
        (59_999, false),
        (60_000, true),
        (60_001, false),
        (120_000, false),
        (185_000, true),
        (239_999, false),
        (240_000, true),
        (240_001, false),
    ];

    /// Sums by the minute, stamped with its end, and a minute more at both ends of what was asked for.
    fn sums(asked: &Asked) -> Reply {
        let fields = asked.query();
        let field = |name: &str| fields.iter().find(|(field, _)| field == name).unwrap().1.as_str();
        let number = |name: &str| field(name).parse::<i64>().unwrap();
        let selector = field("metricSelector");
        if !selector.contains(r#"eq("version","1.5.0")"#) {
            return nothing();
        }
        let start = (START * 1000) as i64;
        let slots = (number("from") / 60_000 - 1)..=(number("to") / 60_000);
        let slots = slots.map(|minute| {
            let sum = REQUESTS.iter().filter(|(after, failed)| {
                (start + after).div_euclid(60_000) == minute && (*failed || selector.contains("requests"))
            });
            let sum = sum.count();
            ((minute + 1) * 60_000, (sum > 0).then_some(sum as f64))
        });
        let (times, values): (Vec<_>, Vec<_>) = slots.unzip();
        answer(json!([{"dimensions": [], "timestamps": times, "values": values}]))
    }

    async fn stocked() -> Stocked<Dynatrace> {
        let script = Script::answering(sums).await;
        Stocked {
            source: over(client(), &script),
            metric: Metric::errors(),
            selector: candidate(),
            nobody: Selector::default().with("version", "0.0.0"),
            window: window(0, 240),
            expected: Observation::proportion(3, 8).unwrap(),
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
