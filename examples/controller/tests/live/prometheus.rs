//! As much of a Prometheus as answers for counters: 1000 requests a second on each side, of which some fail.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{Form, Json, Router, extract::State, routing::post};
use serde_json::{Value, json};
use tokio::net::TcpListener;

const PER_SECOND: f64 = 1_000.0;
/// A scrape every quarter of a second.
const INTERVAL: f64 = 0.25;

/// How many requests in a thousand fail on the candidate.
#[derive(Clone, Debug, Default)]
pub(crate) struct Failing(Arc<AtomicU64>);

impl Failing {
    pub(crate) fn set(&self, in_a_thousand: u64) {
        self.0.store(in_a_thousand, Ordering::Relaxed);
    }
}

/// Serves until the runtime ends, and says where.
pub(crate) async fn serve(failing: Failing) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/api/v1/query", post(query)).with_state(failing);
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// `requests_total{slot="candidate",code="500"}[60000ms]` at `time`.
async fn query(State(failing): State<Failing>, Form(form): Form<BTreeMap<String, String>>) -> Json<Value> {
    let query = &form["query"];
    let range = query.rsplit_once('[').and_then(|(_, range)| range.strip_suffix("ms]")).unwrap();
    let range = range.parse::<f64>().unwrap() / 1000.0;
    let end: f64 = form["time"].parse().unwrap();
    let share = match (query.contains("code="), query.contains("candidate")) {
        (false, _) => 1.0,
        (true, false) => 0.002,
        (true, true) => failing.0.load(Ordering::Relaxed) as f64 / 1000.0,
    };
    let first = ((end - range) / INTERVAL).ceil() as u64;
    let last = (end / INTERVAL).floor() as u64;
    // Counted from a moment of this year, so that the counts are exact.
    let since = 1_790_000_000.0;
    let sample = |n: u64| {
        let at = n as f64 * INTERVAL;
        json!([at, format!("{}", ((at - since) * PER_SECOND * share).floor())])
    };
    let values: Vec<_> = (first..=last).map(sample).collect();
    let metric = json!({"__name__": "requests_total", "job": "j", "instance": "i"});
    let result = json!([{"metric": metric, "values": values}]);
    Json(json!({"status": "success", "data": {"resultType": "matrix", "result": result}}))
}
