//! An HTTP server on loopback that answers from a script and remembers what it was asked.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::{Request, State},
    response::Response,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

/// One prepared response.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(&'static str, &'static str)>,
    body: String,
    conduct: Conduct,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Conduct {
    #[default]
    Recites,
    Echoes,
    Hangs,
}

/// One request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
    pub(crate) body: Value,
}

#[derive(Debug)]
struct Script {
    answers: Mutex<VecDeque<Answer>>,
    asked: Mutex<Vec<Asked>>,
}

#[derive(Debug)]
pub(crate) struct Server {
    base: String,
    script: Arc<Script>,
    task: JoinHandle<()>,
}

impl Answer {
    pub(crate) fn new(status: u16, body: impl Into<String>) -> Self {
        Self { status, body: body.into(), ..Self::default() }
    }

    pub(crate) fn hang() -> Self {
        Self { conduct: Conduct::Hangs, ..Self::default() }
    }

    /// A completion that says what the user said.
    pub(crate) fn echo() -> Self {
        Self { conduct: Conduct::Echoes, ..Self::default() }
    }

    pub(crate) fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }
}

/// A chat completion that says `text`.
pub(crate) fn completion(text: &str) -> Answer {
    let body = json!({
        "id": "c1", "object": "chat.completion", "model": "support-bot",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16},
    });
    Answer::new(200, body.to_string())
}

impl Server {
    pub(crate) async fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        let script = Script { answers: Mutex::new(answers.into_iter().collect()), asked: Mutex::default() };
        let script = Arc::new(script);
        let router = Router::new().fallback(answer).with_state(Arc::clone(&script));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/v1", listener.local_addr().unwrap());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { base, script, task }
    }

    pub(crate) fn base(&self) -> String {
        self.base.clone()
    }

    pub(crate) fn requests(&self) -> Vec<Asked> {
        self.script.asked.lock().unwrap().clone()
    }

    /// Stops listening; where it listened is free after that.
    pub(crate) async fn stop(self) -> String {
        self.task.abort();
        let _ = self.task.await;
        self.base
    }
}

async fn answer(State(script): State<Arc<Script>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let authorization = head.headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
    let asked = Asked {
        path: head.uri.path().to_owned(),
        authorization,
        body: serde_json::from_slice(&body).unwrap(),
    };
    let said =
        asked.body["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap().to_owned();
    script.asked.lock().unwrap().push(asked);
    let next = script.answers.lock().unwrap().pop_front();
    let next = match next.unwrap_or_else(|| Answer::new(500, "no answer left")) {
        next if next.conduct == Conduct::Hangs => std::future::pending().await,
        next if next.conduct == Conduct::Echoes => completion(&said),
        next => next,
    };
    let response =
        next.headers.iter().fold(Response::builder().status(next.status), |response, (name, value)| {
            response.header(*name, *value)
        });
    response.body(next.body.into()).unwrap()
}
