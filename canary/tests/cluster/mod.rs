//! A Kubernetes cluster on loopback for tests: etcd, kube-apiserver and kube-controller-manager behind
//! `kubectl proxy`, and stand-ins for a gateway and a kubelet. All of it ends with the value.
//!
//! `KUBEBUILDER_ASSETS` is a directory with `kube-apiserver` and, for [`Cluster::with_controllers`],
//! `kube-controller-manager`; `etcd` and `kubectl` are taken from there or from the path, `openssl` from the
//! path. Any version of Kubernetes will do.

#![allow(dead_code, reason = "each test file uses its own part of it")]

mod definitions;
mod kubelet;
mod processes;
pub(crate) mod rights;
mod until;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};

use self::processes::Processes;
pub(crate) use self::until::until;

const HTTPROUTES: &str = "apis/gateway.networking.k8s.io/v1";

/// A cluster keeps a small machine busy, so there is one at a time.
static ALONE: Mutex<()> = Mutex::const_new(());

#[derive(Debug)]
pub(crate) struct Cluster {
    url: String,
    http: reqwest::Client,
    processes: Processes,
    /// How many requests were told that there are too many of them.
    throttled: Arc<AtomicUsize>,
    _alone: MutexGuard<'static, ()>,
}

/// How a client reaches the cluster.
#[derive(Clone, Debug, Default)]
pub(crate) struct Way {
    /// As this user, with no other rights than theirs.
    pub(crate) user: Option<&'static str>,
    /// One in so many requests is told that there are too many of them.
    pub(crate) throttled: Option<usize>,
}

#[derive(Clone, Debug)]
struct Relay {
    url: String,
    http: reqwest::Client,
    way: Way,
    count: Arc<AtomicUsize>,
    throttled: Arc<AtomicUsize>,
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        let alone = ALONE.lock().await;
        let (processes, url) = Processes::start();
        let cluster =
            Self { url, http: reqwest::Client::new(), processes, throttled: Arc::default(), _alone: alone };
        cluster.answers("readyz").await;
        definitions::define(&cluster).await;
        cluster.answers("api/v1/namespaces/default").await;
        cluster
    }

    /// One that also acts on Deployments.
    pub(crate) async fn with_controllers() -> Self {
        let mut cluster = Self::start().await;
        cluster.processes.control();
        cluster.create("api/v1/namespaces", &json!({"metadata": {"name": "serving"}})).await;
        // The garbage collector is the last to come up. What it collects waits for it.
        let mark = json!({"metadata": {"name": "mark"}});
        cluster.create("api/v1/namespaces/serving/configmaps", &mark).await;
        let mark = format!("{}/api/v1/namespaces/serving/configmaps/mark", cluster.url);
        let options = json!({"propagationPolicy": "Foreground"});
        cluster.http.delete(&mark).json(&options).send().await.unwrap().error_for_status().unwrap();
        until("what was deleted is collected", async || {
            match cluster.http.get(&mark).send().await.unwrap().status() {
                StatusCode::NOT_FOUND => Ok(()),
                status => Err(status),
            }
        })
        .await;
        cluster
    }

    /// Ends the API server as a crash would and starts it again.
    pub(crate) async fn restart_api_server(&mut self) {
        self.processes.restart_api_server();
        self.answers("readyz").await;
    }

    pub(crate) fn client(&self) -> kube::Client {
        self.client_by(Way::default())
    }

    pub(crate) fn client_by(&self, way: Way) -> kube::Client {
        let relay = Relay {
            url: self.url.clone(),
            http: self.http.clone(),
            way,
            count: Arc::default(),
            throttled: Arc::clone(&self.throttled),
        };
        kube::Client::new(Router::new().fallback(pass_on).with_state(relay), "default")
    }

    /// How many requests have been told that there are too many of them.
    pub(crate) fn throttled(&self) -> usize {
        self.throttled.load(Ordering::Relaxed)
    }

    /// The path of a kubeconfig for the account `name` of a service in `namespace`, over TLS.
    pub(crate) async fn kubeconfig(&self, namespace: &str, name: &str) -> String {
        let path = format!("api/v1/namespaces/{namespace}/serviceaccounts/{name}/token");
        let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}});
        let answer = self.http.post(format!("{}/{path}", self.url)).json(&request).send().await.unwrap();
        let answer: Value = answer.error_for_status().unwrap().json().await.unwrap();
        self.processes.kubeconfig(name, answer["status"]["token"].as_str().unwrap())
    }

    /// What accounts of services have asked for since the start: user, verb and resource of each request that was
    /// answered.
    pub(crate) fn asked(&self) -> Vec<Value> {
        self.processes.audit().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Runs `kubectl` against the cluster and returns what it prints.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> String {
        processes::kubectl(&self.url, arguments)
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = self.http.get(format!("{}/{path}", self.url)).send().await.unwrap();
        answer.error_for_status().unwrap().json().await.unwrap()
    }

    pub(crate) async fn create(&self, path: &str, object: &Value) {
        let url = format!("{}/{path}?fieldManager=ada", self.url);
        accepted(self.http.post(url).json(object).send().await.unwrap()).await;
    }

    pub(crate) async fn merge(&self, path: &str, patch: &Value) {
        let request = self.http.patch(format!("{}/{path}?fieldManager=ada", self.url));
        let request = request.header("content-type", "application/merge-patch+json").json(patch);
        accepted(request.send().await.unwrap()).await;
    }

    pub(crate) async fn delete(&self, path: &str) {
        accepted(self.http.delete(format!("{}/{path}", self.url)).send().await.unwrap()).await;
    }

    /// Waits until the controller of an object has seen what is asked for.
    pub(crate) async fn is_seen_by_its_controller(&self, path: &str) {
        until("a controller has seen it", async || {
            let object = self.get(path).await;
            let seen = &object["status"]["observedGeneration"];
            (*seen == object["metadata"]["generation"]).then_some(()).ok_or(object)
        })
        .await;
    }

    /// Changes an object as somebody who reads it, edits it and writes all of it back.
    pub(crate) async fn edit(&self, path: &str, change: impl Fn(&mut Value)) {
        loop {
            let mut object = self.get(path).await;
            change(&mut object);
            let url = format!("{}/{path}?fieldManager=ada", self.url);
            let answer = self.http.put(url).json(&object).send().await.unwrap();
            // Somebody was faster.
            if answer.status() != 409 {
                return accepted(answer).await;
            }
        }
    }

    /// Reports every HTTPRoute as accepted, soon after it has changed, until the future is dropped.
    pub(crate) async fn accept_everything(&self) {
        loop {
            let list = self.get(&format!("{HTTPROUTES}/httproutes")).await;
            for object in list["items"].as_array().unwrap() {
                let seen = &object["metadata"]["generation"];
                if object["status"]["parents"][0]["conditions"][0]["observedGeneration"] == *seen {
                    continue;
                }
                let conditions = ["Accepted", "ResolvedRefs"].map(|condition| {
                    json!({
                        "type": condition, "status": "True", "observedGeneration": seen,
                        "reason": condition, "message": "by a stand-in", "lastTransitionTime": "2020-01-01T00:00:00Z",
                    })
                });
                let parent = json!({
                    "parentRef": {"name": "public"}, "controllerName": "gateway.example/controller",
                    "conditions": conditions,
                });
                let status = json!({"status": {"parents": [parent]}});
                let [namespace, name] =
                    ["namespace", "name"].map(|key| object["metadata"][key].as_str().unwrap());
                self.merge(&format!("{}/status", route_at(&format!("{namespace}/{name}"))), &status).await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until `path` is served.
    async fn answers(&self, path: &str) {
        until(&format!("{path} is served"), async || {
            let answer = self.http.get(format!("{}/{path}", self.url)).send().await;
            answer.and_then(reqwest::Response::error_for_status)
        })
        .await;
    }
}

async fn accepted(answer: reqwest::Response) {
    let (status, url) = (answer.status(), answer.url().clone());
    assert!(status.is_success(), "{url} answers {status}: {}", answer.text().await.unwrap());
}

/// The path of an HTTPRoute.
pub(crate) fn route_at(route: &str) -> String {
    let (namespace, name) = route.split_once('/').unwrap();
    format!("{HTTPROUTES}/namespaces/{namespace}/httproutes/{name}")
}

async fn pass_on(State(relay): State<Relay>, request: Request) -> Response {
    let count = relay.count.fetch_add(1, Ordering::Relaxed) + 1;
    if relay.way.throttled.is_some_and(|every| count.is_multiple_of(every)) {
        relay.throttled.fetch_add(1, Ordering::Relaxed);
        let status = json!({
            "kind": "Status", "status": "Failure", "code": 429, "reason": "TooManyRequests",
            "details": {"retryAfterSeconds": 1},
        });
        return (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "1")], Json(status)).into_response();
    }
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 24).await.unwrap();
    let mut request = relay.http.request(parts.method, format!("{}{}", relay.url, parts.uri)).body(body);
    for name in ["content-type", "accept"] {
        if let Some(value) = parts.headers.get(name) {
            request = request.header(name, value);
        }
    }
    if let Some(user) = relay.way.user {
        request = request.header("impersonate-user", user);
    }
    // An API server that is away leaves its clients without an answer; here they are told so.
    let Ok(answer) = request.send().await else { return StatusCode::BAD_GATEWAY.into_response() };
    let kind = answer.headers().get("content-type").cloned();
    let mut response = (answer.status(), answer.bytes().await.unwrap_or_default()).into_response();
    if let Some(kind) = kind {
        response.headers_mut().insert("content-type", kind);
    }
    response
}
