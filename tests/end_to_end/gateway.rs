//! A stand-in for the gateway of a cluster that has none: it splits requests as the HTTPRoute says, between servers of the
//! versions that the Deployments run.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use reqwest::Client;
use serde_json::Value;

use crate::{
    cluster::{Cluster, route_at},
    ports::free_port,
};

#[derive(Clone)]
pub(crate) struct Gateway {
    pub(crate) port: u16,
    servers: Arc<BTreeMap<&'static str, u16>>,
    split: Arc<Mutex<Split>>,
    client: Client,
}

/// Stable and candidate.
#[derive(Clone, Debug, Default)]
struct Split {
    weights: [u64; 2],
    versions: [Option<String>; 2],
    /// How many requests each had since the weights are as they are.
    sent: [u64; 2],
}

impl Gateway {
    /// Before servers of these versions, at their ports.
    pub(crate) async fn start(servers: BTreeMap<&'static str, u16>) -> Self {
        let port = free_port();
        let client = Client::builder().no_proxy().build().expect("a client");
        let gateway = Self { port, servers: Arc::new(servers), split: Arc::default(), client };
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.expect("it is free");
        let router = Router::new().fallback(pass_on).with_state(gateway.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        gateway
    }

    /// Does what the cluster says, until the future is dropped.
    pub(crate) async fn follow(&self, cluster: &Cluster, route: &str) {
        loop {
            let route = cluster.get(&route_at(route)).await;
            let backends = &route["spec"]["rules"][0]["backendRefs"];
            let weights = [0, 1].map(|side: usize| backends[side]["weight"].as_u64().unwrap_or_default());
            let workloads = cluster.get("apis/apps/v1/namespaces/serving/deployments").await;
            let versions = ["assistant-stable", "assistant-candidate"].map(|name| version(&workloads, name));
            self.set(weights, versions);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn set(&self, weights: [u64; 2], versions: [Option<String>; 2]) {
        let mut split = self.split.lock().unwrap_or_else(PoisonError::into_inner);
        if split.weights != weights {
            split.sent = [0, 0];
        }
        (split.weights, split.versions) = (weights, versions);
    }

    /// Whether there is somebody to send users to.
    pub(crate) fn has_candidate(&self) -> bool {
        self.split.lock().unwrap_or_else(PoisonError::into_inner).versions[1].is_some()
    }

    /// The port of whose turn it is: the side that is furthest behind its weight.
    fn turn(&self) -> Option<u16> {
        let mut split = self.split.lock().unwrap_or_else(PoisonError::into_inner);
        let [stable, candidate] = split.weights;
        let side =
            usize::from(split.sent[1] * (stable + candidate) < (split.sent[0] + split.sent[1]) * candidate)
                .max(usize::from(stable == 0));
        split.sent[side] += 1;
        self.servers.get(split.versions[side].as_deref()?).copied()
    }
}

/// The version that a Deployment runs, if any of it is ready.
fn version(workloads: &Value, name: &str) -> Option<String> {
    let workload = workloads["items"].as_array()?.iter().find(|found| found["metadata"]["name"] == name)?;
    workload["status"]["readyReplicas"].as_u64().filter(|ready| *ready > 0)?;
    let image = workload["spec"]["template"]["spec"]["containers"][0]["image"].as_str()?;
    Some(image.rsplit_once(':')?.1.to_owned())
}

async fn pass_on(State(gateway): State<Gateway>, request: Request) -> Response {
    let Some(port) = gateway.turn() else { return StatusCode::SERVICE_UNAVAILABLE.into_response() };
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap_or_else(|_| Bytes::new());
    let url = format!("http://127.0.0.1:{port}{}", parts.uri);
    let Ok(answer) = gateway.client.request(parts.method, url).body(body).send().await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let (status, version) = (answer.status(), answer.headers().get("x-version").cloned());
    let mut response = (status, answer.bytes().await.unwrap_or_default()).into_response();
    if let Some(version) = version {
        response.headers_mut().insert("x-version", version);
    }
    response
}
