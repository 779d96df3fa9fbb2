//! What is served, and how it is swapped.

use std::sync::{Arc, PoisonError, RwLock};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderName, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::json;
use tidegate::registry::{Digest, ModelRef};

use crate::weights::Weights;

/// Says which version an answer is of.
pub(crate) const VERSION: HeaderName = HeaderName::from_static("x-model-version");

/// A version in memory, ready to answer.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) model: ModelRef,
    pub(crate) digest: Digest,
    pub(crate) weights: Weights,
}

/// What answers now. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Live(Arc<RwLock<Standing>>);

#[derive(Debug, Default)]
struct Standing {
    loaded: Option<Arc<Loaded>>,
    /// Why it is not what the channel says, if it is not.
    behind: Option<String>,
}

impl Live {
    /// The version for one request. Whoever took it ends with it, whatever comes meanwhile: that is why no request is
    /// dropped, and none is answered by two versions. The lock is held for as long as a pointer is copied.
    pub(crate) fn loaded(&self) -> Option<Arc<Loaded>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).loaded.clone()
    }

    /// From now on this version answers; the one before goes when its last request is answered.
    pub(crate) fn swap(&self, loaded: Loaded) -> Option<Arc<Loaded>> {
        let mut standing = self.0.write().unwrap_or_else(PoisonError::into_inner);
        standing.behind = None;
        standing.loaded.replace(Arc::new(loaded))
    }

    /// It stays as it is, for this reason.
    pub(crate) fn stay(&self, why: String) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).behind = Some(why);
    }

    /// Why it is not what the channel says, if it is not.
    pub(crate) fn behind(&self) -> Option<String> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).behind.clone()
    }
}

pub(crate) fn site(live: Live) -> Router {
    Router::new().route("/healthz", get(healthz)).route("/score", post(score)).with_state(live)
}

#[derive(Deserialize)]
struct Question {
    features: Vec<f32>,
}

async fn score(State(live): State<Live>, Json(question): Json<Question>) -> Response {
    let Some(loaded) = live.loaded() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "no version is loaded yet; ask again").into_response();
    };
    let version = [(VERSION, loaded.model.to_string())];
    match loaded.weights.score(&question.features) {
        Ok(score) => (version, Json(json!({ "score": score }))).into_response(),
        Err(why) => (StatusCode::UNPROCESSABLE_ENTITY, version, why.to_string()).into_response(),
    }
}

/// Healthy is whoever answers, even if another version was wanted: to restart it would not help.
async fn healthz(State(live): State<Live>) -> Response {
    let (loaded, behind) = (live.loaded(), live.behind());
    let status = if loaded.is_some() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let (model, digest) = loaded.map(|loaded| (loaded.model.clone(), loaded.digest)).unzip();
    (status, Json(json!({ "serving": model, "digest": digest, "behind": behind }))).into_response()
}
