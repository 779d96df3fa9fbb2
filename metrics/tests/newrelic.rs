//! `NewRelic` against a server on loopback that counts events as New Relic does.

#![cfg(feature = "newrelic")]
#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

mod script;

use std::time::{Duration, SystemTime};

use reqwest::header::HeaderValue;
use script::{Asked, Reply, Script, chain, client};
use serde_json::{Value, json};
use tidegate_metrics::{
    Error, Http, Measurement, Metric, MetricsSource, Missing, NewRelic, Observation, Selector, Window,
    newrelic::NrqlQuery, query::Query,
};

const START: u64 = 1_800_000_000;
const KEY: &str = "NRAK-5D41402A";

fn over(http: impl Into<Http>, script: &Script) -> NewRelic {
    let errors = Query::proportion(
        "SELECT count(*) FROM Transaction WHERE version = '{{version}}' AND error IS TRUE".parse().unwrap(),
        "SELECT count(*) FROM Transaction WHERE version = '{{version}}'".parse().unwrap(),
    );
    let slow = Query::values(
        "SELECT percentile(duration, 95) FROM Transaction WHERE version = '{{version}}'".parse().unwrap(),
    );
    NewRelic::new(http, &script.url(), 1_234_567, HeaderValue::from_static(KEY))
        .unwrap()
        .with_query(Metric::errors(), errors)
        .with_query(Metric::latency(), slow)
}

fn candidate() -> Selector {
    Selector::default().with("version", "1.5.0")
}

fn at(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(START * 1000 + millis)
}

fn minute() -> Window {
    Window::new(at(0), at(60_000)).unwrap()
}

fn result(results: Value, begin: Value, end: Value, messages: Value) -> Reply {
    let metadata = json!({"messages": messages, "timeWindow": {"begin": begin, "end": end}});
    let data = json!({"actor": {"account": {"nrql": {"results": results, "metadata": metadata}}}});
    Reply::Body(200, json!({"data": data}).to_string())
}

fn rows(results: Value) -> Reply {
    result(results, json!(START * 1000), json!((START + 60) * 1000), json!([]))
}

async fn errors(replies: impl IntoIterator<Item = Reply>) -> Result<Measurement, Error> {
    let script = Script::serve(replies).await;
    over(client(), &script).observe(&Metric::errors(), &candidate(), minute()).await
}

async fn latency(reply: Reply) -> Result<Measurement, Error> {
    let script = Script::serve([reply]).await;
    over(client(), &script).observe(&Metric::latency(), &candidate(), minute()).await
}

mod question {
    use super::*;

    #[tokio::test]
    async fn the_query_is_a_variable_and_ends_in_the_window() {
        let count = |count: u64| rows(json!([{"count": count}]));
        let script = Script::serve([count(1), count(9)]).await;
        let http = Http::new(client()).with_timeout(Duration::from_millis(7900));
        let measured = over(http, &script).observe(&Metric::errors(), &candidate(), minute()).await.unwrap();
        assert_eq!(measured, Observation::proportion(1, 9).unwrap().into());
        let [hits, trials] = <[Asked; 2]>::try_from(script.asked()).unwrap();
        assert_eq!((hits.method.as_str(), hits.uri.path()), ("POST", "/graphql"));
        assert_eq!(hits.header("API-Key"), Some(KEY));
        let expected = "SELECT count(*) FROM Transaction WHERE version = '1.5.0' AND error IS TRUE \
            SINCE 1800000000000 UNTIL 1800000060000";
        assert_eq!(hits.json()["variables"], json!({"account": 1_234_567, "nrql": expected, "timeout": 7}));
        assert_eq!(hits.json()["query"], trials.json()["query"]);
        assert!(!hits.json()["query"].as_str().unwrap().contains("1.5.0"));
    }

    #[tokio::test]
    async fn what_would_not_fit_is_not_asked() {
        let script = Script::serve([]).await;
        let source = over(client(), &script);
        let ask = async |selector: Selector, window: Window| {
            source.observe(&Metric::errors(), &selector, window).await.unwrap_err()
        };
        let error = ask(Selector::default(), minute()).await;
        assert!(matches!(&error, Error::MissingLabel { label, .. } if label == "version"), "{error}");
        for hostile in ["' OR 'a' = 'a", "a\\", "a\\' OR 1 = 1 --", "a\nSINCE 1 day ago", "\0"] {
            let error = ask(Selector::default().with("version", hostile), minute()).await;
            assert!(matches!(error, Error::UnfitLabel { .. }), "{hostile}: {error}");
        }
        let sub = Window::new(at(0) + Duration::from_micros(1), at(60_000)).unwrap();
        let error = ask(candidate(), sub).await;
        assert!(chain(&error).contains("whole milliseconds"), "{}", chain(&error));
        assert!(script.asked().is_empty());
    }

    #[tokio::test]
    async fn what_looks_like_a_query_stays_a_value() {
        let script = Script::answering(|_| rows(json!([{"count": 1}]))).await;
        let selector = Selector::default().with("version", "a SINCE 1 day ago -- \"x\" } { $nrql");
        over(client(), &script).observe(&Metric::errors(), &selector, minute()).await.unwrap();
        let expected = "SELECT count(*) FROM Transaction WHERE version = 'a SINCE 1 day ago -- \"x\" } { $nrql' \
            SINCE 1800000000000 UNTIL 1800000060000";
        assert_eq!(script.asked()[1].json()["variables"]["nrql"], expected);
    }

    #[test]
    fn queries_with_other_clauses_are_refused() {
        for (clause, problem) in [
            ("SINCE 1 day ago", "SINCE and UNTIL"),
            ("until now", "SINCE and UNTIL"),
            ("FACET host", "FACET"),
            ("TIMESERIES 1 minute", "FACET"),
            ("COMPARE WITH 1 day ago", "FACET"),
            ("EXTRAPOLATE", "EXTRAPOLATE"),
            ("-- all of them", "comment"),
            ("// all of them", "comment"),
            ("/* all of them", "comment"),
        ] {
            let text = format!("SELECT count(*) FROM T WHERE v = '{{{{v}}}}' {clause}");
            let error = text.parse::<NrqlQuery>().unwrap_err();
            assert!(error.to_string().contains(problem), "{error}");
            let json = serde_json::to_string(&text).unwrap();
            assert!(serde_json::from_str::<NrqlQuery>(&json).is_err());
        }
        for fine in [
            "SELECT count(*) FROM T WHERE v = '{{v}}' AND note = 'SINCE -- UNTIL' AND `since` = 1",
            "SELECT count(*) FROM T WHERE v = '{{v}}' AND note = 'it\\'s SINCE' AND job.since = 1 AND sinceWhen = 2",
        ] {
            let query: NrqlQuery = fine.parse().unwrap();
            assert_eq!(
                serde_json::from_str::<NrqlQuery>(&serde_json::to_string(&query).unwrap()).unwrap(),
                query
            );
            assert_eq!(query.to_string(), fine);
        }
        assert!("SELECT count(*) FROM T".parse::<NrqlQuery>().is_err());
    }

    #[test]
    fn the_key_is_not_shown() {
        let source =
            NewRelic::new(client(), "https://u:pass@api.newrelic.com", 1, HeaderValue::from_static(KEY))
                .unwrap();
        let shown = format!("{source} {source:?}");
        assert!(!shown.contains(KEY) && !shown.contains("pass"), "{shown}");
    }
}

mod reading {
    use super::*;

    #[tokio::test]
    async fn a_percentile_is_a_reading() {
        for row in [json!({"percentile.duration": {"95": 0.25}}), json!({"p95": 0.25})] {
            let expected = Observation::values(vec![0.25]).unwrap();
            assert_eq!(latency(rows(json!([row]))).await.unwrap(), expected.into());
        }
    }

    #[tokio::test]
    async fn nothing_is_no_data() {
        for results in [
            json!([]),
            json!(null),
            json!([{}]),
            json!([{"average.duration": null}]),
            json!([{"percentile.duration": {"95": null}}]),
        ] {
            assert_eq!(latency(rows(results)).await.unwrap(), Missing::NoData.into());
        }
        let none = || rows(json!([{"count": 0}]));
        assert_eq!(errors([none(), none()]).await.unwrap(), Missing::NoData.into());
    }

    #[tokio::test]
    async fn several_numbers_are_named_and_refused() {
        for (results, names) in [
            (json!([{"count": 1, "average.duration": 2.0}]), "average.duration, count"),
            (
                json!([{"facet": "a", "host": "a", "count": 1}, {"facet": "b", "host": "b", "count": 2}]),
                "facet",
            ),
            (json!([{"count": 1}, {"count": 2}]), "2 values (count, count, …) in 2 rows"),
            (
                json!([{"percentile.duration": {"95": 0.3, "99": 0.5}}]),
                "percentile.duration.95, percentile.duration.99",
            ),
            (json!([{"beginTimeSeconds": 1, "endTimeSeconds": 2, "count": 3}]), "beginTimeSeconds"),
        ] {
            let error = latency(rows(results)).await.unwrap_err();
            assert!(matches!(error, Error::Malformed { .. }), "{}", chain(&error));
            assert!(chain(&error).contains(names), "{}", chain(&error));
        }
    }

    #[tokio::test]
    async fn another_time_than_the_window_is_refused() {
        let widened = result(
            json!([{"count": 1}]),
            json!(START * 1000 - 60_000),
            json!((START + 60) * 1000),
            json!([]),
        );
        let error = latency(widened).await.unwrap_err();
        assert!(chain(&error).contains("Some(1799999940000)"), "{}", chain(&error));
        let untold = result(json!([{"p": 1.0}]), json!(null), json!(null), json!(null));
        assert_eq!(latency(untold).await.unwrap(), Observation::values(vec![1.0]).unwrap().into());
    }

    #[tokio::test]
    async fn an_answer_with_remarks_is_partial() {
        let reply =
            result(json!([{"count": 1}]), json!(null), json!(null), json!(["some data were left out"]));
        let measured = latency(reply).await.unwrap();
        assert!(
            matches!(&measured, Measurement::Missing(Missing::SourceError { cause, retryable: true })
                if cause.contains("some data were left out")),
            "{measured:?}"
        );
    }

    #[tokio::test]
    async fn what_is_no_answer_is_refused() {
        for (reply, cause) in [
            (Reply::Body(200, "<html>hello\u{1b}[31m</html>".to_owned()), "expected JSON"),
            (Reply::Body(200, "{}".to_owned()), "nothing for the account"),
            (
                Reply::Body(200, r#"{"data":{"actor":{"account":null}}}"#.to_owned()),
                "nothing for the account",
            ),
            (rows(json!([{"deep": {"a": {"b": 1}}}])), "`deep.a` is no number"),
            (rows(json!([{"count": "NaN"}])), "`count` is no number"),
            (rows(json!([{"count": "Infinity"}])), "`count` is no number"),
            (rows(json!([{"count": true}])), "`count` is no number"),
            (rows(json!([{"count": ["x".repeat(10_000)]}])), "`count` is no number"),
            (rows(json!("12")), "expected JSON"),
            (
                Reply::Body(
                    200,
                    r#"{"data":{"actor":{"account":{"nrql":{"results":[{"c":1e999}]}}}}}"#.to_owned(),
                ),
                "expected JSON",
            ),
            (Reply::Body(400, "bad request".to_owned()), "bad request"),
        ] {
            let error = latency(reply).await.unwrap_err();
            assert!(matches!(error, Error::Malformed { .. }) && !error.is_transient(), "{}", chain(&error));
            let chain = chain(&error);
            assert!(chain.contains(cause) && !chain.contains('\u{1b}') && chain.len() < 1000, "{chain}");
        }
        let half = errors([rows(json!([{"count": 0}])), rows(json!([{"count": 1.5}]))]).await.unwrap_err();
        assert!(chain(&half).contains("1.5 is no count"), "{}", chain(&half));
    }

    #[tokio::test]
    async fn an_endless_answer_is_cut_off() {
        let script = Script::serve([Reply::Body(200, " ".repeat(100_000))]).await;
        let source = over(Http::new(client()).with_response_limit(10_000), &script);
        let error = source.observe(&Metric::errors(), &candidate(), minute()).await.unwrap_err();
        assert!(chain(&error).contains("longer than 10000 bytes"), "{}", chain(&error));
    }
}

mod failure {
    use super::*;

    fn refusal(extensions: Value) -> Reply {
        let error =
            json!({"message": "it says so", "path": ["actor", "account", "nrql"], "extensions": extensions});
        Reply::Body(
            200,
            json!({"data": {"actor": {"account": {"nrql": null}}}, "errors": [error]}).to_string(),
        )
    }

    fn later(status: u16) -> Reply {
        Reply::With(status, vec![("retry-after", "0".to_owned())], String::new())
    }

    #[tokio::test]
    async fn errors_come_with_status_200() {
        for class in ["TIMEOUT", "INTERNAL_SERVER_ERROR", "SERVER_ERROR", "TOO_MANY_REQUESTS"] {
            let error = errors([refusal(json!({"errorClass": class}))]).await.unwrap_err();
            assert!(matches!(error, Error::Unavailable { .. }) && error.is_transient(), "{}", chain(&error));
            assert!(chain(&error).contains(&format!("{class}: it says so")), "{}", chain(&error));
        }
        for extensions in [json!({"error_code": "BAD_API_KEY"}), json!({"errorClass": "ACCESS_DENIED"})] {
            let error = errors([refusal(extensions)]).await.unwrap_err();
            assert!(matches!(error, Error::Denied { .. }), "{}", chain(&error));
        }
        for extensions in [json!({"errorClass": "NRQL_SYNTAX"}), json!({}), json!(null)] {
            let error = errors([refusal(extensions)]).await.unwrap_err();
            assert!(matches!(error, Error::Malformed { .. }), "{}", chain(&error));
            assert!(chain(&error).contains("it says so"), "{}", chain(&error));
        }
    }

    #[tokio::test]
    async fn a_refused_key_is_said_and_not_shown() {
        for status in [401, 403] {
            let error = errors([Reply::Body(status, "no".to_owned())]).await.unwrap_err();
            assert!(matches!(error, Error::Denied { .. }), "{}", chain(&error));
            assert!(!format!("{error:?} {}", chain(&error)).contains(KEY));
        }
    }

    #[tokio::test]
    async fn a_limit_of_rate_is_waited_for() {
        let count = |count: u64| rows(json!([{"count": count}]));
        let measured = errors([later(429), count(0), later(503), later(429), count(5)]).await.unwrap();
        assert_eq!(measured, Observation::proportion(0, 5).unwrap().into());
    }

    #[tokio::test]
    async fn a_broken_server_is_left_after_all_tries() {
        let script = Script::answering(|_| later(502)).await;
        let source = over(client(), &script);
        let error = source.observe(&Metric::errors(), &candidate(), minute()).await.unwrap_err();
        assert!(matches!(error, Error::Unavailable { .. }), "{}", chain(&error));
        assert_eq!(script.asked().len(), 3);
    }

    #[tokio::test]
    async fn a_server_that_hangs_is_left() {
        let script = Script::serve([Reply::Hang]).await;
        let source = over(Http::new(client()).with_timeout(Duration::from_millis(50)), &script);
        let error = source.observe(&Metric::errors(), &candidate(), minute()).await.unwrap_err();
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
        (14_999, false),
        (15_000, true),
        (15_001, false),
        (30_000, false),
        (45_000, true),
        (59_999, false),
        (60_000, true),
        (60_001, false),
    ];

    /// Counts events from `SINCE` on and before `UNTIL`; nothing is 0.
    fn counts(asked: &Asked) -> Reply {
        let body = asked.json();
        let nrql = body["variables"]["nrql"].as_str().unwrap();
        let (query, times) = nrql.split_once(" SINCE ").unwrap();
        let (since, until) = times.split_once(" UNTIL ").unwrap();
        let (since, until): (i64, i64) = (since.parse().unwrap(), until.parse().unwrap());
        let count = REQUESTS.iter().filter(|(after, failed)| {
            query.contains("version = '1.5.0'")
                && (since..until).contains(&((START * 1000) as i64 + after))
                && (*failed || !query.contains("error IS TRUE"))
        });
        result(json!([{"count": count.count()}]), json!(since), json!(until), json!([]))
    }

    async fn stocked() -> Stocked<NewRelic> {
        let script = Script::answering(counts).await;
        Stocked {
            source: over(client(), &script),
            metric: Metric::errors(),
            selector: candidate(),
            nobody: Selector::default().with("version", "0.0.0"),
            window: minute(),
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
