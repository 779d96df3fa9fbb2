//! Servers for the three sides that count what reaches them, and requests that count what comes back.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    extract::{Request, State},
};
use futures::{StreamExt, stream};
use tidegate_canary::{Slot, Traffic};

pub(crate) const SLOTS: [Slot; 3] = [Slot::Stable, Slot::Baseline, Slot::Candidate];

/// How many requests reached a side: by side, path and whether the host says that it is a copy.
type Seen = Arc<Mutex<BTreeMap<(Slot, String, bool), usize>>>;

/// A server for each side, answering with the name of the side.
#[derive(Debug)]
pub(crate) struct Sides {
    addresses: BTreeMap<Slot, SocketAddr>,
    seen: Seen,
}

impl Sides {
    pub(crate) async fn start() -> Self {
        let seen = Seen::default();
        let mut addresses = BTreeMap::new();
        for slot in SLOTS {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            addresses.insert(slot, listener.local_addr().unwrap());
            let router = Router::new().fallback(answer).with_state((slot, Arc::clone(&seen)));
            tokio::spawn(async move { axum::serve(listener, router).await });
        }
        Self { addresses, seen }
    }

    pub(crate) fn address(&self, slot: Slot) -> SocketAddr {
        self.addresses[&slot]
    }

    /// How many requests for `path` reached `slot`; `copies` of others, or meant for it.
    pub(crate) fn seen(&self, slot: Slot, path: &str, copies: bool) -> usize {
        self.seen.lock().unwrap().get(&(slot, path.to_owned(), copies)).copied().unwrap_or_default()
    }
}

async fn answer(State((slot, seen)): State<(Slot, Seen)>, request: Request) -> String {
    let host = request.headers().get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
    let copy = host.contains("-shadow");
    *seen.lock().unwrap().entry((slot, request.uri().path().to_owned(), copy)).or_default() += 1;
    slot.to_string()
}

/// The side that answers a request; any failure ends the test.
pub(crate) async fn ask(client: &reqwest::Client, url: &str, headers: &[(&str, &str)]) -> String {
    let request =
        headers.iter().fold(client.get(url), |request, (name, value)| request.header(*name, *value));
    let answer = request.send().await.unwrap().error_for_status().unwrap();
    answer.text().await.unwrap()
}

/// Sends `count` requests and tells how many each side answered.
pub(crate) async fn spread(client: &reqwest::Client, url: &str, count: usize) -> BTreeMap<String, usize> {
    let answers = stream::iter(0..count).map(|_| ask(client, url, &[])).buffer_unordered(8);
    answers
        .fold(BTreeMap::new(), async |mut counts, side| {
            *counts.entry(side).or_default() += 1;
            counts
        })
        .await
}

/// Asserts that shares of `counts` are those of `traffic`, within five standard errors.
pub(crate) fn assert_split(counts: &BTreeMap<String, usize>, traffic: &Traffic) {
    let total: usize = counts.values().sum();
    for slot in SLOTS {
        let seen = counts.get(&slot.to_string()).copied().unwrap_or_default();
        assert_share(seen, total, f64::from(traffic.weight(slot).as_basis_points()) / 1e4);
    }
}

pub(crate) fn assert_share(seen: usize, total: usize, share: f64) {
    let (n, p) = (total as f64, share);
    let off = (seen as f64 - n * p).abs();
    assert!(off <= 5.0 * (n * p * (1.0 - p)).sqrt(), "{seen} of {total} are not {p}");
}

/// Requests that go on while something else happens.
#[derive(Debug, Default)]
pub(crate) struct Load {
    over: AtomicBool,
    pub(crate) sent: AtomicUsize,
    pub(crate) failed: AtomicUsize,
}

impl Load {
    /// Sends requests to `url`, one after the other, until it is [over](Self::end).
    pub(crate) async fn run(self: Arc<Self>, client: reqwest::Client, url: String) {
        while !self.over.load(Ordering::Relaxed) {
            let answer = client.get(&url).send().await.and_then(reqwest::Response::error_for_status);
            let whole = match answer {
                Ok(answer) => answer.bytes().await.map(drop),
                Err(error) => Err(error),
            };
            self.sent.fetch_add(1, Ordering::Relaxed);
            self.failed.fetch_add(usize::from(whole.is_err()), Ordering::Relaxed);
        }
    }

    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }
}
