//! `JsonApi` against a server on loopback.

#![cfg(feature = "json")]
#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

mod script;

use std::time::{Duration, SystemTime};

use script::{Asked, Reply, Script, chain, client};
use serde_json::{Value, json};
use tidegate_metrics::{
    Error, Http, JsonApi, Measurement, Metric, MetricsSource, Missing, Observation, Selector, Window,
    json::{JsonRequest, TimeUnit, Times},
    query::Query,
};

const START: u64 = 1_800_000_000;
const COUNTS: &str = "/counts/{{version}}?of={{version}}&after={{start}}&until={{end}}";

fn readings() -> JsonRequest {
    let times = Times { path: "$.samples[*].at".parse().unwrap(), unit: TimeUnit::Seconds };
    JsonRequest::get_timed("/samples?of={{version}}", "$.samples[*].value", times).unwrap()
}

fn posted() -> JsonRequest {
    let body = r#"{"side": {"version": "{{version}}"}, "between": ["{{start_ms}}", "{{end_ms}}"], "n": 1}"#;
    JsonRequest::post("/search", body.parse().unwrap(), "$.n").unwrap()
}

fn over(http: impl Into<Http>, script: &Script) -> JsonApi {
    let get = |path| JsonRequest::get(COUNTS, path).unwrap();
    JsonApi::new(http, &format!("{}/api/", script.url()))
        .unwrap()
        .with_query(Metric::errors(), Query::proportion(get("$.errors"), get("$['all']")))
        .with_query(Metric::latency(), Query::values(get("$.p95")))
        .with_query(Metric::new("several"), Query::values(get("$..p95").allowing_several()))
        .with_query(Metric::new("samples"), Query::values(readings()))
        .with_query(Metric::new("posted"), Query::values(posted()))
}

fn candidate() -> Selector {
    Selector::default().with("version", "1.5.0")
}

fn at(milliseconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(START * 1000 + milliseconds)
}

fn minute() -> Window {
    Window::new(at(0), at(60_000)).unwrap()
}

fn answer(json: Value) -> Reply {
    Reply::Body(200, json.to_string())
}

async fn observe(metric: &str, replies: Vec<Reply>) -> Result<Measurement, Error> {
    let script = Script::serve(replies).await;
    over(client(), &script).observe(&Metric::new(metric), &candidate(), minute()).await
}

async fn latency(reply: Reply) -> Result<Measurement, Error> {
    observe("latency", vec![reply]).await
}

fn values(values: &[f64]) -> Measurement {
    Observation::values(values.to_vec()).unwrap().into()
}

mod question {
    use super::*;

    #[tokio::test]
    async fn the_url_names_the_side_and_the_window() {
        let script = Script::serve([answer(json!({"errors": 1})), answer(json!({"all": "9"}))]).await;
        let measured = over(client(), &script).observe(&Metric::errors(), &candidate(), minute()).await;
        assert_eq!(measured.unwrap(), Observation::proportion(1, 9).unwrap().into());
        let [hits, _] = <[Asked; 2]>::try_from(script.asked()).unwrap();
        assert_eq!((hits.method.as_str(), hits.uri.path()), ("GET", "/api/counts/1.5.0"));
        let expected = [
            ("of", "1.5.0"),
            ("after", "2027-01-15T08:00:00.000000000Z"),
            ("until", "2027-01-15T08:01:00.000000000Z"),
        ];
        assert_eq!(hits.query(), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(hits.header("accept"), Some("application/json"));
    }

    #[tokio::test]
    async fn a_body_is_posted() {
        let script = Script::serve([answer(json!({"n": 3}))]).await;
        over(client(), &script).observe(&Metric::new("posted"), &candidate(), minute()).await.unwrap();
        let asked = script.asked().pop().unwrap();
        assert_eq!((asked.method.as_str(), asked.uri.to_string().as_str()), ("POST", "/api/search"));
        assert_eq!(
            asked.json(),
            json!({"side": {"version": "1.5.0"}, "between": ["1800000000000", "1800000060000"], "n": 1})
        );
    }

    #[tokio::test]
    async fn a_value_stays_a_value() {
        let script = Script::answering(|_| answer(json!({"errors": 1, "all": 9, "n": 3}))).await;
        let source = over(client(), &script);
        for hostile in
            ["a/../../x?y#z", "a&until=0", "a b\"'\n\0", "%2e%2e%2f", "{{end}}${x}--", "1.5.0+b;é", "..."]
        {
            let selector = Selector::default().with("version", hostile);
            if hostile != "..." {
                source.observe(&Metric::errors(), &selector, minute()).await.unwrap();
                let asked = script.asked().pop().unwrap();
                let query = asked.query();
                assert_eq!((query.len(), query[0].1.as_str()), (3, hostile));
                let segments: Vec<_> = asked.uri.path().split('/').collect();
                assert_eq!((segments.len(), segments[..3].join("/")), (4, "/api/counts".to_owned()));
                // What is in a segment reads as in a query, but for the plus.
                let read =
                    reqwest::Url::parse(&format!("http://a/?{}", segments[3].replace('+', "%2B"))).unwrap();
                assert_eq!(read.query_pairs().next().unwrap().0, hostile);
            }
            source.observe(&Metric::new("posted"), &selector, minute()).await.unwrap();
            assert_eq!(script.asked().pop().unwrap().json()["side"], json!({"version": hostile}));
        }
    }

    #[tokio::test]
    async fn what_would_not_fit_is_not_asked() {
        let script = Script::serve([]).await;
        let source = over(client(), &script);
        for hostile in ["", ".", "..", "..."] {
            let selector = Selector::default().with("version", hostile);
            let error = source.observe(&Metric::errors(), &selector, minute()).await.unwrap_err();
            assert!(matches!(error, Error::UnfitLabel { .. }), "{hostile}: {error}");
        }
        for metric in ["errors", "samples", "posted"] {
            let observed = source.observe(&Metric::new(metric), &Selector::default(), minute()).await;
            let error = observed.unwrap_err();
            assert!(matches!(&error, Error::MissingLabel { label, .. } if label == "version"), "{error}");
        }
        let finer = Window::new(at(0), at(60_000) + Duration::from_micros(1)).unwrap();
        let error = source.observe(&Metric::new("posted"), &candidate(), finer).await.unwrap_err();
        assert!(
            error.to_string().contains("`end_ms`") && error.to_string().contains("millisecond"),
            "{error}"
        );
        assert!(script.asked().is_empty());
    }

    #[tokio::test]
    async fn whole_seconds_are_sent_as_such() {
        let script = Script::answering(|_| answer(json!(1))).await;
        let request = JsonRequest::get("/?v={{version}}&a={{start_s}}&b={{end_s}}", "$").unwrap();
        let source = JsonApi::new(client(), &script.url()).unwrap();
        let source = source.with_query(Metric::errors(), Query::values(request));
        source.observe(&Metric::errors(), &candidate(), minute()).await.unwrap();
        assert_eq!(script.asked()[0].uri.to_string(), "/?v=1.5.0&a=1800000000&b=1800000060");
        let finer = Window::new(at(500), at(60_000)).unwrap();
        source.observe(&Metric::errors(), &candidate(), finer).await.unwrap_err();
    }

    #[test]
    fn requests_that_leave_something_open_are_refused() {
        for (url, path, problem) in [
            ("/a?v={{v}}", "$", "does not name the window"),
            ("/a?v={{v}}&a={{start_s}}", "$", "does not name the window"),
            ("/a?a={{start_s}}&b={{end}}", "$", "names no label"),
            ("a?v={{v}}&a={{start}}&b={{end}}", "$", "begins with `/`"),
            ("//{{v}}.example/#{{start}}{{end}}", "$", "holds a `#`"),
            ("/a b?v={{v}}&a={{start}}&b={{end}}", "$", "a space"),
            ("/a/../{{v}}?a={{start}}&b={{end}}", "$", "leads elsewhere"),
            ("/{{v}}?a={{start}}&b={{end}}", "$..a..b", "a second `..`"),
            ("/{{v}}?a={{start}}&b={{end}}", "errors", "at character 1"),
        ] {
            let error = JsonRequest::get(url, path).unwrap_err();
            assert!(error.to_string().contains(problem), "{error}");
            let written = json!({"url": url, "numbers": path});
            let error = serde_json::from_value::<JsonRequest>(written).unwrap_err();
            assert!(error.to_string().contains(problem), "{error}");
        }
    }

    #[test]
    fn requests_are_data() {
        for request in [readings(), posted(), posted().allowing_several()] {
            let written = serde_json::to_string(&request).unwrap();
            assert_eq!(serde_json::from_str::<JsonRequest>(&written).unwrap(), request, "{written}");
        }
        let misspelt = json!({"url": COUNTS, "numbers": "$", "sevral": true});
        serde_json::from_value::<JsonRequest>(misspelt).unwrap_err();
    }

    #[test]
    fn a_password_is_not_shown() {
        let source = JsonApi::new(client(), "https://user:pass@server/api").unwrap();
        let shown = format!("{source} {source:?}");
        assert!(!shown.contains("pass") && !shown.contains("user"), "{shown}");
        JsonApi::new(client(), "file:///etc").unwrap_err();
    }
}

mod reading {
    use super::*;

    #[tokio::test]
    async fn numbers_may_be_strings() {
        for (value, expected) in [
            (json!(0.25), values(&[0.25])),
            (json!(-3), values(&[-3.0])),
            (json!(u64::MAX), values(&[u64::MAX as f64])),
            (json!(" 0.25 "), values(&[0.25])),
            (json!("1e3"), values(&[1000.0])),
            (json!(null), Missing::NoData.into()),
            (json!("NaN"), Missing::NotANumber.into()),
            (json!("+Inf"), Missing::Infinite { negative: false }.into()),
            (json!("-Infinity"), Missing::Infinite { negative: true }.into()),
        ] {
            assert_eq!(latency(answer(json!({"p95": value}))).await.unwrap(), expected, "{value}");
        }
    }

    #[tokio::test]
    async fn what_is_not_there_is_no_data() {
        for json in [json!({}), json!([]), json!(null), json!({"p99": 1}), json!([{"p95": 1}])] {
            assert_eq!(latency(answer(json)).await.unwrap(), Missing::NoData.into());
        }
    }

    #[tokio::test]
    async fn several_numbers_are_allowed_or_refused() {
        let two = || answer(json!([{"p95": 1}, {"a": {"p95": 2}}, {"p95": null}]));
        assert_eq!(observe("several", vec![two()]).await.unwrap(), values(&[1.0, 2.0]));
        let script = Script::answering(move |_| answer(json!([{"p95": 1}, {"p95": 2}]))).await;
        let request = JsonRequest::get(COUNTS, "$[*].p95").unwrap();
        let source = JsonApi::new(client(), &script.url()).unwrap();
        let source = source.with_query(Metric::errors(), Query::proportion(request.clone(), request.clone()));
        let error = source.observe(&Metric::errors(), &candidate(), minute()).await.unwrap_err();
        assert!(chain(&error).contains("at `$[*].p95`: there are 2 numbers"), "{}", chain(&error));
        let request = request.allowing_several();
        let source = source.with_query(Metric::errors(), Query::proportion(request.clone(), request));
        let measured = source.observe(&Metric::errors(), &candidate(), minute()).await.unwrap();
        assert_eq!(measured, Observation::proportion(3, 3).unwrap().into());
    }

    #[tokio::test]
    async fn numbers_are_of_their_times() {
        let sample = |second: f64, value: Value| json!({"at": START as f64 + second, "value": value});
        let samples = json!({"samples": [
            sample(0.0, json!(1)), sample(0.5, json!(2)), sample(60.0, json!("4")), sample(30.0, json!(null)),
            sample(60.5, json!(8)),
        ]});
        assert_eq!(observe("samples", vec![answer(samples)]).await.unwrap(), values(&[2.0, 4.0]));
        let old = json!({"samples": [sample(-30.0, json!(1))]});
        let stale = Missing::Stale { age: Duration::from_secs(90) };
        assert_eq!(observe("samples", vec![answer(old)]).await.unwrap(), stale.into());
        for (samples, problem) in [
            (json!([{"value": 1}]), "0 times for 1 numbers"),
            (json!([{"value": 1, "at": "noon"}]), "no time in seconds"),
            (json!([{"value": 1, "at": null}]), "no time in seconds"),
        ] {
            let error = observe("samples", vec![answer(json!({"samples": samples}))]).await.unwrap_err();
            assert!(chain(&error).contains(problem), "{}", chain(&error));
        }
    }

    #[tokio::test]
    async fn what_is_no_answer_is_refused() {
        for (reply, cause) in [
            (answer(json!({"p95": true})), "at `$.p95`: it is no number: true"),
            (answer(json!({"p95": "fast"})), "no number: \"fast\""),
            (answer(json!({"p95": ""})), "no number"),
            (answer(json!({"p95": [1, 2]})), "an array of 2"),
            (answer(json!({"p95": {"value": 1}})), "an object of 1 members"),
            (Reply::Body(200, "<html>hello\u{1b}[31m</html>".to_owned()), "expected JSON"),
            (Reply::Body(200, String::new()), "expected JSON"),
            (Reply::Body(200, r#"{"p95": NaN}"#.to_owned()), "expected JSON"),
            (Reply::Body(200, r#"{"p95": 1e999}"#.to_owned()), "out of range"),
            (Reply::Body(200, format!("{}{}", "[".repeat(5000), "]".repeat(5000))), "recursion limit"),
            (Reply::Body(404, "no such version".to_owned()), "no such version"),
            (Reply::Body(204, String::new()), "204"),
            (Reply::Body(200, " ".repeat(20_000)), "longer than 10000 bytes"),
        ] {
            let script = Script::serve([reply]).await;
            let source = over(Http::new(client()).with_response_limit(10_000), &script);
            let error = source.observe(&Metric::latency(), &candidate(), minute()).await.unwrap_err();
            assert!(matches!(error, Error::Malformed { .. }), "{}", chain(&error));
            assert!(chain(&error).contains(cause) && !chain(&error).contains('\u{1b}'), "{}", chain(&error));
        }
    }

    /// Asks for what `path` finds in `text`, on a thread of its own, and waits no longer than for a busy machine; a
    /// path that looks at everything again for each value takes hours.
    fn ends(path: &'static str, text: String) {
        let (done, is_done) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let script = Script::answering(move |_| Reply::Body(200, text.clone())).await;
                let request = JsonRequest::get(COUNTS, path).unwrap();
                let source = JsonApi::new(client(), &script.url()).unwrap();
                let source = source.with_query(Metric::errors(), Query::values(request));
                drop(source.observe(&Metric::errors(), &candidate(), minute()).await);
            });
            done.send(()).unwrap();
        });
        is_done.recv_timeout(Duration::from_secs(30)).unwrap_or_else(|_| panic!("{path} does not end"));
    }

    /// The slowest paths that are allowed, on answers of nearly as many values as are allowed, deep and wide.
    #[tokio::test]
    async fn no_path_takes_long() {
        let deep = format!("{}1{}", r#"{"a":["#.repeat(60), "]}".repeat(60));
        let deep = format!("[{}]", vec![deep; 1500].join(","));
        let wide = format!("[{}]", vec![r#"{"a":{"b":1}}"#; 60_000].join(","));
        for path in [
            "$..*",
            "$..*.*.*.*.*.*.*.*.*.*.*.*",
            "$..[*,*,*,*][*,*,*,*]",
            "$..[?@.*.*.* || @[?@[?@.a]]]",
            "$[?count(@..*) > 1]",
            "$..[?length(@) > 1 && length(@.a) > 1 && length(@.a.b) > 1]",
            "$..[?@.a == @.a.a]",
        ] {
            ends(path, deep.clone());
            ends(path, wide.clone());
        }
        let most = format!("[{}1]", "1,".repeat(200_000));
        let error = latency(Reply::Body(200, most)).await.unwrap_err();
        assert!(chain(&error).contains("more than 200000; ask for less"), "{}", chain(&error));
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
            let error = latency(Reply::Body(status, "no".to_owned())).await.unwrap_err();
            assert!(matches!(error, Error::Denied { .. }), "{}", chain(&error));
        }
    }

    #[tokio::test]
    async fn a_busy_server_is_waited_for_and_a_broken_one_left() {
        let replies = vec![later(429), later(503), answer(json!({"p95": 3}))];
        assert_eq!(observe("latency", replies).await.unwrap(), values(&[3.0]));
        let error = observe("latency", vec![later(500), later(502), later(503)]).await.unwrap_err();
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
        let mut key = reqwest::header::HeaderValue::from_static("Bearer c2VjcmV0");
        key.set_sensitive(true);
        let headers = [(reqwest::header::AUTHORIZATION, key)].into_iter().collect();
        let client = reqwest::Client::builder().no_proxy().default_headers(headers).build().unwrap();
        let script = Script::answering(|_| Reply::Body(401, "no".to_owned())).await;
        let source = over(client, &script);
        let error = source.observe(&Metric::errors(), &candidate(), minute()).await.unwrap_err();
        assert_eq!(script.asked()[0].header("authorization"), Some("Bearer c2VjcmV0"));
        let shown = format!("{source} {source:?} {error:?} {}", chain(&error));
        assert!(!shown.contains("c2VjcmV0"), "{shown}");
    }
}

mod conformance {
    use tidegate_metrics::testkit::conformance::{self, Stocked};

    use super::*;

    /// Milliseconds after the start, and whether the request failed. Some lie on the bounds and cuts of the window.
    const REQUESTS: [(i64, bool); 10] = [
        (-1, true),
        (0, true),
        (1, false),
        (15_000, true),
        (15_001, false),
        (30_000, false),
        (45_000, true),
        (60_000, true),
        (60_001, true),
        (61_000, false),
    ];

    /// Counts what is after the start and up to the end, or all with their times.
    fn count(asked: &Asked) -> Reply {
        let query = asked.query();
        let field =
            |name: &str| query.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str());
        if field("of") != Some("1.5.0") {
            return answer(json!({"errors": 0, "all": 0, "samples": []}));
        }
        let after_start = |time: &str| {
            let at = humantime::parse_rfc3339(time).unwrap();
            at.duration_since(super::at(0)).map_or_else(|_| -1_000_000_i64, |since| since.as_millis() as i64)
        };
        let (after, until) =
            (field("after").map_or(i64::MIN, after_start), field("until").map_or(i64::MAX, after_start));
        let inside = || REQUESTS.iter().filter(|(at, _)| after < *at && *at <= until);
        let stamp = |at: i64| (START as i64 * 1000 + at) as f64 / 1000.0;
        let samples: Vec<_> =
            inside().map(|&(at, failed)| json!({"at": stamp(at), "value": u8::from(failed)})).collect();
        let errors = inside().filter(|(_, failed)| *failed).count();
        answer(json!({"errors": errors, "all": inside().count(), "samples": samples}))
    }

    async fn stocked(metric: &str, expected: Observation) -> Stocked<JsonApi> {
        Stocked {
            source: over(client(), &Script::answering(count).await),
            metric: Metric::new(metric),
            selector: candidate(),
            nobody: Selector::default().with("version", "0.0.0"),
            window: minute(),
            expected,
        }
    }

    async fn counted() -> Stocked<JsonApi> {
        stocked("errors", Observation::proportion(3, 6).unwrap()).await
    }

    async fn sampled() -> Stocked<JsonApi> {
        stocked("samples", Observation::values(vec![0.0, 1.0, 0.0, 0.0, 1.0, 1.0]).unwrap()).await
    }

    #[tokio::test]
    async fn answers_what_was_observed() {
        conformance::answers_what_was_observed(counted).await;
        conformance::answers_what_was_observed(sampled).await;
    }

    #[tokio::test]
    async fn answers_the_same_again() {
        conformance::answers_the_same_again(counted).await;
        conformance::answers_the_same_again(sampled).await;
    }

    #[tokio::test]
    async fn says_that_nobody_was_observed() {
        conformance::says_that_nobody_was_observed(counted).await;
        conformance::says_that_nobody_was_observed(sampled).await;
    }

    #[tokio::test]
    async fn says_that_nothing_was_observed() {
        conformance::says_that_nothing_was_observed(counted).await;
        conformance::says_that_nothing_was_observed(sampled).await;
    }

    #[tokio::test]
    async fn consecutive_windows_add_up() {
        conformance::consecutive_windows_add_up(counted).await;
        conformance::consecutive_windows_add_up(sampled).await;
    }
}
