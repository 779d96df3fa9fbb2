//! A real Prometheus scrapes a real run, and is asked what the dashboard asks.

use std::{
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::Duration,
};

use axum::{Router, routing::get};
use metrics_exporter_prometheus::PrometheusHandle;
use reqwest::StatusCode;
use serde_json::Value;

use crate::{
    everything::{everything, recorder, run_counted_by},
    grafana::{Query, queries},
    ports::free_port,
};

/// One that scrapes every second. It ends with this.
struct Server {
    url: String,
    child: Child,
    _directory: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "a live test is told by its environment where the server is")]
fn prometheus() -> std::ffi::OsString {
    std::env::var_os("PROMETHEUS_BIN").unwrap_or_else(|| "prometheus".into())
}

impl Server {
    fn start(target: SocketAddr) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let configuration = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 900ms}}\nscrape_configs:\n- {{job_name: tidegate, static_configs: [{{targets: [\"{target}\"]}}]}}\n"
        );
        let path = |name| directory.path().join(name);
        std::fs::write(path("prometheus.yml"), configuration).unwrap();
        let address = format!("127.0.0.1:{}", free_port());
        let child = Command::new(prometheus())
            .arg(format!("--config.file={}", path("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", path("tsdb").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=error")
            .stdin(Stdio::null())
            .spawn()
            .expect("prometheus starts: install it or set PROMETHEUS_BIN");
        Self { url: format!("http://{address}"), child, _directory: directory }
    }

    /// The values that an expression has now; none while it cannot be asked.
    async fn ask(&self, client: &reqwest::Client, expression: &str) -> Result<Vec<f64>, String> {
        let asked = client.post(format!("{}/api/v1/query", self.url)).form(&[("query", expression)]);
        let answer: Value = match asked.send().await {
            Ok(answer) if answer.status() != StatusCode::SERVICE_UNAVAILABLE => {
                answer.json().await.map_err(|error| error.to_string())?
            }
            // It has only just been started.
            _ => return Ok(Vec::new()),
        };
        match answer["status"].as_str() {
            Some("success") => {}
            _ => return Err(answer.to_string()),
        }
        let result = answer["data"]["result"].as_array().unwrap();
        Ok(result.iter().map(|sample| sample["value"][1].as_str().unwrap().parse().unwrap()).collect())
    }
}

/// A page on a thread of its own, since the run keeps this one busy.
fn serve(counted: PrometheusHandle) -> SocketAddr {
    let listener = std::net::TcpListener::bind(("127.0.0.1", free_port())).unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let site = Router::new().route("/metrics", get(async move || counted.render()));
            axum::serve(listener, site).await.unwrap();
        });
    });
    address
}

#[test]
#[ignore = "needs Prometheus (PROMETHEUS_BIN, or prometheus on the PATH)"]
fn every_query_of_the_dashboard_has_an_answer() {
    // Spans that are first met where nobody subscribes are taken for unwanted everywhere: not beside a run that is written
    // down.
    everything();
    let (recorder, counted) = recorder();
    run_counted_by(&recorder);
    let server = Server::start(serve(counted));
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let until = |what: &str, expression: &str, is: fn(f64) -> bool| {
        runtime.block_on(async {
            for _ in 0..600 {
                let values = server.ask(&client, expression).await;
                let values = values.unwrap_or_else(|error| panic!("{what}: {expression}: {error}"));
                if values.iter().any(|value| is(*value)) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            panic!("{what}: {expression} has no answer after a minute");
        });
    };
    until("the first run is scraped", "max(tidegate_rollout_ends_total)", |ends| ends > 0.0);
    // What stands still has no rate.
    run_counted_by(&recorder);
    for Query { panel, expression } in queries() {
        let expression =
            expression.replace("$__rate_interval", "2m").replace("$__range", "2m").replace("$route", ".*");
        until(&panel, &expression, |value| !value.is_nan());
    }
    let states = r#"count by (route) ({__name__=~"tidegate_(rollout|watch|rollback)_state"})"#;
    until("routes to choose from", states, |states| states > 0.0);
}
