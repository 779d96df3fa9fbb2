//! An API server in process for Deployments, ConfigMaps, InferenceServices and Pods. It stores objects,
//! counts their versions and generations, knows server-side apply, and lets its controllers take two steps at
//! every request. Faults are scripted.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, RawQuery, State},
    http::{HeaderMap, Method, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Value, json};

use crate::{
    apply::Owners,
    controller::{self},
    kserve,
};

const GROUPS: [&str; 3] = ["/api/v1", "/apis/apps/v1", "/apis/serving.kserve.io/v1beta1"];

/// What a request meets.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// It is answered with this status and has no effect.
    Answer(u16),
    /// It never gets an answer and has no effect.
    Hang,
    /// It takes effect, but is answered with 504.
    Lose,
    /// Somebody does this just before.
    Overtake(fn(&ApiServer)),
}

#[derive(Clone, Debug)]
pub(crate) struct ApiServer(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    /// By plural and name.
    objects: BTreeMap<(String, String), Value>,
    owners: BTreeMap<(String, String), Owners>,
    pods: BTreeMap<String, Value>,
    faults: BTreeMap<(String, String), VecDeque<Fault>>,
    requests: Vec<String>,
    /// Counts versions, uids and pods.
    count: u64,
    /// Whether controllers do nothing.
    asleep: bool,
}

impl ApiServer {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Inner { count: 100, ..Inner::default() })))
    }

    pub(crate) fn client(&self) -> kube::Client {
        let mut router = Router::new();
        for group in GROUPS {
            let all = format!("{group}/namespaces/serving/{{plural}}");
            router = router
                .route(&all, get(list).post(create))
                .route(&format!("{all}/{{name}}"), get(read).patch(patch).delete(delete));
        }
        kube::Client::new(router.with_state(self.clone()), "default")
    }

    pub(crate) fn object(&self, plural: &str, name: &str) -> Option<Value> {
        self.lock().objects.get(&key(plural, name)).cloned()
    }

    pub(crate) fn pods(&self) -> Vec<Value> {
        self.lock().pods.values().cloned().collect()
    }

    /// `manager` makes or changes an object.
    pub(crate) fn edit(&self, plural: &str, name: &str, manager: &str, change: impl FnOnce(&mut Value)) {
        let mut inner = self.lock();
        let key = key(plural, name);
        let before = inner.objects.get(&key).cloned().unwrap_or_else(|| json!({"metadata": {"name": name}}));
        let mut after = before.clone();
        change(&mut after);
        inner.owners.entry(key.clone()).or_default().change(&before, &after, manager);
        inner.write(&key, after);
    }

    /// Somebody removes an object and does not wait for what it owns.
    pub(crate) fn snatch(&self, plural: &str, name: &str) {
        let mut inner = self.lock();
        inner.objects.remove(&key(plural, name));
        inner.owners.remove(&key(plural, name));
    }

    pub(crate) fn end_pods(&self) {
        self.lock().pods.clear();
    }

    pub(crate) fn sleep(&self, asleep: bool) {
        self.lock().asleep = asleep;
    }

    /// The next requests of `method` to `plural` meet these, one each.
    pub(crate) fn fail(&self, method: &Method, plural: &str, faults: impl IntoIterator<Item = Fault>) {
        let key = (method.to_string(), plural.to_owned());
        self.lock().faults.entry(key).or_default().extend(faults);
    }

    /// The requests that there were since this was last asked, as `METHOD plural`.
    pub(crate) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().requests)
    }

    /// Lets controllers take so many steps.
    pub(crate) fn run(&self, steps: usize) {
        (0..steps).for_each(|_| self.lock().step());
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    async fn meet(&self, method: &str, plural: &str) -> Result<bool, Response> {
        let fault = {
            let mut inner = self.lock();
            inner.step();
            inner.step();
            inner.requests.push(format!("{method} {plural}"));
            inner.faults.get_mut(&(method.to_owned(), plural.to_owned())).and_then(VecDeque::pop_front)
        };
        match fault {
            Some(Fault::Answer(code)) => Err(failure(code, "by script")),
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::Lose) => Ok(true),
            Some(Fault::Overtake(act)) => {
                act(self);
                Ok(false)
            }
            None => Ok(false),
        }
    }
}

impl Inner {
    fn write(&mut self, key: &(String, String), mut object: Value) -> Value {
        let before = self.objects.get(key);
        object["metadata"]["managedFields"] =
            self.owners.get(key).map_or_else(|| json!([]), Owners::managed_fields);
        if before == Some(&object) {
            return object;
        }
        let generation = before.map_or(0, |before| before["metadata"]["generation"].as_u64().unwrap());
        let changed = before.is_none_or(|before| before["spec"] != object["spec"]);
        self.count += 1;
        if before.is_none() {
            object["metadata"]["uid"] = format!("uid-{}", self.count).into();
        }
        object["metadata"]["generation"] = (generation + u64::from(changed)).into();
        object["metadata"]["resourceVersion"] = self.count.to_string().into();
        self.objects.insert(key.clone(), object.clone());
        object
    }

    fn step(&mut self) {
        if self.asleep {
            return;
        }
        let keys: Vec<_> = self.objects.keys().cloned().collect();
        for key in keys {
            let Some(mut object) = self.objects.get(&key).cloned() else { continue };
            let gone = match key.0.as_str() {
                "deployments" => controller::step(&mut object, &mut self.pods, &mut self.count),
                "inferenceservices" => {
                    let beneath = (String::from("deployments"), format!("{}-predictor", key.1));
                    let gone = kserve::step(&mut object, self.objects.get(&beneath));
                    match gone {
                        kserve::Step::Apply(deployment) => {
                            self.write(&beneath, deployment);
                            false
                        }
                        kserve::Step::Remove => {
                            self.objects.remove(&beneath);
                            false
                        }
                        kserve::Step::Rest { gone } => gone,
                    }
                }
                _ => continue,
            };
            if gone {
                self.objects.remove(&key);
                self.owners.remove(&key);
            } else {
                self.write(&key, object);
            }
        }
    }
}

type Named = Path<(String, String)>;

fn asked(query: Option<String>) -> HashMap<String, String> {
    let url = reqwest::Url::parse(&format!("http://server/?{}", query.unwrap_or_default())).unwrap();
    url.query_pairs().into_owned().collect()
}

fn is_dry(asked: &HashMap<String, String>) -> bool {
    asked.get("dryRun").is_some_and(|dry| dry == "All")
}

async fn read(State(server): State<ApiServer>, Path((plural, name)): Named) -> Response {
    if let Err(answer) = server.meet("GET", &plural).await {
        return answer;
    }
    server
        .object(&plural, &name)
        .map_or_else(|| failure(404, "not found"), |object| Json(object).into_response())
}

async fn list(
    State(server): State<ApiServer>,
    Path(plural): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let asked = asked(query);
    if let Err(answer) = server.meet("LIST", &plural).await {
        return answer;
    }
    let fits = |pod: &Value| {
        asked["labelSelector"].split(',').all(|part| {
            let (key, value) = part.split_once('=').unwrap();
            pod["metadata"]["labels"][key] == value
        })
    };
    let items: Vec<_> = server.pods().into_iter().filter(fits).collect();
    Json(json!({"apiVersion": "v1", "kind": "PodList", "metadata": {}, "items": items})).into_response()
}

async fn create(
    State(server): State<ApiServer>,
    Path(plural): Path<String>,
    RawQuery(query): RawQuery,
    Json(object): Json<Value>,
) -> Response {
    let lost = match server.meet("POST", &plural).await {
        Ok(lost) => lost,
        Err(answer) => return answer,
    };
    let key = key(&plural, object["metadata"]["name"].as_str().unwrap());
    let mut inner = server.lock();
    if inner.objects.contains_key(&key) {
        return failure(409, "already exists");
    }
    if is_dry(&asked(query)) {
        return (StatusCode::CREATED, Json(object)).into_response();
    }
    let object = inner.write(&key, object);
    if lost { failure(504, "timed out") } else { (StatusCode::CREATED, Json(object)).into_response() }
}

async fn patch(
    State(server): State<ApiServer>,
    Path((plural, name)): Named,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let lost = match server.meet("PATCH", &plural).await {
        Ok(lost) => lost,
        Err(answer) => return answer,
    };
    let asked = asked(query);
    let patch: Value = serde_json::from_slice(&body).unwrap();
    let mut inner = server.lock();
    let key = key(&plural, &name);
    let live = inner.objects.get(&key).cloned();
    let guard = |field: &str| match (&live, patch["metadata"][field].as_str()) {
        (_, None) => true,
        (Some(live), Some(wanted)) => live["metadata"][field] == wanted,
        // An apply that names a uid never creates; one that names only a version does.
        (None, Some(_)) => field != "uid",
    };
    if !guard("uid") || !guard("resourceVersion") {
        return failure(409, "the object has been modified");
    }
    let mut owners = inner.owners.get(&key).cloned().unwrap_or_default();
    let merged = match headers[CONTENT_TYPE].to_str().unwrap() {
        "application/apply-patch+yaml" => {
            let force = asked.get("force").is_some_and(|force| force == "true");
            let base = live.clone().unwrap_or_else(|| json!({"metadata": {"name": name}}));
            match owners.apply(&base, &asked["fieldManager"], &patch, force) {
                Ok(merged) => merged,
                Err(causes) => {
                    let status = json!({
                        "kind": "Status", "status": "Failure", "code": 409, "reason": "Conflict",
                        "message": "Apply failed with conflicts", "details": {"causes": causes},
                    });
                    return (StatusCode::CONFLICT, Json(status)).into_response();
                }
            }
        }
        "application/merge-patch+json" => {
            let Some(mut merged) = live.clone() else { return failure(404, "not found") };
            json_patch::merge(&mut merged, &patch);
            merged
        }
        other => return failure(415, other),
    };
    if let Some(why) = invalid(&plural, live.as_ref(), &merged) {
        return failure(422, why);
    }
    if is_dry(&asked) {
        return Json(merged).into_response();
    }
    inner.owners.insert(key.clone(), owners);
    let object = inner.write(&key, merged);
    if lost { failure(504, "timed out") } else { Json(object).into_response() }
}

fn invalid(plural: &str, live: Option<&Value>, merged: &Value) -> Option<&'static str> {
    if plural != "deployments" {
        return None;
    }
    let spec = &merged["spec"];
    let Some(selector) = spec["selector"]["matchLabels"].as_object() else {
        return Some("selector: required");
    };
    if live.is_some_and(|live| live["spec"]["selector"] != spec["selector"]) {
        return Some("selector: field is immutable");
    }
    let labels = &spec["template"]["metadata"]["labels"];
    if selector.iter().any(|(key, value)| labels[key] != *value) {
        return Some("selector does not match template labels");
    }
    let images = spec["template"]["spec"]["containers"].as_array()?;
    images.iter().any(|container| container["image"] == "").then_some("image: required")
}

async fn delete(State(server): State<ApiServer>, Path((plural, name)): Named, body: Bytes) -> Response {
    let lost = match server.meet("DELETE", &plural).await {
        Ok(lost) => lost,
        Err(answer) => return answer,
    };
    let params: Value = serde_json::from_slice(&body).unwrap();
    let mut inner = server.lock();
    let key = key(&plural, &name);
    let Some(mut object) = inner.objects.get(&key).cloned() else { return failure(404, "not found") };
    for field in ["uid", "resourceVersion"] {
        if params["preconditions"].get(field).is_some_and(|wanted| object["metadata"][field] != *wanted) {
            return failure(409, "precondition failed");
        }
    }
    assert_eq!(params["propagationPolicy"], "Foreground");
    object["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    inner.write(&key, object.clone());
    if lost { failure(504, "timed out") } else { Json(object).into_response() }
}

fn key(plural: &str, name: &str) -> (String, String) {
    (plural.to_owned(), name.to_owned())
}

fn failure(code: u16, message: &str) -> Response {
    let reason = if code == 404 { "NotFound" } else { "" };
    let status =
        json!({"kind": "Status", "status": "Failure", "message": message, "reason": reason, "code": code});
    (StatusCode::from_u16(code).unwrap(), Json(status)).into_response()
}
