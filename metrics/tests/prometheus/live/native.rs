//! Native histograms, which Prometheus scrapes as protobuf only.

use std::sync::{Arc, Mutex};

use axum::{Router, http::header::CONTENT_TYPE, routing::get};

use super::*;
use crate::process;

/// A field of protobuf: its number, its wire type and what follows.
fn field(number: u8, wire: u8, value: &[u8]) -> Vec<u8> {
    [&[number << 3 | wire], value].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// Signed numbers go back and forth from zero.
fn zigzag(value: i64) -> Vec<u8> {
    varint((value << 1 ^ value >> 63) as u64)
}

fn message(number: u8, parts: &[Vec<u8>]) -> Vec<u8> {
    let body = parts.concat();
    field(number, 2, &[varint(body.len() as u64), body].concat())
}

fn text(number: u8, text: &str) -> Vec<u8> {
    message(number, &[text.as_bytes().to_vec()])
}

/// One `io.prometheus.client.MetricFamily`, preceded by its length: a histogram of schema 0 whose buckets, of
/// upper edges 1/2, 1, 2, hold `counts`, and `zero` values at zero.
fn family(counts: [u64; 3], zero: u64) -> Vec<u8> {
    let count: u64 = counts.iter().sum::<u64>() + zero;
    let deltas = [counts[0] as i64, counts[1] as i64 - counts[0] as i64, counts[2] as i64 - counts[1] as i64];
    let mut histogram = vec![
        field(1, 0, &varint(count)),
        field(2, 1, &1.5_f64.to_le_bytes()),
        field(5, 0, &zigzag(0)),
        field(6, 1, &0.001_f64.to_le_bytes()),
        field(7, 0, &varint(zero)),
        message(12, &[field(1, 0, &zigzag(-1)), field(2, 0, &varint(3))]),
    ];
    histogram.extend(deltas.map(|delta| field(13, 0, &zigzag(delta))));
    let label = message(1, &[text(1, "version"), text(2, "1.4.0")]);
    let metric = message(4, &[label, message(7, &histogram)]);
    let body = [text(1, "native_seconds"), field(3, 0, &varint(4)), metric].concat();
    [varint(body.len() as u64), body].concat()
}

#[tokio::test]
#[ignore = "needs Prometheus (the binary on the PATH or in PROMETHEUS_BIN)"]
async fn native_histograms_are_read_at_edges() {
    // What was shown, and when. After the sixth scrape the process starts anew.
    let shown = Arc::new(Mutex::new(Vec::new()));
    let shows = Arc::clone(&shown);
    let page = async move || {
        let mut shown = shows.lock().unwrap();
        let since = (shown.len() % 6 + 1) as u64;
        let (counts, zero) = ([3 * since, since, 2 * since], since);
        shown.push((process::now(), counts, zero));
        let kind =
            "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
        ([(CONTENT_TYPE, kind)], family(counts, zero))
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/metrics", get(page));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let server = Server::scraping(&[address], "", &["--enable-feature=native-histograms"]).await;
    until("scrapes enough", async || (shown.lock().unwrap().len() >= 11).then_some(())).await;
    let shown = shown.lock().unwrap().clone();

    let at = |scrape: usize| shown[scrape].0 + Duration::from_millis(500);
    for (from, to) in [(1, 4), (4, 8), (2, 9)] {
        let window = Window::new(at(from), at(to)).unwrap();
        let measured = live(&server).observe(&"native".into(), &candidate(), window).await.unwrap();
        // As many scrapes of each process lie in the window; the one that restarted is counted from zero.
        let times = (to - from) as u64;
        let expected = Observation::histogram(vec![0.25, 0.5, 1.0], [1, 3, 1, 2].map(|n| n * times).to_vec());
        assert_eq!(measured, expected.unwrap().into(), "scrapes {from} to {to}");
    }
    let edges = Query::native_histogram(of_version("native_seconds"), Edges::new(vec![0.7]).unwrap());
    let source = live(&server).with_query("native".into(), edges);
    let window = Window::new(at(1), at(4)).unwrap();
    let error = source.observe(&"native".into(), &candidate(), window).await.unwrap_err();
    assert!(chain(&error).contains("reaches across the edge 0.7"), "{}", chain(&error));
}
