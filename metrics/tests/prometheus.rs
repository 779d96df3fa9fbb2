//! `Prometheus` against a scripted server on loopback, and, where one is installed, against the real thing.

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

use std::{
    collections::VecDeque,
    future::{Future, pending},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use axum::{Router, extract::State, http::StatusCode, response::IntoResponse, routing::post};
use serde_json::{Value, json};
use tidegate_metrics::{
    Error, Measurement, Metric, MetricsSource, Missing, Observation, Prometheus, Selector, Window,
    prometheus::Query,
};

const START: u64 = 1_800_000_000;

/// What the server does with one request.
#[derive(Clone)]
enum Reply {
    Body(u16, String),
    Hang,
}

/// Answers requests from a queue and keeps what was asked.
#[derive(Clone, Default)]
struct Script {
    replies: Arc<Mutex<VecDeque<Reply>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Script {
    async fn serve(replies: impl IntoIterator<Item = Reply>) -> (Self, SocketAddr) {
        let script = Self { replies: Arc::new(Mutex::new(replies.into_iter().collect())), ..Self::default() };
        let answer = async |State(script): State<Self>, body: String| {
            script.asked.lock().unwrap().push(body);
            let reply = script.replies.lock().unwrap().pop_front();
            match reply {
                Some(Reply::Body(status, body)) => {
                    (StatusCode::from_u16(status).unwrap(), body).into_response()
                }
                Some(Reply::Hang) => pending().await,
                None => (StatusCode::IM_A_TEAPOT, "nothing more was expected").into_response(),
            }
        };
        let router = Router::new().route("/base/api/v1/query", post(answer)).with_state(script.clone());
        (script, serve(router).await)
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn serve(router: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

fn source(address: SocketAddr) -> Prometheus {
    let errors = Query::proportion(
        r#"requests_total{version="{{version}}",code=~"5.."}"#.parse().unwrap(),
        r#"requests_total{version="{{version}}"}"#.parse().unwrap(),
    );
    let latency = Query::histogram(r#"seconds_bucket{version="{{version}}"}"#.parse().unwrap());
    Prometheus::new(client(), &format!("http://{address}/base/"))
        .unwrap()
        .with_query(Metric::errors(), errors)
        .with_query(Metric::latency(), latency)
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

async fn errors(replies: impl IntoIterator<Item = Reply>) -> Result<Measurement, Error> {
    let (_, address) = Script::serve(replies).await;
    source(address).observe(&Metric::errors(), &candidate(), minute()).await
}

async fn latency(replies: impl IntoIterator<Item = Reply>) -> Result<Measurement, Error> {
    let (_, address) = Script::serve(replies).await;
    source(address).observe(&Metric::latency(), &candidate(), minute()).await
}

fn counted(hits: u64, trials: u64) -> Measurement {
    Observation::proportion(hits, trials).unwrap().into()
}

/// The error with everything behind it, as a log shows it.
fn chain(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {}", chain(source)))
}

mod question {
    use super::*;

    #[tokio::test]
    async fn it_reaches_back_and_ends_with_the_window() {
        let (script, address) = Script::serve([matrix([]), matrix([])]).await;
        source(address).observe(&Metric::errors(), &candidate(), minute()).await.unwrap();
        let asked = script.asked();
        assert_eq!(asked.len(), 2, "hits, then trials");
        let form: Vec<(String, String)> = reqwest::Url::parse(&format!("form:?{}", asked[0]))
            .unwrap()
            .query_pairs()
            .map(|(key, value)| (key.into_owned(), value.into_owned()))
            .collect();
        assert_eq!(
            form[0],
            ("query".into(), r#"requests_total{version="1.4.0",code=~"5.."}[360000ms]"#.into())
        );
        assert_eq!(form[1], ("time".into(), format!("{}.000", START + 60)));
    }

    #[tokio::test]
    async fn what_cannot_be_asked_is_not_sent() {
        let (script, address) = Script::serve([]).await;
        let source = source(address);
        let lacking = source.observe(&Metric::errors(), &Selector::default(), minute()).await.unwrap_err();
        assert!(matches!(&lacking, Error::MissingLabel { label, .. } if label == "version"), "{lacking}");
        let unknown = source.observe(&Metric::new("cost"), &candidate(), minute()).await.unwrap_err();
        assert!(
            matches!(&unknown, Error::UnknownMetric { known, .. } if known == "errors, latency"),
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
        let (_, address) = Script::serve([matrix([]), matrix([series(&[], &["1", "2", "3"])])]).await;
        let impatient = source(address).with_staleness(Duration::from_secs(30));
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
        let native = json!({"status": "success", "data": {"resultType": "matrix",
            "result": [{"metric": {}, "histograms": [[1, {}]]}]}});
        let fraction = matrix([series(&[], &["0", "0.5", "1", "1", "1", "2"])]);
        let more_hits = matrix([series(&[], &["0", "0", "3", "4", "5", "6"])]);
        let fewer_trials = matrix([series(&[], &["0", "0", "1", "1", "1", "2"])]);
        for (replies, cause) in [
            (vec![Reply::Body(200, deep)], "recursion"),
            (vec![Reply::Body(200, "OK".to_owned())], "expected value"),
            (vec![Reply::Body(404, "no such page".to_owned())], "404"),
            (vec![Reply::Body(200, vector)], "vector"),
            (vec![Reply::Body(200, native.to_string())], "native histograms"),
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
        let (_, address) = Script::serve([Reply::Body(200, " ".repeat(100_000))]).await;
        let source = source(address).with_response_limit(10_000);
        let error = source.observe(&Metric::errors(), &candidate(), minute()).await.unwrap_err();
        assert!(chain(&error).contains("longer than 10000 bytes"), "{}", chain(&error));
    }

    #[tokio::test]
    async fn a_server_that_hangs_is_left() {
        let (_, address) = Script::serve([Reply::Hang]).await;
        let source = source(address).with_timeout(Duration::from_millis(50));
        let error = source.observe(&Metric::errors(), &candidate(), minute()).await.unwrap_err();
        assert!(matches!(error, Error::Unavailable { .. }), "{}", chain(&error));
    }
}

mod conformance {
    use tidegate_metrics::testkit::conformance::{self, Stocked};

    use super::*;

    /// A server that holds a history and selects by version, as Prometheus does.
    async fn stocked() -> Stocked<Prometheus> {
        let hits = series(&[("code", "500")], &["1", "1", "2", "2", "4", "4", "9"]);
        let ok = series(&[("code", "200")], &["10", "20", "30", "40", "50", "60", "99"]);
        let answer = async move |body: String| {
            let form = reqwest::Url::parse(&format!("form:?{body}")).unwrap();
            let value = |key: &str| form.query_pairs().find(|(k, _)| k == key).unwrap().1.into_owned();
            let (query, end) = (value("query"), value("time").parse::<f64>().unwrap());
            let range: f64 = query.rsplit('[').next().unwrap().trim_end_matches("ms]").parse().unwrap();
            let kept = if query.contains("5..") { vec![&hits] } else { vec![&hits, &ok] };
            let kept = kept.into_iter().filter(|_| query.contains("\"1.4.0\"")).filter_map(|series| {
                let mut series = series.clone();
                series["values"].as_array_mut().unwrap().retain(|sample| {
                    let at = sample[0].as_f64().unwrap();
                    at <= end && at > end - range / 1000.0
                });
                (!series["values"].as_array().unwrap().is_empty()).then_some(series)
            });
            match matrix(kept) {
                Reply::Body(_, body) => body,
                Reply::Hang => unreachable!("a matrix is a body"),
            }
        };
        let address = serve(Router::new().route("/base/api/v1/query", post(answer))).await;
        Stocked {
            source: source(address),
            metric: Metric::errors(),
            selector: candidate(),
            nobody: Selector::default().with("version", "0.0.0"),
            window: minute(),
            expected: Observation::proportion(3, 43).unwrap(),
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

mod live {
    use std::{
        collections::BTreeMap,
        path::{Path, PathBuf},
        process::Stdio,
    };

    use axum::routing::get;

    use super::*;

    /// What the target has counted: requests by status code, and how long they took, by bucket.
    #[derive(Default)]
    struct Counters {
        requests: BTreeMap<u16, u64>,
        buckets: [u64; 3],
    }

    impl Counters {
        const EDGES: [f64; 2] = [0.1, 0.5];

        fn serve_one(&mut self, code: u16, seconds: f64) {
            *self.requests.entry(code).or_default() += 1;
            let bucket = Self::EDGES.iter().position(|edge| seconds <= *edge).unwrap_or(Self::EDGES.len());
            self.buckets[bucket] += 1;
        }

        fn exposition(&self) -> String {
            let mut text = "# TYPE requests_total counter\n".to_owned();
            for (code, count) in &self.requests {
                text += &format!("requests_total{{version=\"1.4.0\",code=\"{code}\"}} {count}\n");
            }
            text += "# TYPE seconds histogram\n";
            let mut sum = 0;
            for (le, count) in ["0.1", "0.5", "+Inf"].iter().zip(self.buckets) {
                sum += count;
                text += &format!("seconds_bucket{{version=\"1.4.0\",le=\"{le}\"}} {sum}\n");
            }
            text
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a live test is told by its environment where the server is"
    )]
    fn from_environment(name: &str) -> Option<PathBuf> {
        std::env::var_os(name).map(PathBuf::from)
    }

    #[expect(clippy::disallowed_methods, reason = "a real server keeps real time")]
    fn now() -> SystemTime {
        SystemTime::now()
    }

    async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut check: impl FnMut() -> F) -> T {
        for _ in 0..300 {
            if let Some(found) = check().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("30 s passed without {what}");
    }

    /// A server that scrapes `target` every second; it ends when the returned child is dropped.
    async fn start(directory: &Path, target: SocketAddr) -> (tokio::process::Child, String) {
        let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let configuration = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 900ms}}\nscrape_configs:\n- {{job_name: model, static_configs: [{{targets: [\"{target}\"]}}]}}\n"
        );
        std::fs::write(directory.join("prometheus.yml"), configuration).unwrap();
        let binary = from_environment("PROMETHEUS_BIN").unwrap_or_else(|| "prometheus".into());
        let child = tokio::process::Command::new(binary)
            .arg(format!("--config.file={}", directory.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", directory.join("tsdb").display()))
            .arg(format!("--web.listen-address={free}"))
            .arg("--log.level=error")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("prometheus starts: install it or set PROMETHEUS_BIN");
        (child, format!("http://{free}"))
    }

    #[tokio::test]
    #[ignore = "needs Prometheus (the binary on the PATH or in PROMETHEUS_BIN)"]
    async fn counts_are_those_of_the_target() {
        let counters = Arc::new(Mutex::new(Counters::default()));
        let shown = Arc::clone(&counters);
        let scrapes = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&scrapes);
        // Traffic is served in between scrapes: every scrape sees some more, and a first error late.
        let metrics = async move || {
            let mut counters = shown.lock().unwrap();
            let mut scrapes = kept.lock().unwrap();
            for i in 0..20 {
                let code = if scrapes.len() >= 5 && i == 0 { 500 } else { 200 };
                counters.serve_one(code, [0.05, 0.2, 0.9][i % 3]);
            }
            scrapes.push((now(), counters.requests.clone(), counters.buckets));
            counters.exposition()
        };
        let target = serve(Router::new().route("/metrics", get(metrics))).await;
        let directory = tempfile::tempdir().unwrap();
        let (mut child, url) = start(directory.path(), target).await;
        until("twelve scrapes", async || (scrapes.lock().unwrap().len() >= 12).then_some(())).await;
        let seen = scrapes.lock().unwrap().clone();

        // Bounds half-way between scrapes, so that it is certain which samples belong to the window.
        let between = |i: usize| seen[i].0 + Duration::from_millis(500);
        let queries = source(target);
        let queries = queries.queries().map(|(metric, query)| (metric.clone(), query.clone()));
        let live = Prometheus::new(client(), &url).unwrap().with_queries(queries);
        let ask = async |metric, from: usize, to: usize| {
            let window = Window::new(between(from), between(to)).unwrap();
            live.observe(&metric, &candidate(), window).await.unwrap()
        };
        for (from, to) in [(1, 9), (1, 4), (4, 9), (6, 9)] {
            let ((_, before, _), (_, after, _)) = (&seen[from], &seen[to]);
            let rise = |code| after.get(&code).unwrap_or(&0) - before.get(&code).unwrap_or(&0);
            let expected = counted(rise(500), rise(500) + rise(200));
            assert_eq!(ask(Metric::errors(), from, to).await, expected, "scrapes {from} to {to}");
            let (before, after) = (seen[from].2, seen[to].2);
            let counts = after.iter().zip(before).map(|(after, before)| after - before).collect();
            let expected = Observation::histogram(Counters::EDGES.to_vec(), counts).unwrap();
            assert_eq!(ask(Metric::latency(), from, to).await, expected.into(), "scrapes {from} to {to}");
        }
        let nobody = Selector::default().with("version", "0.0.0\"} or requests_total{x=\"");
        let window = Window::new(between(1), between(9)).unwrap();
        let measured = live.observe(&Metric::errors(), &nobody, window).await.unwrap();
        assert_eq!(measured, Missing::NoData.into());

        let wrong = Query::histogram(r#"sum(rate(x{v="{{version}}"}"#.parse().unwrap());
        let wrong = live.clone().with_query(Metric::latency(), wrong);
        let error = wrong.observe(&Metric::latency(), &candidate(), window).await.unwrap_err();
        assert!(
            matches!(error, Error::Malformed { .. }) && chain(&error).contains("parse error"),
            "{}",
            chain(&error)
        );
        child.kill().await.unwrap();
    }
}
