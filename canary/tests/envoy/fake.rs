//! The administration interface of an Envoy that reads its tables from a directory, in process.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    body::Body,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use futures::stream;
use serde_json::{Value, json};
use tempfile::TempDir;

/// What it does when it is asked.
#[derive(Clone, Debug)]
pub(crate) enum Mood {
    Reads,
    /// It does not look at its files.
    Sleeps,
    /// It is too old to match cookies, and passes over that.
    Aged,
    /// It never answers.
    Hangs,
    /// It answers with this status and body.
    Says(u16, String),
    /// Its answers have no end.
    Floods,
}

#[derive(Clone, Debug)]
pub(crate) struct Fake(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    directory: TempDir,
    mood: Mood,
    files: BTreeMap<PathBuf, Vec<u8>>,
    accepted: BTreeMap<String, Value>,
    rejected: BTreeMap<String, u64>,
}

/// The cluster that it does not have.
pub(crate) const NOWHERE: &str = "nowhere";

impl Fake {
    /// With a directory that lasts as long as it does.
    pub(crate) async fn start(directory: TempDir) -> (Self, String) {
        let inner = Inner {
            directory,
            mood: Mood::Reads,
            files: BTreeMap::new(),
            accepted: BTreeMap::new(),
            rejected: BTreeMap::new(),
        };
        let fake = Self(Arc::new(Mutex::new(inner)));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().route("/config_dump", get(config_dump)).route("/stats", get(stats));
        let router = router.with_state(fake.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (fake, url)
    }

    pub(crate) fn is(&self, mood: Mood) {
        self.0.lock().unwrap().mood = mood;
    }

    /// How it answers instead of telling what it has, if so. Looks at the files otherwise.
    async fn instead(&self) -> Option<Response> {
        let mood = self.0.lock().unwrap().mood.clone();
        match mood {
            Mood::Reads | Mood::Aged => self.0.lock().unwrap().look(),
            Mood::Sleeps => {}
            Mood::Hangs => std::future::pending().await,
            Mood::Says(status, body) => {
                return Some((StatusCode::from_u16(status).unwrap(), body).into_response());
            }
            Mood::Floods => {
                let chunk = || Some((Ok::<_, std::io::Error>(vec![b' '; 1 << 16]), ()));
                return Some(
                    Body::from_stream(stream::unfold((), move |()| async move { chunk() })).into_response(),
                );
            }
        }
        None
    }
}

impl Inner {
    fn look(&mut self) {
        for file in std::fs::read_dir(self.directory.path()).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            if self.files.get(&path) == Some(&bytes) {
                continue;
            }
            let mut file: Value = serde_json::from_slice(&bytes).unwrap();
            if matches!(self.mood, Mood::Aged) {
                let rules = file["resources"][0]["virtual_hosts"][0]["routes"].as_array_mut().unwrap();
                rules
                    .iter_mut()
                    .for_each(|rule| drop(rule["match"].as_object_mut().unwrap().remove("cookies")));
            }
            let table = &file["resources"][0];
            let name = table["name"].as_str().unwrap().to_owned();
            if table.to_string().contains(&format!("\"{NOWHERE}\"")) {
                *self.rejected.entry(name).or_default() += 1;
            } else {
                let config = json!({"version_info": file["version_info"], "route_config": table});
                self.accepted.insert(name, config);
            }
            self.files.insert(path, bytes);
        }
    }
}

async fn config_dump(State(fake): State<Fake>) -> Response {
    if let Some(instead) = fake.instead().await {
        return instead;
    }
    let configs: Vec<_> = fake.0.lock().unwrap().accepted.values().cloned().collect();
    Json(json!({"configs": configs})).into_response()
}

async fn stats(State(fake): State<Fake>) -> Response {
    if let Some(instead) = fake.instead().await {
        return instead;
    }
    let inner = fake.0.lock().unwrap();
    let stat = |(name, count): (&String, &u64)| json!({"name": format!("http.x.rds.{name}.update_rejected"), "value": count});
    let mut stats: Vec<_> = inner.rejected.iter().map(stat).collect();
    stats.push(json!({"histograms": {}}));
    Json(json!({"stats": stats})).into_response()
}
