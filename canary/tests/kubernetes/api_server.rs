//! An API server in process: it stores objects of any kind, applies JSON patches to them, counts their versions
//! and generations. A gateway reports on HTTPRoutes and a controller on Deployments. Faults are scripted.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

pub(crate) const DEPLOYMENTS: &str = "apps/v1/deployments";
pub(crate) const HTTPROUTES: &str = "gateway.networking.k8s.io/v1/httproutes";
pub(crate) const INGRESSES: &str = "networking.k8s.io/v1/ingresses";
pub(crate) const SERVICES: &str = "v1/services";
pub(crate) const TRAEFIKSERVICES: &str = "traefik.io/v1alpha1/traefikservices";
pub(crate) const VIRTUALSERVICES: &str = "networking.istio.io/v1/virtualservices";

/// What a request meets.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// It is answered with this status and has no effect.
    Answer(u16),
    /// It is answered with 429 and this many seconds to wait, and has no effect.
    Busy(u32),
    /// It never gets an answer and has no effect.
    Hang,
    /// It takes effect, but is answered with 504.
    Lose,
    /// Somebody else changes the object just before.
    Overtake(fn(&mut Value)),
    /// It is answered after this time.
    Slow(Duration),
    /// It is answered as one for a kind that is not served, and has no effect.
    Unserved,
}

/// What the gateway writes into the status of a changed HTTPRoute.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Gateway {
    Accepts,
    Drops,
    Rejects,
    Sleeps,
}

/// The server, as seen from objects of one kind.
#[derive(Clone, Debug)]
pub(crate) struct ApiServer {
    inner: Arc<Mutex<Inner>>,
    kind: &'static str,
}

/// The kind, and `namespace/name`.
type Key = (String, String);

#[derive(Debug)]
struct Inner {
    objects: BTreeMap<Key, Value>,
    version: u64,
    gateway: Gateway,
    /// Whether the pods of a Deployment become what its spec says.
    pods_start: bool,
    faults: BTreeMap<(String, String), VecDeque<Fault>>,
    requests: BTreeMap<(String, String), usize>,
}

impl ApiServer {
    /// Holds `objects` of this kind, by `namespace/name`.
    pub(crate) fn with(kind: &'static str, objects: impl IntoIterator<Item = (&'static str, Value)>) -> Self {
        let inner = Inner {
            objects: BTreeMap::new(),
            version: 100,
            gateway: Gateway::Accepts,
            pods_start: true,
            faults: BTreeMap::new(),
            requests: BTreeMap::new(),
        };
        let server = Self { inner: Arc::new(Mutex::new(inner)), kind };
        for (key, object) in objects {
            server.lock().write(&(kind.to_owned(), key.to_owned()), object);
        }
        server
    }

    /// The same server, as seen from objects of another kind.
    pub(crate) fn of(&self, kind: &'static str) -> Self {
        Self { inner: Arc::clone(&self.inner), kind }
    }

    /// Holds another object.
    pub(crate) fn add(&self, key: &str, object: Value) {
        self.lock().write(&self.key(key), object);
    }

    pub(crate) fn remove(&self, key: &str) {
        self.lock().objects.remove(&self.key(key));
    }

    pub(crate) fn client(&self) -> kube::Client {
        kube::Client::new(Router::new().fallback(serve).with_state(self.clone()), "default")
    }

    pub(crate) fn object(&self, key: &str) -> Value {
        self.lock().objects[&self.key(key)].clone()
    }

    pub(crate) fn holds(&self, key: &str) -> bool {
        self.lock().objects.contains_key(&self.key(key))
    }

    /// Somebody else changes an object.
    pub(crate) fn edit(&self, key: &str, change: impl FnOnce(&mut Value)) {
        let mut inner = self.lock();
        let key = self.key(key);
        let mut object = inner.objects[&key].clone();
        change(&mut object);
        inner.write(&key, object);
    }

    /// What the gateway does from now on; it looks again at every object.
    pub(crate) fn gateway(&self, gateway: Gateway) {
        self.lock().gateway = gateway;
        self.report_all();
    }

    /// Whether pods start from now on.
    pub(crate) fn pods_start(&self, start: bool) {
        self.lock().pods_start = start;
        self.report_all();
    }

    /// The next requests of `method` for this kind meet these, one each.
    pub(crate) fn fail(&self, method: &Method, faults: impl IntoIterator<Item = Fault>) {
        let key = (method.to_string(), self.kind.to_owned());
        self.lock().faults.entry(key).or_default().extend(faults);
    }

    /// How many requests of `method` there were for this kind.
    pub(crate) fn requests(&self, method: &Method) -> usize {
        let key = (method.to_string(), self.kind.to_owned());
        self.lock().requests.get(&key).copied().unwrap_or_default()
    }

    fn report_all(&self) {
        let mut inner = self.lock();
        let keys: Vec<_> = inner.objects.keys().cloned().collect();
        for key in keys {
            inner.report(&key);
        }
    }

    fn key(&self, key: &str) -> Key {
        (self.kind.to_owned(), key.to_owned())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    fn next_fault(&self, method: &Method, kind: &str) -> Option<Fault> {
        let mut inner = self.lock();
        let key = (method.to_string(), kind.to_owned());
        *inner.requests.entry(key.clone()).or_default() += 1;
        inner.faults.get_mut(&key).and_then(VecDeque::pop_front)
    }
}

impl Inner {
    fn write(&mut self, key: &Key, mut object: Value) {
        let before = self.objects.get(key);
        if before == Some(&object) {
            return;
        }
        let generation = before.map_or(0, |before| before["metadata"]["generation"].as_u64().unwrap());
        let changed = before.is_none_or(|before| before["spec"] != object["spec"]);
        self.version += 1;
        object["metadata"]["generation"] = (generation + u64::from(changed)).into();
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        self.objects.insert(key.clone(), object);
        self.report(key);
    }

    fn report(&mut self, key: &Key) {
        let object = self.objects.get_mut(key).unwrap();
        let status = match key.0.as_str() {
            HTTPROUTES => self.gateway.status(&object["metadata"]["generation"]),
            DEPLOYMENTS if self.pods_start => {
                let replicas = &object["spec"]["replicas"];
                let seen = &object["metadata"]["generation"];
                Some(json!({"observedGeneration": seen, "replicas": replicas, "readyReplicas": replicas}))
            }
            _ => None,
        };
        if let Some(status) = status.filter(|status| object["status"] != *status) {
            object["status"] = status;
            self.version += 1;
            object["metadata"]["resourceVersion"] = self.version.to_string().into();
        }
    }
}

impl Gateway {
    fn status(self, seen: &Value) -> Option<Value> {
        let condition = |name: &str, status: &str, message: &str| json!({"type": name, "status": status, "message": message, "observedGeneration": seen});
        let conditions = match self {
            Self::Sleeps => return None,
            Self::Accepts => vec![condition("Accepted", "True", ""), condition("ResolvedRefs", "True", "")],
            Self::Rejects => vec![
                condition("Accepted", "True", ""),
                condition("ResolvedRefs", "False", "Service fraud-candidate not found"),
            ],
            Self::Drops => vec![
                condition("Accepted", "True", ""),
                condition("ResolvedRefs", "True", ""),
                condition("PartiallyInvalid", "True", "Dropped Rule 0"),
            ],
        };
        Some(json!({"parents": [{"parentRef": {"name": "public"}, "conditions": conditions}]}))
    }
}

/// `/apis/GROUP/VERSION/namespaces/NAMESPACE/PLURAL/NAME` as kind, namespace and name.
fn parse(path: &str) -> Option<(String, String, Option<String>)> {
    let path = path.strip_prefix("/apis/").or_else(|| path.strip_prefix("/api/"))?;
    let (api, path) = path.split_once("/namespaces/")?;
    let mut path = path.split('/');
    let (namespace, plural, name) = (path.next()?, path.next()?, path.next());
    Some((format!("{api}/{plural}"), namespace.to_owned(), name.map(str::to_owned)))
}

async fn serve(
    State(server): State<ApiServer>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some((kind, namespace, name)) = parse(uri.path()) else { return failure(404, "no such path") };
    let key = |name: &str| (kind.clone(), format!("{namespace}/{name}"));
    let fault = server.next_fault(&method, &kind);
    match fault {
        Some(Fault::Answer(code)) => return failure(code, "by script"),
        Some(Fault::Busy(seconds)) => return busy(seconds),
        Some(Fault::Unserved) => return (StatusCode::NOT_FOUND, "404 page not found\n").into_response(),
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Slow(time)) => tokio::time::sleep(time).await,
        Some(Fault::Overtake(change)) => {
            let mut inner = server.lock();
            let key = key(name.as_deref().unwrap());
            let mut object = inner.objects[&key].clone();
            change(&mut object);
            inner.write(&key, object);
        }
        Some(Fault::Lose) | None => {}
    }
    let mut inner = server.lock();
    let answer = match (method.as_str(), name) {
        ("GET", Some(name)) => {
            inner.objects.get(&key(&name)).cloned().ok_or_else(|| (404, "not found".to_owned()))
        }
        ("PATCH", Some(name)) => inner.patch(&key(&name), &headers, &body),
        ("POST", None) => inner.create(key, &body),
        _ => Err((405, "not here".to_owned())),
    };
    match (fault, answer) {
        (Some(Fault::Lose), Ok(_)) => failure(504, "timed out"),
        (_, Ok(object)) => Json(object).into_response(),
        (_, Err((code, why))) => failure(code, &why),
    }
}

impl Inner {
    fn patch(&mut self, key: &Key, headers: &HeaderMap, body: &[u8]) -> Result<Value, (u16, String)> {
        if headers[CONTENT_TYPE] != "application/json-patch+json" {
            return Err((415, "only JSON patches".to_owned()));
        }
        let patch = serde_json::from_slice::<json_patch::Patch>(body);
        let patch = patch.map_err(|error| (400, error.to_string()))?;
        let mut object = self.objects.get(key).cloned().ok_or_else(|| (404, "not found".to_owned()))?;
        json_patch::patch(&mut object, &patch).map_err(|error| (422, error.to_string()))?;
        self.write(key, object);
        Ok(self.objects[key].clone())
    }

    fn create(&mut self, key: impl Fn(&str) -> Key, body: &[u8]) -> Result<Value, (u16, String)> {
        let object: Value = serde_json::from_slice(body).map_err(|error| (400, error.to_string()))?;
        let key = key(object["metadata"]["name"].as_str().unwrap());
        if self.objects.contains_key(&key) {
            return Err((409, "already exists".to_owned()));
        }
        self.write(&key, object);
        Ok(self.objects[&key].clone())
    }
}

fn failure(code: u16, message: &str) -> Response {
    let status =
        json!({"kind": "Status", "status": "Failure", "message": message, "reason": "", "code": code});
    (StatusCode::from_u16(code).unwrap(), Json(status)).into_response()
}

fn busy(seconds: u32) -> Response {
    let status = json!({
        "kind": "Status", "status": "Failure", "message": "busy", "reason": "TooManyRequests", "code": 429,
        "details": {"retryAfterSeconds": seconds},
    });
    (StatusCode::TOO_MANY_REQUESTS, [("retry-after", seconds.to_string())], Json(status)).into_response()
}
