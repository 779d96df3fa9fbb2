//! `Elasticsearch` against a server on loopback that searches documents as Elasticsearch does.

#![cfg(feature = "elasticsearch")]
#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

mod script;

use std::time::{Duration, SystemTime};

use script::{Asked, Reply, Script, chain, client};
use serde_json::{Value, json};
use tidegate_metrics::{
    Elasticsearch, Error, Http, Measurement, Metric, MetricsSource, Missing, Observation, Selector, Window,
    elasticsearch::{Aggregation, Search},
    query::{JsonTemplate, Query},
};

const START: u64 = 1_800_000_000;

fn template(json: Value) -> JsonTemplate {
    json.try_into().unwrap()
}

fn version() -> Value {
    json!({"term": {"version": "{{version}}"}})
}

fn requests() -> Search {
    Search::new("requests-*", template(version())).unwrap()
}

fn failures() -> Search {
    let query = json!({"bool": {"filter": [version(), {"range": {"status": {"gte": 500}}}]}});
    Search::new("requests-*", template(query)).unwrap()
}

fn over(http: impl Into<Http>, script: &Script) -> Elasticsearch {
    let percentile: Aggregation =
        serde_json::from_value(json!({"percentile": {"field": "seconds", "percent": 95.0}})).unwrap();
    let mean: Aggregation = serde_json::from_value(json!({"avg": {"field": "seconds"}})).unwrap();
    let sum: Aggregation = serde_json::from_value(json!({"sum": {"field": "tokens"}})).unwrap();
    Elasticsearch::new(http, &script.url())
        .unwrap()
        .with_query(Metric::errors(), Query::proportion(failures(), requests()))
        .with_query(Metric::latency(), Query::values(requests().with_aggregation(percentile)))
        .with_query(Metric::new("mean"), Query::values(requests().with_aggregation(mean)))
        .with_query(Metric::new("tokens"), Query::total(requests().with_aggregation(sum), requests()))
}

fn candidate() -> Selector {
    Selector::default().with("version", "1.5.0")
}

fn at(nanoseconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(START) + Duration::from_nanos(nanoseconds)
}

fn minute() -> Window {
    Window::new(at(0), at(60_000_000_000)).unwrap()
}

/// An answer, with what is different in it.
fn answer(count: u64, different: Value) -> Reply {
    let mut answer = json!({
        "took": 3,
        "timed_out": false,
        "_shards": {"total": 5, "successful": 5, "skipped": 0, "failed": 0},
        "hits": {"total": {"value": count, "relation": "eq"}, "max_score": null, "hits": []},
    });
    for (name, value) in different.as_object().unwrap() {
        answer[name] = value.clone();
    }
    Reply::Body(200, answer.to_string())
}

fn aggregated(count: u64, value: Value) -> Reply {
    answer(count, json!({"aggregations": {"value": {"value": value}}}))
}

fn percentile(count: u64, value: Value) -> Reply {
    answer(count, json!({"aggregations": {"value": {"values": [{"key": 95.0, "value": value}]}}}))
}

async fn observe(metric: &str, replies: Vec<Reply>) -> Result<Measurement, Error> {
    let script = Script::serve(replies).await;
    over(client(), &script).observe(&Metric::new(metric), &candidate(), minute()).await
}

fn values(values: &[f64]) -> Measurement {
    Observation::values(values.to_vec()).unwrap().into()
}

mod question {
    use super::*;

    #[tokio::test]
    async fn the_window_is_added_to_the_query() {
        let script = Script::serve([answer(1, json!({})), answer(9, json!({}))]).await;
        let http = Http::new(client()).with_timeout(Duration::from_millis(7900));
        let measured = over(http, &script).observe(&Metric::errors(), &candidate(), minute()).await;
        assert_eq!(measured.unwrap(), Observation::proportion(1, 9).unwrap().into());
        let [hits, trials] = <[Asked; 2]>::try_from(script.asked()).unwrap();
        assert_eq!((hits.method.as_str(), hits.uri.to_string().as_str()), ("POST", "/requests-*/_search"));
        // To the nanosecond: what is written shorter is rounded up by Elasticsearch.
        let range = json!({"range": {"@timestamp": {
            "gt": "2027-01-15T08:00:00.000000000Z",
            "lte": "2027-01-15T08:01:00.000000000Z",
            "format": "strict_date_optional_time_nanos",
        }}});
        let version = json!({"term": {"version": "1.5.0"}});
        assert_eq!(
            trials.json(),
            json!({
                "size": 0,
                "track_total_hits": true,
                "timeout": "7900ms",
                "query": {"bool": {"filter": [range, version]}},
            })
        );
        let filter = json!({"bool": {"filter": [version, {"range": {"status": {"gte": 500}}}]}});
        assert_eq!(hits.json()["query"]["bool"]["filter"][1], filter);
    }

    #[tokio::test]
    async fn aggregations_are_asked_for_by_name() {
        let search = |aggregation: Value| -> Search {
            let search = json!({"index": "a", "query": version(), "aggregation": aggregation});
            let read: Search = serde_json::from_value(search.clone()).unwrap();
            assert_eq!(serde_json::to_value(&read).unwrap(), search);
            read
        };
        let script = Script::answering(|_| answer(0, json!({"aggregations": {"value": {}}}))).await;
        for (aggregation, expected) in [
            (json!({"avg": {"field": "f"}}), json!({"avg": {"field": "f"}})),
            (json!({"max": {"field": "f"}}), json!({"max": {"field": "f"}})),
            (json!({"min": {"field": "f"}}), json!({"min": {"field": "f"}})),
            (json!({"sum": {"field": "f"}}), json!({"sum": {"field": "f"}})),
            (json!({"valueCount": {"field": "f"}}), json!({"value_count": {"field": "f"}})),
            (
                json!({"percentile": {"field": "f", "percent": 99.9}}),
                json!({"percentiles": {"field": "f", "percents": [99.9], "keyed": false}}),
            ),
        ] {
            let source = Elasticsearch::new(client(), &script.url()).unwrap().with_time_field("when");
            let source = source.with_query(Metric::latency(), Query::values(search(aggregation)));
            let measured = source.observe(&Metric::latency(), &candidate(), minute()).await.unwrap();
            assert_eq!(measured, Missing::NoData.into());
            let asked = script.asked().pop().unwrap().json();
            assert_eq!(asked["aggs"], json!({"value": expected}));
            assert!(asked["query"]["bool"]["filter"][0]["range"]["when"].is_object());
        }
    }

    #[tokio::test]
    async fn a_value_stays_a_value() {
        let script = Script::answering(|_| answer(1, json!({}))).await;
        let source = over(client(), &script);
        for hostile in
            ["\"}}]}},\"size\":10,\"x\":{\"y\":[{\"z\":\"", "a\\", "a\n\0${x}--", "* OR *", "{{end}}", ""]
        {
            let selector = Selector::default().with("version", hostile);
            source.observe(&Metric::errors(), &selector, minute()).await.unwrap();
            let asked = script.asked().pop().unwrap().json();
            assert_eq!(asked["query"]["bool"]["filter"][1], json!({"term": {"version": hostile}}));
            assert_eq!(asked.as_object().unwrap().len(), 4);
        }
    }

    #[tokio::test]
    async fn a_value_is_part_of_one_index() {
        let script = Script::answering(|_| answer(1, json!({}))).await;
        let search = Search::new("requests-{{version}}-*,other", template(json!({"match_all": {}}))).unwrap();
        let source = Elasticsearch::new(client(), &script.url()).unwrap();
        let source = source.with_query(Metric::errors(), Query::values(search));
        source.observe(&Metric::errors(), &candidate(), minute()).await.unwrap();
        assert_eq!(script.asked()[0].uri.path(), "/requests-1.5.0-*,other/_search");
        for hostile in
            ["*", "a,b", "_all", "-a", "../_all", "a/_doc", "<now>", "a?", "%2A", "A", "a b", "", ".", "é"]
        {
            let selector = Selector::default().with("version", hostile);
            let error = source.observe(&Metric::errors(), &selector, minute()).await.unwrap_err();
            assert!(matches!(error, Error::UnfitLabel { .. }), "{hostile}: {error}");
        }
        let error = source.observe(&Metric::errors(), &Selector::default(), minute()).await.unwrap_err();
        assert!(matches!(&error, Error::MissingLabel { label, .. } if label == "version"), "{error}");
        assert_eq!(script.asked().len(), 1);
    }

    #[test]
    fn searches_in_which_a_value_is_syntax_are_refused() {
        for (index, query, problem) in [
            ("a", json!({"query_string": {"query": "version:{{v}}"}}), "`query_string`"),
            ("a", json!({"bool": {"filter": [{"regexp": {"v": {"value": "{{v}}"}}}]}}), "`regexp`"),
            ("a", json!({"wildcard": {"v": "{{v}}"}}), "`wildcard`"),
            ("a", json!({"script": {"script": {"source": "doc.v == '{{v}}'"}}}), "`script`"),
            ("a", json!({"wrapper": {"query": "{{v}}"}}), "`wrapper`"),
            ("a", json!({"term": {"v": "1"}}), "names a label"),
            ("a", json!({"term": {"{{v}}": "1"}}), "name of a member"),
            ("a-{{v", json!({}), "not closed"),
            ("", json!({"term": {"v": "{{v}}"}}), "empty"),
        ] {
            let search = json!({"index": index, "query": query});
            let error = serde_json::from_value::<Search>(search).unwrap_err();
            assert!(error.to_string().contains(problem), "{error}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let source = Elasticsearch::new(client(), "https://user:pass@search/").unwrap();
        let shown = format!("{source} {source:?}");
        assert!(!shown.contains("pass") && !shown.contains("user"), "{shown}");
        Elasticsearch::new(client(), "ftp://search").unwrap_err();
    }
}

mod reading {
    use super::*;

    #[tokio::test]
    async fn no_documents_are_no_data_and_no_hits_are_none() {
        let nothing = || answer(0, json!({}));
        assert_eq!(observe("errors", vec![nothing(), nothing()]).await.unwrap(), Missing::NoData.into());
        let measured = observe("errors", vec![nothing(), answer(3, json!({}))]).await.unwrap();
        assert_eq!(measured, Observation::proportion(0, 3).unwrap().into());
        // A pattern that matches no index.
        let shards = json!({"_shards": {"total": 0, "successful": 0, "skipped": 0, "failed": 0}});
        let measured = observe("errors", vec![answer(0, shards.clone()), answer(0, shards)]).await.unwrap();
        assert_eq!(measured, Missing::NoData.into());
    }

    #[tokio::test]
    async fn aggregations_are_read() {
        assert_eq!(observe("latency", vec![percentile(9, json!(0.25))]).await.unwrap(), values(&[0.25]));
        assert_eq!(observe("mean", vec![aggregated(9, json!(2))]).await.unwrap(), values(&[2.0]));
        let measured =
            observe("tokens", vec![aggregated(9, json!(120.5)), answer(9, json!({}))]).await.unwrap();
        assert_eq!(measured, Observation::total(120.5, 9).unwrap().into());
        for reply in [percentile(0, json!(null)), percentile(0, json!("NaN")), percentile(9, json!(null))] {
            assert_eq!(observe("latency", vec![reply]).await.unwrap(), Missing::NoData.into());
        }
        for (value, missing) in [
            ("NaN", Missing::NotANumber),
            ("Infinity", Missing::Infinite { negative: false }),
            ("-Infinity", Missing::Infinite { negative: true }),
        ] {
            assert_eq!(observe("mean", vec![aggregated(9, json!(value))]).await.unwrap(), missing.into());
        }
    }

    #[tokio::test]
    async fn an_answer_in_part_is_none() {
        for (different, words) in [
            (json!({"timed_out": true}), "before it had seen"),
            (json!({"terminated_early": true}), "before it had seen"),
            (json!({"_shards": {"total": 5, "successful": 3, "skipped": 0, "failed": 2}}), "2 of 5 shards"),
            (json!({"_clusters": {"total": 2, "successful": 1, "skipped": 1}}), "1 were skipped"),
            (
                json!({"_clusters": {"total": 2, "successful": 1, "skipped": 0, "partial": 1, "failed": 0}}),
                "1 answered",
            ),
        ] {
            let measured = observe("errors", vec![answer(1, json!({})), answer(9, different)]).await.unwrap();
            assert!(
                matches!(&measured, Measurement::Missing(Missing::SourceError { cause, retryable: true })
                    if cause.contains(words)),
                "{measured:?}"
            );
        }
    }

    #[tokio::test]
    async fn what_is_no_answer_is_refused() {
        let total = |total: Value| answer(1, json!({"hits": {"total": total, "hits": []}}));
        for (reply, cause) in [
            (Reply::Body(200, "<html>hello\u{1b}[31m</html>".to_owned()), "expected JSON"),
            (Reply::Body(200, "{}".to_owned()), "expected JSON"),
            (total(json!({"value": 10_000, "relation": "gte"})), "not exactly"),
            (total(json!(12)), "expected JSON"),
            (total(json!({"value": -1, "relation": "eq"})), "expected JSON"),
            (answer(1, json!({})), "without the aggregation"),
            (aggregated(1, json!(true)), "no number: true"),
            (aggregated(1, json!("many")), "no number"),
            (aggregated(1, json!({"a": 1})), "no number"),
            (
                Reply::Body(404, json!({"error": {"type": "index_not_found_exception"}}).to_string()),
                "index_not_found",
            ),
            (
                Reply::Body(400, json!({"error": {"type": "parsing_exception"}}).to_string()),
                "parsing_exception",
            ),
            (Reply::Body(200, " ".repeat(20_000)), "longer than 10000 bytes"),
        ] {
            let script = Script::serve([reply]).await;
            let source = over(Http::new(client()).with_response_limit(10_000), &script);
            let error = source.observe(&Metric::new("mean"), &candidate(), minute()).await.unwrap_err();
            assert!(matches!(error, Error::Malformed { .. }), "{}", chain(&error));
            assert!(chain(&error).contains(cause) && !chain(&error).contains('\u{1b}'), "{}", chain(&error));
        }
        let empty = answer(1, json!({"aggregations": {"value": {"values": []}}}));
        assert!(
            chain(&observe("latency", vec![empty]).await.unwrap_err()).contains("without the percentile")
        );
    }
}

mod failure {
    use super::*;

    fn later(status: u16) -> Reply {
        Reply::With(status, vec![("retry-after", "0".to_owned())], String::new())
    }

    #[tokio::test]
    async fn refused_credentials_are_said() {
        for status in [401, 403] {
            let error = observe("mean", vec![Reply::Body(status, "no".to_owned())]).await.unwrap_err();
            assert!(matches!(error, Error::Denied { .. }), "{}", chain(&error));
        }
    }

    #[tokio::test]
    async fn a_busy_server_is_waited_for_and_a_broken_one_left() {
        let measured = observe("mean", vec![later(429), later(503), aggregated(1, json!(3))]).await.unwrap();
        assert_eq!(measured, values(&[3.0]));
        let error = observe("mean", vec![later(500), later(502), later(503)]).await.unwrap_err();
        assert!(error.is_transient() && chain(&error).contains("503"), "{}", chain(&error));
    }

    #[tokio::test]
    async fn a_server_that_hangs_is_left() {
        let script = Script::serve([Reply::Hang]).await;
        let source = over(Http::new(client()).with_timeout(Duration::from_millis(50)), &script);
        assert!(source.observe(&Metric::errors(), &candidate(), minute()).await.unwrap_err().is_transient());
    }

    #[tokio::test]
    async fn credentials_of_the_client_are_sent_and_not_shown() {
        let mut key = reqwest::header::HeaderValue::from_static("ApiKey c2VjcmV0");
        key.set_sensitive(true);
        let headers = [(reqwest::header::AUTHORIZATION, key)].into_iter().collect();
        let client = reqwest::Client::builder().no_proxy().default_headers(headers).build().unwrap();
        let script = Script::answering(|_| Reply::Body(401, "security_exception".to_owned())).await;
        let source = over(client, &script);
        let error = source.observe(&Metric::errors(), &candidate(), minute()).await.unwrap_err();
        assert_eq!(script.asked()[0].header("authorization"), Some("ApiKey c2VjcmV0"));
        let shown = format!("{source} {source:?} {error:?} {}", chain(&error));
        assert!(!shown.contains("c2VjcmV0"), "{shown}");
    }
}

mod conformance {
    use tidegate_metrics::testkit::conformance::{self, Stocked};

    use super::*;

    /// Documents: nanoseconds after the start, and status. Some lie on the bounds and cuts of the window, and a
    /// nanosecond beside them.
    const DOCUMENTS: [(i64, u64); 12] = [
        (-1, 500),
        (0, 500),
        (1, 200),
        (14_999_999_999, 503),
        (15_000_000_000, 200),
        (15_000_000_001, 200),
        (30_000_000_000, 500),
        (30_000_000_001, 404),
        (45_000_000_000, 200),
        (60_000_000_000, 502),
        (60_000_000_001, 500),
        (61_000_000_000, 200),
    ];

    /// A bound, as Elasticsearch reads it: of what is not written, a bound that excludes downwards takes the
    /// greatest.
    fn bound(text: &str, rounds_up: bool) -> i64 {
        let digits = text.split_once('.').map_or(0, |(_, fraction)| fraction.trim_end_matches('Z').len());
        let at = humantime::parse_rfc3339(text).unwrap();
        let unwritten = if rounds_up { 10_i64.pow(9 - digits as u32) - 1 } else { 0 };
        unwritten
            + match at.duration_since(super::at(0)) {
                Ok(since) => i64::try_from(since.as_nanos()).unwrap(),
                Err(before) => -i64::try_from(before.duration().as_nanos()).unwrap(),
            }
    }

    /// Whether a clause of the query language matches a document.
    fn matches(clause: &Value, at: i64, status: u64) -> bool {
        let (kind, body) = clause.as_object().unwrap().iter().next().unwrap();
        match kind.as_str() {
            "bool" => body["filter"].as_array().unwrap().iter().all(|inner| matches(inner, at, status)),
            "term" => body["version"] == "1.5.0",
            "range" if body["status"].is_object() => status >= body["status"]["gte"].as_u64().unwrap(),
            "range" => {
                let range = &body["@timestamp"];
                assert_eq!(range["format"], "strict_date_optional_time_nanos");
                bound(range["gt"].as_str().unwrap(), true) < at
                    && at <= bound(range["lte"].as_str().unwrap(), true)
            }
            other => panic!("no clause that is asked here: {other}"),
        }
    }

    fn search(asked: &Asked) -> Reply {
        let query = &asked.json()["query"];
        let count = DOCUMENTS.iter().filter(|(at, status)| matches(query, *at, *status)).count();
        answer(count as u64, json!({}))
    }

    async fn stocked() -> Stocked<Elasticsearch> {
        Stocked {
            source: over(client(), &Script::answering(search).await),
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
