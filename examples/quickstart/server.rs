//! A model server: loads a directory that the registry delivered and answers chat completions over
//! HTTP in the form of the OpenAI API, <https://platform.openai.com/docs/api-reference/chat>.

use std::{net::SocketAddr, path::Path, sync::Arc, time::SystemTime};

use anyhow::{Context as _, Result};
use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State, rejection::JsonRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::json;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use super::{
    classifier::{Classifier, NotFinite},
    messages::tokens,
};

/// A running server. Dropping it stops it, too, but does not wait for the requests in flight.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
}

/// What the server serves, and under which name.
struct Served {
    model: String,
    classifier: Classifier,
}

/// The part of a chat completion request that a classifier can honour.
#[derive(Deserialize)]
struct Request {
    messages: Vec<Message>,
    #[serde(default)]
    stream: bool,
}

#[derive(Deserialize)]
struct Message {
    role: String,
    content: String,
}

const MOST_BYTES: usize = 64 << 10;

impl Server {
    /// Loads the model in `directory` and serves it as `model` on a free port of the loopback interface.
    pub(crate) async fn start(model: &str, directory: &Path) -> Result<Self> {
        let classifier = Classifier::load(directory)
            .with_context(|| format!("cannot load {model} from {}", directory.display()))?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("cannot listen on 127.0.0.1")?;
        let address = listener.local_addr()?;
        let routes = Router::new()
            .route("/healthz", get(healthz))
            .route("/v1/chat/completions", post(complete))
            .layer(DefaultBodyLimit::max(MOST_BYTES))
            .with_state(Arc::new(Served { model: model.to_owned(), classifier }));
        let (stop, stopped) = oneshot::channel();
        let serve = axum::serve(listener, routes).with_graceful_shutdown(async {
            // An error means that the `Server` was dropped, which asks for the same.
            let _ = stopped.await;
        });
        Ok(Self { address, stop, task: tokio::spawn(serve.into_future()) })
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops listening and waits until the requests in flight are answered.
    pub(crate) async fn stop(self) -> Result<()> {
        let _ = self.stop.send(());
        self.task.await.context("the server panicked")?.context("the server failed")
    }
}

async fn healthz(State(served): State<Arc<Served>>) -> Json<serde_json::Value> {
    Json(json!({ "status": "ok", "model": served.model }))
}

async fn complete(
    State(served): State<Arc<Served>>,
    request: Result<Json<Request>, JsonRejection>,
) -> Response {
    let Json(request) = match request {
        Ok(request) => request,
        Err(rejection) => return refuse(rejection.status(), "invalid_request_error", &rejection.body_text()),
    };
    if request.stream {
        return refuse(
            StatusCode::BAD_REQUEST,
            "invalid_request_error",
            "streaming is not supported; leave out `stream`",
        );
    }
    let Some(question) = request.messages.iter().rfind(|message| message.role == "user") else {
        return refuse(
            StatusCode::BAD_REQUEST,
            "invalid_request_error",
            "`messages` has no message of the role `user`",
        );
    };
    let (label, probability) = match served.classifier.classify(&question.content) {
        Ok(answer) => answer,
        Err(NotFinite) => {
            return refuse(
                StatusCode::INTERNAL_SERVER_ERROR,
                "server_error",
                "the model gave a logit that is not finite",
            );
        }
    };
    let read: usize = request.messages.iter().map(|message| tokens(&message.content).count()).sum();
    let written = tokens(label).count();
    Json(json!({
        "id": format!("chatcmpl-{:016x}", fastrand::u64(..)),
        "object": "chat.completion",
        "created": seconds_since_1970(),
        "model": served.model,
        "choices": [{
            "index": 0,
            "message": { "role": "assistant", "content": label },
            "logprobs": { "content": [{ "token": label, "logprob": probability.ln() }] },
            "finish_reason": "stop",
        }],
        "usage": { "prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written },
    }))
    .into_response()
}

fn refuse(status: StatusCode, kind: &str, message: &str) -> Response {
    (status, Json(json!({ "error": { "message": message, "type": kind } }))).into_response()
}

#[expect(clippy::disallowed_methods, reason = "the API wants the time of the answer")]
fn seconds_since_1970() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
