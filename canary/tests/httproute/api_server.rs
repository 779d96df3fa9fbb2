//! An API server for HTTPRoutes, in process: it stores objects, applies JSON patches to them, counts their
//! versions and generations, and a gateway reports on what it was given. Faults are scripted.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, Method, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Value, json};

const PATH: &str = "/apis/gateway.networking.k8s.io/v1/namespaces/{namespace}/httproutes/{name}";

/// What a request meets.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// It is answered with this status and has no effect.
    Answer(u16),
    /// It never gets an answer and has no effect.
    Hang,
    /// It takes effect, but is answered with 504.
    Lose,
    /// Somebody else changes the object just before.
    Overtake(fn(&mut Value)),
}

/// What the gateway writes into the status of a changed object.
#[derive(Clone, Debug)]
pub(crate) enum Gateway {
    Accepts,
    Drops,
    Rejects,
    Sleeps,
}

#[derive(Clone, Debug)]
pub(crate) struct ApiServer(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    objects: BTreeMap<String, Value>,
    version: u64,
    gateway: Gateway,
    faults: BTreeMap<String, VecDeque<Fault>>,
    requests: BTreeMap<String, usize>,
}

impl ApiServer {
    /// Holds `objects`, by `namespace/name`; the gateway has accepted them.
    pub(crate) fn with(objects: impl IntoIterator<Item = (&'static str, Value)>) -> Self {
        let inner = Inner {
            objects: BTreeMap::new(),
            version: 100,
            gateway: Gateway::Accepts,
            faults: BTreeMap::new(),
            requests: BTreeMap::new(),
        };
        let server = Self(Arc::new(Mutex::new(inner)));
        for (key, object) in objects {
            let mut inner = server.lock();
            inner.objects.insert(key.to_owned(), json!({"metadata": {"generation": 0}}));
            inner.write(key, object);
        }
        server
    }

    pub(crate) fn client(&self) -> kube::Client {
        let router = Router::new().route(PATH, get(read).patch(patch)).with_state(self.clone());
        kube::Client::new(router, "default")
    }

    pub(crate) fn object(&self, key: &str) -> Value {
        self.lock().objects[key].clone()
    }

    /// Somebody else changes an object.
    pub(crate) fn edit(&self, key: &str, change: impl FnOnce(&mut Value)) {
        let mut inner = self.lock();
        let mut object = inner.objects[key].clone();
        change(&mut object);
        inner.write(key, object);
    }

    /// What the gateway does from now on; it looks again at every object.
    pub(crate) fn gateway(&self, gateway: Gateway) {
        let mut inner = self.lock();
        inner.gateway = gateway;
        let keys: Vec<_> = inner.objects.keys().cloned().collect();
        for key in keys {
            inner.report(&key);
        }
    }

    /// The next requests of `method` meet these, one each.
    pub(crate) fn fail(&self, method: &Method, faults: impl IntoIterator<Item = Fault>) {
        self.lock().faults.entry(method.to_string()).or_default().extend(faults);
    }

    /// How many requests of `method` there were.
    pub(crate) fn requests(&self, method: &Method) -> usize {
        self.lock().requests.get(method.as_str()).copied().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    fn next_fault(&self, method: &str) -> Option<Fault> {
        let mut inner = self.lock();
        *inner.requests.entry(method.to_owned()).or_default() += 1;
        inner.faults.get_mut(method).and_then(VecDeque::pop_front)
    }
}

impl Inner {
    fn write(&mut self, key: &str, mut object: Value) {
        let before = &self.objects[key];
        if *before == object {
            return;
        }
        let generation = before["metadata"]["generation"].as_u64().unwrap();
        let generation = generation + u64::from(before["spec"] != object["spec"]);
        self.version += 1;
        object["metadata"]["generation"] = generation.into();
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        self.objects.insert(key.to_owned(), object);
        self.report(key);
    }

    fn report(&mut self, key: &str) {
        let object = self.objects.get_mut(key).unwrap();
        let seen = object["metadata"]["generation"].clone();
        let condition = |name: &str, status: &str, message: &str| json!({"type": name, "status": status, "message": message, "observedGeneration": seen});
        let conditions = match self.gateway {
            Gateway::Sleeps => return,
            Gateway::Accepts => {
                vec![condition("Accepted", "True", ""), condition("ResolvedRefs", "True", "")]
            }
            Gateway::Rejects => vec![
                condition("Accepted", "True", ""),
                condition("ResolvedRefs", "False", "Service fraud-candidate not found"),
            ],
            Gateway::Drops => vec![
                condition("Accepted", "True", ""),
                condition("ResolvedRefs", "True", ""),
                condition("PartiallyInvalid", "True", "Dropped Rule 0"),
            ],
        };
        let status = json!({"parents": [{"parentRef": {"name": "public"}, "conditions": conditions}]});
        if object["status"] != status {
            object["status"] = status;
            self.version += 1;
            object["metadata"]["resourceVersion"] = self.version.to_string().into();
        }
    }
}

async fn read(State(server): State<ApiServer>, Path((namespace, name)): Path<(String, String)>) -> Response {
    match server.next_fault("GET") {
        Some(Fault::Answer(code)) => return failure(code, "by script"),
        Some(Fault::Hang) => std::future::pending().await,
        _ => {}
    }
    match server.lock().objects.get(&format!("{namespace}/{name}")) {
        Some(object) => Json(object.clone()).into_response(),
        None => failure(404, "not found"),
    }
}

async fn patch(
    State(server): State<ApiServer>,
    Path((namespace, name)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let key = format!("{namespace}/{name}");
    let fault = server.next_fault("PATCH");
    match fault {
        Some(Fault::Answer(code)) => return failure(code, "by script"),
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Overtake(change)) => server.edit(&key, change),
        _ => {}
    }
    if headers[CONTENT_TYPE] != "application/json-patch+json" {
        return failure(415, "only JSON patches");
    }
    let Ok(patch) = serde_json::from_slice::<json_patch::Patch>(&body) else {
        return failure(400, "not a JSON patch");
    };
    let mut inner = server.lock();
    let Some(mut object) = inner.objects.get(&key).cloned() else { return failure(404, "not found") };
    if let Err(error) = json_patch::patch(&mut object, &patch) {
        return failure(422, &error.to_string());
    }
    inner.write(&key, object);
    match fault {
        Some(Fault::Lose) => failure(504, "timed out"),
        _ => Json(inner.objects[&key].clone()).into_response(),
    }
}

fn failure(code: u16, message: &str) -> Response {
    let status =
        json!({"kind": "Status", "status": "Failure", "message": message, "reason": "", "code": code});
    (StatusCode::from_u16(code).unwrap(), Json(status)).into_response()
}
