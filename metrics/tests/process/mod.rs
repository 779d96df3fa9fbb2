//! What runs beside a live test: pages of metrics, and the server that scrapes them.

#![allow(dead_code, reason = "each test uses some of it")]

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use axum::{Router, routing::get};
use tokio::task::JoinHandle;

use crate::{ports::free_port, script::client};

/// What a process has counted since it started.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    /// With status 200, and 500.
    pub(crate) requests: [u64; 2],
    /// By how long they took.
    pub(crate) buckets: [u64; 3],
    pub(crate) cost: f64,
}

/// One time that the page was read.
#[derive(Clone, Debug)]
pub(crate) struct Scrape {
    pub(crate) at: SystemTime,
    pub(crate) counts: Counts,
    pub(crate) queue: f64,
}

/// A page of metrics on loopback. Between two scrapes there is always the same traffic.
#[derive(Clone)]
pub(crate) struct Page {
    version: &'static str,
    address: SocketAddr,
    counts: Arc<Mutex<Counts>>,
    scrapes: Arc<Mutex<Vec<Scrape>>>,
    server: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Page {
    pub(crate) const EDGES: [f64; 2] = [0.1, 0.5];

    /// Requests between two scrapes.
    pub(crate) const TRAFFIC: u64 = 20;

    pub(crate) async fn serve(version: &'static str) -> Self {
        let address = free();
        let page = Self {
            version,
            address,
            counts: Arc::default(),
            scrapes: Arc::default(),
            server: Arc::default(),
        };
        page.begin().await;
        page
    }

    async fn begin(&self) {
        let listener = tokio::net::TcpListener::bind(self.address).await.unwrap();
        let page = self.clone();
        let router = Router::new().route("/metrics", get(async move || page.scrape()));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        *self.server.lock().unwrap() = Some(server);
    }

    /// Nobody listens any more, and open connections end.
    pub(crate) async fn stop(&self) {
        let server = self.server.lock().unwrap().take().unwrap();
        server.abort();
        let _ = server.await;
    }

    /// The process begins anew, and counts from zero.
    pub(crate) async fn restart(&self) {
        self.stop().await;
        *self.counts.lock().unwrap() = Counts::default();
        self.begin().await;
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/metrics", self.address)
    }

    pub(crate) fn scrapes(&self) -> Vec<Scrape> {
        self.scrapes.lock().unwrap().clone()
    }

    fn scrape(&self) -> String {
        let mut counts = self.counts.lock().unwrap();
        let mut scrapes = self.scrapes.lock().unwrap();
        for i in 0..Self::TRAFFIC as usize {
            // The first error comes late.
            let is_error = scrapes.len() >= 5 && i == 0;
            counts.requests[usize::from(is_error)] += 1;
            counts.buckets[i % 3] += 1;
            counts.cost += 0.125 * (i % 3) as f64;
        }
        let queue = scrapes.len() as f64;
        scrapes.push(Scrape { at: now(), counts: counts.clone(), queue });
        self.text(&counts, queue)
    }

    fn text(&self, counts: &Counts, queue: f64) -> String {
        let version = self.version;
        let mut text = "# TYPE requests_total counter\n".to_owned();
        for (code, count) in ["200", "500"].iter().zip(counts.requests).filter(|(_, count)| *count > 0) {
            text += &format!("requests_total{{version=\"{version}\",code=\"{code}\"}} {count}\n");
        }
        text += "# TYPE seconds histogram\n";
        let mut sum = 0;
        for (le, count) in ["0.1", "0.5", "+Inf"].iter().zip(counts.buckets) {
            sum += count;
            text += &format!("seconds_bucket{{version=\"{version}\",le=\"{le}\"}} {sum}\n");
        }
        text += &format!("# TYPE queue_length gauge\nqueue_length{{version=\"{version}\"}} {queue}\n");
        text += &format!("# TYPE cost summary\ncost_sum{{version=\"{version}\"}} {}\n", counts.cost);
        text + &format!("cost_count{{version=\"{version}\"}} {sum}\n")
    }
}

/// A Prometheus that scrapes every second; it ends when this is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    _directory: tempfile::TempDir,
    _child: tokio::process::Child,
}

impl Server {
    /// With these targets, this configuration of its web server, and more arguments.
    pub(crate) async fn start(pages: &[&Page], web: &str, arguments: &[&str]) -> Self {
        let targets: Vec<_> = pages.iter().map(|page| page.address).collect();
        Self::scraping(&targets, web, arguments).await
    }

    pub(crate) async fn scraping(targets: &[SocketAddr], web: &str, arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let targets: Vec<_> = targets.iter().map(|address| format!("\"{address}\"")).collect();
        let configuration = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 900ms}}\nscrape_configs:\n- {{job_name: model, static_configs: [{{targets: [{}]}}]}}\n",
            targets.join(", ")
        );
        let path = |name| directory.path().join(name);
        std::fs::write(path("prometheus.yml"), configuration).unwrap();
        std::fs::write(path("web.yml"), web).unwrap();
        let binary = from_environment("PROMETHEUS_BIN").unwrap_or_else(|| "prometheus".into());
        let address = free();
        let child = tokio::process::Command::new(binary)
            .arg(format!("--config.file={}", path("prometheus.yml").display()))
            .arg(format!("--web.config.file={}", path("web.yml").display()))
            .arg(format!("--storage.tsdb.path={}", path("tsdb").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=error")
            .args(arguments)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("prometheus starts: install it or set PROMETHEUS_BIN");
        let server = Self { address, _directory: directory, _child: child };
        let ready = format!("{}/-/ready", server.url());
        until("an answer", async || client().get(&ready).send().await.ok()).await;
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// An address that nobody listens on.
fn free() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, free_port()).into()
}

pub(crate) async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut check: impl FnMut() -> F) -> T {
    for _ in 0..600 {
        if let Some(found) = check().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("a minute passed without {what}");
}

#[expect(clippy::disallowed_methods, reason = "a live test is told by its environment where the server is")]
fn from_environment(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).map(PathBuf::from)
}

#[expect(clippy::disallowed_methods, reason = "a real server keeps real time")]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}
