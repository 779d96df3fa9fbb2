//! Against MiniStack (`pip install ministack`), which computes percentiles and checks no signature.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use tidegate_metrics::testkit::conformance::{self, Stocked};
use tokio::sync::OnceCell;

use super::{ports::free_port, *};

/// One server for all these tests. A static is never dropped, so a shell ends the server when this program, which
/// holds its standard input, is gone.
#[derive(Debug)]
struct MiniStack {
    url: String,
    _shell: Child,
}

const SHELL: &str = r#"
directory=$1; shift
cd "$directory" || exit 1
"$@" >log 2>&1 &
cat >/dev/null
kill $!
for _ in 1 2 3 4 5 6 7 8 9 10; do kill -0 $! 2>/dev/null || break; sleep .3; done
kill -9 $! 2>/dev/null
rm -rf "$directory"
"#;

async fn ministack() -> &'static MiniStack {
    static SERVER: OnceCell<MiniStack> = OnceCell::const_new();
    SERVER.get_or_init(MiniStack::start).await
}

impl MiniStack {
    #[expect(
        clippy::disallowed_methods,
        reason = "a live test is told by its environment where the server is"
    )]
    async fn start() -> Self {
        let binary = std::env::var_os("MINISTACK_BIN").map_or_else(|| "ministack".into(), PathBuf::from);
        let found = Command::new("sh").args(["-c", "command -v \"$1\"", "sh"]).arg(&binary).output().unwrap();
        assert!(found.status.success(), "{} is not to be found; set MINISTACK_BIN", binary.display());
        let port = free_port();
        let directory = tempfile::tempdir().unwrap().keep();
        let shell = Command::new("sh")
            .args(["-c", SHELL, "sh"])
            .args([&directory, &binary])
            // Without the first it listens for everybody.
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .env("MINISTACK_HOST", "127.0.0.1")
            .env("DOCKER_HOST", "unix:///nonexistent")
            .env("TMPDIR", &directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { url: format!("http://127.0.0.1:{port}"), _shell: shell };
        for _ in 0..300 {
            if server.ask("ListMetrics", &json!({})).await.is_ok() {
                return server;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let log = std::fs::read_to_string(directory.join("log")).unwrap_or_default();
        panic!("30 s passed and the server does not serve; its log: {log}");
    }

    async fn ask(&self, operation: &str, body: &Value) -> Result<(), reqwest::Error> {
        const SCOPE: &str = "Credential=test/20270115/eu-central-1/monitoring/aws4_request";
        client()
            .post(&self.url)
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", format!("GraniteServiceVersion20100801.{operation}"))
            .header("authorization", format!("AWS4-HMAC-SHA256 {SCOPE}, SignedHeaders=host, Signature=0"))
            .body(body.to_string())
            .send()
            .await?
            .error_for_status()
            .map(drop)
    }

    /// Sends data of `metric` in `namespace` of version 1.4.0, so many seconds after the first minute.
    async fn put(&self, namespace: &str, metric: &str, data: &[(u64, Value)]) {
        let data: Vec<_> = data
            .iter()
            .map(|(second, fields)| {
                let mut datum = fields.clone();
                datum["MetricName"] = json!(metric);
                datum["Dimensions"] = json!([{"Name": "Version", "Value": "1.4.0"}]);
                datum["Timestamp"] = json!(seconds(first_minute()) + second);
                datum
            })
            .collect();
        let body = json!({"Namespace": namespace, "MetricData": data});
        self.ask("PutMetricData", &body).await.unwrap();
    }

    fn source(&self, namespace: &str) -> CloudWatch {
        let of =
            |metric, stat| MetricStat::new(namespace, metric, [("Version", "{{version}}")], stat).unwrap();
        CloudWatch::new(client(), "eu-central-1", Credentials::new("test", "test"), now)
            .unwrap()
            .at(&self.url)
            .unwrap()
            .with_query(
                Metric::errors(),
                Query::proportion(of("Errors", "Sum"), of("Latency", "SampleCount")),
            )
            .with_query(Metric::latency(), Query::values(of("Latency", "p95")))
            .with_query(
                Metric::new("latency in all"),
                Query::values(of("Latency", "p95").every(300).unwrap()),
            )
            .with_query(
                Metric::new("seconds"),
                Query::total(of("Latency", "Sum"), of("Latency", "SampleCount")),
            )
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the server forgets what is weeks old, so the past must be real"
)]
fn now() -> SystemTime {
    SystemTime::now()
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

/// The beginning of an hour, some two hours ago; the same for all of a program.
fn first_minute() -> SystemTime {
    static FIRST: std::sync::OnceLock<SystemTime> = std::sync::OnceLock::new();
    *FIRST.get_or_init(|| SystemTime::UNIX_EPOCH + Duration::from_secs((seconds(now()) / 3600 - 2) * 3600))
}

fn window(from: u64, to: u64) -> Window {
    Window::new(first_minute() + Duration::from_secs(from), first_minute() + Duration::from_secs(to)).unwrap()
}

/// Latencies as an exponential distribution has them, in no order; the last is that of 95 in 100.
fn latencies(count: usize) -> (Vec<f64>, f64) {
    let mut values: Vec<_> =
        (0..count).map(|i| -0.05 * (1.0 - (i as f64 + 0.5) / count as f64).ln()).collect();
    let percentile = -0.05 * 0.05_f64.ln();
    values.sort_by_key(|value| (value * 1e9) as u64 % 1009);
    (values, percentile)
}

async fn observe(source: &CloudWatch, metric: &str, window: Window) -> Measurement {
    source.observe(&Metric::new(metric), &candidate(), window).await.unwrap()
}

#[tokio::test]
#[ignore = "needs MiniStack (`ministack` on the PATH or in MINISTACK_BIN)"]
async fn ministack_gives_percentiles_that_are_the_true_ones() {
    let server = ministack().await;
    let (values, percentile) = latencies(1000);
    for (minute, part) in values.chunks(200).enumerate() {
        let data: Vec<_> =
            part.iter().map(|value| (60 * minute as u64 + 7, json!({"Value": value}))).collect();
        server.put("Percentiles", "Latency", &data).await;
    }
    let source = server.source("Percentiles");
    let Measurement::Observed(Observation::Values(whole)) =
        observe(&source, "latency in all", window(0, 300)).await
    else {
        panic!("there is one reading")
    };
    let [whole] = whole[..] else { panic!("{whole:?}") };
    assert!((whole / percentile - 1.0).abs() < 0.02, "{whole} for {percentile}");
    let Measurement::Observed(Observation::Values(each)) = observe(&source, "latency", window(0, 300)).await
    else {
        panic!("there are readings")
    };
    assert_eq!(each.len(), 5, "one a minute, none of them averaged");
}

#[tokio::test]
#[ignore = "needs MiniStack (`ministack` on the PATH or in MINISTACK_BIN)"]
async fn ministack_gives_no_percentile_of_statistic_sets() {
    let server = ministack().await;
    let set = json!({"StatisticValues": {"SampleCount": 10, "Sum": 20, "Minimum": 1, "Maximum": 5}});
    server.put("Sets", "Latency", &[(7, set)]).await;
    let source = server.source("Sets");
    assert_eq!(observe(&source, "latency", window(0, 60)).await, no_data());
    let total = Observation::total(20.0, 10).unwrap();
    assert_eq!(observe(&source, "seconds", window(0, 60)).await, total.into());
}

#[tokio::test]
#[ignore = "needs MiniStack (`ministack` on the PATH or in MINISTACK_BIN)"]
async fn ministack_counts_and_knows_what_is_absent() {
    let server = ministack().await;
    let bulk = json!({"Values": [0.1, 0.2, 0.3], "Counts": [5, 5, 90]});
    server
        .put("Counts", "Latency", &[(0, bulk), (60, json!({"Value": 0.5})), (120, json!({"Value": 9.0}))])
        .await;
    server.put("Counts", "Errors", &[(59, json!({"Value": 3})), (60, json!({"Value": 1}))]).await;
    let source = server.source("Counts");
    assert_eq!(observe(&source, "errors", window(0, 60)).await, counted(3, 100));
    assert_eq!(observe(&source, "errors", window(0, 120)).await, counted(4, 101));
    assert_eq!(observe(&source, "errors", window(120, 180)).await, counted(0, 1), "no errors are none");
    assert_eq!(observe(&source, "errors", window(180, 240)).await, no_data());
    let Measurement::Observed(Observation::Total { sum, count }) =
        observe(&source, "seconds", window(0, 120)).await
    else {
        panic!("there is a total")
    };
    assert!((sum - 29.0).abs() < 1e-9 && count == 101, "{sum} {count}");
    let other = Selector::default().with("version", "1.3.0");
    assert_eq!(source.observe(&Metric::errors(), &other, window(0, 120)).await.unwrap(), no_data());
}

async fn stocked() -> Stocked<CloudWatch> {
    static STOCKED: OnceCell<()> = OnceCell::const_new();
    let server = ministack().await;
    STOCKED
        .get_or_init(async || {
            let requests: Vec<_> = (0..480).map(|second| (second, json!({"Value": 0.1}))).collect();
            server.put("Conformance", "Latency", &requests).await;
            let errors: Vec<_> = (0..480).step_by(50).map(|second| (second, json!({"Value": 1}))).collect();
            server.put("Conformance", "Errors", &errors).await;
        })
        .await;
    Stocked {
        source: server.source("Conformance"),
        metric: Metric::errors(),
        selector: candidate(),
        nobody: Selector::default().with("version", "9.9.9"),
        window: window(120, 360),
        // Errors at 150, 200, 250, 300 and 350 s.
        expected: Observation::proportion(5, 240).unwrap(),
    }
}

macro_rules! conforms {
    ($($test:ident by $check:ident),* $(,)?) => {$(
        #[tokio::test]
        #[ignore = "needs MiniStack (`ministack` on the PATH or in MINISTACK_BIN)"]
        async fn $test() {
            conformance::$check(stocked).await;
        }
    )*};
}

conforms! {
    ministack_answers_what_was_observed by answers_what_was_observed,
    ministack_answers_the_same_again by answers_the_same_again,
    ministack_says_that_nobody_was_observed by says_that_nobody_was_observed,
    ministack_says_that_nothing_was_observed by says_that_nothing_was_observed,
    ministack_adds_up_consecutive_windows by consecutive_windows_add_up,
}
