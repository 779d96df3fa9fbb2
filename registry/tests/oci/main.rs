//! `OciBacked` against hostile servers on loopback, and, where one is installed, against a real registry.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod hostile;
mod images;
mod live;
mod plain;
#[path = "../../../tests/ports/mod.rs"]
mod ports;
mod scripted;
mod server;

use std::sync::Arc;

use bytes::Bytes;
use tidegate_registry::{
    Content, Draft, InMemory, Log, Manifest, ModelRef, ModelStore, OciAuth, OciBacked, Result, Stamp,
};

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// An empty store at `address`, with a log of its own.
fn store(address: &str) -> OciBacked {
    paired(address, Arc::new(InMemory::new()))
}

fn paired(address: &str, log: Arc<dyn Log>) -> OciBacked {
    OciBacked::new(client(), OciAuth::Anonymous, address, log).unwrap()
}

fn model(s: &str) -> ModelRef {
    s.parse().unwrap()
}

fn draft(s: &str) -> Draft {
    Draft::new(model(s), Stamp::now("test"))
}

fn content(files: &[(&str, Bytes)]) -> Content {
    Content::bytes(files.iter().map(|(path, bytes)| (path.parse().unwrap(), bytes.clone())))
}

async fn publish(store: &impl ModelStore, name: &str, files: &[(&str, Bytes)]) -> Result<Manifest> {
    store.publish(draft(name), content(files), &()).await
}

/// `size` bytes that do not repeat soon, another sequence for each `seed`.
fn noise(seed: u64, size: usize) -> Bytes {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut bytes = vec![0; size];
    random.fill(&mut bytes);
    bytes.into()
}

/// An error and its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let shown = causes.map(|error| format!("{error} {error:?}"));
    shown.collect::<Vec<_>>().join(": ")
}
