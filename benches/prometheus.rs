//! What an answer of Prometheus costs: a matrix of 10 MB, asked for over the loopback interface, read and
//! counted, beside what the machine and serde_json take for the same bytes.
//!
//! ```text
//! cargo bench --bench prometheus
//! ```

#![expect(clippy::print_stdout, reason = "a bench talks to its user")]
#![expect(clippy::disallowed_methods, reason = "a bench measures real time")]

mod figures;

use std::{
    fmt::Write,
    hint::black_box,
    net::SocketAddr,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, Result};
use axum::{Router, body::Bytes, routing::post};
use peak_alloc::PeakAlloc;
use tidegate::metrics::{
    Http, Metric, MetricsSource, Observation, Prometheus, Selector, Window, prometheus::Query,
};
use tokio::runtime::Runtime;

use self::figures::{Figure, Sheet};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// The size of the answer.
const BYTES: usize = 10_000_000;

/// When the window begins, in seconds since 1970.
const START: u64 = 1_800_000_000;

/// Scrapes of each series: five minutes before a window of one, every 15 s.
const SCRAPES: u64 = 24;

/// Edges of the histogram: those that Prometheus clients start with.
const EDGES: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

const ROUNDS: usize = 21;

fn main() -> Result<()> {
    let (body, expected) = answer();
    let body = Bytes::from(body);
    let size = body.len();
    let address = serve(body.clone())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let client = reqwest::Client::builder().no_proxy().build()?;

    let source = Prometheus::new(Http::new(client.clone()), &format!("http://{address}"))?
        .with_query(Metric::latency(), Query::histogram(r#"seconds_bucket{version="{{version}}"}"#.parse()?));
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(START);
    let window = Window::new(start, start + Duration::from_secs(60)).context("a minute")?;
    let candidate = Selector::default().with("version", "1.4.0");
    let observe = async || {
        let observed = source.observe(&Metric::latency(), &candidate, window).await?;
        anyhow::ensure!(observed.observed() == Some(&expected), "{observed:?}");
        Ok(())
    };
    let url = format!("http://{address}/api/v1/query");
    let fetch = async || -> Result<Bytes> { Ok(client.post(&url).send().await?.bytes().await?) };
    let read = async || {
        black_box(serde_json::from_slice::<serde_json::Value>(&fetch().await?)?);
        Ok(())
    };

    println!("| {:.1} MB of matrix | MB/s | at best | peak ÷ answer |\n|---|--:|--:|--:|", size as f64 / 1e6);
    let fetched = report("fetch alone", size, || runtime.block_on(fetch()).map(drop))?;
    let observed = report("`observe`: fetch, read, count", size, || runtime.block_on(observe()))?;
    let tree = report("fetch, `serde_json::Value`", size, || runtime.block_on(read()))?;
    report("UTF-8 validation alone", size, || {
        black_box(std::str::from_utf8(black_box(&body))?);
        Ok(())
    })?;
    let mut rates = Vec::new();
    for (what, took) in [("`observe`", &observed), ("`Value`", &tree)] {
        let rate = |whole: f64, fetched: f64| size as f64 / (whole - fetched);
        let median = rate(took.median, fetched.median);
        println!(
            "| {what} without the fetch | {:.0} | {:.0} | |",
            median / 1e6,
            rate(took.best, fetched.best) / 1e6
        );
        rates.push(median);
    }
    // Under `cargo test` only whether it works is of interest.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let mut sheet = Sheet::of("prometheus");
    sheet.say("read and count 10 MB of a Prometheus answer", Figure::of(rates[0]).beside(rates[1]));
    let by_size = |took: &Took| took.peak / size as f64;
    sheet.say(
        "memory for 10 MB of a Prometheus answer, by its size",
        Figure::of(by_size(&observed)).beside(by_size(&tree)),
    );
    sheet.close()
}

/// What some rounds took.
struct Took {
    /// Seconds.
    median: f64,
    best: f64,
    /// Bytes at most.
    peak: f64,
}

/// Prints the median of some rounds, the best, and the most memory that one of them took.
fn report(what: &str, size: usize, mut work: impl FnMut() -> Result<()>) -> Result<Took> {
    work()?;
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        work()?;
        times.push(start.elapsed().as_secs_f64());
    }
    let peak = MEMORY.peak_usage().saturating_sub(before) as f64;
    times.sort_by(f64::total_cmp);
    let (median, best) = (times[ROUNDS / 2], times[0]);
    let rate = |seconds: f64| size as f64 / 1e6 / seconds;
    println!("| {what} | {:.0} | {:.0} | {:.2} |", rate(median), rate(best), peak / size as f64);
    Ok(Took { median, best, peak })
}

/// A histogram of as many pods as fill the answer, and what it is in the window.
fn answer() -> (String, Observation) {
    let mut body = String::with_capacity(BYTES + 10_000);
    body += r#"{"status":"success","data":{"resultType":"matrix","result":["#;
    let mut counts = vec![0; EDGES.len() + 1];
    let mut chance = fastrand::Rng::with_seed(7);
    let mut pod = 0_u64;
    while body.len() < BYTES {
        let from = chance.u64(..1_000_000);
        for (bucket, count) in counts.iter_mut().enumerate() {
            let le = EDGES.get(bucket).map_or_else(|| "+Inf".to_owned(), f64::to_string);
            let separator = if body.ends_with('[') { "" } else { "," };
            let ip = format!("10.{}.{}.{}:8080", pod >> 16, (pod >> 8) & 255, pod & 255);
            let _ = write!(
                body,
                r#"{separator}{{"metric":{{"__name__":"seconds_bucket","instance":"{ip}","job":"model","le":"{le}","namespace":"serving","pod":"model-7c9f8d6b5-{pod:05}","version":"1.4.0"}},"values":["#,
            );
            let step = bucket as u64 + 1;
            for scrape in 0..SCRAPES {
                let at = (START - 300 + 15 * scrape) * 1000 + pod % 1000 + 15_000;
                let comma = if scrape == 0 { "" } else { "," };
                let _ = write!(body, r#"{comma}[{}.{:03},"{}"]"#, at / 1000, at % 1000, from + step * scrape);
            }
            body += "]}";
            // Scrapes are 15 s apart: four of them fall in the minute, each with one value more in each bucket.
            *count += 4;
        }
        pod += 1;
    }
    body += "]}}";
    (body, Observation::histogram(EDGES.to_vec(), counts).expect("edges ascend"))
}

/// Serves `body` on a thread of its own.
fn serve(body: Bytes) -> Result<SocketAddr> {
    let (say, hear) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        Runtime::new()?.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
            let _ = say.send(listener.local_addr()?);
            let router = Router::new().route("/api/v1/query", post(async move || body));
            axum::serve(listener, router).await
        })
    });
    Ok(hear.recv()?)
}
